"""Backups of a store and putting one back: nothing counts before every table was read whole and compared.

A backup is written as `NAME.part`, proved, and then takes its name; a backup to be restored is copied, proved and only then put in the
place of whatever is there (`core.store.putting_back`).
"""

import contextlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from core import logs
from core.errors import StoreBusyError, StoreError, disk_space
from core.store.copy import Table, copy, difference, summed
from core.store.engines import FileEngine, config_of, first_line, quoted
from core.store.putting_back import finish, held, log_of, part_of, plan_of, put_back
from core.store.schema import STEPS
from core.store.store import Store
from core.store.url import StoreUrl

TABLES = """SELECT table_name FROM duckdb_tables()
    WHERE NOT internal AND NOT temporary AND database_name = {} AND schema_name = 'main' ORDER BY table_name"""


def backup(store: Store, target: Path) -> int:
    """Writes a consistent copy while others read and write; returns its size in bytes. Never leaves half a file.

    Raises StoreError where the file exists already or does not hold the very rows of the store, DiskFullError where it does not fit.
    """
    if target.exists():
        raise StoreError(f"A backup never overwrites a file: {target} exists. Name another file.")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(target)
    with disk_space.named(), _without_leftovers(target):
        if store.url.is_shared:
            copy(store, part)
        else:
            _copy_file(store, part)
        _fold(part)
        read_tables(part)  # opened again from the disk, and read to its end
        part.rename(target)
    n_bytes = target.stat().st_size
    logs.event("backup_finished", store=store.url.shown, file=str(target), bytes=n_bytes)
    return n_bytes


def restore(backup: Path, where: Path | str) -> Path | None:
    """Puts a backup in the place of the DuckDB file `where`; returns where that went, with its log, None where nothing was there.

    Whatever is there is kept, opened or not: a store, a damaged one, a log alone, a folder. Raises StoreError where the backup is damaged
    or of a newer version, StoreBusyError where a process holds the store; then nothing has changed.
    """
    path = StoreUrl.file_of(where, "Restoring replaces")
    _check_paths(backup, path)
    finish(path)
    part = part_of(path)
    with disk_space.named(), held(path), _without_leftovers(path):
        proved = _proved(backup)
        _copied(backup, part)
        if (copied := read_tables(part)) != proved:
            raise StoreError(f"A copy of a backup holds the same rows: {part} has {_unlike(proved, copied)}. Look at its disk.")
        aside = put_back(path)
    logs.event("restore_finished", store=str(path), file=str(backup), aside=aside and str(aside))
    return aside


def read_tables(path: Path) -> list[Table]:
    """Rows and sums of every table of a DuckDB file, which is read whole. Raises duckdb.Error where it cannot be."""
    with duckdb.connect(str(path), read_only=True, config=config_of(path)) as con:
        names = [name for (name,) in con.execute(TABLES.format("current_database()")).fetchall()]
        return [summed(con, name) for name in names]


def _copy_file(store: Store, part: Path) -> None:
    """Everything as it stands at one moment, in one transaction, compared table by table."""
    with store.turn(), store.cursor() as cursor:
        source = cursor.execute("SELECT current_database()").fetchall()[0][0]
        cursor.execute(f"ATTACH {quoted(str(part))} AS backup_target")
        try:
            cursor.execute("BEGIN")
            cursor.execute(f'COPY FROM DATABASE "{source}" TO backup_target')
            for (name,) in cursor.execute(TABLES.format("current_database()")).fetchall():
                here, there = summed(cursor, name), summed(cursor, f"backup_target.{name}")._replace(name=name)
                if here != there:
                    raise StoreError(f"A backup holds the same rows: {name} has {difference(here, there)}. Nothing was kept; try again.")
            cursor.execute("COMMIT")
        finally:
            with contextlib.suppress(duckdb.Error):
                cursor.execute("ROLLBACK")  # of what failed; nothing after a commit
            cursor.execute("DETACH backup_target")


def _check_paths(backup: Path, path: Path) -> None:
    if not backup.is_file():
        what = "is a folder" if backup.is_dir() else "does not exist"
        raise StoreError(f"Restoring needs a backup file: {backup} {what}. Check the path.")
    if path.exists() and backup.samefile(path):
        raise StoreError(f"Restoring needs a backup beside the store: {backup} is the store itself. Name another file.")
    if FileEngine.is_open(path):
        raise StoreBusyError(f"A store is restored while no process uses it: {path} is open in this one. Close it, then restore again.")


def _proved(backup: Path) -> list[Table]:
    """What a backup holds, its own log included. Raises StoreError where it is no store, damaged, or of a newer version."""
    try:
        with duckdb.connect(str(backup), read_only=True, config=config_of(backup)) as con:
            names = {name for (name,) in con.execute("SELECT name FROM migration").fetchall()}
    except duckdb.Error as error:
        raise StoreError(
            f"Restoring needs a backup of a Heatproof store: {backup} is none ({first_line(error)}). Name another file."
        ) from error
    unknown = names - {function.__name__ for function in STEPS}
    if unknown:
        raise StoreError(f"{backup} was written by a newer Heatproof (steps {sorted(unknown)}). Update, then restore.")
    try:
        return read_tables(backup)
    except duckdb.Error as error:
        raise StoreError(
            f"A backup is read whole before it replaces anything: {backup} is damaged ({first_line(error)}). Name another one."
        ) from error


def _copied(backup: Path, part: Path) -> None:
    """Copies a backup, and folds its log, if it has one, into the copy."""
    shutil.copyfile(backup, part)
    if log_of(backup).exists():
        shutil.copyfile(log_of(backup), log_of(part))
    _fold(part)


def _fold(part: Path) -> None:
    """Brings all of a file's log into the file, which can then be renamed alone."""
    with duckdb.connect(str(part), config=config_of(part)) as con:
        con.execute("CHECKPOINT")
    if log_of(part).exists():
        raise StoreError(f"A backup is one file: {part} keeps rows in its log {log_of(part).name}. Look at its disk, then try again.")


@contextmanager
def _without_leftovers(path: Path) -> Iterator[None]:
    """Removes what a killed process left of the new file before, and what a failure leaves after; never what is decided to come."""
    _remove(part_of(path))
    try:
        yield
    finally:
        if not plan_of(path).exists():
            _remove(part_of(path))


def _remove(part: Path) -> None:
    for file in (part, log_of(part)):
        file.unlink(missing_ok=True)
    shutil.rmtree(part.with_suffix(".tmp"), ignore_errors=True)


def _unlike(one: list[Table], other: list[Table]) -> str:
    found = {table.name: table for table in other}
    return next((f"{t.name} with {difference(t, found[t.name])}" for t in one if t.name in found and found[t.name] != t), "other tables")
