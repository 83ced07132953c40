"""Sums over the cells of a banner that the count statistics share, computed once a resolution.

Only cells with clicks are visited; what a statistic says about empty cells follows from the totals.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from core.detectors.base import Detector, Groups
from core.errors import ContractError
from core.heatmaps import Heatmaps, pooling
from core.reference import Reference, fit_reference
from core.settings import N_COLS, N_ROWS, n_threads

Vector = NDArray[np.float64]
CHUNK = 1 << 16
"""Cells a step: the temporaries of one step stay in the processor's cache."""
N_TABLE = 4096
"""Counts up to here have their logarithm and factorial in a table."""


@dataclass(frozen=True, eq=False)
class CellSums:
    """(n,) sums over cells j with n_j > 0 of a banner of N clicks under its reference p.

    log_p: Σ n log p; log_n: Σ n log n; log_factorial: Σ log n!; chi: Σ n² / p; covered: Σ p; js: Σ f log f/m + p log p/m,
    f = n / N, m = (f + p) / 2.
    """

    n: Vector
    log_p: Vector
    log_n: Vector
    log_factorial: Vector
    chi: Vector
    covered: Vector
    js: Vector


_cache: WeakKeyDictionary[Heatmaps, dict[tuple[int, int], CellSums]] = WeakKeyDictionary()


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
        kept[key] = _sums(heatmaps.coarser(size), pooled(reference, size), reference.rows(heatmaps))
    return kept[key]


def _sums(heatmaps: Heatmaps, p: NDArray[np.float64], rows: NDArray[np.int64]) -> CellSums:
    counts = heatmaps.counts
    out = np.zeros((6, len(heatmaps)))
    tables = _Tables(np.ascontiguousarray(p.ravel(), dtype=np.float32), p.shape[1])
    bounds = np.searchsorted(counts.indptr, np.arange(0, counts.nnz + CHUNK, CHUNK))
    bounds = np.unique(np.append(np.minimum(bounds, len(heatmaps)), len(heatmaps)))

    def work(k: int) -> None:
        a, b = int(bounds[k]), int(bounds[k + 1])
        s, e = int(counts.indptr[a]), int(counts.indptr[b])
        if e > s:
            sizes = np.diff(counts.indptr[a : b + 1])
            out[:, a:b] = tables.sums(counts.indices[s:e], counts.data[s:e], rows[a:b], sizes, heatmaps.n_clicks[a:b])

    with ThreadPoolExecutor(n_threads()) as pool:
        list(pool.map(work, range(len(bounds) - 1)))
    return CellSums(heatmaps.n_clicks, *out)


class _Tables:
    """Look-up tables of one resolution."""

    def __init__(self, p: NDArray[np.float32], width: int) -> None:
        self.width, self.p, self.log_p, self.inverse_p = width, p, np.log(p), 1 / p
        k = np.arange(N_TABLE, dtype=np.float64)
        self.k_log_k = np.where(k > 0, k * np.log(np.maximum(k, 1)), 0).astype(np.float32)
        self.log_factorial = gammaln(k + 1).astype(np.float32)

    def sums(self, bins: NDArray[Any], n: NDArray[np.float32], rows: NDArray[np.int64], sizes: NDArray[Any], total: Vector) -> Vector:
        at = bins + np.repeat((rows * self.width).astype(np.int32), sizes)
        p = self.p[at]
        f = n * np.repeat((1 / np.maximum(total, 1)).astype(np.float32), sizes)
        m = (f + p) * np.float32(0.5)
        whole = n.astype(np.int32)
        large = whole >= N_TABLE
        small = np.where(large, 0, whole)
        k_log_k, factorial = self.k_log_k[small], self.log_factorial[small]
        if large.any():
            k_log_k[large], factorial[large] = n[large] * np.log(n[large]), gammaln(n[large] + 1)
        log_m = np.log(m)
        js = f * (np.log(f) - log_m) + p * (self.log_p[at] - log_m)
        terms = np.stack([n * self.log_p[at], k_log_k, factorial, n * n * self.inverse_p[at], p, js])
        return _row_sums(terms, sizes)


def _row_sums(terms: NDArray[np.float32], sizes: NDArray[Any]) -> Vector:
    """(6, m) sums of consecutive runs of `sizes`; an empty run sums to 0."""
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    filled = sizes > 0
    out = np.zeros((len(terms), len(sizes)))
    out[:, filled] = np.add.reduceat(terms.astype(np.float64), starts[filled], axis=1)
    return out


@dataclass
class CellStatistic(Detector):
    """A count statistic at `size` x `size` cells against the group's reference; `reference` may be handed in, else it is fitted."""

    size: int = N_ROWS
    reference: Reference | None = None

    def _fit(self, X: Heatmaps, groups: Groups) -> None:
        if N_ROWS % self.size:
            raise ContractError(f"A resolution must divide {N_ROWS}, however size={self.size}.")
        self.reference_ = self.reference or fit_reference(X)

    def _named(self, stem: str) -> str:
        return stem if self.size == N_ROWS else f"{stem}_{self.size}"
