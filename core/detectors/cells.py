"""Sums over the cells of a banner that the count statistics share, computed once a resolution.

At the stored resolution only cells with clicks are visited; coarser ones are few enough to be dense, a block of banners at a time.
What a statistic says about empty cells follows from the totals.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import gammaln

from core.banners.fitting import fit_reference
from core.banners.heatmaps import Heatmaps, pooling
from core.banners.reference import Reference
from core.detectors.base import Detector, Groups
from core.errors import ContractError
from core.settings import N_COLS, N_ROWS, n_threads
from core.statistics.arrays import Vector

Block = Callable[[int, int], Vector]
BLOCK = 1024
"""Banners a step: the temporaries of one step stay in the processor's cache."""
N_TABLE = 4096
"""Counts below this have n log n and log n! in a table."""

_k = np.arange(N_TABLE, dtype=np.float64)
_K_LOG_K = np.where(_k > 0, _k * np.log(np.maximum(_k, 1)), 0).astype(np.float64)
_LOG_FACTORIAL = gammaln(_k + 1)


@dataclass(frozen=True, eq=False)
class CellSums:
    """(n,) sums over the cells j of a banner of `n` clicks under its reference p.

    log_p: Σ n_j log p_j; log_n: Σ n_j log n_j; log_factorial: Σ log n_j!; chi: Σ n_j² / p_j.
    """

    n: Vector
    log_p: Vector
    log_n: Vector
    log_factorial: Vector
    chi: Vector


_cache: WeakKeyDictionary[Heatmaps, dict[tuple[int, int], tuple[Reference, CellSums]]] = WeakKeyDictionary()


def pooled(reference: Reference, size: int) -> NDArray[np.float64]:
    """(r, size * size) references at a coarser resolution."""
    if size == N_ROWS:
        return reference.p
    return np.asarray(reference.p @ pooling(N_ROWS, N_COLS, size).toarray())


def cell_sums(heatmaps: Heatmaps, reference: Reference, size: int) -> CellSums:
    """The sums of all banners at size x size cells; kept as long as `heatmaps` is."""
    kept = _cache.setdefault(heatmaps, {})
    key = (id(reference), size)
    if key not in kept:
        p = np.ascontiguousarray(pooled(reference, size), dtype=np.float32)
        rows = reference.rows(heatmaps)
        block = _sparse_block(heatmaps, p, rows) if size == N_ROWS else _dense_block(heatmaps, p, rows, size)
        # the reference is kept along: a freed one's id could be given to another
        kept[key] = reference, CellSums(heatmaps.n_clicks, *over_blocks(len(heatmaps), 4, block))
    return kept[key][1]


def over_blocks(n: int, n_sums: int, block: Block) -> Vector:
    """(n_sums, n) from `block(a, b)`, which gives (n_sums, b - a), on all threads."""
    out = np.zeros((n_sums, n))

    def work(a: int) -> None:
        b = min(a + BLOCK, n)
        out[:, a:b] = block(a, b)

    with ThreadPoolExecutor(n_threads()) as pool:
        list(pool.map(work, range(0, n, BLOCK)))
    return out


def _sparse_block(heatmaps: Heatmaps, p: NDArray[np.float32], rows: NDArray[np.int64]) -> Block:
    log_p, inverse_p = np.log(p).ravel(), (1 / p).ravel()

    def block(a: int, b: int) -> Vector:
        at, n, sizes = cells(heatmaps, rows, a, b)
        pointers = np.concatenate([[0], np.cumsum(sizes)])
        linear = csr_matrix((n, at, pointers), shape=(b - a, len(log_p))) @ log_p
        square = csr_matrix((n * n, at, pointers), shape=(b - a, len(log_p))) @ inverse_p
        many = np.flatnonzero(n > 1)
        of_row = np.searchsorted(pointers, many, side="right") - 1
        return np.stack([linear, *_count_sums(n[many], of_row, b - a), square])

    return block


def _dense_block(heatmaps: Heatmaps, p: NDArray[np.float32], rows: NDArray[np.int64], size: int) -> Block:
    log_p, inverse_p = np.log(p), 1 / p

    def block(a: int, b: int) -> Vector:
        n = dense(heatmaps, size, a, b)
        many = np.flatnonzero((n > 1).ravel())
        linear = np.einsum("ij,ij->i", n, log_p[rows[a:b]])
        square = np.einsum("ij,ij->i", n * n, inverse_p[rows[a:b]])
        return np.stack([linear, *_count_sums(n.ravel()[many], many // n.shape[1], b - a), square])

    return block


def cells(heatmaps: Heatmaps, rows: NDArray[np.int64], a: int, b: int) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Cells with clicks of banners a to b: index into the references laid end to end, clicks, and how many cells a banner has."""
    counts = heatmaps.counts
    s, e = counts.indptr[a], counts.indptr[b]
    sizes = np.diff(counts.indptr[a : b + 1])
    return counts.indices[s:e] + np.repeat(rows[a:b] * counts.shape[1], sizes), counts.data[s:e], sizes


def dense(heatmaps: Heatmaps, size: int, a: int, b: int) -> NDArray[np.float32]:
    """(b - a, size * size) counts of banners a to b at a coarser resolution."""
    counts = heatmaps.counts
    s, e = counts.indptr[a], counts.indptr[b]
    coarse = pooling(heatmaps.n_rows, heatmaps.n_cols, size).indices[counts.indices[s:e]]
    pointers = counts.indptr[a : b + 1] - s
    return csr_matrix((counts.data[s:e], coarse, pointers), shape=(b - a, size * size)).toarray()  # adds what falls into one cell


def row_sums(terms: NDArray[Any], sizes: NDArray[np.int64]) -> Vector:
    """(m,) sums of consecutive runs of `sizes`; an empty run sums to 0."""
    filled = sizes > 0
    out = np.zeros(len(sizes))
    starts = np.cumsum(sizes) - sizes
    if len(terms):
        out[filled] = np.add.reduceat(terms, starts[filled], dtype=np.float64)
    return out


def _count_sums(n: NDArray[np.float32], of_row: NDArray[np.int64], n_rows: int) -> tuple[Vector, Vector]:
    """Σ n log n and Σ log n! a row, from the cells with more than one click: one click adds nothing to either."""
    if not n.size or n.max() < N_TABLE:
        whole = n.astype(np.int32)
        terms = _K_LOG_K[whole], _LOG_FACTORIAL[whole]
    else:
        k = n.astype(np.float64)
        terms = k * np.log(k), gammaln(k + 1)
    first, second = (np.bincount(of_row, t, minlength=n_rows).astype(np.float64) for t in terms)
    return first, second


@dataclass
class CellStatistic(Detector):
    """A count statistic at `size` x `size` cells against the group's reference; `reference` may be handed in, else it is fitted."""

    size: int = N_ROWS
    reference: Reference | None = None

    def _fit(self, X: Heatmaps, groups: Groups) -> None:
        if N_ROWS % self.size:
            raise ContractError(f"A resolution must divide {N_ROWS}: size={self.size}.")
        self.reference_ = self.reference or fit_reference(X)

    def _named(self, stem: str) -> str:
        return stem if self.size == N_ROWS else f"{stem}_{self.size}"
