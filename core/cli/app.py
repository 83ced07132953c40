"""The application that the verbs register with, and the one place where an error becomes an exit code."""

import os
from typing import Annotated

import typer

from core import __version__, logs
from core.cli.verbs import Verbs

app = typer.Typer(cls=Verbs, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
export_app = typer.Typer(no_args_is_help=True)
app.add_typer(export_app, name="export")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"heatproof {__version__}")
        raise typer.Exit


@app.callback()
def main(
    ctx: typer.Context,
    store: Annotated[str | None, typer.Option("--store", help="The DuckDB file or URL; may also stand after the verb.")] = None,
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")] = False,
) -> None:
    """Heatproof finds and explains broken ad banners from where people click on them."""
    logs.mask_everything()
    logs.configure(None)  # what a verb prints is enough, unless a log was asked for
    if store is not None:
        before = os.environ.get("HEATPROOF_STORE", "")
        os.environ["HEATPROOF_STORE"] = store
        ctx.call_on_close(lambda: os.environ.update(HEATPROOF_STORE=before))


@export_app.callback()
def export_main() -> None:
    """Write what a run found as a file for others."""
