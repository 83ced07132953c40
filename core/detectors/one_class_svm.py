"""A boundary around most banners."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from core.detectors.classical import Classical


@dataclass
class OneClassSVM(Classical):
    """The smallest smooth region that holds all but a share `nu` of the banners.

    **Score** minus the signed distance to its boundary in feature space; below 0 inside. **Shape** features (n, d) -> (n,).
    **Source** Schölkopf et al. 2001; the capstone's SVM. Gaussian kernel, its width by the median distance between rows (Caputo et al.
    2002), nu the share of broken banners that is expected; neither looks at labels.
    """

    family: ClassVar[str] = "one_class"

    max_rows: int = 2000
    nu: float = 0.1

    @property
    def name(self) -> str:
        return "one_class_svm"

    def _learn(self, X: NDArray[np.float64]) -> None:
        from scipy.spatial.distance import pdist
        from sklearn.svm import OneClassSVM as Boundary

        some = X[:: max(1, len(X) // 500)]
        middle = float(np.median(pdist(some))) if len(some) > 1 else 1.0
        self.boundary_ = Boundary(kernel="rbf", gamma=1 / max(middle, 1e-9) ** 2, nu=self.nu).fit(X)

    def _distance(self, X: NDArray[np.float64]) -> Any:
        return -self.boundary_.decision_function(X)
