"""Corruptions of clicks: what a network learns to tell from real banners. All act on positions before binning, many banners at once.

In: clicks (m, 2) in 0..1 and the banner of each. Out: the same with every banner corrupted in one random way; what leaves the banner is
gone. Wider than the fault families on purpose: the network shall learn "does not fit its reference", not ten kinds.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.banners.heatmaps import bins_of
from core.settings import N_BINS, N_COLS, N_ROWS

Points = NDArray[np.float64]
Index = NDArray[np.int64]


class Clicks(NamedTuple):
    """m clicks: `banner` (m,) index into the batch, ascending not needed; `points` (m, 2) x, y."""

    banner: Index
    points: Points


Corruption = Callable[[np.random.Generator, Clicks, int, Clicks], Clicks]
"""(rng, clicks of b banners, b, clicks of b banners of other groups) -> corrupted clicks."""


def clicks_of(counts: csr_matrix, rng: np.random.Generator) -> Clicks:
    """Positions drawn evenly within their cells from counts (b, 1600)."""
    n = counts.data.astype(np.int64)
    cell = np.repeat(counts.indices, n)
    banner = np.repeat(np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr)), n)
    row, col = np.divmod(cell, N_COLS)
    points = np.stack([(col + rng.random(len(cell))) / N_COLS, (row + rng.random(len(cell))) / N_ROWS], axis=1)
    return Clicks(banner, points)


def counts_of(clicks: Clicks, n_banners: int) -> csr_matrix:
    """(b, 1600) counts of clicks inside the banner."""
    inside = ((clicks.points >= 0) & (clicks.points <= 1)).all(axis=1)
    bins = bins_of(clicks.points[inside, 0], clicks.points[inside, 1])
    counts = csr_matrix((np.ones(len(bins), np.float32), (clicks.banner[inside], bins)), shape=(n_banners, N_BINS))
    counts.sum_duplicates()
    return counts


def _per_click(values: NDArray[np.float64], clicks: Clicks) -> NDArray[np.float64]:
    return values[clicks.banner]


def moved(rng: np.random.Generator, clicks: Clicks, n: int, other: Clicks) -> Clicks:
    """Shifted by 0.05 to 0.4."""
    angle, size = rng.uniform(0, 2 * np.pi, n), rng.uniform(0.05, 0.4, n)
    step = np.stack([size * np.cos(angle), size * np.sin(angle)], axis=1)
    return Clicks(clicks.banner, clicks.points + step[clicks.banner])


def scaled(rng: np.random.Generator, clicks: Clicks, n: int, other: Clicks) -> Clicks:
    """Stretched or shrunk about any point, both axes alike or one alone."""
    factor = np.exp(rng.uniform(0.2, 0.95, (n, 1)) * rng.choice([-1, 1], (n, 1), p=[0.6, 0.4])) * np.ones(2)
    one_axis = rng.random(n) < 0.3
    factor[one_axis, rng.integers(0, 2, one_axis.sum())] = 1
    fixed = rng.choice([0.0, 0.5, 1.0], (n, 2))
    return Clicks(clicks.banner, fixed[clicks.banner] + (clicks.points - fixed[clicks.banner]) * factor[clicks.banner])


def turned(rng: np.random.Generator, clicks: Clicks, n: int, other: Clicks) -> Clicks:
    """Mirrored along one axis or both, or transposed."""
    kind = rng.integers(0, 4, n)[clicks.banner]
    x, y = clicks.points.T
    points = np.stack(
        [
            np.select([kind == 0, kind == 2, kind == 3], [1 - x, 1 - x, y], x),
            np.select([kind == 1, kind == 2, kind == 3], [1 - y, 1 - y, x], y),
        ],
        axis=1,
    )
    return Clicks(clicks.banner, points)


def cut(rng: np.random.Generator, clicks: Clicks, n: int, other: Clicks) -> Clicks:
    """Nothing on one side of a line."""
    axis, at, low = rng.integers(0, 2, n), rng.uniform(0.3, 0.7, n), rng.random(n) < 0.5
    along = clicks.points[np.arange(len(clicks.banner)), axis[clicks.banner]]
    return _kept(clicks, (along < at[clicks.banner]) == low[clicks.banner])


def cut_out(rng: np.random.Generator, clicks: Clicks, n: int, other: Clicks) -> Clicks:
    """Nothing within a rectangle around one of the banner's own clicks."""
    return _kept(clicks, ~_in_rectangle(rng, clicks, n))


def cut_paste(rng: np.random.Generator, clicks: Clicks, n: int, other: Clicks) -> Clicks:
    """A rectangle around one of the banner's own clicks is moved."""
    angle, size = rng.uniform(0, 2 * np.pi, n), rng.uniform(0.15, 0.5, n)
    step = np.stack([size * np.cos(angle), size * np.sin(angle)], axis=1)[clicks.banner]
    inside = _in_rectangle(rng, clicks, n)
    return Clicks(clicks.banner, clicks.points + np.where(inside[:, None], step, 0))


def _in_rectangle(rng: np.random.Generator, clicks: Clicks, n: int) -> NDArray[np.bool_]:
    own = np.full((n, 2), 0.5)
    order = rng.permutation(len(clicks.banner))
    own[clicks.banner[order]] = clicks.points[order]  # the last of a random order: one random click a banner
    half = rng.uniform(0.1, 0.3, (n, 2))
    return (np.abs(clicks.points - own[clicks.banner]) < half[clicks.banner]).all(axis=1)


def _kept(clicks: Clicks, keep: NDArray[np.bool_]) -> Clicks:
    return Clicks(clicks.banner[keep], clicks.points[keep])


def _replaced(rng: np.random.Generator, clicks: Clicks, n: int, low: float, source: Points) -> Clicks:
    """A share, low to 0.95, of each banner's clicks comes from `source` (m, 2) instead."""
    share = rng.uniform(low, 0.95, n)
    take = rng.random(len(clicks.banner)) < _per_click(share, clicks)
    return Clicks(clicks.banner, np.where(take[:, None], source, clicks.points))


def concentrated(rng: np.random.Generator, clicks: Clicks, n: int, other: Clicks) -> Clicks:
    """A spot anywhere, corners included, of any tightness."""
    centre = np.where(rng.random((n, 1)) < 0.25, rng.choice([0.04, 0.96], (n, 2)), rng.uniform(0.03, 0.97, (n, 2)))
    sd = np.exp(rng.uniform(np.log(0.006), np.log(0.06), n))
    spot = centre[clicks.banner] + _per_click(sd, clicks)[:, None] * rng.normal(size=clicks.points.shape)
    return _replaced(rng, clicks, n, 0.25, np.clip(spot, 0, 1))


def edged(rng: np.random.Generator, clicks: Clicks, n: int, other: Clicks) -> Clicks:
    """Pushed to one edge, or along a line parallel to it."""
    axis, depth = rng.integers(0, 2, n)[clicks.banner], rng.uniform(0.01, 0.06, n)[clicks.banner]
    at = np.where(rng.random(n) < 0.7, rng.integers(0, 2, n), rng.random(n))[clicks.banner]
    line = rng.random(clicks.points.shape)
    line[np.arange(len(axis)), axis] = np.clip(at + depth * rng.normal(size=len(axis)), 0, 1)
    return _replaced(rng, clicks, n, 0.3, line)


def scattered(rng: np.random.Generator, clicks: Clicks, n: int, other: Clicks) -> Clicks:
    """Clicks anywhere."""
    return _replaced(rng, clicks, n, 0.4, rng.random(clicks.points.shape))


def blurred(rng: np.random.Generator, clicks: Clicks, n: int, other: Clicks) -> Clicks:
    """Every click misses its aim by much."""
    sd = rng.uniform(0.06, 0.2, n)[clicks.banner][:, None]
    return Clicks(clicks.banner, clicks.points + sd * rng.normal(size=clicks.points.shape))


def mixed(rng: np.random.Generator, clicks: Clicks, n: int, other: Clicks) -> Clicks:
    """Half or more of the clicks are those of a banner of another group."""
    share = np.where(rng.random(n) < 0.5, 1.0, rng.uniform(0.5, 1.0, n))
    own, theirs = rng.random(len(clicks.banner)), rng.random(len(other.banner))
    first, second = _kept(clicks, own >= share[clicks.banner]), _kept(other, theirs < share[other.banner])
    return Clicks(np.concatenate([first.banner, second.banner]), np.concatenate([first.points, second.points]))


CORRUPTIONS: dict[str, Corruption] = {
    f.__name__: f for f in (moved, scaled, turned, cut, cut_out, cut_paste, concentrated, edged, scattered, blurred, mixed)
}


def corrupt(rng: np.random.Generator, clicks: Clicks, n: int, other: Clicks, names: tuple[str, ...] = tuple(CORRUPTIONS)) -> Clicks:
    """Every one of the n banners corrupted in one of the ways `names`, drawn evenly."""
    kind = rng.integers(0, len(names), n)
    parts = []
    for k, name in enumerate(names):
        mine, theirs = kind[clicks.banner] == k, kind[other.banner] == k
        parts.append(CORRUPTIONS[name](rng, _kept(clicks, mine), n, _kept(other, theirs)))
    return Clicks(np.concatenate([p.banner for p in parts]), np.concatenate([p.points for p in parts]))


def pairs(
    rng: np.random.Generator, counts: csr_matrix, others: csr_matrix, names: tuple[str, ...] = tuple(CORRUPTIONS)
) -> tuple[csr_matrix, csr_matrix, NDArray[np.float64]]:
    """Banners (b, 1600) as they are and corrupted, and about how many clicks (b,) both have left: the fewer of the two, thinned at random
    to as little as a quarter, so that the number gives nothing away. `others` (b, 1600) are banners of other groups, for `mixed`."""
    n = counts.shape[0]
    other = clicks_of(others, rng)
    bad = counts_of(corrupt(rng, clicks_of(counts, rng), n, other, names), n)
    fewer = np.minimum(np.asarray(counts.sum(axis=1)).ravel(), np.asarray(bad.sum(axis=1)).ravel())
    target = fewer * np.exp(rng.uniform(np.log(0.25), 0, n))
    return thinned(rng, counts, target), thinned(rng, bad, target), target


def thinned(rng: np.random.Generator, counts: csr_matrix, target: NDArray[np.float64]) -> csr_matrix:
    """(b, 1600) counts with about `target` clicks left a banner, drawn binomially cell by cell."""
    total = np.asarray(counts.sum(axis=1)).ravel()
    keep = np.minimum(1.0, target / np.maximum(total, 1))
    out = counts.copy()
    out.data = rng.binomial(counts.data.astype(np.int64), np.repeat(keep, np.diff(counts.indptr))).astype(np.float32)
    out.eliminate_zeros()
    return out
