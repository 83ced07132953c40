"""How unusual the template evidence of each fault family is among banners of which most are ok.

In: evidence for the families in each view of the clicks. Out: one p-value a banner and view. Each family has a null of its own: what good
banners differ in, as in how many clicks fall on one spot, raises some families' evidence much more than others'.
"""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from core.banners.templates import FAMILIES
from core.statistics.arrays import Codes, Vector
from core.statistics.combine import harmonic_mean
from core.statistics.heavy_tail import HeavyTail
from core.statistics.normalise import FEW, MIN_SCALE, location_scale

TEMPLATE = "likelihood_ratio"
"""The detector whose evidence this is."""
UPPER = 0.65
"""Quantile that may lie one spread above the median: of a bell-shaped bulk it is 0.4, with three in ten banners broken 0.9."""
SMALL = 60
"""Banners below which a grid's scale is drawn to that of all grids."""


@dataclass
class FaultFamilies:
    """Location and scale of every family's evidence in every grid and view, and its null over all grids.

    Evidence is x = ℓ / sqrt(N), ℓ the log odds of the family in a view of the clicks, N the clicks there; its columns are the ten families
    of the first view, which is all clicks, then those of the others.
    **Score** z = (x - median) / lower spread. There is no trend with clicks: evidence for a fault grows with them, and a trend that follows
    banners of like size would hide a fault that many of them share.
    """

    place_: dict[int, tuple[Vector, Vector]] = field(default_factory=dict)
    nulls_: list[HeavyTail] = field(default_factory=list)

    def fit(self, evidence: NDArray[Any], grid_id: Codes, limit: Vector) -> Self:
        """Learns from the evidence (n, 10 v) about banners drawn at random; no score passes `limit` (n,)."""
        x = evidence.astype(np.float64)
        everywhere = _pooled_scale(x, grid_id)
        for grid in np.unique(grid_id).tolist():
            self.place_[grid] = _drawn_to(everywhere, x[grid_id == grid])
        z = self._z(x, grid_id, limit)
        self.nulls_ = [HeavyTail().fit(column[np.isfinite(column)]) for column in z.T]
        return self

    def log_p_values(self, evidence: NDArray[Any], grid_id: Codes, limit: Vector) -> Vector:
        """(n, v) logarithms of a p-value of each view: the harmonic mean over its families; of banners of the fitted grids. NaN where the
        view has too few clicks of a banner."""
        z = self._z(evidence.astype(np.float64), grid_id, limit)
        log_p = np.full(z.shape, np.nan)
        for f, null in enumerate(self.nulls_):
            rows = np.flatnonzero(np.isfinite(z[:, f]))
            log_p[rows, f] = null.log_p_values(z[rows, f])
        n_views = z.shape[1] // len(FAMILIES)
        return np.stack([harmonic_mean(one) for one in np.split(log_p, n_views, axis=1)], axis=1)

    def _z(self, x: Vector, grid_id: Codes, limit: Vector) -> Vector:
        out = np.full(x.shape, np.nan)
        for grid in np.unique(grid_id).tolist():
            rows, (location, scale) = grid_id == grid, self.place_[grid]
            away = x[rows] - location
            out[rows] = np.where(np.abs(away) < MIN_SCALE, 0.0, away) / scale
        return np.minimum(out, limit[:, None])


def freed(log_odds: Vector, n_clicks: Vector) -> Vector:
    """(n, 10) evidence whose spread among good banners does not grow with the clicks; NaN where a family has no template."""
    x = log_odds / np.sqrt(np.maximum(n_clicks, 1))[:, None]
    return np.where(np.isfinite(x), x, np.nan)


def _place(x: Vector) -> tuple[Vector, Vector]:
    """(10 v,) medians and spreads of the families; NaN where none has a template."""
    found = [_middle_and_spread(column[np.isfinite(column)]) for column in x.T]
    return np.array([f[0] for f in found]), np.array([f[1] for f in found])


def _middle_and_spread(x: Vector) -> tuple[float, float]:
    """Median and lower spread of (n,) evidence; the spread reaches so far that no more than a third of the banners stand out.

    Where click counts are of two sizes, so is the evidence about good banners, and the lower half alone can be all of one size.
    """
    if not len(x):
        return np.nan, np.nan
    middle, spread = location_scale(x)
    return middle, max(spread, float(np.quantile(x, UPPER)) - middle)


def _pooled_scale(x: Vector, grid_id: Codes) -> Vector:
    """(10 v,) lower spreads of the families around the medians of their grids."""
    free = x.copy()
    for grid in np.unique(grid_id).tolist():
        free[grid_id == grid] -= _place(x[grid_id == grid])[0]
    return _place(free)[1]


def _drawn_to(everywhere: Vector, x: Vector) -> tuple[Vector, Vector]:
    """Location and scale of one grid's banners; the scale of few is uncertain, and drawn to that of all grids."""
    n = np.isfinite(x).sum(axis=0)
    location, scale = _place(x)
    weight = np.minimum(n / SMALL, 1.0)
    drawn = np.exp(weight * np.log(scale) + (1 - weight) * np.log(everywhere))
    return location, np.where(n < SMALL, drawn * (1 + FEW / np.maximum(n, 1)), scale)
