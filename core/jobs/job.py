"""A background job: its state and progress, safe to read from any thread."""

import threading
import time
from datetime import UTC, datetime
from typing import Generic, Literal, TypeVar

from core.errors.masking import masked
from core.logs.progress import Display

State = Literal["running", "finished", "failed", "cancelled"]
Request = TypeVar("Request")
Result = TypeVar("Result")
MOST_NUMBERS = 400
"""Points of a curve that are kept while a job goes on."""


class Job(Generic[Request, Result]):
    """One piece of background work on a store, of the kind with this name.

    done: 0..1. what: what is being done. numbers: the latest by name. error: message of a failed or cancelled job, `failure` the exception
    itself; result: once finished. started_at: naive UTC.
    """

    def __init__(self, kind: str, request: Request, job_id: str, cancelling: threading.Event | None = None) -> None:
        self.kind, self.request, self.id = kind, request, job_id
        self.started_at = datetime.now(UTC).replace(tzinfo=None)
        self._began = time.monotonic()
        self.done = 0.0
        self.what = "starting"
        self.numbers: dict[str, float] = {}
        self.state: State = "running"
        self.error: str | None = None
        self.failure: BaseException | None = None
        self.result: Result | None = None
        self.shown: list[Display] = []
        """Called with every report."""
        self.cancelling = cancelling or threading.Event()
        self._curves: dict[str, list[tuple[float, float]]] = {}
        self._first: tuple[float, float] | None = None
        self._ended = threading.Event()

    def __repr__(self) -> str:
        return f"Job({self.kind} {self.id}, {self.state}, {100 * self.done:.0f} %: {self.what})"

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.state == "running"

    @property
    def is_cancelled(self) -> bool:
        """Whether its cancellation was asked for."""
        return self.cancelling.is_set()

    def cancel(self) -> None:
        """Asks the job to stop; it ends as cancelled within seconds, unless it has just finished."""
        self.cancelling.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits for the end; False where it is not reached in time."""
        return self._ended.wait(timeout_s)

    def report(self, done: float, what: str, /, **numbers: float) -> None:
        """Takes in a line of progress."""
        self.done, self.what = done, what
        if numbers and self._first is None:
            self._first = done, time.monotonic()  # what was done before it, an earlier job did
        for name, value in numbers.items():
            curve = self._curves.setdefault(name, [])
            if not curve or done - curve[-1][0] >= 1 / MOST_NUMBERS:
                curve.append((done, value))
        self.numbers = self.numbers | numbers
        for show in self.shown:
            show(done, what)

    def curve(self, name: str) -> list[tuple[float, float]]:
        """(done, value) of a number in the order of its reports, at most MOST_NUMBERS."""
        return list(self._curves.get(name, ()))

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    @property
    def seconds_left(self) -> float | None:
        """Seconds left at the pace since the first number was reported; None before there is a pace."""
        if self._first is None or self.done <= self._first[0]:
            return None
        return (1 - self.done) / (self.done - self._first[0]) * (time.monotonic() - self._first[1])

    def end(self, state: State, error: str | None = None, failure: BaseException | None = None) -> None:
        """Marks the end; called once, by the thread of the job."""
        self.error, self.failure = None if error is None else masked(error), failure
        self.state = state

    def release(self) -> None:
        """Wakes those who wait for the end; called once everything the job held is free."""
        self._ended.set()
