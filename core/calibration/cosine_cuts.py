"""0-shot and 1-shot thresholds of cosine distances: how far from its anchor a banner of a grid without labels may lie.

Arrays in, numbers out. A distance is 1 - cosine, 0..2; NaN stands for a banner that was left out, and counts for nothing.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.statistics.arrays import Vector

LEAST = 30
"""Banners of other grids that a 0-shot threshold rests on at least: fewer have no tail to take a quantile of."""


class Cut(NamedTuple):
    """The cut on a distance: at or above it a banner counts as broken. Share broken assumed, and banners of other grids it rests on."""

    distance: float
    share_broken: float
    n: int


class Quadrants(NamedTuple):
    """Banners by two verdicts: (n,) masks. `left_out` lacks one of the two distances and is in none of the others."""

    neither: NDArray[np.bool_]
    only_first: NDArray[np.bool_]
    only_second: NDArray[np.bool_]
    both: NDArray[np.bool_]
    left_out: NDArray[np.bool_]


def zero_shot_cut(distance: Vector, grid_id: NDArray[np.int64], p_broken: Vector, target: int) -> Cut | None:
    """The (1 - e) quantile of the distances of all banners on other grids than `target`, e being the share broken there.

    e is the mean of `p_broken` over those banners. distance, grid_id, p_broken: (n,). None where fewer than LEAST other banners have a
    distance. **Source** the capstone's 0-shot: the old threshold on a new grid; its choice without labels, tau = Q(1 - e).
    """
    others = (grid_id != target) & np.isfinite(distance)
    n = int(others.sum())
    if n < LEAST:
        return None
    share = float(np.clip(p_broken[others].mean(), 0.0, 1.0))
    return Cut(float(np.quantile(distance[others], 1 - share)), share, n)


def one_shot_distance(features: NDArray[np.floating], known_ok: int) -> Vector:
    """(n,) cosine distances of features (n, d) of one grid to its one known-ok banner, row `known_ok`; the cut stays the 0-shot one.

    A row of zeros points nowhere: its distance is 1. **Source** the capstone's 1-shot: a new anchor from one unbroken banner.
    """
    wide = np.asarray(features, dtype=np.float64)
    length = np.linalg.norm(wide, axis=1)
    product = wide @ wide[known_ok]
    scale = length * length[known_ok]
    cosine = np.divide(product, scale, out=np.zeros(len(wide)), where=scale > 0)
    return 1 - np.clip(cosine, -1, 1)


def pick_known_ok(known_ok: list[str], seed: int = 0) -> str | None:
    """One of the banners known to be ok, drawn by `seed` whatever their order; None where there is none."""
    if not known_ok:
        return None
    return sorted(known_ok)[int(np.random.default_rng(seed).integers(len(known_ok)))]


def quadrants(first: Vector, second: Vector, first_cut: float, second_cut: float) -> Quadrants:
    """Splits banners by two distances (n,) and their thresholds."""
    out = ~(np.isfinite(first) & np.isfinite(second))
    a, b = first >= first_cut, second >= second_cut
    return Quadrants(~out & ~a & ~b, ~out & a & ~b, ~out & ~a & b, ~out & a & b, out)
