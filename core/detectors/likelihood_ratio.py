"""Likelihood ratio of a banner under "broken" against "as its reference": broken is a mixture over the fault templates."""

from dataclasses import dataclass, field
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from core.banners.evidence import Evidence, weigh
from core.banners.fitting import fit_reference
from core.banners.heatmaps import Heatmaps
from core.banners.reference import Reference
from core.banners.templates import FAMILIES
from core.detectors.base import Detector, Groups, Reads, Scores

_cache: WeakKeyDictionary[Heatmaps, dict[tuple[int, int], tuple[Any, Evidence]]] = WeakKeyDictionary()


@dataclass
class LikelihoodRatio(Detector):
    """The capstone's likelihood-ratio test, with its "bad banner" distribution as a mixture of fault templates.

    **Score** s = log( (1/10) Σ_f (1/K_f) Σ_k P[n | t_fk] / P[n | p] ) / sqrt(N), t_fk the templates of family f, p the reference; one
    sparse product `counts @ log(t / p).T`. The seed's slip (the average banner, not this one, in the denominator) is not copied.
    The square root keeps the spread among normal banners alike over click counts. High = likelier broken.
    **Shape** Heatmaps of n banners -> (n,).
    **Source** Neyman and Pearson 1933; the capstone's to-do.
    """

    family: ClassVar[str] = "template"
    library: ClassVar[str] = ""
    reads: ClassVar[Reads] = "heatmaps"

    reference: Reference | None = None
    others: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    """References of other grids by reference id, for the family other_grid; empty: those within `reference`."""

    @property
    def name(self) -> str:
        return "likelihood_ratio"

    def _fit(self, X: Heatmaps, groups: Groups) -> None:
        self.reference_ = self.reference or fit_reference(X)

    def _score(self, X: Heatmaps, groups: Groups) -> Scores:
        mixture = logsumexp(self.evidence(X).log_odds, axis=1) - np.log(len(FAMILIES))
        return np.asarray(mixture / np.sqrt(np.maximum(X.n_clicks, 1)))

    def evidence(self, X: Heatmaps) -> Evidence:
        """Log odds of every family and its best template; kept as long as `X` is, since diagnosis asks again."""
        kept = _cache.setdefault(X, {})
        key = id(self.reference_), id(self.others) if self.others else 0
        if key not in kept:
            # what the ids stand for is kept along: a freed object's id could be given to another
            kept[key] = (self.reference_, self.others), weigh(X, self.reference_, self.others)
        return kept[key][1]

    def carry(self, X: Heatmaps, rows: NDArray[np.int64], some: Heatmaps) -> None:
        """Makes the evidence of `X`, where it is known, known for `some`, which are the banners of `X` at `rows`."""
        key = id(self.reference_), id(self.others) if self.others else 0
        if key in _cache.get(X, {}):
            _cache.setdefault(some, {})[key] = (self.reference_, self.others), self.evidence(X).take(rows)
