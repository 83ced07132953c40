"""The command line: `python -m core VERB`. Results on stdout, progress and messages on stderr, exit 0, 1 (bug) or 2 (user).

The verbs register themselves with the application when they are imported; their order here is that of `--help`.
"""

from core.cli.app import app

from core.cli import demo, clicks, runs, embed, train, store, calibrate, labels, audit, select, images  # noqa: F401  # isort: skip

__all__ = ["app"]

if __name__ == "__main__":
    app(prog_name="python -m core")
