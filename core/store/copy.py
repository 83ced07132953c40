"""Everything of one store into another one, whatever their engines, with proof that nothing is missing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from core import logs
from core.errors import StoreBusyError, StoreError
from core.logs.progress import Display
from core.store.store import Store
from core.store.url import StoreUrl

SKIPPED = ("migration",)
"""The new store has its own record of the steps that made its tables."""
BATCH = 50_000


class Table(NamedTuple):
    """What a table holds: rows, and over each column the sum of its values' 64-bit hashes, NULL where there is no row."""

    name: str
    n_rows: int
    sums: dict[str, int | None]


def copy(source: Store, target: Path | str | StoreUrl, progress: Display | None = None) -> list[Table]:
    """Copies all rows as they stand at one moment, in one transaction; returns what both stores hold now, a row a table.

    Raises StoreError where the new store holds anything, is the same one, or does not hold the very same rows in the end: then
    nothing is kept of it.
    """
    url = StoreUrl.parse(target)
    if str(url) == str(source.url) or url.home.resolve() == source.path.resolve():
        raise StoreError(f"A copy goes into another store: {url.shown} is the store itself. Name another one.")
    with _without_leftovers(url), Store(url) as new:
        _refuse_used(new)
        with source.cursor() as reader, new.transaction() as writer:
            reader.execute("BEGIN")
            try:
                copied = _copy(source, reader, writer, progress or (lambda done, what: None))
            finally:
                reader.execute("ROLLBACK")
        logs.event("copy_finished", store=source.url.shown, target=url.shown, rows=sum(table.n_rows for table in copied))
        return copied


@contextmanager
def _without_leftovers(url: StoreUrl) -> Iterator[None]:
    """Where copying fails, a DuckDB file that was made for it goes again."""
    made = not url.is_shared and not Path(url.where).exists()
    try:
        yield
    except StoreBusyError:
        raise  # another process made it meanwhile
    except BaseException:
        for left in (url.where, f"{url.where}.wal") if made else ():
            Path(left).unlink(missing_ok=True)
        raise


def _refuse_used(store: Store) -> None:
    for name in store.tables():
        if name not in SKIPPED and store.rows(f"SELECT EXISTS (FROM {name}) AS used")[0]["used"]:
            raise StoreError(f"A copy needs an empty store: {store.url.shown} has rows in {name}. Name a new one.")


def _copy(source: Store, reader: duckdb.DuckDBPyConnection, writer: duckdb.DuckDBPyConnection, progress: Display) -> list[Table]:
    names = [name for name in source.tables() if name not in SKIPPED]
    copied = []
    for k, name in enumerate(names):
        progress(k / len(names), f"copying {name}")
        reader.execute(f"SELECT * FROM {name} ORDER BY rowid")  # where rows stand matters to queries, and for events it is their order
        rows = reader.to_arrow_reader(BATCH)
        writer.register("rows_to_copy", rows)
        try:
            writer.execute(f"INSERT INTO {name} BY NAME FROM rows_to_copy")
        finally:
            writer.unregister("rows_to_copy")
        here, there = summed(reader, name), summed(writer, name)
        if here != there:
            raise StoreError(f"A copy holds the same rows: {name} has {difference(here, there)}. Nothing was kept; try again.")
        copied.append(here)
    return copied


def summed(cursor: duckdb.DuckDBPyConnection, name: str) -> Table:
    """Rows and sums of a table, seen from a cursor."""
    columns = cursor.execute(f"DESCRIBE {name}").fetchall()
    sums = ", ".join(f"sum(hash({_plain(column, kind)})::HUGEINT)" for column, kind, *_ in columns)
    n_rows, *found = cursor.execute(f"SELECT count(*), {sums} FROM {name}").fetchall()[0]
    by_name: dict[str, Any] = dict(sorted(zip((column for column, *_ in columns), found, strict=True)))
    return Table(name, n_rows, by_name)


def _plain(column: str, kind: str) -> str:
    """A column in the type that it has on every engine."""
    return f'"{column}"::{kind.split("[")[0]}[]' if kind.endswith("]") else f'"{column}"'


def difference(here: Table, there: Table) -> str:
    """What two tables that should hold the same rows differ in."""
    if here.n_rows != there.n_rows:
        return f"{here.n_rows} and {there.n_rows} rows"
    return f"other values in {', '.join(name for name, value in here.sums.items() if there.sums.get(name) != value)}"
