"""Distance to the nearest neighbours."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from core.detectors.classical import Classical, nearest


@dataclass
class KNN(Classical):
    """How far a banner lies from its `k` nearest neighbours among those that were learned from.

    **Score** mean distance to them, in standard deviations; a banner that was learned from counts as its own first neighbour.
    **Shape** features (n, d) -> (n,).
    **Source** the mean: Angiulli & Pizzuti 2002; the capstone's kNN. **Differs** k = 10, not chosen by labels; directions are not
    whitened, since along those that hardly vary neighbours are near by chance.
    """

    family: ClassVar[str] = "distance"

    whiten: bool = False
    k: int = 10

    @property
    def name(self) -> str:
        return "knn"

    @property
    def default_run(self) -> bool:
        """The one classical detector that adds to `combined`: on kinds of fault that no template describes."""
        return True

    def _learn(self, X: NDArray[np.float64]) -> None:
        self.known_ = X

    def _distance(self, X: NDArray[np.float64]) -> Any:
        return nearest(X, self.known_, min(self.k, len(self.known_))).mean(axis=1)
