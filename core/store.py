"""The store: one DuckDB file, owned by one process.

`Store` opens the file, migrates it, hands out cursors (one a call, never shared), runs write transactions one at a time,
and makes and restores backups. What is in the tables is `schema.py`; what pages ask of them is `queries.py`.
"""

import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from core import settings
from core.errors import StoreBusyError, StoreError
from core.schema import STEPS, migrate


class Store:
    """An open store. Safe to share between threads; close it when the process ends.

    Raises StoreBusyError where another process has the file, StoreError where the file is not a store.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": settings.memory_limit(),
            "threads": settings.n_threads(),
            "temp_directory": str(self.path.with_suffix(".tmp")),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        try:
            self._con = duckdb.connect(str(self.path), config=config)
        except duckdb.Error as error:
            raise _open_error(self.path, error) from error
        self._writing = threading.RLock()
        self.ingesting = threading.Lock()
        """Held by the one ingest that may run at a time: what it checked against the store stays true until it commits."""
        try:
            migrate(self._con)
        except duckdb.Error as error:
            self._con.close()
            raise StoreError(f"{self.path} cannot be brought to this version's tables: {error}. Restore a backup.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; open cursors end with it."""
        self._con.close()

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of its own for one call. Drain every result before the block ends."""
        cursor = self._con.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    @contextmanager
    def transaction(self, cursor: duckdb.DuckDBPyConnection | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor inside one write transaction: all of it is committed, or none. Writers of this process take turns.

        `cursor` is used where given, so that its temporary tables can be copied from; it stays open.
        """
        with self._writing, nullcontext(cursor) if cursor else self.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                yield cursor
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")

    def rows(self, sql: str, parameters: list[Any] | None = None) -> list[dict[str, Any]]:
        """Result of one query as dictionaries, drained."""
        with self.cursor() as cursor:
            cursor.execute(sql, parameters or [])
            names = [column[0] for column in cursor.description or []]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def backup(self, target: Path) -> int:
        """Writes a consistent copy while others read and write; returns its size in bytes. Never leaves half a file."""
        if target.exists():
            raise StoreError(f"A backup never overwrites, however {target} exists. Name another file.")
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        part.unlink(missing_ok=True)
        with self._writing, self.cursor() as cursor:
            source = cursor.execute("SELECT current_database()").fetchall()[0][0]
            cursor.execute(f"ATTACH {_quoted(part)} AS backup_target")
            try:
                cursor.execute(f'COPY FROM DATABASE "{source}" TO backup_target')
            finally:
                cursor.execute("DETACH backup_target")
        part.rename(target)
        return target.stat().st_size

    def info(self) -> dict[str, Any]:
        """Path, size, versions and row counts."""
        tables = self.rows("SELECT table_name AS name FROM duckdb_tables() WHERE NOT internal AND NOT temporary ORDER BY name")
        counts = {t["name"]: self.rows(f'SELECT count(*) AS n FROM "{t["name"]}"')[0]["n"] for t in tables}
        steps = [row["name"] for row in self.rows("SELECT name FROM migration ORDER BY name")]
        return {
            "store": str(self.path),
            "bytes": self.path.stat().st_size if self.path.exists() else 0,
            "duckdb": duckdb.__version__,
            "steps": steps,
            "rows": counts,
        }


def restore(backup: Path, path: Path) -> None:
    """Puts a backup in the place of the store at `path`, which no process may hold. The old file is kept beside it.

    Raises StoreError where the backup is not a store, StoreBusyError where the store is in use.
    """
    if not backup.exists():
        raise StoreError(f"Restoring needs a backup file, however {backup} does not exist. Check the path.")
    try:
        with duckdb.connect(str(backup), read_only=True) as con:
            names = {name for (name,) in con.execute("SELECT name FROM migration").fetchall()}
    except duckdb.Error as error:
        raise StoreError(
            f"Restoring needs a Heatproof store, however {backup} is none ({_first_line(error)}). Name another file."
        ) from error
    unknown = names - {function.__name__ for function in STEPS}
    if unknown:
        raise StoreError(f"{backup} was written by a newer Heatproof (steps {sorted(unknown)}). Update, then restore.")
    if path.exists():
        with Store(path):
            pass  # takes the lock once, so that a store in use is refused, and folds the write-ahead log into the file
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(backup, part)
    if path.exists():
        kept = path.with_name(path.name + ".before-restore")
        kept.unlink(missing_ok=True)
        kept.hardlink_to(path)  # so that the swap below is one atomic step
    part.replace(path)


def _open_error(path: Path, error: duckdb.Error) -> StoreError:
    text = str(error)
    held = re.search(r"Conflicting lock is held in (.+?)\s*\(PID (\d+)\)", text)
    if held:
        return StoreBusyError(
            f"One process at a time may use a store, however {path} is held by PID {held[2]} ({held[1]}). "
            "Close that process (a running dashboard?), or do it from the dashboard's Data page."
        )
    return StoreError(
        f"{path} is not a store that DuckDB {duckdb.__version__} can open: {_first_line(error)} Restore a backup or name another file."
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def to_json(value: Any) -> str:
    """JSON for a JSON column."""
    return json.dumps(value, default=str, ensure_ascii=False)
