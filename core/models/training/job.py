"""Trainings in the background of a dashboard: banners out of the store, a child process that learns, weights beside the store.

One at a time on a store. A training that was stopped, or whose process is gone, goes on from its last checkpoint when it is started again.
"""

import contextlib
import json
import os
import re
import shutil
import sys
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from core.errors import ChangedError, HeatproofError, InputError, RunCancelledError, RunError, disk_space
from core.features.networks import weight_files
from core.features.networks.weight_files import digest, find_weights, read_about
from core.jobs import process
from core.jobs.job import Handle, gate_of
from core.store import Store
from core.store.locks import Gate

WORKER = (sys.executable, "-m", "core.models.training.worker")
LOSS = re.compile(r"\bloss (\d+\.\d+)")
"""The loss in what a training says of itself."""
MOST_LOSSES = 400

_handles: dict[Path, "TrainHandle"] = {}
_opening = threading.Lock()


@dataclass(frozen=True)
class TrainRequest:
    """Which network, from which banners (`synthetic`: drawn ones), for how many steps (None: as the shipped weights), by which seed."""

    name: str
    synthetic: bool = False
    steps: int | None = None
    seed: int = 0


class TrainHandle(Handle):
    """A training of this process. losses: (done, loss) in their order, at most MOST_LOSSES. about: what is known of the weights, once
    finished."""

    def __init__(self, request: TrainRequest, gate: Gate | None = None) -> None:
        super().__init__(gate)
        self.request = request
        self.losses: list[tuple[float, float]] = []
        self.about: dict[str, str] = {}
        self._first: tuple[float, float] | None = None

    def report(self, done: float, what: str) -> None:
        """Takes in a line of progress, and the loss where it names one."""
        super().report(done, what)
        found = LOSS.search(what)
        if found and self._first is None:
            self._first = done, time.monotonic()  # what was done before it, a stopped training did
        if found and (not self.losses or done - self.losses[-1][0] >= 1 / MOST_LOSSES):
            self.losses.append((done, float(found[1])))

    @property
    def left_s(self) -> float | None:
        """Seconds that are left at the pace so far; None before there is one."""
        if self._first is None or self.done <= self._first[0]:
            return None
        return (1 - self.done) / (self.done - self._first[0]) * (time.monotonic() - self._first[1])


def start(store: Store, request: TrainRequest) -> TrainHandle:
    """Trains in a background thread. Raises InputError for an unknown network and too few banners, RunError where one is in training."""
    from core.models.training.train import (  # here: whoever only shows pages does without the catalogue of detectors
        check_banners,
        recipe_of,
    )

    recipe = recipe_of(request.name)
    if recipe.reads_banners and not request.synthetic:
        check_banners(store.rows("SELECT count(*) AS n FROM banner")[0]["n"], store.path)
    if request.steps is not None and request.steps < 1:
        raise InputError(f"A training takes 1 step or more, however {request.steps} was asked for. Leave it out for the usual number.")
    key = store.path.resolve()
    with _opening:
        going = _handles.get(key)
        if going and going.state == "running":
            name = going.request.name
            raise RunError(f"A store trains one network at a time, however {name} is at {going.done:.0%}. Wait for it or stop it.")
        handle = _handles[key] = TrainHandle(request, gate_of(store, "train", "A store trains one network at a time"))
    threading.Thread(target=_quietly, args=(store, handle), name=f"train {request.name}", daemon=True).start()
    return handle


def current(store: Store) -> TrainHandle | None:
    """The latest training that this process began on the store, going or ended."""
    return _handles.get(store.path.resolve())


def forget(store: Store) -> None:
    """Clears an ended training from `current`."""
    handle = current(store)
    if handle and handle.state != "running":
        _handles.pop(store.path.resolve(), None)


def networks(store: Path) -> list[dict[str, Any]]:
    """A row a network that can be trained: name, reads_banners, steps, file and digest of the weights in use, whether they are the store's
    own, what was written about them (`about`), and when a stopped training left its checkpoint (`stopped_at`, None: there is none)."""
    from core.models.training.train import NETWORKS

    own = weight_files.weights_folder(store.resolve())
    rows = []
    for name, recipe in NETWORKS.items():
        path, checkpoint = find_weights(name, own), own / f"{name}.checkpoint"
        rows.append(
            {
                "name": name,
                "reads_banners": recipe.reads_banners,
                "steps": recipe.plan.steps,
                "weights": f"{path.name} {digest(path)}",
                "is_own": path.parent == own,
                "about": read_about(path),
                "stopped_at": _time_of(checkpoint) if checkpoint.exists() else None,
            }
        )
    return rows


def state_of_weights(store: Path) -> str:
    """Changes whenever weights or checkpoints beside the store do: a cheap cache key for `networks`."""
    folder = weight_files.weights_folder(store.resolve())
    return " ".join(sorted(f"{p.name}@{p.stat().st_mtime_ns}" for p in folder.iterdir())) if folder.exists() else ""


def discard(store: Store, name: str, weights: str | None = None) -> None:
    """Goes back to the shipped weights of a network: the store's own are kept under another name that nothing reads.

    `weights`: file and hash as they were shown. Raises InputError for an unknown network and where there are none, RunError while it is
    in training, ChangedError where it was trained anew since.
    """
    from core.models.training.train import recipe_of

    recipe_of(name)
    going = current(store)
    if going and going.state == "running" and going.request.name == name:
        raise RunError(f"Weights are put aside between trainings, however {name} is at {going.done:.0%}. Wait for it or stop it.")
    own = weight_files.weights_folder(store.path.resolve()) / f"{name}.safetensors"
    if not own.exists():
        raise InputError(f"Weights of the store's own are put aside, however {own} is not there: {name} runs by the shipped ones.")
    if weights is not None and weights != f"{own.name} {digest(own)}":
        raise ChangedError(f"{name} was trained anew since its weights were shown: {weights} is no longer in use. Nothing was put aside.")
    own.replace(own.with_name(f"{name}-{digest(own)}.safetensors"))


def _quietly(store: Store, handle: TrainHandle) -> None:
    """The background thread: the handle tells what went wrong, and a bug leaves its traceback on stderr too."""
    try:
        with disk_space.named():
            handle.about = _train(store, handle)
    except RunCancelledError:
        handle.end("cancelled", _where_it_goes_on(store, handle))
    except BaseException as error:
        handle.end("failed", str(error) or type(error).__name__)
        if not isinstance(error, HeatproofError):
            raise
    else:
        handle.end("finished")


def _train(store: Store, handle: TrainHandle) -> dict[str, str]:
    folder = store.path.with_name(store.path.stem + ".trainings") / handle.request.name
    shutil.rmtree(folder, ignore_errors=True)  # what a killed process left
    folder.mkdir(parents=True)
    try:
        _write_job(store, handle, folder)
        about: dict[str, str] = process.run_worker(folder, handle.report, lambda: handle.is_cancelled, WORKER)["about"]
        return about
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()  # unless something else lies in it


def _write_job(store: Store, handle: TrainHandle, folder: Path) -> None:
    from core.models.training.train import read_banners, recipe_of

    request, path = handle.request, store.path.resolve()
    if recipe_of(request.name).reads_banners and not request.synthetic:
        handle.report(0.0, "reading banners")
        pq.write_table(read_banners(store), folder / "banners.parquet")
    asked = {**asdict(request), "store": str(path), "weights": str(weight_files.weights_folder(path)), "parent_pid": os.getpid()}
    (folder / "job.json").write_text(json.dumps(asked))


def _where_it_goes_on(store: Store, handle: TrainHandle) -> str:
    checkpoint = weight_files.weights_folder(store.path.resolve()) / f"{handle.request.name}.checkpoint"
    if not checkpoint.exists():
        return "The training was stopped before its first checkpoint, nothing of it is kept. Start it again when you like."
    return "The training was stopped, its checkpoint is kept. Started again with the same choices, it goes on from there."


def _time_of(file: Path) -> datetime:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).replace(tzinfo=None)
