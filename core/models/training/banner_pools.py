"""Banners to train on: believed to be ok, from the store or synthetic.

A network that is shown broken banners as real ones learns that they are normal, so the most suspicious are left out first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from core.banners.fitting import fit_reference
from core.banners.heatmaps import Heatmaps, heatmaps_of
from core.banners.synthetic import GridPlan, make_clicks
from core.detectors import make
from core.errors import InputError
from core.statistics.normalise import Normaliser

SUSPICIOUS = 0.12
"""Share of every grid that is left out of the pool: those that the likelihood ratio finds likeliest broken."""


@dataclass(frozen=True)
class Pool:
    """Banners believed to be ok: counts (n, 1600), references (r, 1600), each banner's reference (n,) and grid (n,)."""

    counts: csr_matrix
    expected: NDArray[np.float32]
    rows: NDArray[np.int64]
    grid_id: NDArray[np.int64]


def clean_pool(heatmaps: Heatmaps) -> Pool:
    """The pool of `heatmaps`, without the most suspicious of every grid. Raises InputError for fewer than two grids."""
    grids = np.unique(heatmaps.grid_id)
    if len(grids) < 2:
        raise InputError(f"Training mixes banners of different grids: there are {len(grids)}. Ingest the logs of at least two.")
    reference = fit_reference(heatmaps)
    kept = np.concatenate([_unsuspicious(heatmaps, np.flatnonzero(heatmaps.grid_id == g)) for g in grids])
    clean = heatmaps.take(np.sort(kept))
    return Pool(clean.counts, reference.p.astype(np.float32), reference.rows(clean), clean.grid_id)


def _unsuspicious(heatmaps: Heatmaps, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of the banners of one grid, those that the likelihood ratio does not count among its most suspicious."""
    grid, groups = heatmaps.take(rows), np.zeros(len(rows), dtype=np.int64)
    scores = make("likelihood_ratio").fit(grid, groups).score(grid, groups)
    scores = Normaliser().fit(scores, groups, grid.n_clicks).transform(scores, groups, grid.n_clicks)
    return rows[scores <= np.quantile(scores, 1 - SUSPICIOUS)]


def synthetic_pool(seed: int, n_grids: int = 60, n_banners: int = 160) -> Pool:
    """A pool of synthetic grids, three in ten of them scattered point patterns; none of them is in the demo."""
    plans = tuple(GridPlan(900_000 + k, n_banners, n_banners // 20) for k in range(n_grids))
    log = make_clicks(1_000_000 + seed, plans, scattered=0.3)
    return clean_pool(heatmaps_of(log.banner, log.points, log.banner_id, log.grid_id, log.n_products, log.domain))


def joined(pools: list[Pool]) -> Pool:
    """Several pools as one."""
    starts = np.cumsum([0, *[len(p.expected) for p in pools]])
    return Pool(
        vstack([p.counts for p in pools]).tocsr(),
        np.concatenate([p.expected for p in pools]),
        np.concatenate([p.rows + s for p, s in zip(pools, starts, strict=False)]),
        np.concatenate([p.grid_id + 1_000_000 * k for k, p in enumerate(pools)]),
    )
