"""The store: one DuckDB file, owned by one process, or a lake that several share (`core.store.url`).

`Store` opens it, migrates it, hands out cursors (one a call, never shared) and runs write transactions one at a time. What is in the
tables is `schema`; what pages ask of them, `queries`; how engines differ, `engines`; copies that can be put back, `backup`.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import duckdb

from core import logs
from core.errors import StoreError, disk_space
from core.store.engines import Engine, FileEngine
from core.store.lake import LakeEngine
from core.store.locks import Lock, abandon
from core.store.query_cache import Parameters, Recall, Rows
from core.store.schema import is_migrated, migrate
from core.store.url import StoreUrl

CLOSE_S = 15.0
"""Seconds that jobs have to end once the store is closed: they stop their workers first."""


class Background(Protocol):
    """Work in the background that ends with its store."""

    def cancel(self) -> None: ...

    def wait(self, timeout_s: float | None = None) -> bool: ...


class Store:
    """An open store. Safe to share between threads; close it when the process ends.

    `where` is a path or a URL as `core.store.url` reads it; without `create` it has to be there. `path` is where its work folders,
    features and weights stand beside: the file itself, or a lake's `home`.
    Raises StoreBusyError where another process has the file, StoreError where there is no store that can be opened.
    """

    def __init__(self, where: Path | str | StoreUrl, *, create: bool = True) -> None:
        began = time.monotonic()
        self.url = StoreUrl.parse(where)
        self.path = self.url.home
        self.engine: Engine = LakeEngine(self.url) if self.url.is_shared else FileEngine(self.url)
        self._con = self.engine.connect(create)
        self._recall = Recall()
        self._writing = threading.RLock()
        self._depth = 0
        self.locks: Mapping[str, Lock] = self.engine.locks
        """By name: "write", and one a kind of job. That of ingests keeps what they compared with the store true until they commit."""
        self.jobs: dict[str, Background] = {}
        """The latest job of each kind; `core.jobs` keeps it. `starting` is held while one is registered."""
        self.starting = threading.Lock()
        try:
            steps = self._migrate()
        except duckdb.Error as error:
            self.engine.close(self._con)
            raise StoreError(f"{self.url.shown} cannot be brought to this version's tables: {error}. Restore a backup.") from error
        except BaseException:
            self.engine.close(self._con)
            raise
        logs.event("store_opened", store=self.url.shown, steps=steps or None, seconds=round(time.monotonic() - began, 3))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Cancels what runs in the background and closes the store; open cursors end with it."""
        for job in self.jobs.values():
            job.cancel()
        for job in self.jobs.values():
            job.wait(CLOSE_S)
        self.engine.close(self._con)

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of its own for one call. Drain every result before the block ends.

        Raises StoreAwayError where the catalogue's server does not answer, DiskFullError where a disk has no room.
        """
        with self._explained():
            cursor = self._con.cursor()
            try:
                self.engine.prepare(cursor)
                yield cursor
            finally:
                abandon(cursor)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns what DuckDB says of a server that is away, and of a full disk, into errors for the user."""
        with disk_space.named():
            try:
                yield
            except duckdb.Error as error:
                away = self.engine.away(error)
                if away is None:
                    raise
                raise away from error

    @contextmanager
    def transaction(self, cursor: duckdb.DuckDBPyConnection | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor inside one write transaction: all of it is committed, or none. Writers take turns, those of other processes too.

        So what a transaction reads first is still true when it commits, by any cursor. `cursor` is used where given, so that its
        temporary tables can be copied from; it stays open.
        """
        with self.turn(), nullcontext(cursor) if cursor else self.cursor() as cursor, _committed(cursor):
            yield cursor

    @contextmanager
    def bulk(self, cursor: duckdb.DuckDBPyConnection | None = None) -> Iterator["Bulk"]:
        """A transaction that appends much. It takes its turn when asked to, where the engine lets writers append side by side."""
        with ExitStack() as turns, nullcontext(cursor) if cursor else self.cursor() as cursor:
            begun = Bulk(cursor, lambda: turns.enter_context(self.turn()))
            if not self.engine.side_by_side:
                begun.take_turn()
            with _committed(cursor):
                yield begun

    @contextmanager
    def turn(self) -> Iterator[None]:
        """This thread's turn to write. Re-entrant."""
        with self._writing:
            if not self._depth:
                with self._explained():
                    self.locks["write"].acquire()
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if not self._depth:
                    self.locks["write"].release()

    def _migrate(self) -> list[str]:
        """Names of the steps that were applied."""
        with self.cursor() as cursor:
            if is_migrated(cursor):
                return []
        with self.turn(), self.cursor() as cursor:
            return migrate(cursor, self.engine.tables_sql)

    def rows(self, sql: str, parameters: Parameters | None = None) -> list[dict[str, Any]]:
        """Result of one query as dictionaries, drained. Asked again before anything was committed, a lake is not troubled again."""
        with self.cursor() as cursor:

            def ask() -> Rows:
                cursor.execute(sql, parameters or [])
                names = [column[0] for column in cursor.description or []]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

            state = self.engine.state(cursor)
            return ask() if state is None else self._recall.rows(state, sql, parameters or [], ask)

    def compact(self) -> None:
        """Tidies up on disk while others read; writers wait."""
        with self.turn(), self.cursor() as cursor:
            self.engine.compact(cursor)

    def tables(self) -> list[str]:
        """Names of the store's tables, sorted."""
        sql = """SELECT table_name AS name FROM duckdb_tables()
            WHERE NOT internal AND NOT temporary AND database_name = current_database() ORDER BY name"""
        return [row["name"] for row in self.rows(sql)]

    def info(self) -> dict[str, Any]:
        """Path, size, versions and row counts."""
        counted = " UNION ALL ".join(f"SELECT '{name}' AS name, count(*) AS n FROM {name}" for name in self.tables())
        counts = {row["name"]: row["n"] for row in self.rows(f"{counted} ORDER BY name")}
        steps = [row["name"] for row in self.rows("SELECT name FROM migration ORDER BY name")]
        return {
            "store": self.url.shown,
            "bytes": self.engine.n_bytes(),
            "duckdb": duckdb.__version__,
            "steps": steps,
            "rows": counts,
        }


@dataclass(frozen=True)
class Bulk:
    """The cursor of a long transaction. After `take_turn` no other transaction is in between until it is committed."""

    cursor: duckdb.DuckDBPyConnection
    take_turn: Callable[[], None]


@contextmanager
def _committed(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    cursor.execute("BEGIN")
    try:
        yield
    except BaseException:
        with suppress(duckdb.Error):  # a server that is gone has dropped the transaction itself; what led here is to be told
            cursor.execute("ROLLBACK")
        raise
    cursor.execute("COMMIT")
