"""How a verb ends: an error for the user is a message and exit code 2, a bug keeps its traceback; with --json all of it is JSON too."""

from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from core.cli import console
from core.errors import HeatproofError, disk_space


class Verbs(TyperGroup):
    """Turns an error that is meant for the user into its message and exit code 2; a bug keeps its traceback.

    With --json every outcome is one JSON object on stdout: an error is {"error": message}, beside the message on stderr.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Remembers whether JSON was asked for: an option that cannot be read ends a verb before its own options are known."""
        ctx.meta["heatproof.json"] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Runs the verb."""
        from core.jobs.process import WorkerCrashedError

        try:
            with disk_space.named():
                return super().invoke(ctx)
        except (typer.Exit, typer.Abort):  # a verb that has said all, or its help
            raise
        except WorkerCrashedError as error:
            console.err.print(error.log)
            self._tell(ctx, str(error))
            raise typer.Exit(1) from error
        except (HeatproofError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
            self._tell(ctx, str(error))
            raise typer.Exit(2) from error
        except KeyboardInterrupt as error:  # a job says what is kept; 130 is what shells know as Ctrl-C
            if not str(error):
                raise
            self._tell(ctx, str(error))
            raise typer.Exit(130) from error
        except TyperException as error:  # of the options: its message goes to stderr by itself
            self._tell_json(ctx, str(error))
            raise
        except Exception as error:
            self._tell_json(ctx, f"{type(error).__name__}: {error}")
            raise

    def _tell(self, ctx: Any, message: str) -> None:
        console.err.print(f"Error: {message}")
        self._tell_json(ctx, message)

    def _tell_json(self, ctx: Any, message: str) -> None:
        if ctx.meta.get("heatproof.json"):
            console.show_json({"error": message})
