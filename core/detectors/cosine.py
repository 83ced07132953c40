"""Cosine distance between a banner's features and the anchors of its group."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from core.detectors.base import Detector, Groups, Reads, Scores
from core.errors import ContractError
from core.features import EXTRACTORS
from core.features.anchors import Anchors, centre_of, labelled_anchor, random_anchor, robust_anchors
from core.features.names import cosine_of


@dataclass
class Cosine(Detector):
    """How far a banner's features point away from where those of its group's good banners point.

    **Score** 1 - max over the group's anchors of cos(f - m, a), 0..2. m is 0, or where `centred`, and there are two groups or more, the
    mean of the groups' robust means: it spreads cosines that ReLU features press towards 1, and lets what is common to all groups count
    for nothing. A group is best a layout: one grid and one number of products.
    **Shape** features (n, d) -> (n,). A group that `fit` never saw is held against the anchors of all groups, the nearest counts.
    **Source** the capstone's similarity to an anchor. `anchor`: `robust`, a trimmed mean of all in `usable`; `random`, one of them;
    `labelled`, the mean of `k_labelled` of them per group, where `usable` says who is labelled ok.
    **Differs** features are L2-normalised before they are averaged; up to `max_anchors` where a group has several kinds of banners.
    """

    family: ClassVar[str] = "features"
    reads: ClassVar[Reads] = "features"
    deep: ClassVar[bool] = True

    feature: str = "efficientnet_lite0"
    anchor: Literal["robust", "random", "labelled"] = "robust"
    max_anchors: int = 6
    k_labelled: int = 2
    centred: bool = False
    usable: NDArray[np.bool_] | None = None
    """(n,) rows of `fit` that an anchor may rest on: not known to be broken, or labelled ok. None = all."""
    seed: int = 0

    @property
    def name(self) -> str:
        return cosine_of(self.feature)

    @property
    def default_run(self) -> bool:
        """Where its weights come with the installation: no run waits for a hub unasked."""
        return EXTRACTORS[self.feature].bundled

    @property
    def weights(self) -> str:
        """Which weights its features come from."""
        return EXTRACTORS[self.feature].weights

    def _fit(self, X: Any, groups: Groups) -> None:
        usable = np.ones(len(X), dtype=bool) if self.usable is None else self.usable
        if len(usable) != len(X):
            raise ContractError(f"usable has one entry a banner: it has {len(usable)} for {len(X)}. Pass it with the same banners.")
        mean = centre_of(X[usable], groups[usable]) if self.centred else np.zeros(X.shape[1])
        self.anchors_: dict[int, Anchors] = {}
        for code in np.unique(groups):
            self.anchors_[int(code)] = self._anchors_of(X[groups == code], usable[groups == code], mean)
        self.all_ = Anchors(np.concatenate([a.directions for a in self.anchors_.values()]), mean)

    def _anchors_of(self, features: NDArray[np.float32], usable: NDArray[np.bool_], mean: NDArray[np.float64]) -> Anchors:
        if self.anchor == "labelled":
            return labelled_anchor(features, usable, mean, self.seed, self.k_labelled)
        if self.anchor == "random":
            return random_anchor(features[usable], mean, self.seed)
        return robust_anchors(features[usable], mean, max_anchors=self.max_anchors, seed=self.seed)

    def _score(self, X: Any, groups: Groups) -> Scores:
        if X.shape[1] != self.all_.mean.size:
            raise ContractError(f"{self.name} was fitted on {self.all_.mean.size} features: it got {X.shape[1]}. Fit it on these.")
        out = np.empty(len(X))
        for code in np.unique(groups):
            rows = groups == code
            out[rows] = 1 - self.anchors_.get(int(code), self.all_).similarity(X[rows])
        return out
