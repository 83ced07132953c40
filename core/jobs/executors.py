"""Work spread over processes: one interface, and the engine for this machine. `ray_engine` has the one for several.

A piece of work is `work(given, item, job, step)`: `given` is what all pieces share, `job` the folder that it reads and writes below,
`step` tells how far it is. Every piece runs on one thread wherever it runs, so its result depends neither on the engine nor on the number
of processes. Results come in the order of the items, and few of them wait for an earlier one.
"""

import gc
import multiprocessing
import os
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from core import settings
from core.jobs.worker import end_at_once_with

Step = Callable[[str], None]
Given = TypeVar("Given")
Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Given, Item, Path, Step], Result]
"""A function of a module: other processes find it by its name."""

SMALL = 2_000
"""Rows of clicks, one a banner and day, up to which a run stays in one process; `python -m benchmarks.size.engines --small` says where
spreading begins to pay."""
AHEAD = 16
"""Results that may wait for an earlier one, which takes longer; and one more a process."""


def untold(what: str) -> None:
    """Ignores steps."""


class Engine(Protocol):
    """Where pieces of work run."""

    def spread(
        self, work: Work[Given, Item, Result], given: Given, items: Sequence[Item], reads: Callable[[Item], list[Path]], told: Step = untold
    ) -> Iterator[Result]:
        """Results in the order of the items. `reads` names the files below the job folder that a piece needs; `told` hears of steps.

        What a piece raises is raised here, and ends all others.
        """
        ...


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for everything that computes, also in libraries that are loaded meanwhile."""
    names = ("OMP_NUM_THREADS", "HEATPROOF_THREADS")
    before = {name: os.environ.get(name) for name in names}
    torch = sys.modules.get("torch")
    n = torch.get_num_threads() if torch else int(before["OMP_NUM_THREADS"] or settings.n_threads())
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        with threadpool_limits(1):
            if torch:
                torch.set_num_threads(1)
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(n)


@dataclass
class Here:
    """Runs the pieces in this very process, one after the other."""

    job: Path

    def spread(
        self, work: Work[Given, Item, Result], given: Given, items: Sequence[Item], reads: Callable[[Item], list[Path]], told: Step = untold
    ) -> Iterator[Result]:
        """See `Engine`."""
        for item in items:
            with one_thread():
                result = work(given, item, self.job, told)
            yield result


@dataclass
class Local:
    """Runs the pieces in forked processes of this machine, which share `given` and the items with this one without a copy."""

    job: Path
    n_processes: int

    def spread(
        self, work: Work[Given, Item, Result], given: Given, items: Sequence[Item], reads: Callable[[Item], list[Path]], told: Step = untold
    ) -> Iterator[Result]:
        """See `Engine`."""
        if min(self.n_processes, len(items)) < 2:
            yield from Here(self.job).spread(work, given, items, reads, told)
            return
        crew = _Crew()
        try:
            for _ in range(min(self.n_processes, len(items))):
                crew.add(lambda step, k: work(given, items[k], self.job, step))
            yield from crew.results(len(items), told)
        finally:
            crew.end()


def local(job: Path, folders: Sequence[Path]) -> Engine:
    """The engine for a run on this machine over the Parquet files in `folders`: a process a core, or this one alone for a small run."""
    n_rows = sum(pq.read_metadata(path).num_rows for folder in folders for path in folder.glob("*.parquet"))
    return Here(job) if n_rows <= SMALL else Local(job, settings.n_threads())


class ElsewhereError(Exception):
    """The traceback of an error in another process, as text: the cause of the error that is raised here."""


class LostProcessError(Exception):
    """A process of the crew ended in the middle of its work."""


@dataclass
class _Crew:
    """Forked processes, each at one piece of work at a time."""

    processes: dict[Connection, ForkProcess] = field(default_factory=dict)
    at: dict[Connection, int] = field(default_factory=dict)
    """The item that each works at."""

    def add(self, do: Callable[[Step, int], Any]) -> None:
        """Forks one more."""
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=_serve, args=(os.getpid(), theirs, [ours, *self.processes], do))
        process.start()
        theirs.close()
        self.processes[ours] = process

    def results(self, n: int, told: Step) -> Iterator[Any]:
        """Results of items 0..n-1, in this order."""
        kept: dict[int, Any] = {}
        given_out = 0
        for k in range(n):
            while k not in kept:
                free = [connection for connection in self.processes if connection not in self.at]
                for connection in free[: max(0, min(n, k + 2 * len(self.processes) + AHEAD) - given_out)]:
                    self.at[connection] = given_out
                    connection.send(given_out)
                    given_out += 1
                self._listen(kept, told)
            yield kept.pop(k)

    def _listen(self, kept: dict[int, Any], told: Step) -> None:
        """Waits for a message from any worker and handles what has come."""
        for connection in wait(list(self.at)):
            assert isinstance(connection, Connection)
            try:
                kind, *what = pickle.loads(connection.recv_bytes())
            except (EOFError, OSError) as error:
                self.processes[connection].join()
                code = self.processes[connection].exitcode
                raise LostProcessError(f"a process of this run ended with code {code}{' (memory?)' if code == -9 else ''}") from error
            if kind == "step":
                told(what[0])
            elif kind == "error":
                raise what[0] from ElsewhereError(what[1])
            else:
                kept[self.at.pop(connection)] = what[0]

    def end(self) -> None:
        """Ends all, whatever they are at."""
        for process in self.processes.values():
            process.kill()
        for connection, process in self.processes.items():
            process.join()
            process.close()
            connection.close()


def _serve(parent_pid: int, pipe: Connection, others: list[Connection], do: Callable[[Step, int], Any]) -> None:
    """The life of a forked process: items by number in, results out, to its parent's end."""
    end_at_once_with(parent_pid)
    gc.freeze()  # collecting would touch, and so copy, all that is shared with the parent
    for other in others:
        other.close()  # or their readers would not learn of an end
    with one_thread():
        while True:
            k = pipe.recv()
            try:
                _send(pipe, "result", do(lambda what: _send(pipe, "step", what), k))
            except BaseException as error:
                _send(pipe, "error", _portable(error), traceback.format_exc())


def _send(pipe: Connection, *message: Any) -> None:
    # plain pickle: that of multiprocessing would leave tensors behind in this process
    pipe.send_bytes(pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL))


def _portable(error: BaseException) -> BaseException:
    """The error, or what stands for it where it cannot travel."""
    try:
        again: BaseException = pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return again
