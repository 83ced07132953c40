"""What a network would draw of one banner: trained on its grid in a child process, kept with the open store, nothing in its tables.

The latest MOST_KEPT results stay until the store is closed.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.errors import InputError, RunError
from core.jobs.job import Job
from core.jobs.kind import Kind
from core.models.latent import queries
from core.models.latent.request import LEAST, MOST, LatentRequest
from core.settings import N_COLS, N_ROWS
from core.statistics.arrays import Matrix
from core.store import Store
from core.store.queries.runs import behind, last_finished

MOST_BANNERS = 2_000
"""Other banners of the grid that the network learns from."""
LEAST_BANNERS = 30
"""Fewer show a network what these banners are like, not what banners of the grid are like."""
MOST_KEPT = 4
"""4.4 MB each."""


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
    def original(self) -> Matrix:
        """The banner as the network sees it."""
        return self._image(0)

    @property
    def reconstruction(self) -> Matrix:
        """The banner as the network draws it again."""
        return self._image(1)

    def changed(self, values: dict[int, int]) -> Matrix:
        """The code drawn with two entries {entry: value}, both other than its own. Raises InputError for what was not drawn."""
        pairs = list(itertools.combinations(range(len(self.code)), 2))
        pair = tuple(sorted(values))
        if pair not in pairs or not all(LEAST <= v <= MOST for v in values.values()):
            raise InputError(
                f"Two of {len(self.code)} entries are changed to whole values of {LEAST} to {MOST}; {values} is none. Choose again."
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

    def _image(self, row: int) -> Matrix:
        return self.drawn[row].astype(np.float64).reshape(N_ROWS, N_COLS)


class LatentKind(Kind[LatentRequest, LatentRequest, Latent]):
    """Nothing is kept where it is cancelled."""

    name = "latent"
    title = "drawing"
    label = "{banner_id}"
    when_cancelled = "Drawing was stopped, nothing of it is kept. Start it again when you like."
    worker = "core.models.latent.worker"
    preparing = "writing the heatmaps of its grid"
    taking_in = ""
    share = (0.0, 1.0)

    def check(self, store: Store, request: LatentRequest) -> LatentRequest:
        """Raises RunError where there is no such run."""
        behind(store, request.run_id)
        return request

    def prepare(self, store: Store, job: Job[LatentRequest, Latent], folder: Path) -> LatentRequest:
        """Writes the heatmaps. Raises RunError where the grid has too few banners."""
        run, banner_id = last_finished(store, behind(store, job.request.run_id)), job.request.banner_id
        n = queries.write_grid(store, run, banner_id, MOST_BANNERS, folder / "banners.parquet")
        if n < LEAST_BANNERS:
            raise RunError(
                f"A network learns from {LEAST_BANNERS} or more banners of a grid; the grid of {banner_id} has {n} here. "
                "Look at a banner of a larger grid."
            )
        return job.request

    def take_in(self, store: Store, job: Job[LatentRequest, Latent], task: LatentRequest, folder: Path, summary: dict[str, Any]) -> Latent:
        """Reads the images and keeps them with the store."""
        column = pq.read_table(folder / "out" / "drawn.parquet")["image"].combine_chunks()
        drawn = Latent(**summary, drawn=column.flatten().to_numpy().reshape(len(column), -1))
        keep(store, job.request, drawn)
        return drawn


LATENT = LatentKind()
_kept: WeakKeyDictionary[Store, dict[tuple[str, str], Latent]] = WeakKeyDictionary()


def kept(store: Store, run_id: str, banner_id: str) -> Latent | None:
    """What was drawn of a banner; None where nothing was, or it had to make room."""
    return _kept.get(store, {}).get((run_id, banner_id))


def keep(store: Store, request: LatentRequest, drawn: Latent) -> None:
    """Keeps a result for `kept`, and drops the oldest beyond MOST_KEPT."""
    own = {**_kept.get(store, {}), (request.run_id, request.banner_id): drawn}
    _kept[store] = dict(list(own.items())[-MOST_KEPT:])
