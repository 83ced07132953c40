"""Distance to the nearest dense region."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from core.detectors.classical import Classical, nearest

ROUNDING = 1 + 1e-6
"""The row at the knee has its neighbour at exactly eps; it is a core point whichever way its distance is rounded."""


@dataclass
class DBSCAN(Classical):
    """How far a banner lies outside of the regions where banners are dense.

    **Score** distance to the second nearest core point minus eps, in whitened units: a core point is its own nearest, which would give
    most banners one and the same score. DBSCAN's noise begins about 0, and new banners are scored the same way.
    **Shape** features (n, d) -> (n,).
    **Source** Ester, Kriegel, Sander, Xu 1996; min_samples = 2 d (Sander et al. 1998); eps at the knee of the sorted distances to
    the min_samples-th neighbour (their largest distance from the chord).
    """

    family: ClassVar[str] = "density"

    @property
    def name(self) -> str:
        return "dbscan"

    def _learn(self, X: NDArray[np.float64]) -> None:
        from sklearn import cluster
        from sklearn.neighbors import NearestNeighbors

        needed = min(2 * X.shape[1], max(2, len(X) // 4), len(X))
        reach = np.sort(NearestNeighbors(n_neighbors=needed, algorithm="brute").fit(X).kneighbors(X)[0][:, -1])
        self.eps_ = max(float(reach[_knee(reach)]) * ROUNDING, 1e-9)
        core = cluster.DBSCAN(eps=self.eps_, min_samples=needed, algorithm="brute").fit(X).core_sample_indices_
        self.core_ = X[core] if len(core) else X.mean(axis=0, keepdims=True)

    def _distance(self, X: NDArray[np.float64]) -> Any:
        return nearest(X, self.core_, min(2, len(self.core_)))[:, -1] - self.eps_


def _knee(rising: NDArray[np.float64]) -> int:
    """Index of the point of a rising curve that lies farthest below its chord."""
    if len(rising) < 3 or rising[-1] <= rising[0]:
        return len(rising) - 1
    x = np.linspace(0, 1, len(rising))
    return int(np.argmax(x - (rising - rising[0]) / (rising[-1] - rising[0])))
