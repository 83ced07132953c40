"""A grid that changed as a whole: since which day its clicks lie elsewhere, by how much, and which fault looks like it.

In: clicks of a grid by day, over all banners, and what an earlier run expected of it. Out: one change, or none. Banners are compared with
each other, so a fault that all of them have since one day flags none of them: it shows in the sum alone.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.banners.diagnosis import Diagnosis, diagnose
from core.banners.evidence import weigh
from core.banners.fitting import smoothed
from core.banners.heatmaps import Heatmaps, pooling
from core.banners.onset import Days
from core.banners.reference import Group, Reference
from core.settings import N_BINS, N_COLS, N_ROWS
from core.statistics.arrays import Matrix, Vector

SIDE = 10
"""Cells a side in which days are compared: fine enough for a shift by a tenth, coarse enough for few clicks."""
LEAST_MOVED = 0.12
"""Share of the clicks that must lie elsewhere."""
TIMES_NOISE = 4.0
"""Times that a change must be as large as what a day differs from the next."""
MIN_CLICKS = 300
"""Clicks before and after a change, at least."""
MOST_OF_MEDIAN = 5.0
"""Times the median row of a banner and day that one may count for: a single banner with a hot spot is no change of its grid."""
SIGMA, WEIGHED = 0.8, 400
"""Smoothing in cells, and clicks that the day's sum is weighed as: it is one picture, whose clicks are no independent draws."""


@dataclass(frozen=True)
class Totals:
    """Clicks of a grid (d, 1600) by day (d,) ascending, over all banners, none of which counts for too much."""

    day: NDArray[np.datetime64]
    counts: Matrix


@dataclass(frozen=True)
class GridChange:
    """Since `since` the share `moved` of a grid's clicks lies elsewhere than before; None = since before the window, by an earlier run.

    `n_before` and `n_after` clicks were compared; the diagnosis is that of the grid's clicks after against those before.
    """

    grid_id: int
    since: NDArray[np.datetime64]
    is_within: bool
    moved: float
    n_before: float
    n_after: float
    diagnosis: Diagnosis


def totals_of(days: Days) -> Totals:
    """Clicks by day of some banners of a grid."""
    n = np.asarray(days.counts.sum(axis=1), dtype=np.float64).ravel()
    weight = np.minimum(1.0, MOST_OF_MEDIAN * np.median(n) / np.maximum(n, 1)) if len(n) else n
    at, inverse = np.unique(days.day, return_inverse=True)
    adding = csr_matrix((weight, (inverse, np.arange(len(n)))), shape=(len(at), len(n)))
    return Totals(at, np.asarray((adding @ days.counts).todense(), dtype=np.float64))


def added(parts: list[Totals]) -> Totals:
    """The totals of several parts of a grid together."""
    day = np.unique(np.concatenate([part.day for part in parts]))
    counts = np.zeros((len(day), N_BINS))
    for part in parts:
        counts[np.searchsorted(day, part.day)] += part.counts
    return Totals(day, counts)


def change_of(grid_id: int, totals: Totals, earlier: Vector | None = None) -> GridChange | None:
    """The day from which on a grid's clicks lie elsewhere; None where none stands out from how days differ among each other.

    `earlier` (1600,): what an earlier run expected of the grid; compared with the whole window where no day within it stands out.
    """
    coarse = totals.counts @ pooling(N_ROWS, N_COLS, SIDE).toarray()
    splits = range(1, len(coarse))
    moved = [_moved(coarse[:s].sum(axis=0), coarse[s:].sum(axis=0)) for s in splits]
    noise = _noise(coarse)
    clicks = coarse.sum(axis=1)
    times = [m / max(noise * _size(clicks[:s].sum(), clicks[s:].sum()), 1e-9) for s, m in zip(splits, moved, strict=True)]
    found = [
        (t, s)
        for s, m, t in zip(splits, moved, times, strict=True)
        if m >= LEAST_MOVED and t >= TIMES_NOISE and min(clicks[:s].sum(), clicks[s:].sum()) >= MIN_CLICKS
    ]
    if found:
        s = max(found)[1]
        before, after = totals.counts[:s].sum(axis=0), totals.counts[s:].sum(axis=0)
        return GridChange(grid_id, totals.day[s], True, moved[s - 1], before.sum(), after.sum(), _diagnosis(grid_id, before, after))
    if earlier is None or clicks.sum() < MIN_CLICKS:
        return None
    share = _moved(earlier @ pooling(N_ROWS, N_COLS, SIDE).toarray(), coarse.sum(axis=0))
    if share < LEAST_MOVED or share < TIMES_NOISE * noise * _size(clicks.sum(), clicks.sum()):
        return None
    after = totals.counts.sum(axis=0)
    return GridChange(grid_id, totals.day[0], False, share, np.nan, after.sum(), _diagnosis(grid_id, earlier, after))


def _moved(before: Vector, after: Vector) -> float:
    """Share of the clicks that lie elsewhere: the total variation distance of two distributions."""
    return float(np.abs(before / max(before.sum(), 1e-12) - after / max(after.sum(), 1e-12)).sum() / 2)


def _size(n: float, m: float) -> float:
    """What noise of sums of n and m clicks is proportional to."""
    return float(np.sqrt(1 / max(n, 1) + 1 / max(m, 1)))


def _noise(coarse: Matrix) -> float:
    """How much a day differs from the next, in units of `_size`, by the median: a change is one of these pairs. Never less than
    independent clicks would."""
    total = coarse.sum(axis=0)
    p = total / max(total.sum(), 1e-12)
    chance = float(np.sqrt(2 * p * (1 - p) / np.pi).sum() / 2)
    pairs = [_moved(a, b) / _size(a.sum(), b.sum()) for a, b in pairwise(coarse)]
    return max(chance, float(np.median(pairs))) if pairs else chance


def _diagnosis(grid_id: int, before: Vector, after: Vector) -> Diagnosis:
    """Which fault makes the clicks before look like those after."""
    p = smoothed(before[None], SIGMA)
    clicks = csr_matrix((after * min(1.0, WEIGHED / max(after.sum(), 1)))[None].astype(np.float32))
    one = np.array([grid_id], dtype=np.int64)
    X = Heatmaps(np.array(["grid"], dtype=object), one, np.array([0], np.int16), np.array([""], dtype=object), clicks)
    reference = Reference([Group(grid_id, None, None, 1, int(before.sum()))], p)
    return diagnose(weigh(X, reference, {}), {0: grid_id})[0]
