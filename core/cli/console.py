"""What all verbs share: the options --store and --json, results on stdout, progress and messages on stderr."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from core import settings
from core.errors import InputError
from core.errors.masking import masked, masked_values
from core.logs.progress import Display
from core.logs.strict_json import plain, to_json
from core.store import Store, grids

StoreOption = Annotated[
    str | None,
    typer.Option("--store", envvar="HEATPROOF_STORE", help="The DuckDB file, or a shared store's URL. (default: data/heatproof.duckdb)"),
]
RunOption = Annotated[str | None, typer.Option("--run", help="Id of a finished run, or its beginning. (default: the latest)")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, for machines.")]

MOST_SEED = 2**31 - 1
MOST_NUMBER = 2**31 - 1
"""Largest value of an option that counts something: what is computed from it stays within 64 bits."""

WIDE = 120
"""Columns of a table that goes into a file or a pipe."""


class _Masked(Console):
    """A console that prints no password."""

    def print(self, *objects: Any, **options: Any) -> None:
        """As of Console."""
        super().print(*(masked(each) if isinstance(each, str) else each for each in objects), **options)


out = _Masked(highlight=False, markup=False, soft_wrap=True)
PAUSE_S = 2.0
"""Seconds between two lines of progress in a log file."""

err = _Masked(stderr=True, highlight=False, markup=False, soft_wrap=True)


def existing_store(where: str | None) -> Store:
    """The store that a verb needs, opened. Raises StoreError where there is none."""
    return Store(where or settings.store_url(), create=False)


def grid_ids(given: list[str] | None, store: Store) -> list[int] | None:
    """Grid ids from options that may each hold several numbers or names, separated by commas; None for none.

    Raises InputError for a name that no grid of the store has, and for a number of more than 64 bits.
    """
    texts = [text.strip() for part in given or [] for text in part.split(",") if text.strip()]
    return [grids.found(store, text) for text in texts] or None


def finite(value: float | None, option: str) -> float | None:
    """The value of an option that takes a number. Raises InputError for infinity and for what is no number."""
    if value is not None and not math.isfinite(value):
        raise InputError(f"{option} takes a finite number: {value} is none. Give another, or leave it out.")
    return value


def show_json(value: Any) -> None:
    """One JSON object on stdout, which any strict parser reads."""
    typer.echo(to_json(masked_values(plain(value)), indent=2))


def show_table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """A table on stdout, numbers to the right, None as a dash."""
    table = Table(title=masked(title), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for i, name in enumerate(columns):
        is_number = bool(rows) and all(isinstance(row[i], int | float) or row[i] is None for row in rows)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(cell, row))
    out.print(table, width=None if out.is_terminal else WIDE)


def cell(value: Any) -> str:
    """A number as people read it: 12,345 or 0.987; a dash for what is unknown."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, float):
        return f"{value:,.3f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else masked(str(value))


@contextmanager
def progress_bar() -> Iterator[Display]:
    """A function that is told the share done and what is being done: a bar in a terminal, a line now and then elsewhere."""
    if not err.is_terminal:
        yield _line_now_and_then()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda done, what: bar.update(task, completed=done, description=what)


def _line_now_and_then() -> Display:
    said_at = float("-inf")

    def report(done: float, what: str) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= PAUSE_S:
            said_at = time.monotonic()
            err.print(f"{100 * done:3.0f} % {what}")

    return report
