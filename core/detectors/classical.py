"""What classical detectors share: features are brought to one scale first, and a bounded number of rows is learned from."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from core.detectors.base import Detector, Groups, Reads, Scores
from core.errors import ContractError
from core.statistics.arrays import Matrix

MAX_DIMS = 128
VARIANCE = 0.999
"""Directions are kept until they hold this share of the variance, or there are MAX_DIMS of them."""
LEAST_ROWS = 4
"""Rows a whitened direction: with fewer, all rows that were learned from lie equally far apart."""
LEAST_SCALE = 1e-6
CONSTANT = 1e-4
"""A column with a standard deviation below it is constant but for rounding, which must not be blown up to one."""
BLOCK = 256
"""Rows whose differences from their neighbours are held at once: at most 3 MB at 10 neighbours."""


@dataclass
class Classical(Detector):
    """A detector of scikit-learn over features (n, d), each column brought to mean 0 and standard deviation 1, along their principal
    directions.

    Without a common scale the columns with the largest numbers would decide alone; that is what made the capstone's k-means and
    one-class SVM useless. With `whiten` the directions are brought to one scale as well. Nothing is chosen by labels. At most
    `max_rows` seeded rows of `fit` are learned from.
    """

    reads: ClassVar[Reads] = "features"
    library: ClassVar[str] = "sklearn.neighbors"

    whiten: bool = True
    max_rows: int = 4000
    seed: int = 0

    @property
    def default_run(self) -> bool:
        """Peers to look at and to beat; what they add to `combined`, `python -m benchmarks.detectors.members` measures."""
        return False

    def _fit(self, X: NDArray[np.float32], groups: Groups) -> None:
        rng = np.random.default_rng(self.seed)
        rows = np.arange(len(X)) if len(X) <= self.max_rows else np.sort(rng.choice(len(X), self.max_rows, replace=False))
        some = X[rows].astype(np.float64)
        spread = some.std(axis=0)
        self.mean_, self.scale_ = some.mean(axis=0), np.where(spread > CONSTANT, spread, 1.0)
        self.directions_ = _directions((some - self.mean_) / self.scale_, self.whiten)
        self._learn(self._scaled(X[rows]))

    def _score(self, X: NDArray[np.float32], groups: Groups) -> Scores:
        if X.shape[1] != len(self.mean_):
            raise ContractError(f"{self.name} was fitted on {len(self.mean_)} features: it got {X.shape[1]}. Fit it on these.")
        return self._distance(self._scaled(X)) if len(X) else np.empty(0)

    def _scaled(self, X: NDArray[np.float32]) -> Matrix:
        # row by row: a product of another number of rows rounds otherwise, and a banner scores the same alone as in a batch
        return np.einsum("nd,dk->nk", (X.astype(np.float64) - self.mean_) / self.scale_, self.directions_)

    @abstractmethod
    def _learn(self, X: Matrix) -> None:
        """Learns from scaled rows (m, k)."""

    @abstractmethod
    def _distance(self, X: Matrix) -> Any:
        """(n,) scores of scaled rows (n, k), higher = more anomalous."""


def _directions(standard: Matrix, whiten: bool) -> Matrix:
    """(d, k) principal directions of standardised rows (m, d), with `whiten` so long that the rows have unit variance along each."""
    _, singular, directions = np.linalg.svd(standard, full_matrices=False)
    held = np.cumsum(singular**2) / max(float(np.sum(singular**2)), LEAST_SCALE)
    k = min(int(np.searchsorted(held, VARIANCE)) + 1, MAX_DIMS, len(singular))
    if not whiten:
        return np.asarray(directions[:k].T)
    k = min(k, max(1, len(standard) // LEAST_ROWS))
    sd = np.maximum(singular[:k] / np.sqrt(max(len(standard) - 1, 1)), LEAST_SCALE)
    return np.asarray(directions[:k].T / sd)


def nearest(X: Matrix, known: Matrix, k: int) -> Matrix:
    """(n, k) Euclidean distances of rows (n, d) to the k nearest of `known` (m, d), the nearest first.

    Neighbours are looked for by one large product, whose rounding depends on the batch; their distances are then measured one by one.
    """
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(known).kneighbors(X, return_distance=False)
    out = np.empty(found.shape)
    for a in range(0, len(X), BLOCK):
        away = X[a : a + BLOCK, None] - known[found[a : a + BLOCK]]
        out[a : a + BLOCK] = np.sqrt(np.einsum("nkd,nkd->nk", away, away))
    return np.sort(out, axis=1)
