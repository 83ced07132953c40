"""Raw scores -> comparable scores: freed from the trend with click count, on a robust location and scale a group.

In: scores (n,), groups (n,) codes, n_clicks (n,). Out: (n,) with bulk near 0 and lower half of spread 1, comparable between groups,
detectors and banners of any size. Learned from the banners themselves, of which some may be broken. Does not judge: p-values are
made in `null.py`.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from core.statistics.arrays import Vector

PER_KNOT = 60
"""Banners from which on a group has a trend of its own, and that a knot of it rests on unless told otherwise."""
MAX_KNOTS = 8
PER_CURVE = 30
"""Banners from which on a curve is fitted."""
BULK = 0.65
"""Share of the banners that the bulk of click counts is found by: all others together may have other counts, and be broken."""
REACH = 4.0
"""Half widths that the bulk reaches, nearly four standard deviations of log-normal counts: what lies farther out is not of that kind."""
NARROW = 0.05
"""It reaches so far in log clicks at least."""
NARROWEST = 0.25
"""Half width in log clicks that a parabola is laid over at least."""
PRIOR = 0.1
"""Banners without a trend that every parabola is fitted with."""
N_POINTS = 64
"""Points at which a trend is kept; between them it is a line, outside of them flat."""
FEW = 4.0
"""A location known from k banners, beside a reference made of them, is uncertain: small groups' scores count 1 + FEW / k times less."""
LOWER = 0.2
"""Quantile whose distance from the median gives the scale: anomalies, which are high, hardly touch it."""
MIN_SCALE = 1e-7
"""Scores closer together are equal, and the rest is rounding."""
MIN_SPREAD = 0.1
"""A small group is not believed to be narrower than this share of the others."""
LOWER_Z = 0.8416212335729143
"""Distance of the same two quantiles in a standard normal."""


@dataclass
class Normaliser:
    """Per group: median and lower spread of the scores as functions of log clicks, flat outside the bulk of the click counts.

    No banner, and no tenth of them, moves the trend at its own click count by more than the others differ among each other.
    A group with fewer than PER_KNOT banners takes the pooled trend of all groups and only its own location and scale on top of it.
    `per_knot`: banners a knot of the trend rests on. More make what is learned from a sample steadier, which is to hold for others.
    """

    per_knot: int = PER_KNOT
    knots_: dict[int, tuple[Vector, Vector, Vector]] = field(default_factory=dict)
    offset_: dict[int, tuple[float, float]] = field(default_factory=dict)
    pooled_: tuple[Vector, Vector, Vector] | None = None

    def fit(self, scores: Vector, groups: NDArray[np.int64], n_clicks: Vector) -> Self:
        """Learns trend, location and scale of every group."""
        x = np.log(np.maximum(n_clicks, 1))
        codes, sizes = np.unique(groups, return_counts=True)
        for code in codes[sizes >= PER_KNOT]:
            rows = groups == code
            self.knots_[int(code)] = _trend(x[rows], scores[rows], self.per_knot)
        if (sizes < PER_KNOT).any():
            self._fit_small(scores, groups, x, codes[sizes < PER_KNOT])
        return self

    def _fit_small(self, scores: Vector, groups: NDArray[np.int64], x: Vector, small: NDArray[np.int64]) -> None:
        members = [np.flatnonzero(groups == code) for code in np.unique(groups)]
        z = scores.astype(np.float64).copy()
        for _ in range(3):  # the groups' levels are known once the trend is, and the other way round
            at, location, _ = _trend(x, z, self.per_knot)
            free = scores - np.interp(x, at, location)
            z = scores.astype(np.float64).copy()
            for rows in members:
                z[rows] -= np.median(free[rows])
        self.pooled_ = _trend(x, z, self.per_knot)
        for code in small:
            rows = groups == code
            residual = (scores[rows] - np.interp(x[rows], self.pooled_[0], self.pooled_[1])) / np.interp(
                x[rows], self.pooled_[0], self.pooled_[2]
            )
            weight = rows.sum() / PER_KNOT
            spread = max(location_scale(residual)[1], MIN_SPREAD) if rows.sum() >= 8 else 1.0
            self.offset_[int(code)] = (float(np.median(residual)), float(spread**weight * (1 + FEW / rows.sum())))

    def transform(self, scores: Vector, groups: NDArray[np.int64], n_clicks: Vector) -> Vector:
        """(n,) normalised scores; each depends on its own row and on what was fitted alone."""
        x = np.log(np.maximum(n_clicks, 1))
        out = np.empty(len(scores))
        for code in np.unique(groups):
            rows = groups == code
            if int(code) in self.knots_:
                at, location, scale = self.knots_[int(code)]
                out[rows] = _beyond(scores[rows], np.interp(x[rows], at, location)) / np.interp(x[rows], at, scale)
            else:
                assert self.pooled_ is not None
                at, location, scale = self.pooled_
                z = _beyond(scores[rows], np.interp(x[rows], at, location)) / np.interp(x[rows], at, scale)
                shift, spread = self.offset_[int(code)]
                out[rows] = (z - shift) / spread
        return out


def bulk(x: Vector) -> tuple[float, float]:
    """Lowest and highest log clicks (n,) at which enough others say what is usual: the narrowest stretch that holds BULK of the banners,
    and as far around it again as a bell-shaped spread would reach. A fifth of the banners, wherever they are, cannot stretch it."""
    ordered = np.sort(x)
    m = int(np.ceil(BULK * len(x)))
    widths = ordered[m - 1 :] - ordered[: len(x) - m + 1]
    at = int(np.argmin(widths))
    middle = (ordered[at] + ordered[at + m - 1]) / 2
    reach = max(REACH * widths[at] / 2, NARROW)
    return float(middle - reach), float(middle + reach)


def _trend(x: Vector, scores: Vector, per_knot: int) -> tuple[Vector, Vector, Vector]:
    """Points in log clicks, and median and scale at each: a parabola, and what overlapping windows of equally many banners add to it.

    Only the bulk in log clicks takes part. A window holds a third of it, so that a tenth that shares a fault and a click count is outvoted
    there; a robust parabola follows the trend between and beyond the windows' middles.
    """
    low, high = bulk(x)
    inside = (x >= low) & (x <= high)
    x, scores = x[inside], scores[inside]
    order = np.argsort(x, kind="stable")
    k = int(np.clip(len(x) // per_knot, 1, MAX_KNOTS))
    points = np.linspace(x.min(), x.max(), N_POINTS)
    at, location, _ = _windows(x, scores, order, k)
    on_curve, on_points = _curve(x, scores, points, scores - np.interp(x, at, location))
    at, location, scale = _windows(x, scores - on_curve, order, k)
    return points, on_points + np.interp(points, at, location), np.interp(points, at, scale)


def _windows(x: Vector, values: Vector, order: NDArray[np.int64], k: int) -> tuple[Vector, Vector, Vector]:
    """Median log clicks of at most `k` windows over the banners in `order`, and median and scale of the values in each.

    Windows with the same median, as of banners of equally many clicks, are one.
    """
    n = len(order)
    width = n * max(1 / 3, 2 / k) if k > 1 else n
    starts = np.linspace(0, n - width, k)
    rows = [order[round(a) : max(round(a + width), round(a) + 1)] for a in starts]
    middles = np.maximum.accumulate([float(np.median(x[window])) for window in rows])
    at = np.unique(middles)
    joined = [np.unique(np.concatenate([rows[i] for i in np.flatnonzero(middles == m)])) for m in at]
    found = np.array([location_scale(values[window]) for window in joined])
    return at, found[:, 0], found[:, 1]


def _curve(x: Vector, scores: Vector, points: Vector, residual: Vector) -> tuple[Vector, Vector]:
    """A parabola through the bulk of the scores, at `x` and at `points`; 0 where there are too few banners.

    Tukey's bisquare weights, which begin with the `residual` (n,) of a robust fit: far scores count for nothing, at whichever click count.
    A weak prior of no trend keeps a few banners of another click count from bending it where all others have the same.
    """
    if len(x) < PER_CURVE:
        return np.zeros(len(x)), np.zeros(len(points))
    centre, width = float(np.median(x)), max(float(np.ptp(x)) / 2, NARROWEST)
    basis = np.vander((x - centre) / width, 3)
    middle = float(np.median(scores))
    coefficients: Vector = np.zeros(3)
    for _ in range(20):
        far = np.abs(residual) / max(4.685 * 1.4826 * float(np.median(np.abs(residual))), MIN_SCALE)
        weight = np.square(1 - np.square(np.minimum(far, 1)))
        normal = (basis * weight[:, None]).T @ basis + np.diag([PRIOR, PRIOR, 1e-9])
        coefficients = np.linalg.solve(normal, basis.T @ (weight * (scores - middle)))
        residual = scores - middle - basis @ coefficients
    return middle + basis @ coefficients, middle + np.vander((points - centre) / width, 3) @ coefficients


def _beyond(scores: Vector, location: Vector) -> Vector:
    """(n,) how much higher the scores are; 0 within rounding, which a scale that is as small would blow up."""
    away = scores - location
    return np.where(np.abs(away) < MIN_SCALE, 0.0, away)


def location_scale(scores: Vector) -> tuple[float, float]:
    """Median and lower spread of scores (n,): of a bell-shaped bulk its standard deviation."""
    low, middle = np.quantile(scores, [LOWER, 0.5])
    return float(middle), max(float(middle - low) / LOWER_Z, MIN_SCALE)
