"""Locks across threads, processes and machines.

A lock is released when its holder leaves it or dies: none outlives a killed process.
"""

import contextlib
import fcntl
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from zlib import crc32

import duckdb


class Lock(ABC):
    """One lock by name; not re-entrant. Threads of one process take turns at it before processes do."""

    def __init__(self) -> None:
        self._thread = threading.Lock()

    def acquire(self, wait: bool = True) -> bool:
        """Takes the lock; without `wait`, only where it is free. Returns whether it is held now."""
        if not self._thread.acquire(blocking=wait):
            return False
        try:
            held = self._take(wait)
        except BaseException:
            self._thread.release()
            raise
        if not held:
            self._thread.release()
        return held

    def release(self) -> None:
        """Frees the lock; any thread of the process may do it."""
        try:
            self._leave()
        finally:
            self._thread.release()

    def __enter__(self) -> "Lock":
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    @abstractmethod
    def _take(self, wait: bool) -> bool: ...

    @abstractmethod
    def _leave(self) -> None: ...


class Locks(dict[str, Lock]):
    """The locks of a store by name, made when first asked for."""

    def __init__(self, make: Callable[[str], Lock]) -> None:
        super().__init__()
        self._make, self._making = make, threading.Lock()

    def __missing__(self, name: str) -> Lock:
        with self._making:
            return self.setdefault(name, self.get(name) or self._make(name))


class ThreadLock(Lock):
    """Between the threads of one process."""

    def _take(self, wait: bool) -> bool:
        return True

    def _leave(self) -> None:
        pass


class FileLock(Lock):
    """Between the processes of one machine, by a lock on an empty file that stays."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._file = -1

    def _take(self, wait: bool) -> bool:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(file)
            return False
        except BaseException:
            os.close(file)
            raise
        self._file = file
        return True

    def _leave(self) -> None:
        os.close(self._file)  # and with it the lock
        self._file = -1


class PostgresLock(Lock):
    """Between machines, by an advisory lock that PostgreSQL drops with the transaction or connection that took it.

    `cursor` gives a new cursor of a connection to which the database is attached under the name `base`; `away` tells an error of a
    server that does not answer as one for the user.
    """

    def __init__(
        self, name: str, base: str, cursor: Callable[[], duckdb.DuckDBPyConnection], away: Callable[[duckdb.Error], Exception | None]
    ) -> None:
        super().__init__()
        self._key = crc32(f"heatproof {name}".encode())
        self._base, self._cursor, self._away = base, cursor, away
        self._held: duckdb.DuckDBPyConnection | None = None

    def _take(self, wait: bool) -> bool:
        cursor = self._cursor()
        try:
            cursor.execute("BEGIN")
            function = "pg_advisory_xact_lock" if wait else "pg_try_advisory_xact_lock"
            answer = cursor.execute(f"FROM postgres_query('{self._base}', 'SELECT {function}({self._key})')").fetchall()
        except BaseException as error:
            abandon(cursor)
            if isinstance(error, duckdb.Error) and (away := self._away(error)) is not None:
                raise away from error
            raise
        if not wait and answer != [(True,)]:
            abandon(cursor)
            return False
        self._held = cursor
        return True

    def _leave(self) -> None:
        assert self._held is not None
        cursor, self._held = self._held, None
        abandon(cursor)


def abandon(cursor: duckdb.DuckDBPyConnection) -> None:
    """Closes a cursor without keeping anything of its transaction.

    It is rolled back first: of a server that is gone, closing alone would end the whole process.
    """
    with contextlib.suppress(duckdb.Error):  # no transaction, or its server has dropped it and its locks
        cursor.execute("ROLLBACK")
    cursor.close()
