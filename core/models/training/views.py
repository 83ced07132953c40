"""Views of banners for contrastive learning: what must not matter differs between them, what must matter does not.

Not to matter: how many clicks there are and where chance let them fall, a hair's breadth of position and size, a few stray clicks, and
how much each product is liked, which differs between the banners of a layout: those are alike. To matter: the layout and every fault.
So no view is mirrored, cropped or moved by as much as the smallest fault, and there are corrupted copies of every banner to be told
from it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.errors import InputError
from core.features.networks.training_loop import Plan
from core.models.training.banner_pools import Pool
from core.models.training.corruptions import CORRUPTIONS, Clicks, clicks_of, corrupt, counts_of, thinned

LEAST_CLICKS = 8
"""A view has about so many clicks at least."""
THINNEST = 0.25
"""A view keeps this share of a banner's clicks or more."""
MOVED_SD, STRETCHED_SD, MISSED_SD = 0.006, 0.01, 0.006
"""Standard deviations of a view's common shift and of each axis' stretch, and of each click by itself, in shares of the side: a
quarter of a cell to half of one, where the smallest shift that is a fault is two cells."""
STRAY = 0.06
"""A view's share of clicks that are anywhere goes up to this."""


@dataclass(frozen=True)
class ContrastPlan(Plan):
    """A batch holds `batch` banners, up to `members` of a layout, and `n_corrupted` corrupted copies of each."""

    batch: int = 256
    members: int = 8
    n_corrupted: int = 2
    temperature: float = 0.03
    corruptions: tuple[str, ...] = tuple(CORRUPTIONS)


class Views(NamedTuple):
    """Counts (b, 1600) of banners, and of their corrupted copies, each in the same order; `layout` and `grid_id` (b,) of the banners."""

    banners: csr_matrix
    corrupted: list[csr_matrix]
    layout: NDArray[np.int64]
    grid_id: NDArray[np.int64]


def make_views(rng: np.random.Generator, pool: Pool, plan: ContrastPlan) -> Views:
    """A batch of views; a banner and its copies are thinned towards the same number of clicks, so that it gives nothing away."""
    at = of_some_layouts(rng, pool.rows, plan.batch, plan.members)
    every = [pool.counts[at], *[corrupted(rng, pool, at, plan.corruptions) for _ in range(plan.n_corrupted)]]
    fewest = np.min([np.asarray(c.sum(axis=1), dtype=np.float64).ravel() for c in every], axis=0)
    target = np.maximum(fewest * np.exp(rng.uniform(np.log(THINNEST), 0, len(at))), LEAST_CLICKS)
    seen = [thinned(rng, counts_of(disturbed(rng, clicks_of(c, rng), len(at)), len(at)), target) for c in every]
    return Views(seen[0], seen[1:], pool.rows[at], pool.grid_id[at])


def disturbed(rng: np.random.Generator, clicks: Clicks, n: int) -> Clicks:
    """The clicks of n banners, moved and stretched by a hair's breadth, each missing its aim by another, some of them astray."""
    move, stretch = rng.normal(0, MOVED_SD, (n, 2)), 1 + rng.normal(0, STRETCHED_SD, (n, 2))
    points = 0.5 + (clicks.points - 0.5) * stretch[clicks.banner] + move[clicks.banner]
    points = np.clip(points + rng.normal(0, MISSED_SD, points.shape), 0, 1)
    stray = rng.random(len(points)) < rng.uniform(0, STRAY, n)[clicks.banner]
    return Clicks(clicks.banner, np.where(stray[:, None], rng.random(points.shape), points))


def corrupted(rng: np.random.Generator, pool: Pool, at: NDArray[np.int64], names: tuple[str, ...]) -> csr_matrix:
    """Counts of the pool's banners `at`, each corrupted in one of the ways `names`, with banners of other grids to mix in."""
    other = clicks_of(pool.counts[_of_other_grids(rng, pool.grid_id, at)], rng)
    return counts_of(corrupt(rng, clicks_of(pool.counts[at], rng), len(at), other, names), len(at))


def _of_other_grids(rng: np.random.Generator, grid_id: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.int64]:
    other = rng.integers(0, len(grid_id), len(at))
    for _ in range(100):
        same = grid_id[other] == grid_id[at]
        if not same.any():
            break
        other[same] = rng.integers(0, len(grid_id), int(same.sum()))
    return other


def of_some_layouts(rng: np.random.Generator, rows: NDArray[np.int64], n: int, members: int) -> NDArray[np.int64]:
    """About n banners: up to `members` each of layouts drawn at random, none of them alone. Raises InputError where all are."""
    order = rng.permutation(len(rows))
    by_layout = order[np.argsort(rows[order], kind="stable")]
    _, start, size = np.unique(rows[by_layout], return_index=True, return_counts=True)
    drawn = rng.permutation(np.flatnonzero(size >= 2))
    if not len(drawn):
        raise InputError(f"Contrast takes two banners of a layout: each of {len(rows)} is alone in its own. Ingest more banners.")
    taken = np.minimum(size[drawn], members)
    enough = int(np.searchsorted(np.cumsum(taken), n)) + 1
    return np.concatenate([by_layout[start[k] : start[k] + m] for k, m in zip(drawn[:enough], taken[:enough], strict=True)])
