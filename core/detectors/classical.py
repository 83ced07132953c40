"""What classical detectors share: features are standardised and whitened first, and a bounded number of rows is learned from."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from core.detectors.base import Detector, Groups, Reads, Scores
from core.errors import ContractError

MAX_DIMS = 32
VARIANCE = 0.999
"""Directions are kept until they hold this share of the variance, or there are MAX_DIMS of them."""
LEAST_SCALE = 1e-6


@dataclass
class Classical(Detector):
    """A detector of scikit-learn over features (n, d), standardised column by column and whitened by their principal directions.

    Without whitening the columns with the largest numbers would decide alone; that is what made the capstone's k-means and
    one-class SVM useless. Nothing is chosen by labels. At most `max_rows` seeded rows of `fit` are learned from.
    """

    reads: ClassVar[Reads] = "features"

    max_rows: int = 4000
    seed: int = 0

    @property
    def default_run(self) -> bool:
        """Peers to look at and to beat; what they add to `combined`, `python -m benchmarks.members` measures."""
        return False

    def _fit(self, X: NDArray[np.float32], groups: Groups) -> None:
        rng = np.random.default_rng(self.seed)
        rows = np.arange(len(X)) if len(X) <= self.max_rows else np.sort(rng.choice(len(X), self.max_rows, replace=False))
        some = X[rows].astype(np.float64)
        self.mean_, self.scale_ = some.mean(axis=0), np.maximum(some.std(axis=0), LEAST_SCALE)
        standard = (some - self.mean_) / self.scale_
        _, singular, directions = np.linalg.svd(standard, full_matrices=False)
        held = np.cumsum(singular**2) / max(float(np.sum(singular**2)), LEAST_SCALE)
        k = min(int(np.searchsorted(held, VARIANCE)) + 1, MAX_DIMS, len(singular))
        sd = np.maximum(singular[:k] / np.sqrt(max(len(some) - 1, 1)), LEAST_SCALE)
        self.whitening_ = directions[:k].T / sd
        self._learn(self._white(X[rows]))

    def _score(self, X: NDArray[np.float32], groups: Groups) -> Scores:
        if X.shape[1] != len(self.mean_):
            raise ContractError(f"{self.name} was fitted on {len(self.mean_)} features, however it got {X.shape[1]}. Fit it on these.")
        return self._distance(self._white(X)) if len(X) else np.empty(0)

    def _white(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        # row by row: a product of another number of rows rounds otherwise, and a banner scores the same alone as in a batch
        standard = (X.astype(np.float64) - self.mean_) / self.scale_
        return np.einsum("nd,dk->nk", standard, self.whitening_)

    @abstractmethod
    def _learn(self, X: NDArray[np.float64]) -> None:
        """Learns from whitened rows (m, k)."""

    @abstractmethod
    def _distance(self, X: NDArray[np.float64]) -> Any:
        """(n,) scores of whitened rows (n, k), higher = more anomalous."""
