"""A kind of background work: how a request is checked, prepared, computed in a child process, and taken into the store."""

import sys
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from core.jobs import process, worker
from core.jobs.job import Job, Request, Result, State
from core.store import Store

Task = TypeVar("Task")


class Kind(Generic[Request, Task, Result]):
    """One object per kind of work.

    Request: a frozen dataclass, what people ask for. Task: the frozen dataclass that the child process reads; often the request itself.
    Result: what a finished job has found.
    """

    name: ClassVar[str]
    """Of its lock, its folder `<store>.<name>/`, its metrics and log events."""
    title: ClassVar[str]
    """In "Only one {title} at a time per store"."""
    label: ClassVar[str]
    """A job in a few words, with fields of its request in braces: "the audit of run {run_id}"."""
    when_cancelled: ClassVar[str]
    """The sentence about a cancelled job: what is kept, and how to go on."""
    worker: ClassVar[str] = ""
    """Module of the child process; empty: the work is done in the thread of the job."""
    preparing: ClassVar[str] = "preparing"
    taking_in: ClassVar[str] = "taking the results into the store"
    share: ClassVar[tuple[float, float]] = (0.02, 0.98)
    """Part of the progress bar, from 0 to 1, that the child process fills."""
    waits: ClassVar[bool] = False
    """A job of another process is waited for, not refused."""

    def check(self, store: Store, request: Request) -> Request:
        """The request with its ids resolved. Raises InputError or RunError where it cannot be carried out."""
        return request

    def words(self, request: Request) -> str:
        """The job in a few words, for messages: "MVU of heatmap"."""
        return self.label.format_map(vars(request))

    def cancelled(self, request: Request) -> str:
        """The sentence about a cancelled job: what is kept, and how to go on."""
        return self.when_cancelled

    def began(self, store: Store, job: Job[Request, Result]) -> None:
        """Called once the job has its lock, before it starts."""

    def ended(self, store: Store, job: Job[Request, Result], state: State, error: str | None) -> None:
        """Called with how the job ends, while it still holds its lock."""

    def facts(self, job: Job[Request, Result]) -> dict[str, Any]:
        """What the log says of a job beside kind and seconds."""
        return {"job_id": job.id}

    def prepare(self, store: Store, job: Job[Request, Result], folder: Path) -> Task:
        """Writes what the child process reads into the folder; returns its task, which becomes request.json."""
        raise NotImplementedError

    def take_in(self, store: Store, job: Job[Request, Result], task: Task, folder: Path, summary: dict[str, Any]) -> Result:
        """Takes the child's results into the store, in one transaction."""
        raise NotImplementedError

    def work(self, store: Store, job: Job[Request, Result], folder: Path) -> Result:
        """Everything between start and end. Raises RunCancelledError where the job was cancelled."""
        job.report(0.0, self.preparing)
        task = self.prepare(store, job, folder)
        if task is not None:
            worker.write_request(folder, task)
        low, high = self.share

        def report(done: float, what: str, /, **numbers: float) -> None:
            job.report(low + (high - low) * done, what, **numbers)

        summary = process.follow(self.command, folder, report, lambda: job.is_cancelled)
        if self.taking_in:
            job.report(high, self.taking_in)
        result = self.take_in(store, job, task, folder, summary)
        job.report(1.0, "done")
        return result

    @cached_property
    def command(self) -> tuple[str, ...]:
        """How the child process is started; the job's folder follows as its last argument."""
        return (sys.executable, "-m", self.worker)
