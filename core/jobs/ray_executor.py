"""Work spread over a Ray cluster, an optional extra: one that exists, named by its address, or one on this machine for this run alone.

Files travel as bytes with the piece of work that reads them, and come back with its result, so nodes need no shared folder; what all
pieces share goes into Ray's object store once. Nodes need this version of Heatproof on their PYTHONPATH and the same requirements.
"""

import os
import pickle
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core import settings
from core.errors import InputError
from core.jobs.executors import AHEAD, ElsewhereError, Given, Item, LostProcessError, Result, Step, Work, one_thread, untold
from core.jobs.worker import others_on_stderr

RETRIES = 3
"""Times that Ray starts a piece again whose process or machine was lost: a machine that goes may take it along, the next one too; one that
runs out of memory wherever it is must come to an end. Errors of the piece itself are never tried again."""
ANSWER_S = 5.0
"""Seconds a cluster has to answer; Ray itself would wait for more than a minute."""
OBJECT_STORE = 512 * 2**20
"""Bytes of shared memory for what travels on a cluster of this run's own; Ray writes what is more to disk."""
NEXT = 2
"""Pieces that are at the cluster already while no core is free for them."""
FOLDER = "heatproof-ray"

Files = dict[str, bytes]
"""Contents by path from the job folder on."""

_shared: tuple[str, Any] = "", None
"""In a process of the cluster: what the pieces at hand share, by the name of its object."""


def check(address: str | None) -> None:
    """Raises InputError where Ray is not installed, or the address, HOST:PORT, does not answer."""
    if find_spec("ray") is None:
        raise InputError("--engine ray needs Ray, which is not installed. Run `pip install -r requirements-ray.txt`, or leave it out.")
    if address is None:
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise InputError(f"A Ray address is HOST:PORT; {address!r} is not. `ray start --head` prints the right one.")
    try:
        socket.create_connection((host, int(port)), ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"No Ray cluster answers at {address}: {error}. Run `ray start --head` there.") from error


@contextmanager
def started(job: Path, address: str | None) -> Iterator["RayEngine"]:
    """The engine, until the end of the run. Without an address Ray runs on the cores of this machine, and ends with the run."""
    check(address)
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_LOG_TO_STDERR="0")
    if address and (Path.home() / ".ray" / "auth_token").exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # as `ray start` does; joining does not, and reads this when it is imported
    ray = _ray()
    own = None if address else fresh_folder(FOLDER)
    quiet = {"log_to_driver": False, "logging_level": "WARNING"}
    with others_on_stderr():  # all the same Ray prints what it loses
        try:
            if address:
                _join(ray, address, quiet)
            else:
                limits = {"num_cpus": settings.n_threads(), "object_store_memory": OBJECT_STORE}
                ray.init(**limits, **quiet, include_dashboard=False, _temp_dir=str(own), _system_config={"task_oom_retries": RETRIES})
            yield RayEngine(job)
        finally:
            ray.shutdown()
            if own:
                shutil.rmtree(own, ignore_errors=True)


def _join(ray: Any, address: str, quiet: dict[str, Any]) -> None:
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, ray.exceptions.AuthenticationError) as error:
        raise InputError(
            f"A Ray cluster admits machines with its token; {address} refuses this one: {error}. "
            "Run `ray start --address` here too, and give every machine the same ~/.ray/auth_token."
        ) from error


@dataclass
class RayEngine:
    """Runs the pieces as Ray tasks, each on one core."""

    job: Path

    def spread(
        self, work: Work[Given, Item, Result], given: Given, items: Sequence[Item], reads: Callable[[Item], list[Path]], told: Step = untold
    ) -> Iterator[Result]:
        """See `Engine`. Steps within a piece are not reported."""
        ray = _ray()
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(_at_work)
        shared = [ray.put(pickle.dumps(given, protocol=pickle.HIGHEST_PROTOCOL))]  # in a list, Ray leaves the getting to the task
        n = max(1, int(ray.cluster_resources().get("CPU", 1)))
        under_way: dict[Any, int] = {}
        kept: dict[int, Any] = {}
        begun = 0
        try:
            for k in range(len(items)):
                while k not in kept:
                    while begun < min(len(items), k + 2 * n + AHEAD) and len(under_way) < n + NEXT:
                        files = {str(path): (self.job / path).read_bytes() for path in reads(items[begun])}
                        under_way[task.remote(work, shared, items[begun], files)] = begun
                        begun += 1
                    done = ray.wait(list(under_way))[0][0]
                    kept[under_way.pop(done)] = self._taken(done)
                yield kept.pop(k)
        finally:
            for reference in under_way:
                ray.cancel(reference, force=True)

    def _taken(self, reference: Any) -> Any:
        """The result of a task, whose files are in the job folder from now on."""
        ray = _ray()
        lost = (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError)
        try:
            result, files = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from ElsewhereError(str(error))
        except lost as error:
            raise LostProcessError(f"Ray lost the process of a piece of work {RETRIES + 1} times: {str(error).splitlines()[0]}") from error
        _write(self.job, files)
        return pickle.loads(result)


def _at_work(work: Work[Any, Any, Any], shared: list[Any], item: Any, files: Files) -> tuple[bytes, Files]:
    """One piece of work on a node, in a folder of its own: its result, and the files that it wrote."""
    global _shared
    if _shared[0] != shared[0].hex():
        _shared = shared[0].hex(), pickle.loads(_ray().get(shared[0]))
    job = fresh_folder(f"{FOLDER}-task")
    try:
        _write(job, files)
        with one_thread():
            result = work(_shared[1], item, job, untold)
        written = [path for path in job.rglob("*") if path.is_file() and str(path.relative_to(job)) not in files]
        found = {str(path.relative_to(job)): path.read_bytes() for path in written}
        return pickle.dumps(result, protocol=pickle.HIGHEST_PROTOCOL), found
    finally:
        shutil.rmtree(job, ignore_errors=True)


def _ray() -> Any:
    """The library; untyped here, since types are checked without it too."""
    return import_module("ray")


def _write(folder: Path, files: Files) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def fresh_folder(name: str) -> Path:
    """A temporary folder that names this process; removes those of processes of this machine that were killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{name}-[0-9]*-*"):
        if not Path(f"/proc/{left.name.removeprefix(name).split('-')[1]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{name}-{os.getpid()}-"))
