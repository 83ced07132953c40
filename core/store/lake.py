"""A store that several processes share: DuckLake, its catalogue in SQLite (one machine) or PostgreSQL (several), its rows in Parquet.

DuckLake keeps no keys, checks or unique constraints. What they would guard is guarded in `Store.transaction` instead, for every engine
alike: a writer first takes a lock that no other process holds at the same time, and only then looks at what is there.
"""

import importlib.util
import itertools
import re
import sqlite3
import threading
from contextlib import closing
from datetime import datetime
from pathlib import Path

import duckdb

from core.errors import StoreAwayError, StoreError
from core.store import clock
from core.store.engines import Engine, config_of, first_line, missing, quoted
from core.store.locks import FileLock, Lock, PostgresLock
from core.store.url import REMOTE, StoreUrl

READERS_S = 3600
"""How long a file stays after the last state that it belongs to: a reader that began then may still be reading it."""
BUSY_S = 60
"""How long SQLite waits for another process before it says that its database is locked."""
AWAY = re.compile(
    r"unable to connect to postgres|connection to server|server closed the connection|no connection to the server|terminating connection"
    r"|connection (?:has been |was )?(?:closed|reset|refused|timed out)|could not (?:receive|send) data|broken pipe|the database system is"
    r'|failed to execute query "(?:BEGIN|ROLLBACK|COMMIT)[^"]*":\s*$',
    re.IGNORECASE,
)
"""What DuckDB and libpq say where no server answers."""

_hosts: list[duckdb.DuckDBPyConnection] = []
_hosting = threading.Lock()
_numbers = itertools.count(1)


class LakeEngine(Engine):
    """Both catalogues. On SQLite one writes at a time; PostgreSQL takes appends side by side: DuckLake repeats what met another.

    All lakes of a process are attached to one DuckDB without tables of its own, under a name that no other one has.
    """

    def __init__(self, url: StoreUrl) -> None:
        super().__init__(url)
        self.side_by_side = url.kind == "postgres"
        self._away_since: datetime | None = None
        number = next(_numbers)
        self.lake, self.lock_base = f"lake{number}", f"lock{number}"

    def connect(self, create: bool) -> duckdb.DuckDBPyConnection:
        """Attaches the lake. Raises StoreError where an extension is missing, or the catalogue or its files cannot be reached."""
        url = self.url
        if not create and not url.exists():
            raise missing(url)
        url.home.parent.mkdir(parents=True, exist_ok=True)
        con = _host(url.home).cursor()
        try:
            with _hosting:
                for name in self._extensions():
                    load(con, name)
            if url.kind == "sqlite" and create:
                _make_catalogue(Path(url.where))
            con.execute(self._attach(create))
            if url.kind == "postgres":
                con.execute(f"ATTACH {quoted(url.where)} AS {self.lock_base} (TYPE postgres, READ_ONLY)")
        except duckdb.Error as error:
            self.close(con)
            if (away := self.away(error)) is not None:
                raise away from error
            if not create and "does not exist - and creating a new" in str(error):
                raise missing(url) from error
            raise StoreError(
                f"A shared store needs its catalogue and its files: {url.shown} cannot be opened: {first_line(error)}. "
                "Check that the catalogue runs, that you may use it, and that data_path is the one it was made with."
            ) from error
        except BaseException:
            self.close(con)
            raise
        return con

    def close(self, con: duckdb.DuckDBPyConnection) -> None:
        """Detaches it."""
        con.close()
        with closing(_host(self.url.home).cursor()) as cursor:
            for name in (self.lake, self.lock_base):
                cursor.execute(f"DETACH DATABASE IF EXISTS {name}")

    def prepare(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """A new cursor begins in the connection's own, empty database."""
        cursor.execute(f"USE {self.lake}")

    def state(self, cursor: duckdb.DuckDBPyConnection) -> int | None:
        """The newest snapshot."""
        newest = int(cursor.execute(f"FROM {self.lake}.current_snapshot()").fetchall()[0][0])
        self._away_since = None
        return newest

    def away(self, error: duckdb.Error) -> StoreAwayError | None:
        """Of PostgreSQL: the server was stopped, is starting, or cannot be reached."""
        if self.url.kind != "postgres" or not AWAY.search(str(error)):
            return None
        self._away_since = self._away_since or clock.now()
        return StoreAwayError(
            f"A shared store needs its catalogue: the one at {self.url.host} does not answer since {self._away_since:%H:%M} UTC. "
            "See that its server runs: pages come back by themselves, a command is given again."
        )

    def tables_sql(self, sql: str) -> str:
        """Without checks, and with lists in the place of arrays: a lake has neither."""
        plain = re.sub(r"\[\d+\]", "[]", without_checks(re.sub(r"--[^\n]*", "", sql)))
        return plain.replace("CALL lake.", f"CALL {self.lake}.")

    def compact(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Moves rows from the catalogue into files, joins small files, and deletes those that no reader of the last hour can need."""
        cursor.execute(f"CALL ducklake_flush_inlined_data('{self.lake}')")
        cursor.execute(f"CALL ducklake_merge_adjacent_files('{self.lake}')")
        cursor.execute(f"CALL ducklake_rewrite_data_files('{self.lake}')")
        old = f"older_than => now() - INTERVAL {READERS_S} SECOND"
        cursor.execute(f"CALL ducklake_expire_snapshots('{self.lake}', {old})")
        cursor.execute(f"CALL ducklake_cleanup_old_files('{self.lake}', {old})")

    def n_bytes(self) -> int:
        """Size of the files that the newest state stands in, without the catalogue's server."""
        with closing(_host(self.url.home).cursor()) as cursor:
            self.prepare(cursor)
            found = cursor.execute(
                f"SELECT coalesce(sum(file_size_bytes + delete_file_size_bytes), 0) FROM ducklake_table_info('{self.lake}')"
            ).fetchall()
        catalogue = Path(self.url.where).stat().st_size if self.url.kind == "sqlite" else 0
        return int(found[0][0]) + catalogue

    def _extensions(self) -> tuple[str, ...]:
        catalogue = "sqlite_scanner" if self.url.kind == "sqlite" else "postgres_scanner"
        return ("ducklake", catalogue, "httpfs") if REMOTE.match(self.url.data) else ("ducklake", catalogue)

    def _attach(self, create: bool) -> str:
        kind, where = self.url.kind, self.url.where
        data = self.url.data if REMOTE.match(self.url.data) else str(Path(self.url.data).resolve())
        options = f"DATA_PATH {quoted(data.rstrip('/') + '/')}, CREATE_IF_NOT_EXISTS {str(create).lower()}"
        if kind == "sqlite":
            options += f", META_BUSY_TIMEOUT {BUSY_S * 1000}"
        return f"ATTACH {quoted(f'ducklake:{kind}:{where}')} AS {self.lake} ({options})"

    def _make_lock(self, name: str) -> Lock:
        if self.url.kind == "postgres":
            return PostgresLock(name, self.lock_base, _host(self.url.home).cursor, self.away)
        return FileLock(Path(f"{self.url.where}.{name}.lock"))


def _host(home: Path) -> duckdb.DuckDBPyConnection:
    """The process's one DuckDB that lakes are attached to; the first store's disk takes what does not fit into memory."""
    with _hosting:
        if not _hosts:
            con = duckdb.connect(config=config_of(home))
            con.execute("SET GLOBAL parquet_metadata_cache = true")  # a lake never changes a file, so what stands at its end can be kept
            _hosts.append(con)
        return _hosts[0]


def load(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Loads an extension: from its wheel where that is installed, else from DuckDB's own server. Raises StoreError without either."""
    wheel = importlib.util.find_spec(f"duckdb_extension_{name}")
    if wheel is not None and wheel.origin is not None:
        file = Path(wheel.origin).parent / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
        if file.exists():
            con.execute(f"LOAD {quoted(str(file))}")
            return
    try:
        con.execute(f"INSTALL {name}")
        con.execute(f"LOAD {name}")
    except duckdb.Error as error:
        raise StoreError(
            f"A shared store needs DuckDB's extension {name}: it is not installed and cannot be downloaded: {first_line(error)}. "
            "Run `pip install -r requirements-lake.txt`."
        ) from error


def without_checks(sql: str) -> str:
    """The SQL without CHECK (…), of columns and of tables."""
    while (found := re.search(r"(,?)\s*\bCHECK\s*\(", sql)) is not None:
        depth, end = 1, found.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(sql[end], 0)
            end += 1
        sql = sql[: found.start()] + sql[end:]
    return sql


def _make_catalogue(path: Path) -> None:
    """An SQLite database whose readers never wait for a writer, nor a writer for them."""
    with closing(sqlite3.connect(path, timeout=BUSY_S)) as catalogue:
        if catalogue.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            catalogue.execute("PRAGMA journal_mode = wal")
