"""What a network would draw of one banner: trained on its grid in a child process, kept in memory, nothing in the store.

One at a time on a store; the latest MOST_KEPT results stay until the process ends.
"""

import itertools
import json
import os
import shutil
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.errors import HeatproofError, InputError, RunCancelledError, RunError, disk_space
from core.jobs import process
from core.jobs.job import Handle, gate_of
from core.models.latent import queries as latent
from core.settings import N_COLS, N_ROWS
from core.store import Store
from core.store.locks import Gate
from core.store.queries import runs
from core.store.queries.runs import last_finished

Image = NDArray[np.float64]

WORKER = (sys.executable, "-m", "core.models.latent.worker")
MOST_BANNERS = 2_000
"""Other banners of the grid that the network learns from."""
LEAST_BANNERS = 30
"""Fewer show a network what these banners are like, not what banners of the grid are like."""
MOST_KEPT = 4
"""4.4 MB each."""
LEAST, MOST = -3, 3
"""Whole values that a changed entry of the code takes. The codes of all banners are near a standard normal, which seldom leaves these."""


@dataclass(frozen=True)
class LatentRequest:
    """Which banner of which run. max_steps: of the training, None = as the detector."""

    run_id: str
    banner_id: str
    max_steps: int | None = None


@dataclass(frozen=True)
class Latent:
    """What was drawn, as square roots of shares of the banner's clicks (40, 40), smoothed as the network sees them.

    code: (k,) of the banner. error: distance of the reconstruction as the detector `vae` scores it; smaller_share: share 0..1 of the other
    banners whose own is smaller. losses: the curve of the training. drawn: (2 + pairs * 49, 1600), as the worker orders them.
    """

    code: list[float]
    error: float
    smaller_share: float
    n_fitted: int
    losses: list[float]
    seconds: float
    drawn: NDArray[np.float16]

    @property
    def original(self) -> Image:
        """The banner as the network sees it."""
        return self._image(0)

    @property
    def reconstruction(self) -> Image:
        """The banner as the network draws it again."""
        return self._image(1)

    def changed(self, values: dict[int, int]) -> Image:
        """The code drawn with two entries {entry: value}, both other than its own. Raises InputError for what was not drawn."""
        pairs = list(itertools.combinations(range(len(self.code)), 2))
        pair = tuple(sorted(values))
        if pair not in pairs or not all(LEAST <= v <= MOST for v in values.values()):
            raise InputError(
                f"Two of {len(self.code)} entries are changed to whole values of {LEAST} to {MOST}, however it was {values}. Choose again."
            )
        side = MOST - LEAST + 1
        first, second = (values[entry] - LEAST for entry in pair)
        return self._image(2 + (pairs.index(pair) * side + first) * side + second)

    def strongest(self) -> tuple[int, int]:
        """The two entries whose values are farthest from 0: what is most unlike the average banner of its layout."""
        first, second = np.argsort(-np.abs(self.code), kind="stable")[:2]
        return int(first), int(second)

    def step(self, entry: int) -> int:
        """The value that can be chosen nearest to an entry's own."""
        return int(np.clip(round(self.code[entry]), LEAST, MOST))

    def _image(self, row: int) -> Image:
        return self.drawn[row].astype(np.float64).reshape(N_ROWS, N_COLS)


class LatentHandle(Handle):
    """A drawing of this process; nothing of it is kept where it is cancelled."""

    def __init__(self, request: LatentRequest, gate: Gate | None = None) -> None:
        super().__init__(gate)
        self.request = request


_handles: dict[Path, LatentHandle] = {}
_kept: dict[tuple[Path, str, str], Latent] = {}
_opening = threading.Lock()


def start(store: Store, request: LatentRequest) -> LatentHandle:
    """Trains and draws in a background thread. Raises RunError where one is in work, or where there is no such run."""
    run = last_finished(store, runs.scored_by(store, request.run_id))
    key = store.path.resolve()
    with _opening:
        going = _handles.get(key)
        if going and going.state == "running":
            name = going.request.banner_id
            raise RunError(f"A store draws one banner at a time, however {name} is at {going.done:.0%}. Wait for it or stop it.")
        handle = _handles[key] = LatentHandle(request, gate_of(store, "draw", "A store draws one banner at a time"))
    threading.Thread(target=_execute, args=(store, run, handle), name=f"draw {request.banner_id}", daemon=True).start()
    return handle


def current(store: Store) -> LatentHandle | None:
    """The latest drawing that this process began on the store, going or ended."""
    return _handles.get(store.path.resolve())


def forget(store: Store) -> None:
    """Clears an ended drawing from `current`; what was drawn stays."""
    handle = current(store)
    if handle and handle.state != "running":
        _handles.pop(store.path.resolve(), None)


def kept(store: Store, run_id: str, banner_id: str) -> Latent | None:
    """What was drawn of a banner; None where nothing was, or it had to make room."""
    return _kept.get((store.path.resolve(), run_id, banner_id))


def keep(store: Store, request: LatentRequest, drawn: Latent) -> None:
    """Puts a result where `kept` finds it, and lets the oldest go."""
    with _opening:
        _kept[store.path.resolve(), request.run_id, request.banner_id] = drawn
        while len(_kept) > MOST_KEPT:
            _kept.pop(next(iter(_kept)))


def _execute(store: Store, run: dict[str, Any], handle: LatentHandle) -> None:
    folder = store.path.with_name(store.path.stem + ".latent")
    try:
        with disk_space.named():
            try:
                drawn = _drawn(store, run, handle, folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)  # before its end is reported: a new one may begin at once
            keep(store, handle.request, drawn)
    except RunCancelledError:
        handle.end("cancelled", "Drawing was stopped, nothing of it is kept. Start it again when you like.")
    except HeatproofError as error:
        handle.end("failed", str(error))
    except BaseException as error:
        handle.end("failed", str(error) or type(error).__name__)
        raise
    else:
        handle.end("finished")


def _drawn(store: Store, run: dict[str, Any], handle: LatentHandle, folder: Path) -> Latent:
    request = handle.request
    handle.report(0.0, "writing the heatmaps of its grid")
    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
    folder.mkdir(parents=True)
    asked = {"seed": 0, "values": list(range(LEAST, MOST + 1)), "max_steps": request.max_steps, "parent_pid": os.getpid()}
    (folder / "job.json").write_text(json.dumps(asked))
    n = latent.write_grid(store, run, request.banner_id, MOST_BANNERS, folder / "banners.parquet")
    if n < LEAST_BANNERS:
        raise RunError(
            f"A network learns from {LEAST_BANNERS} or more banners of a grid, however the grid of {request.banner_id} has {n} here. "
            "Look at a banner of a larger grid."
        )
    summary = process.run_worker(folder, handle.report, lambda: handle.is_cancelled, WORKER)
    column = pq.read_table(folder / "out" / "drawn.parquet")["image"].combine_chunks()
    return Latent(**summary, drawn=column.flatten().to_numpy().reshape(len(column), -1))
