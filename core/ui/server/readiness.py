"""Whether the store answers, asked by machines that ask often: never twice at the same time, never longer than they can wait."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

import duckdb

from core.errors import HeatproofError
from core.store import Store
from core.store.engines import first_line
from core.store.url import StoreUrl

T = TypeVar("T")
Place = tuple[int, int]


class OneAtATime(Generic[T]):
    """A function in a thread of its own. Who asks while it runs gets that answer too: one that hangs costs one thread, however many ask."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._going: Future[T] | None = None

    async def within(self, deadline_s: float) -> T:
        """The answer, or TimeoutError: then the function goes on, and the next caller may get its answer. Raises what it raises."""
        return await asyncio.wait_for(asyncio.wrap_future(self._ask()), deadline_s)

    def _ask(self) -> Future[T]:
        with self._lock:
            if self._going is None or self._going.done():
                self._going = Future()
                self._going.set_running_or_notify_cancel()  # from now on nobody who stops waiting cancels it for the others
                threading.Thread(target=self._answer, args=(self._going,), name="probe", daemon=True).start()
            return self._going

    def _answer(self, future: Future[T]) -> None:
        try:
            future.set_result(self._function())
        except BaseException as error:
            future.set_exception(error)


class Readiness:
    """Whether a store can be worked with. `opened` gives the process's open store, and opens it where it is not."""

    def __init__(self, opened: Callable[[], Store]) -> None:
        self._opened = opened
        self._places: WeakKeyDictionary[Store, Place] = WeakKeyDictionary()

    def why_not(self) -> str | None:
        """Why not, for people; None where it opens, is the file that was opened, and answers a query."""
        try:
            store = self._opened()
            store.rows("SELECT count(*) AS n FROM migration")
        except HeatproofError as error:
            return str(error)
        except duckdb.Error as error:
            return f"A store answers queries: this one does not: {first_line(error)}. Look at its catalogue and its disk."
        return self._moved(store)

    def _moved(self, store: Store) -> str | None:
        """A process that has a deleted or replaced file open can still read and write it, and what it writes is lost."""
        place = place_of(store.url)
        if store.url.kind == "postgres" or (place is not None and place == self._places.setdefault(store, place)):
            return None
        has = "is gone" if place is None else "is another file than the one in use"
        return f"A store stays where it is while it is in use: {store.url.shown} {has}. Put it back or restart the dashboard."


def place_of(url: StoreUrl) -> Place | None:
    """Device and inode of a store's file; None where there is none."""
    try:
        found = Path(url.where).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
