"""Reference: the click distribution that is expected of a banner, estimated from banners of which some are broken.

In: Heatmaps. Out: one distribution over the 1,600 cells a group, and for every banner the group it belongs to. Groups are nested:
a grid, its product counts, their domains. A narrower group is used only where held-out banners are likelier under it, and is
shrunk towards the wider one by the amount that makes them likeliest. Knows nothing of scores or flags.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_matrix

from core.banners.heatmaps import Heatmaps, pooling
from core.errors import ContractError

Matrix = NDArray[np.float64]

TRIMMED = 0.15
"""Largest share of a grid's banners left out of its reference: outliers among those least like it. Others stay in: left out in vain,
they would stand against a reference that holds all others' clicks but not theirs, and look odd for that alone."""
MIN_TRIMMED = 8
"""Banners below which nobody can say which of them are the outliers."""
SPARSE = 0.8
"""Divergence falls about with this power of the click count."""
FAR_OUT = 4.0
"""Robust standard deviations from which a banner is an outlier."""
FLOOR = 0.01
"""Share of uniform clicks in every reference: nobody's banner is free of stray ones, and no cell is impossible."""
SMOOTHING = (0.0, 0.5, 0.8, 1.2, 1.8, 2.6)
"""Candidate kernel widths in cells; the one under which held-out banners are likeliest is taken."""
PRIOR_CLICKS = (np.inf, 20_000.0, 5_000.0, 1_500.0, 500.0)
"""Candidate strengths of the wider group, in clicks; infinite = the narrower group is not told apart."""
MIN_GROUP = 12
"""Banners (after trimming) that a narrower group needs."""


class Group(NamedTuple):
    """What a reference is the reference of; None = all of the wider group."""

    grid_id: int
    n_products: int | None
    domain: str | None
    n_banners: int
    n_clicks: int


@dataclass
class Reference:
    """Expected distributions: `groups` (r,), `p` (r, 1600) float64 rows of sum 1, all positive."""

    groups: list[Group]
    p: Matrix

    def __post_init__(self) -> None:
        self._index = {(g.grid_id, g.n_products, g.domain): k for k, g in enumerate(self.groups)}

    def rows(self, heatmaps: Heatmaps) -> NDArray[np.int64]:
        """(n,) index of every banner's narrowest group. Raises ContractError for a grid that was not fitted."""
        columns = (heatmaps.grid_id, heatmaps.n_products, heatmaps.domain)
        codes, uniques = zip(*(pd.factorize(column) for column in columns), strict=True)
        key = np.ravel_multi_index(codes, [max(len(found), 1) for found in uniques])
        keys, of_key = np.unique(key, return_inverse=True)
        at = np.unravel_index(keys, [max(len(found), 1) for found in uniques])
        narrowest = [self._narrowest(*(found[i] for found, i in zip(uniques, three, strict=True))) for three in zip(*at, strict=True)]
        return np.array(narrowest, dtype=np.int64)[of_key]

    def of_grid(self, grid_id: int) -> tuple["Reference", NDArray[np.int64]]:
        """The references of one grid, and their rows in this one."""
        rows = np.array([k for k, g in enumerate(self.groups) if g.grid_id == grid_id], dtype=np.int64)
        return Reference([self.groups[k] for k in rows], self.p[rows]), rows

    def _narrowest(self, grid_id: int, n_products: int, domain: str) -> int:
        for key in ((grid_id, n_products, domain), (grid_id, n_products, None), (grid_id, None, None)):
            if key in self._index:
                return self._index[key]
        raise ContractError(
            f"A banner needs the reference of its grid, however grid {grid_id} was not among those fitted. Fit on it first."
        )


def fit_reference(heatmaps: Heatmaps) -> Reference:
    """References of all grids in `heatmaps`. Raises ContractError where there are no banners."""
    if not len(heatmaps):
        raise ContractError("A reference needs at least one banner, however there are 0. Widen the window or ingest a log.")
    groups: list[Group] = []
    rows: list[Matrix] = []
    for grid_id in np.unique(heatmaps.grid_id):
        for group, p in _fit_grid(heatmaps.take(np.flatnonzero(heatmaps.grid_id == grid_id)), int(grid_id)):
            groups.append(group)
            rows.append(p)
    return Reference(groups, np.array(rows))


def _fit_grid(heatmaps: Heatmaps, grid_id: int) -> list[tuple[Group, Matrix]]:
    kept = _typical(heatmaps)
    counts = _capped(heatmaps.counts)
    sigma = _best_smoothing(counts[kept])
    p = smoothed(_total(counts[kept]), sigma)
    found = [(Group(grid_id, None, None, len(heatmaps), int(heatmaps.n_clicks.sum())), p)]
    for (n_products,), rows, child in _children(counts, kept, p, sigma, [heatmaps.n_products]):
        found.append((Group(grid_id, int(n_products), None, len(rows), int(heatmaps.n_clicks[rows].sum())), child))
        sub = heatmaps.take(rows)
        for (domain,), at, leaf in _children(counts[rows], kept[rows], child, sigma, [sub.domain]):
            found.append((Group(grid_id, int(n_products), str(domain), len(at), int(sub.n_clicks[at].sum())), leaf))
    return found


def smoothed(total: Matrix, sigma: float) -> Matrix:
    """(1600,) distribution of a click total: smoothed by a kernel of `sigma` cells, with the floor of stray clicks."""
    side = int(np.sqrt(len(total)))
    image = total.reshape(side, side) if total.any() else np.ones((side, side))
    image = gaussian_filter(image, sigma, mode="constant") if sigma else image
    return (1 - FLOOR) * image.ravel() / max(image.sum(), 1e-12) + FLOOR / len(total)


def _capped(counts: csr_matrix) -> csr_matrix:
    """Counts scaled so that no banner weighs more than twice the median banner."""
    n = np.asarray(counts.sum(axis=1)).ravel()
    weight = np.minimum(1.0, 2 * np.median(n) / np.maximum(n, 1))
    out = counts.astype(np.float64)
    out.data *= np.repeat(weight, np.diff(out.indptr))
    return out


def _total(counts: csr_matrix) -> Matrix:
    return np.asarray(counts.sum(axis=0), dtype=np.float64).ravel()


def _typical(heatmaps: Heatmaps) -> NDArray[np.bool_]:
    """(n,) mask of the banners that shape the reference: all but the outliers at 10x10, compared among banners of like size."""
    n = len(heatmaps)
    kept = np.ones(n, dtype=bool)
    if n < MIN_TRIMMED:
        return kept
    counts = (heatmaps.counts @ pooling(heatmaps.n_rows, heatmaps.n_cols, 10)).toarray().astype(np.float64)
    total = counts.sum(axis=1)
    share = counts / np.maximum(total, 1)[:, None]
    order = np.argsort(total, kind="stable")
    strata = np.empty(n, dtype=np.int64)
    strata[order] = np.arange(n) * max(1, n // 60) // n
    groups = _product_groups(heatmaps)
    for _ in range(4):
        divergence = np.empty(n)
        for rows in groups:
            inner = rows[kept[rows]]
            p = np.minimum(share[inner], np.quantile(share[inner], 0.98, axis=0)).mean(axis=0) + 1e-4
            p /= p.sum()
            m = (share[rows] + p) / 2
            left = np.where(share[rows] > 0, share[rows] * np.log(np.maximum(share[rows], 1e-12) / m), 0).sum(axis=1)
            divergence[rows] = (left + (p * np.log(p / m)).sum(axis=1)) / 2
        before = kept
        kept = np.zeros(n, dtype=bool)
        for k in range(strata.max() + 1):
            rows = np.flatnonzero(strata == k)
            kept[rows] = divergence[rows] <= np.quantile(divergence[rows], 1 - TRIMMED)
        kept |= _no_outlier(divergence, total)
        if (kept == before).all():
            break
    return kept


def _no_outlier(divergence: NDArray[np.float64], n_clicks: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n,) mask of the banners whose divergence, freed from what few clicks make of it, is not far out."""
    free = np.log(np.maximum(divergence, 1e-9)) + SPARSE * np.log(np.maximum(n_clicks, 1))
    low, middle = np.quantile(free, [0.2, 0.5])
    return np.asarray(free <= middle + FAR_OUT * (middle - low) / 0.8416)


def _product_groups(heatmaps: Heatmaps) -> list[NDArray[np.int64]]:
    """Banners by product count, those with too few companions together."""
    values, sizes = np.unique(heatmaps.n_products, return_counts=True)
    large = values[sizes >= 2 * MIN_GROUP]
    groups = [np.flatnonzero(heatmaps.n_products == v) for v in large]
    rest = np.flatnonzero(~np.isin(heatmaps.n_products, large))
    return [*groups, rest] if len(rest) else groups


def _folds(n: int) -> NDArray[np.int64]:
    return np.arange(n) % 2


def _best_smoothing(counts: csr_matrix) -> float:
    """Kernel width under which one half of the banners makes the other half likeliest."""
    if counts.shape[0] < 4:
        return SMOOTHING[-2]
    fold = _folds(counts.shape[0])
    halves = [_total(counts[fold == k]) for k in (0, 1)]
    likelihood = [sum(float(halves[1 - k] @ np.log(smoothed(halves[k], s))) for k in (0, 1)) for s in SMOOTHING]
    return SMOOTHING[int(np.argmax(likelihood))]


def _children(
    counts: csr_matrix, kept: NDArray[np.bool_], parent: Matrix, sigma: float, keys: list[NDArray[Any]]
) -> list[tuple[tuple[Any, ...], NDArray[np.int64], Matrix]]:
    """The narrower groups that held-out banners vouch for: (key, rows, distribution shrunk towards the parent)."""
    by_key: dict[tuple[Any, ...], list[int]] = {}
    for i, key in enumerate(zip(*[k.tolist() for k in keys], strict=True)):
        by_key.setdefault(key, []).append(i)
    groups = {key: np.array(rows) for key, rows in by_key.items() if kept[rows].sum() >= MIN_GROUP}
    if not groups:
        return []
    gain = np.zeros(len(PRIOR_CLICKS))
    for rows in groups.values():
        inner = counts[rows[kept[rows]]]
        fold = _folds(inner.shape[0])
        halves = [_total(inner[fold == k]) for k in (0, 1)]
        for k in (0, 1):
            gain += [float(halves[1 - k] @ np.log(_shrunk(halves[k], parent, prior, sigma))) for prior in PRIOR_CLICKS]
    prior = PRIOR_CLICKS[int(np.argmax(gain))]
    if not np.isfinite(prior):
        return []
    return [(key, rows, _shrunk(_total(counts[rows[kept[rows]]]), parent, prior, sigma)) for key, rows in sorted(groups.items())]


def _shrunk(total: Matrix, parent: Matrix, prior: float, sigma: float) -> Matrix:
    """Dirichlet posterior mean: the group's own smoothed clicks, and `prior` clicks of the parent."""
    if not np.isfinite(prior):
        return parent
    n = total.sum()
    return (n * smoothed(total, sigma) + prior * parent) / (n + prior)
