"""Raw scores -> comparable scores: freed from the trend with click count, on a robust location and scale a group.

In: scores (n,), groups (n,) codes, n_clicks (n,). Out: (n,) with bulk near 0 and lower half of spread 1, comparable between groups,
detectors and banners of any size. Learned from the banners themselves, of which some may be broken. Does not judge: p-values are
made in `null.py`.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

PER_KNOT = 60
"""Banners from which on a group has a trend of its own, and that a knot of it rests on unless told otherwise."""
MAX_KNOTS = 8
PER_CURVE = 30
"""Banners from which on a curve is fitted, up to where there are enough for all knots."""
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
    """Per group: median and lower spread of the scores as functions of log clicks, flat outside the banners fitted.

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
            spread = max(_location_scale(residual)[1], MIN_SPREAD) if rows.sum() >= 8 else 1.0
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


def _trend(x: Vector, scores: Vector, per_knot: int) -> tuple[Vector, Vector, Vector]:
    """Points in log clicks, and median and scale at each: a curve, and what overlapping windows of equally many banners add to it.

    The curve reaches the smallest and the largest banners, which are the odd ones out in the wide windows of few banners.
    """
    order = np.argsort(x, kind="stable")
    n = len(x)
    k = int(np.clip(n // per_knot, 1, MAX_KNOTS))
    points = np.linspace(x.min(), x.max(), N_POINTS)
    on_curve, on_points = _curve(x, scores, points, per_knot)
    residual = scores - on_curve
    at, location, scale = [], [], []
    for i in range(k):
        window = order[max(0, int((i - 0.5) * n / k)) : min(n, int((i + 1.5) * n / k))]
        m, s = _location_scale(residual[window])
        at.append(float(np.median(x[window])))
        location.append(m)
        scale.append(s)
    knots = np.maximum.accumulate(np.array(at))
    return points, on_points + np.interp(points, knots, location), np.interp(points, knots, scale)


def _curve(x: Vector, scores: Vector, points: Vector, per_knot: int) -> tuple[Vector, Vector]:
    """A parabola through the bulk of the scores (Huber's weights), at `x` and at `points`; 0 where there are too few or so many that the
    windows say it all."""
    if not PER_CURVE <= len(x) < MAX_KNOTS * per_knot:
        return np.zeros(len(x)), np.zeros(len(points))
    degree = min(2, len(np.unique(x)) - 1)
    centre, width = float(x.mean()), max(float(x.std()), 1e-9)
    basis = np.vander((x - centre) / width, degree + 1)
    weight = np.ones(len(x))
    for _ in range(20):
        root = np.sqrt(weight)
        coefficients = np.linalg.lstsq(basis * root[:, None], scores * root, rcond=None)[0]
        far = np.abs(scores - basis @ coefficients)
        weight = 1 / np.maximum(far / max(1.5 * 1.4826 * float(np.median(far)), 1e-9), 1)
    return basis @ coefficients, np.vander((points - centre) / width, degree + 1) @ coefficients


def _beyond(scores: Vector, location: Vector) -> Vector:
    """(n,) how much higher the scores are; 0 within rounding, which a scale that is as small would blow up."""
    away = scores - location
    return np.where(np.abs(away) < MIN_SCALE, 0.0, away)


def _location_scale(scores: Vector) -> tuple[float, float]:
    low, middle = np.quantile(scores, [LOWER, 0.5])
    return float(middle), max(float(middle - low) / LOWER_Z, MIN_SCALE)
