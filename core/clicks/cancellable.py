"""Queries that report how far they are and can be cancelled.

A query runs in a thread of its own; the caller's thread waits beside it, so that progress is told where it was asked for.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import duckdb

from core.errors import IngestCancelledError

Progress = Callable[[float], object]
POLL_S = 0.1


class Work:
    """A cursor with a progress callback (0..1) and a cancel event; `stage` says which part of 0..1 the next steps fill."""

    def __init__(self, con: duckdb.DuckDBPyConnection, progress: Progress | None = None, cancel: threading.Event | None = None) -> None:
        self.con = con
        self.progress = progress
        self.cancel = cancel or threading.Event()
        self.low, self.high, self.told = 0.0, 1.0, 0.0
        con.execute("SET TimeZone = 'UTC'")
        con.execute("SET enable_progress_bar = true")
        con.execute("SET enable_progress_bar_print = false")

    def stage(self, low: float, high: float) -> None:
        """The next steps fill `low` to `high` of the whole."""
        self.low, self.high = low, high
        self.tick(0.0)

    def tick(self, share: float) -> None:
        """Tells that `share` (0..1) of this stage is done; never goes back. Raises IngestCancelledError where that was asked for."""
        self.check()
        value = self.low + (self.high - self.low) * min(max(share, 0.0), 1.0)
        if self.progress and value > self.told:
            self.told = value
            self.progress(value)

    def check(self) -> None:
        """Raises IngestCancelledError after a cancellation."""
        if self.cancel.is_set():
            raise IngestCancelledError("This ingest was cancelled. No row of the file that was being read is kept.")

    def rows(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """All rows of one statement."""
        self.check()
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(lambda: self.con.execute(sql, parameters).fetchall())
            try:
                self._watch(future)
            except BaseException:
                self._stop(future)
                raise
        return future.result()

    def one(self, sql: str, parameters: list[Any] | None = None) -> Any:
        """The only value of one statement."""
        return self.rows(sql, parameters)[0][0]

    def _watch(self, future: "Future[Any]") -> None:
        while not wait([future], timeout=POLL_S).done:
            self.tick(self.con.query_progress() / 100)

    def _stop(self, future: "Future[Any]") -> None:
        """Interrupts until the query has ended: an interrupt before it began is lost."""
        while not future.done():
            self.con.interrupt()
            wait([future], timeout=POLL_S)
