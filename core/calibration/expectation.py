"""What to expect of flags before they are reviewed: precision, recall, F1 and how many banners are broken, with intervals.

In: calibrated probabilities of the banners to be judged and of the labelled ones, these as predicted without their grid. The unknown is
drawn DRAWS times: the scale of the probabilities from what the labels leave open of it, how far every grid lies from the others, and
whether each banner is broken, by its probability. What the middle 95 % of these worlds say is the interval.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from core.calibration.thresholds import log_odds, scale_posterior
from core.statistics.arrays import Codes, Mask, Vector

DRAWS = 300
SPREAD_BETWEEN_GRIDS = 0.5
"""Standard deviation, in log odds, by which a grid differs from what others foretell of it, where the labels do not show a larger one."""
DOUBTFUL = 1e-4
"""Banners less likely broken than this are taken to be ok in every world."""
MAX_RANKS = 1000
EXACT = 20_000
"""Banners that are drawn one by one; of the less suspicious ones after them, of very large runs, some are drawn for all."""


class Interval(NamedTuple):
    """An estimate with its 95 % interval."""

    estimate: float
    low: float
    high: float


class Expected(NamedTuple):
    """What is expected of flags: precision, recall, F1 and how many banners are broken at all; and the flagged, which are known."""

    precision: Interval
    recall: Interval
    f1: Interval
    n_broken: Interval
    n_flagged: int


@dataclass(frozen=True)
class Worlds:
    """DRAWS worlds of n banners: broken among the most suspicious `ranks` (r,) of them and among `before`, and broken at all."""

    ranks: Codes
    hits: Vector
    """(DRAWS, r)."""
    hits_before: Vector
    n_before: int
    n_broken: Vector
    n: int

    def of_most_suspicious(self, n_flagged: int) -> Expected:
        """What to expect of flagging the most suspicious n_flagged banners."""
        return _expected(self._hits_at(n_flagged), n_flagged, self.n_broken, self.n)

    def of_before(self) -> Expected:
        """What to expect of the flags that hold so far."""
        return _expected(self.hits_before, self.n_before, self.n_broken, self.n)

    def cost(self, ratio: float, n_flagged: int | None = None) -> Interval:
        """Misses and false alarms in false alarms, a miss being worth `ratio` of them: of the most suspicious n_flagged; None: so far."""
        hits, n = (self.hits_before, self.n_before) if n_flagged is None else (self._hits_at(n_flagged), n_flagged)
        return _interval(ratio * (self.n_broken - hits) + n - hits, 0.0, np.inf)

    def _hits_at(self, n_flagged: int) -> Vector:
        """(DRAWS,) broken among the most suspicious n_flagged."""
        if not n_flagged:
            return np.zeros(len(self.hits))
        above = min(int(np.searchsorted(self.ranks, n_flagged)), len(self.ranks) - 1)
        if self.ranks[above] <= n_flagged or above == 0:
            return self.hits[:, above]
        part = (n_flagged - self.ranks[above - 1]) / (self.ranks[above] - self.ranks[above - 1])
        between: Vector = self.hits[:, above - 1] + part * (self.hits[:, above] - self.hits[:, above - 1])
        return between

    def bands(self) -> dict[str, Vector]:
        """Precision and recall of flagging the first `ranks` (r,): estimate, low and high each, keys such as `precision_low`."""
        precision, recall = self.hits / self.ranks, self.hits / np.maximum(self.n_broken, 1)[:, None]
        out: dict[str, Vector] = {}
        for name, draws in (("precision", precision), ("recall", recall)):
            low, middle, high = np.quantile(draws, [0.025, 0.5, 0.975], axis=0)
            out |= {name: middle, f"{name}_low": low, f"{name}_high": high}
        return out


def draw_worlds(p: Vector, groups: Codes, before: Mask, labelled_p: Vector, broken: Mask, labelled_groups: Codes, seed: int = 0) -> Worlds:
    """Draws worlds of banners with calibrated p (n,) of grids `groups` (n,), of which `before` (n,) are flagged so far.

    labelled_p, broken, labelled_groups: (m,) calibrated probabilities of labelled banners, what they are, and their grids.
    """
    rng = np.random.default_rng(seed)
    spread = spread_between(labelled_p, broken, labelled_groups)
    order = np.argsort(-p, kind="stable")
    order = order[(p[order] > DOUBTFUL) | (np.arange(len(p)) < MAX_RANKS)]
    stands, weight = _standing_for(len(order))
    shown = order[stands]
    codes, inverse = np.unique(groups[shown], return_inverse=True)
    x = log_odds(p[shown])
    flagged = np.add.reduceat(before[order].astype(np.float64), stands) / weight if len(order) else np.empty(0)
    upto = np.cumsum(weight)
    places = (
        np.unique(np.geomspace(1, max(len(upto), 1), MAX_RANKS).astype(np.int64)) if len(upto) > MAX_RANKS else 1 + np.arange(len(upto))
    )
    hits = np.empty((DRAWS, len(places)))
    hits_before, n_broken = np.empty(DRAWS), np.empty(DRAWS)
    scales = rng.multivariate_normal(*scale_posterior(labelled_p, broken), size=DRAWS)
    for k in range(DRAWS):
        chance = expit(scales[k, 0] + scales[k, 1] * x + rng.normal(0, spread, len(codes))[inverse])
        is_broken = rng.binomial(weight, chance)
        hits[k] = np.cumsum(is_broken)[places - 1]
        hits_before[k], n_broken[k] = is_broken @ flagged, is_broken.sum()
    return Worlds(upto[places - 1], hits, hits_before, int(before.sum()), n_broken, len(p))


def _standing_for(n: int) -> tuple[Codes, Codes]:
    """Places among n banners, the most suspicious first, that are drawn, and for how many each stands: from EXACT on for its neighbours."""
    step = max(1, -(-(n - EXACT) // EXACT))
    stands = np.concatenate([np.arange(min(n, EXACT)), np.arange(EXACT, n, step)])
    return stands, np.diff(stands, append=n)


def spread_between(p: Vector, broken: Mask, groups: Codes) -> float:
    """Standard deviation, in log odds, of how far grids lie from calibrated p (m,); at least SPREAD_BETWEEN_GRIDS.

    The method of moments over the grids' scores (DerSimonian and Laird 1986).
    """
    off, variance = [], []
    for group in np.unique(groups):
        rows = groups == group
        information = float((p[rows] * (1 - p[rows])).sum())
        if information >= 0.2:  # a grid without one doubtful banner shows nothing
            off.append(float((broken[rows] - p[rows]).sum()) / information)
            variance.append(1 / information)
    excess = float(np.mean(np.square(off) - variance)) if off else 0.0
    return float(np.sqrt(max(excess, 0.0) + SPREAD_BETWEEN_GRIDS**2))


def _expected(hits: Vector, n_flagged: int, n_broken: Vector, n: int) -> Expected:
    """One banner more or less at either end: draws alone would call a short queue surely right."""
    return Expected(
        precision=_interval(hits / max(n_flagged, 1), 1 / max(n_flagged, 1)),
        recall=_interval(hits / np.maximum(n_broken, 1), 1 / max(float(np.median(n_broken)), 1.0)),
        f1=_interval(2 * hits / np.maximum(n_flagged + n_broken, 1), 0.0),
        n_broken=_interval(n_broken, 0.0, n),
        n_flagged=n_flagged,
    )


def _interval(draws: Vector, margin: float, most: float = 1.0) -> Interval:
    low, middle, high = np.quantile(draws, [0.025, 0.5, 0.975]).tolist()
    return Interval(middle, max(0.0, low - margin), min(most, high + margin))
