"""Distance to the nearest centroid."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from core.detectors.classical import Classical, nearest

MAX_SILHOUETTE_ROWS = 1000


@dataclass
class KMeans(Classical):
    """How far a banner lies from the nearest centre of the clusters that banners form.

    **Score** distance to the nearest centroid, in whitened units. **Shape** features (n, d) -> (n,).
    **Source** MacQueen 1967; the capstone's k-means. Their number is the one of `choices` with the largest mean silhouette
    (Rousseeuw 1987) on a seeded sample. **Differs** clusters of less than `least_share` of the rows are no place to be normal.
    """

    family: ClassVar[str] = "distance"

    choices: tuple[int, ...] = (2, 3, 4, 6, 8, 12)
    least_share: float = 0.05

    @property
    def name(self) -> str:
        return "kmeans"

    def _learn(self, X: NDArray[np.float64]) -> None:
        from sklearn.cluster import KMeans as Clusters
        from sklearn.metrics import silhouette_score

        best = -np.inf
        rng = np.random.default_rng(self.seed)
        seen = np.sort(rng.choice(len(X), min(len(X), MAX_SILHOUETTE_ROWS), replace=False))
        self.centres_ = X.mean(axis=0, keepdims=True)
        for k in self.choices:
            if k >= len(np.unique(X, axis=0)):
                break
            found = Clusters(n_clusters=k, n_init=3, random_state=self.seed).fit(X)
            sizes = np.bincount(found.labels_, minlength=k)
            if not 1 < len(np.unique(found.labels_[seen])) < len(seen):
                continue  # one cluster holds all but a stray row or two
            worth = silhouette_score(X[seen], found.labels_[seen])
            large = sizes >= self.least_share * len(X)
            if worth > best and large.any():
                best, self.centres_ = float(worth), found.cluster_centers_[large]

    def _distance(self, X: NDArray[np.float64]) -> Any:
        return nearest(X, self.centres_, 1)[:, 0]
