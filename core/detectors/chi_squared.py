"""Pearson's goodness of fit."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.banners.heatmaps import Heatmaps
from core.detectors.base import Groups, Reads, Scores
from core.detectors.cells import CellStatistic, cell_sums


@dataclass
class ChiSquared(CellStatistic):
    """Chi-squared of a banner against its reference, a click.

    **Score** s = log(2 + X²/N), X²/N = (1/N) Σ (n - N p)² / (N p) = Σ n² / (N² p) - 1 over all cells; high = another distribution.
    Not compared with the chi-squared distribution: banners vary more than a multinomial, and most cells expect less than
    one click. The null is estimated later, from the group.
    **Shape** Heatmaps of n banners -> (n,).
    **Source** Pearson 1900; the capstone's chi-squared test.
    """

    family: ClassVar[str] = "statistical"
    library: ClassVar[str] = ""
    is_statistic: ClassVar[bool] = True
    reads: ClassVar[Reads] = "heatmaps"

    @property
    def name(self) -> str:
        return self._named("chi_squared")

    def _score(self, X: Heatmaps, groups: Groups) -> Scores:
        sums = cell_sums(X, self.reference_, self.size)
        return np.asarray(np.log1p(sums.chi / np.maximum(sums.n, 1) ** 2))
