"""The contract every detector keeps: fields are hyper-parameters, `fit` learns attributes ending in `_`, higher scores are more anomalous.

A method writes `_fit` and `_score`; the checks around them stand here, once. Deciding belongs to thresholds, comparing to
normalise: a detector has no `predict` and no contamination.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, final

import numpy as np
from numpy.typing import NDArray

from core.banners.heatmaps import Heatmaps
from core.errors import ContractError

Scores = NDArray[np.float64]
Groups = NDArray[np.int64]
Reads = Literal["heatmaps", "images", "features"]


@dataclass
class Detector(ABC):
    """Base class.

    **Shape** X is Heatmaps of n banners, float32 (n, 1, h, w) images or float32 (n, d) features, as `reads` says; groups (n,) codes.
    `score` gives (n,) finite float64; a row scores the same alone as in any batch, in any order.
    """

    family: ClassVar[str]
    reads: ClassVar[Reads]
    library: ClassVar[str] = "torch"
    """Module that it loads late, when it is fitted; empty: none."""
    is_statistic: ClassVar[bool] = False
    """A statistic of the counts that takes microseconds a banner: the first tier of a cascade."""
    needs_labels: ClassVar[bool] = False
    deep: ClassVar[bool] = False
    """Costs milliseconds a banner, so that a run may leave banners out that other detectors have cleared."""
    across: ClassVar[bool] = False
    """Learns from the banners of all grids at once, a layout a group; the others learn every grid by itself."""

    slow_fit: ClassVar[bool] = False
    """Takes a minute or more to fit: never in the default run, and a run says so before it begins."""

    @property
    @abstractmethod
    def name(self) -> str:
        """snake_case name in catalogue, command line, database and pages."""

    @property
    def default_run(self) -> bool:
        """Whether a run takes it unless told otherwise."""
        return True

    @abstractmethod
    def _fit(self, X: Any, groups: Groups) -> None: ...

    @abstractmethod
    def _score(self, X: Any, groups: Groups) -> Scores: ...

    @final
    def fit(self, X: Any, groups: Groups) -> Self:
        """Learns what is normal from n banners, of which some may be broken. Raises ContractError for input it cannot read."""
        self._check(X, groups)
        if not len(groups):
            raise ContractError(f"{self.name} needs at least one banner to fit on: there are 0. Widen the window.")
        self._fit(X, groups)
        if not self._is_fitted():
            raise ContractError(f"{self.name} learns attributes that end in _: its _fit sets none. Set one, such as self.n_banners_.")
        return self

    @final
    def score(self, X: Any, groups: Groups) -> Scores:
        """(n,) anomaly scores. Raises ContractError before `fit`, for input it cannot read, and for scores that are not finite."""
        self._check(X, groups)
        if not self._is_fitted():
            raise ContractError(f"{self.name} scores after fit: fit was not called. Call fit first.")
        scores = np.asarray(self._score(X, groups), dtype=np.float64)
        if scores.shape != (len(groups),):
            raise ContractError(f"{self.name} must give {len(groups)} scores: their shape is {scores.shape}.")
        if not np.isfinite(scores).all():
            raise ContractError(f"{self.name} must give finite scores: {int((~np.isfinite(scores)).sum())} are not.")
        return scores

    def _is_fitted(self) -> bool:
        return any(k.endswith("_") and not k.startswith("_") for k in vars(self))

    def _check(self, X: Any, groups: Groups) -> None:
        if self.reads == "heatmaps":
            if not isinstance(X, Heatmaps):
                raise ContractError(f"{self.name} reads Heatmaps: it got {type(X).__name__}.")
            n = len(X)
        else:
            ndim = 4 if self.reads == "images" else 2
            if not isinstance(X, np.ndarray) or X.ndim != ndim or X.dtype != np.float32:
                got = f"{X.dtype} of shape {X.shape}" if isinstance(X, np.ndarray) else type(X).__name__
                raise ContractError(f"{self.name} reads float32 {self.reads} with {ndim} axes: it got {got}.")
            n = len(X)
        if len(groups) != n:
            raise ContractError(f"{self.name} needs one group code a row: there are {len(groups)} for {n} rows.")
