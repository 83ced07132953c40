"""Typical banners: those that shape a first reference, since their clicks lie as those of most banners of their size do.

In: Heatmaps of one grid. Out: a mask of all but the outliers, found without any reference.
"""

import numpy as np
from numpy.typing import NDArray

from core.banners.heatmaps import Heatmaps, pooling

TRIMMED = 0.15
"""Largest share of a grid's banners left out of its reference: outliers among those least like it. Others stay in: left out by mistake,
they would stand against a reference that holds all others' clicks but not theirs, and look odd for that alone."""
MIN_TRIMMED = 8
"""Banners below which outliers among them cannot be told."""
SPARSE = 0.8
"""Divergence falls about with this power of the click count."""
FAR_OUT = 4.0
"""Robust standard deviations from which a banner is an outlier."""
MIN_GROUP = 12
"""Banners (after trimming) that a narrower group needs."""


def typical(heatmaps: Heatmaps) -> NDArray[np.bool_]:
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
