"""A kind of job for tests of the mechanism, and its worker: `python -m tests.support.fake_kind FOLDER`."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import InputError
from core.jobs import worker
from core.jobs.job import Job, State
from core.jobs.kind import Kind
from core.logs.progress import Progress
from core.store import Store


@dataclass(frozen=True)
class FakeRequest:
    """Squares of 1..n, or another end."""

    n: int = 4
    behaviour: Literal["ok", "hang", "refuse", "crash", "killed", "chatty"] = "ok"


class FakeKind(Kind[FakeRequest, FakeRequest, list[int]]):
    """Remembers how its jobs ended."""

    name = "fake"
    title = "fake job"
    label = "squares up to {n}"
    when_cancelled = "The fake job was cancelled, nothing of it is kept."
    worker = "tests.support.fake_kind"
    share = (0.0, 1.0)

    def __init__(self) -> None:
        self.ends: list[tuple[State, str | None]] = []

    def check(self, store: Store, request: FakeRequest) -> FakeRequest:
        if request.n < 1:
            raise InputError(f"A fake job squares 1 number or more; {request.n} is less. Give another.")
        return request

    def prepare(self, store: Store, job: Job[FakeRequest, list[int]], folder: Path) -> FakeRequest:
        (folder / "numbers.txt").write_text("\n".join(map(str, range(1, job.request.n + 1))))
        return job.request

    def take_in(
        self, store: Store, job: Job[FakeRequest, list[int]], task: FakeRequest, folder: Path, summary: dict[str, Any]
    ) -> list[int]:
        assert summary["n"] == task.n
        return [int(line) for line in (folder / "out" / "squares.txt").read_text().split()]

    def ended(self, store: Store, job: Job[FakeRequest, list[int]], state: State, error: str | None) -> None:
        self.ends.append((state, error))


FAKE = FakeKind()


def square(folder: Path, task: FakeRequest, progress: Progress) -> dict[str, Any]:
    """The worker's function."""
    numbers = [int(line) for line in (folder / "numbers.txt").read_text().split()]
    for k, number in enumerate(numbers):
        progress((k + 1) / len(numbers), f"squaring {number}", loss=1 / number)
    if task.behaviour == "hang":
        progress(0.4, str(os.getpid()))
        time.sleep(3600)
    if task.behaviour == "refuse":
        raise InputError("A rule; it was broken. Mend it.")
    if task.behaviour == "crash":
        raise ZeroDivisionError("a planted bug")
    if task.behaviour == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if task.behaviour == "chatty":
        print("a library prints this")
    (folder / "out" / "squares.txt").write_text("\n".join(str(number**2) for number in numbers))
    return {"n": len(numbers)}


if __name__ == "__main__":
    worker.main(FakeRequest)(square)
