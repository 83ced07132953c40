"""Distance to the nearest neighbours."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from core.detectors.classical import Classical


@dataclass
class KNN(Classical):
    """How far a banner lies from its `k`-th nearest neighbour among those that were learned from.

    **Score** distance to the k-th neighbour, in whitened units; a banner that was learned from counts as its own first neighbour.
    **Shape** features (n, d) -> (n,).
    **Source** Ramaswamy, Rastogi, Shim 2000; the capstone's kNN. **Differs** k = 10, not chosen by labels.
    """

    family: ClassVar[str] = "distance"

    k: int = 10

    @property
    def name(self) -> str:
        return "knn"

    @property
    def default_run(self) -> bool:
        """The one classical detector that adds to `combined`: on kinds of fault that no template describes."""
        return True

    def _learn(self, X: NDArray[np.float64]) -> None:
        from sklearn.neighbors import NearestNeighbors

        self.neighbours_ = NearestNeighbors(n_neighbors=min(self.k, len(X)), algorithm="kd_tree").fit(X)

    def _distance(self, X: NDArray[np.float64]) -> Any:
        return self.neighbours_.kneighbors(X)[0][:, -1]
