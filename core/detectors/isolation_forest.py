"""How few random cuts part a banner from the others."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from core.detectors.classical import Classical


@dataclass
class IsolationForest(Classical):
    """Random trees isolate unusual banners after few splits.

    **Score** 2^(-E[h] / c(m)), h the depth at which a banner stands alone, c(m) = 2 H(m-1) - 2 (m-1) / m its mean for m rows a tree;
    0..1, about 0.5 for the ordinary. **Shape** features (n, d) -> (n,).
    **Source** Liu, Ting, Zhou 2008; the capstone's isolation forest.
    """

    family: ClassVar[str] = "tree"

    n_trees: int = 200

    @property
    def name(self) -> str:
        return "isolation_forest"

    def _learn(self, X: NDArray[np.float64]) -> None:
        from sklearn.ensemble import IsolationForest as Forest

        self.forest_ = Forest(n_estimators=self.n_trees, max_samples=min(256, len(X)), random_state=self.seed).fit(X)

    def _distance(self, X: NDArray[np.float64]) -> Any:
        return -self.forest_.score_samples(X)
