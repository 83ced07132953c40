"""What differs between the engines of a store: how it is opened, which SQL its tables need, and how writers take turns.

Everything else, tables and queries, is the same on all of them.
"""

import re
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path
from typing import ClassVar

import duckdb

from core import settings
from core.errors import HeatproofError, StoreAwayError, StoreBusyError, StoreError, disk_space
from core.errors.masking import masked
from core.store.locks import Lock, Locks, ThreadLock
from core.store.putting_back import finish
from core.store.url import StoreUrl

Config = dict[str, str | bool | int | float | list[str]]


class Engine(ABC):
    """One way of keeping a store. `side_by_side`: a long transaction that only appends need not keep other writers waiting."""

    side_by_side = False

    def __init__(self, url: StoreUrl) -> None:
        self.url = url
        self.locks = Locks(self._make_lock)

    @abstractmethod
    def connect(self, create: bool) -> duckdb.DuckDBPyConnection:
        """Opens the store, or makes it. Raises StoreError where it is none, or is not there and may not be made."""

    @abstractmethod
    def close(self, con: duckdb.DuckDBPyConnection) -> None:
        """Closes what `connect` opened; open cursors end with it, or find nothing any more."""

    @abstractmethod
    def tables_sql(self, sql: str) -> str:
        """A step's SQL as this engine takes it; empty where there is nothing to do."""

    @abstractmethod
    def compact(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Gives back the room of what was deleted, and gathers what was written in small pieces."""

    @abstractmethod
    def n_bytes(self) -> int:
        """What it takes on disk."""

    @abstractmethod
    def _make_lock(self, name: str) -> Lock: ...

    @abstractmethod
    def prepare(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Makes a new cursor ready: names without a database are the store's."""

    def state(self, cursor: duckdb.DuckDBPyConnection) -> int | None:
        """A number that every commit of any process changes; None where asking anything costs no more than asking for this."""
        return None

    def away(self, error: duckdb.Error) -> StoreAwayError | None:
        """The message about a catalogue's server that does not answer, where that led to this error; None for any other."""
        return None


class FileEngine(Engine):
    """A DuckDB file, which one process owns: others cannot even read it."""

    _open: ClassVar[Counter[Path]] = Counter()
    """Files that this process has open, and how often."""

    def connect(self, create: bool) -> duckdb.DuckDBPyConnection:
        """Opens the file, once a restore that was killed is ended. Raises StoreBusyError where another process has it."""
        path = Path(self.url.where)
        finish(path)
        if not create and not path.exists():
            raise missing(self.url)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            con = duckdb.connect(str(path), config=config_of(path))
        except duckdb.Error as error:
            raise _open_error(path, error) from error
        self._open[path.resolve()] += 1
        return con

    def close(self, con: duckdb.DuckDBPyConnection) -> None:
        """Closes the file."""
        con.close()
        self._open[Path(self.url.where).resolve()] -= 1

    @classmethod
    def is_open(cls, path: Path) -> bool:
        """Whether this process has the file open."""
        return cls._open[path.resolve()] > 0

    def tables_sql(self, sql: str) -> str:
        """Without the layout that only a lake has."""
        return re.sub(r"(?:ALTER TABLE \w+ SET (?:PARTITIONED|SORTED) BY|CALL)\b[^;]*;", "", sql).strip()

    def prepare(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Nothing to do: the file is all there is."""

    def compact(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Room inside the file is used again; the file itself gets smaller where its end is free."""
        cursor.execute("CHECKPOINT")

    def n_bytes(self) -> int:
        """Size of the file."""
        path = Path(self.url.where)
        return path.stat().st_size if path.exists() else 0

    def _make_lock(self, name: str) -> Lock:
        return ThreadLock()


def config_of(home: Path) -> Config:
    """How every connection is set up: limits, where it spills, and nothing fetched from the network by itself."""
    return {
        "memory_limit": settings.memory_limit(),
        "threads": settings.n_threads(),
        "temp_directory": str(home.with_suffix(".tmp")),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def missing(url: StoreUrl) -> StoreError:
    """The error where a store is needed and does not exist."""
    return StoreError(f"This needs a store: {url.shown} does not exist. Make one by `ingest FILE` or `demo`, or name it by --store.")


def quoted(text: str) -> str:
    """A text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def first_line(error: Exception) -> str:
    """The first line of a message of DuckDB, without passwords; the type of an error without a message."""
    return next(iter(masked(str(error)).splitlines()), type(error).__name__)


def _open_error(path: Path, error: duckdb.Error) -> HeatproofError:
    full = disk_space.full_disk(error)
    if full is not None:
        return full
    text = masked(str(error))
    held = re.search(r"Conflicting lock is held in (.+?)\s*\(PID (\d+)\)", text)
    if held:
        return StoreBusyError(
            f"One process at a time may use a store: {path} is held by PID {held[2]} ({held[1]}). "
            "Close that process (a running dashboard?), or do it from the dashboard's Data page."
        )
    return StoreError(
        f"{path} is not a store that DuckDB {duckdb.__version__} can open: {first_line(error)} Restore a backup or name another file."
    )
