"""Draw probability of a banner under its reference, against that of the average banner."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.special import gammaln

from core.banners.heatmaps import Heatmaps
from core.detectors.base import Groups, Reads, Scores
from core.detectors.cells import CellStatistic, cell_sums, pooled

N_KNOTS = 32
MAX_CLICKS = 1e7


@dataclass
class Multinomial(CellStatistic):
    """Multinomial draw probability, normalised by the average banner.

    **Score** s = (log P[N p | p] - log P[n | p]) / N with P the multinomial probability *with* its coefficient, so s is
    KL(f || p) + O(k log N / N). Without the coefficient an entropy term makes a banner that clicks only the modal cell look
    better than any other; with it that trap is gone. High = unlikelier than the average banner.
    **Shape** Heatmaps of n banners -> (n,).
    **Source** the capstone's "draw probability"; the average banner has N p clicks in each cell (Gamma function for factorials).
    **Differs** log N! cancels; log P[N p | p] depends on N and the group alone and is interpolated (cubic spline) between knots in log N.
    """

    family: ClassVar[str] = "statistical"
    library: ClassVar[str] = ""
    is_statistic: ClassVar[bool] = True
    reads: ClassVar[Reads] = "heatmaps"

    @property
    def name(self) -> str:
        return self._named("multinomial")

    def _fit(self, X: Heatmaps, groups: Groups) -> None:
        super()._fit(X, groups)
        p = pooled(self.reference_, self.size)
        self.knots_ = np.log(np.geomspace(1, MAX_CLICKS, N_KNOTS))
        averages = np.array([_averages(row, np.exp(self.knots_)) for row in p])
        self.cubics_ = CubicSpline(self.knots_, averages, axis=1).c  # (4, N_KNOTS - 1, references), the cube's coefficients first

    def _score(self, X: Heatmaps, groups: Groups) -> Scores:
        sums = cell_sums(X, self.reference_, self.size)
        n = np.maximum(sums.n, 1)
        rows = self.reference_.rows(X)
        own = (sums.log_p - sums.log_factorial) / n
        return np.asarray(self._average_at(rows, np.log(n)) - own)

    def _average_at(self, rows: NDArray[np.int64], log_n: NDArray[np.float64]) -> NDArray[np.float64]:
        k = np.clip(np.searchsorted(self.knots_, log_n) - 1, 0, N_KNOTS - 2)
        t = log_n - self.knots_[k]
        out = np.zeros(len(rows))
        for coefficients in self.cubics_:
            out = out * t + coefficients[k, rows]
        return out


def _averages(p: NDArray[np.float64], n: NDArray[np.float64]) -> NDArray[np.float64]:
    """(log P[n p | p] - log n!) / n for each n."""
    return np.asarray(p @ np.log(p) - gammaln(np.outer(n, p) + 1).sum(axis=1) / n)
