"""Banners of grids that are new: do their clicks fit any layout that is known?

In: counts (n, 1600) and the references of all known grids (r, 1600). Out: a score a banner, higher = less like any of them, and the
reference that fits best. One banner alone cannot say whether it is broken or of a new grid, its clicks fit no known layout either way;
that its grid_id is new says so. What a broken banner and a new grid do not share is company: see `benchmarks/detectors/unknown_grid.py`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csr_matrix, vstack

from core.scoring import result_tables, tables
from core.scoring.grid import Scored
from core.scoring.parts import Read
from core.settings import MIN_BANNERS, N_BINS, N_COLS, N_ROWS
from core.statistics.arrays import Vector

MIN_COMPANY = MIN_BANNERS
"""Banners that a new grid needs before its own reference says what is normal there."""
KERNEL_SD = 1.8
"""Width in cells by which a banner's other clicks speak for one of its clicks."""
STRAY = 0.1
"""Share of uniform clicks in what a banner says of itself: no click is impossible."""
SHARE = 0.05
"""Share of the banners of known grids, broken ones among them, that look as strange as the threshold."""
BLOCK = 1024


def own_log_likelihood(counts: csr_matrix) -> Vector:
    """(n,) nats: the log-likelihood of every click of a banner under the banner's other clicks, smoothed, each click left out in turn."""
    n = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    peak = _smooth(np.eye(1, N_BINS, N_BINS // 2 + N_COLS // 2).reshape(1, N_ROWS, N_COLS)).max()
    out = np.empty(counts.shape[0])
    for a in range(0, len(out), BLOCK):
        clicks = counts[a : a + BLOCK].toarray().astype(np.float64)
        others = _smooth(clicks.reshape(-1, N_ROWS, N_COLS)).reshape(len(clicks), -1) - peak * (clicks > 0)
        density = (1 - STRAY) * np.maximum(others, 0) / np.maximum(n[a : a + BLOCK, None] - 1, 1) + STRAY / N_BINS
        out[a : a + BLOCK] = (clicks * np.log(density)).sum(axis=1)
    return out


def _smooth(images: Vector) -> Vector:
    for axis in (1, 2):
        images = gaussian_filter1d(images, KERNEL_SD, axis=axis, mode="constant")
    return images


def strangeness(counts: csr_matrix, p: Vector) -> tuple[Vector, NDArray[np.int64]]:
    """(n,) scores and (n,) best rows of p, for counts (n, 1600) and known references p (r, 1600), r >= 1.

    **Score** (log-likelihood of the clicks under the banner's own others - under the best of all known references) / sqrt(n clicks).
    Above 0 the clicks agree among each other better than with any known layout. **Formula** of ours: a likelihood ratio whose alternative
    is a kernel density with each click left out, so that it needs no other grid to be known.
    """
    log_p = np.log(p).T
    best = np.empty(counts.shape[0])
    at = np.empty(counts.shape[0], dtype=np.int64)
    for a in range(0, len(best), BLOCK):
        said = counts[a : a + BLOCK] @ log_p
        at[a : a + BLOCK] = said.argmax(axis=1)
        best[a : a + BLOCK] = said.max(axis=1)
    n = np.maximum(np.asarray(counts.sum(axis=1), dtype=np.float64).ravel(), 1)
    return (own_log_likelihood(counts) - best) / np.sqrt(n), at


@dataclass
class Known:
    """What earlier runs knew: references p (r, 1600) of the grids grid_id (r,)."""

    grid_id: NDArray[np.int64]
    p: Vector

    def fit(self, counts: csr_matrix) -> Self:
        """Learns the threshold from banners of known grids."""
        self.cut_ = float(np.quantile(strangeness(counts, self.p)[0], 1 - SHARE))
        return self

    def judge(self, counts: csr_matrix) -> tuple[Vector, NDArray[np.int64], NDArray[np.bool_] | None]:
        """(n,) scores, grids whose layout fits best, and whether none fits; the last is None where no threshold was learned."""
        scores, best = strangeness(counts, self.p)
        return scores, self.grid_id[best], scores > self.cut_ if hasattr(self, "cut_") else None


MOST_GRIDS, PER_GRID = 40, 500
"""Known grids, and banners of each, that say how strange a banner of a known grid may look."""


def find_strangers(path: Path, scored: list[Scored], read: Read) -> pa.Table:
    """Table `stranger`: the banners of grids that no earlier run knew; empty in a first run, which knows no grid.

    `path`: references of the grids that earlier runs knew; there is no such file in a first run.
    """
    parts: list[pa.Table] = []
    if path.exists():
        found = pq.read_table(path)
        p = found["p"].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float64)
        known = Known(found["grid_id"].to_numpy(), p.reshape(len(found), -1))
        is_new = [not np.isin(part.grid_id[0], known.grid_id) for part in scored]
        new, old = ([i for i, n in enumerate(is_new) if n == wanted] for wanted in (True, False))
        if new and old:
            known.fit(vstack([_some(read(i).heatmaps.counts) for i in old[:: -(-len(old) // MOST_GRIDS)]]))
        for i in new:
            size = sum(len(part.banner_id) for part in scored if part.grid_id[0] == scored[i].grid_id[0])
            parts.append(result_tables.stranger_table(scored[i], *known.judge(read(i).heatmaps.counts), size < MIN_COMPANY))
    return pa.concat_tables([tables.SCHEMAS["stranger"].empty_table(), *parts])


def _some(counts: csr_matrix) -> csr_matrix:
    """At most PER_GRID rows, evenly spread."""
    return counts[:: max(1, -(-counts.shape[0] // PER_GRID))]
