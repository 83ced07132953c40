"""Divergences between a banner's shares and its reference."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from core.banners.heatmaps import Heatmaps
from core.detectors.base import Groups, Reads, Scores
from core.detectors.cells import CellStatistic, cell_sums, cells, dense, over_blocks, pooled, row_sums
from core.settings import N_ROWS


@dataclass
class KLDivergence(CellStatistic):
    """Kullback-Leibler pseudo-distance.

    **Score** s = KL(f || p) = Σ f log(f / p), f = n / N; in nats, 0 = equal shares; 2 N s is the G statistic.
    **Shape** Heatmaps of n banners -> (n,).
    **Source** Kullback and Leibler 1951; the capstone's "pseudo-distance".
    """

    family: ClassVar[str] = "statistical"
    library: ClassVar[str] = ""
    is_statistic: ClassVar[bool] = True
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
    library: ClassVar[str] = ""
    is_statistic: ClassVar[bool] = True
    reads: ClassVar[Reads] = "heatmaps"

    @property
    def name(self) -> str:
        return self._named("jensen_shannon")

    def _score(self, X: Heatmaps, groups: Groups) -> Scores:
        p = pooled(self.reference_, self.size).astype(np.float32)
        rows = self.reference_.rows(X)
        n = np.maximum(X.n_clicks, 1).astype(np.float32)

        def sparse(a: int, b: int) -> Scores:
            at, counts, sizes = cells(X, rows, a, b)
            return row_sums(_gap(counts / np.repeat(n[a:b], sizes), p.ravel()[at]), sizes)[None]

        def coarse(a: int, b: int) -> Scores:
            return _gap(dense(X, self.size, a, b) / n[a:b, None], p[rows[a:b]]).sum(axis=1, dtype=np.float64)[None]

        gap = over_blocks(len(X), 1, sparse if self.size == N_ROWS else coarse)[0]
        return np.asarray(np.log(2) + gap / 2)


def _gap(f: NDArray[Any], p: NDArray[np.float32]) -> NDArray[Any]:
    """f log f + p log p - q log q with q = f + p: 0 where f = 0, and 2 JS - 2 log 2 in sum over all cells."""
    q = f + p
    return np.asarray(f * np.log(np.maximum(f, np.float32(1e-30))) + p * np.log(p) - q * np.log(q))
