"""Divergences between a banner's shares and its reference."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.detectors.base import Groups, Reads, Scores
from core.detectors.cells import CellStatistic, cell_sums
from core.heatmaps import Heatmaps


@dataclass
class KLDivergence(CellStatistic):
    """Kullback-Leibler pseudo-distance.

    **Score** s = KL(f || p) = Σ f log(f / p), f = n / N; in nats, 0 = equal shares; 2 N s is the G statistic.
    **Shape** Heatmaps of n banners -> (n,).
    **Source** Kullback and Leibler 1951; the capstone's "pseudo-distance".
    """

    family: ClassVar[str] = "statistical"
    reads: ClassVar[Reads] = "heatmaps"

    @property
    def name(self) -> str:
        return self._named("kl_divergence")

    def _score(self, X: Heatmaps, groups: Groups) -> Scores:
        sums = cell_sums(X, self.reference_, self.size)
        n = np.maximum(sums.n, 1)
        return np.asarray((sums.log_n - sums.log_p) / n - np.log(n))


@dataclass
class JensenShannon(CellStatistic):
    """Jensen-Shannon divergence: symmetric and bounded, kinder to small counts.

    **Score** s = (KL(f || m) + KL(p || m)) / 2, m = (f + p) / 2; between 0 and log 2. Empty cells give p log(2) / 2 each.
    **Shape** Heatmaps of n banners -> (n,).
    **Source** Lin 1991.
    """

    family: ClassVar[str] = "statistical"
    reads: ClassVar[Reads] = "heatmaps"

    @property
    def name(self) -> str:
        return self._named("jensen_shannon")

    def _score(self, X: Heatmaps, groups: Groups) -> Scores:
        sums = cell_sums(X, self.reference_, self.size)
        return np.asarray((sums.js + (1 - sums.covered) * np.log(2)) / 2)
