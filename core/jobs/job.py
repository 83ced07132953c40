"""A job of this process in the background, as every thread may read it: a run, a map, a training."""

import threading
import time
from datetime import UTC, datetime
from typing import Literal

from core.errors import RunError
from core.errors.masking import masked
from core.store import Store
from core.store.locks import Gate

State = Literal["running", "finished", "failed", "cancelled"]


class Handle:
    """How far a job is. done 0..1, what in words, state, error the message of a failed or cancelled one, started_at in naive UTC.

    `gate`: what keeps other processes from the same job, held already; the end leaves it.
    """

    def __init__(self, gate: Gate | None = None) -> None:
        self._gate = gate
        self.started_at = datetime.now(UTC).replace(tzinfo=None)
        self.done = 0.0
        self.what = "starting"
        self.state: State = "running"
        self.error: str | None = None
        self._cancelled = threading.Event()
        self._ended = threading.Event()

    def cancel(self) -> None:
        """Asks the job to stop; it ends as cancelled within seconds, unless it has just finished."""
        self._cancelled.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits for the end; False where it is not reached in time."""
        return self._ended.wait(timeout_s)

    def report(self, done: float, what: str) -> None:
        """Takes in how far it is."""
        self.done, self.what = done, what

    def end(self, state: State, error: str | None = None) -> None:
        """Marks the end; called once, by the job itself. The state is set first, so that a failing release never leaves a job running."""
        self.state, self.error = state, None if error is None else masked(error)
        try:
            if self._gate is not None:
                self._gate.release()
        finally:
            self._ended.set()

    @property
    def is_cancelled(self) -> bool:
        """True once somebody asked for it."""
        return self._cancelled.is_set()


def gate_of(store: Store, job: str, rule: str) -> Gate:
    """The gate of a kind of job, held now. Raises RunError, which begins with the rule, where another process has one in work."""
    gate = store.engine.gate(job)
    for pause in (0.0, 0.1, 0.3):  # somebody may just be looking whether one is going
        time.sleep(pause)
        if gate.acquire(wait=False):
            return gate
    raise RunError(f"{rule}, however another process has one in work on {store.url.shown}. Wait for it.")
