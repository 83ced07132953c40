"""Heatmaps: banners with their sparse click counts, one CSR row a banner.

In: lists of bins and counts as the store keeps them. Out: aligned arrays, coarser resolutions, dense shares. Knows nothing of
databases or files.
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from core.errors import ContractError
from core.settings import N_BINS, N_COLS, N_ROWS


@dataclass(frozen=True, eq=False)
class Heatmaps:
    """n banners: ids, what they are, and counts (n, n_rows * n_cols) in CSR, bin = row * n_cols + col, row 0 at the top.

    `counts` holds float32 (exact up to 2**24 clicks a cell). Rows stay aligned under `take` and `coarser`.
    Raises ContractError where the arrays do not fit each other.
    """

    banner_id: NDArray[Any]
    grid_id: NDArray[np.int64]
    n_products: NDArray[np.int16]
    domain: NDArray[Any]
    counts: csr_matrix
    n_rows: int = N_ROWS
    n_cols: int = N_COLS

    def __post_init__(self) -> None:
        n = self.counts.shape[0]
        lengths = {len(self.banner_id), len(self.grid_id), len(self.n_products), len(self.domain), n}
        if len(lengths) != 1:
            raise ContractError(f"Every array of Heatmaps has one entry a banner: their lengths are {sorted(lengths)}.")
        if self.counts.shape[1] != self.n_rows * self.n_cols:
            raise ContractError(f"Counts need {self.n_rows * self.n_cols} columns: they have {self.counts.shape[1]}.")

    def __len__(self) -> int:
        return int(self.counts.shape[0])

    @cached_property
    def n_clicks(self) -> NDArray[np.float64]:
        """(n,) clicks a banner."""
        return np.asarray(self.counts.sum(axis=1, dtype=np.float64)).ravel()

    def take(self, rows: NDArray[Any]) -> Self:
        """The banners at `rows` (indices or a mask), in that order."""
        return replace(
            self,
            banner_id=self.banner_id[rows],
            grid_id=self.grid_id[rows],
            n_products=self.n_products[rows],
            domain=self.domain[rows],
            counts=self.counts[rows],
        )

    def coarser(self, size: int) -> Self:
        """The same banners at size x size cells; size must divide both sides. The total of clicks stays."""
        if size == self.n_rows == self.n_cols:
            return self
        if size not in self._coarser:
            counts = (self.counts @ pooling(self.n_rows, self.n_cols, size)).tocsr()
            self._coarser[size] = replace(self, counts=counts, n_rows=size, n_cols=size)
        return self._coarser[size]

    @cached_property
    def _coarser(self) -> dict[int, Self]:
        return {}


def concatenated(parts: list[Heatmaps]) -> Heatmaps:
    """The banners of several Heatmaps of one resolution, one after the other."""

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    counts = vstack([part.counts for part in parts], format="csr")
    names = column("banner_id"), column("grid_id"), column("n_products"), column("domain")
    return Heatmaps(*names, counts, parts[0].n_rows, parts[0].n_cols)


@lru_cache(maxsize=16)
def pooling(n_rows: int, n_cols: int, size: int) -> csr_matrix:
    """(n_rows * n_cols, size * size) matrix of zeros and ones that adds fine cells into coarse ones."""
    if n_rows % size or n_cols % size:
        raise ContractError(f"A coarser heatmap needs a size that divides {n_rows} and {n_cols}: size={size}.")
    rows, cols = np.divmod(np.arange(n_rows * n_cols), n_cols)
    coarse = (rows * size // n_rows) * size + cols * size // n_cols
    ones = np.ones(len(coarse), dtype=np.float32)
    return csr_matrix((ones, (np.arange(len(coarse)), coarse)), shape=(n_rows * n_cols, size * size))


def bins_of(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.int64]:
    """(n,) bins of relative positions in 0..1; 1.0 belongs to the last cell."""
    col = np.minimum((x * N_COLS).astype(np.int64), N_COLS - 1)
    row = np.minimum((y * N_ROWS).astype(np.int64), N_ROWS - 1)
    return row * N_COLS + col


def heatmaps_of(
    banner: NDArray[np.int64],
    points: NDArray[np.float64],
    banner_id: NDArray[Any],
    grid_id: NDArray[np.int64],
    n_products: NDArray[np.int16],
    domain: NDArray[Any],
) -> Heatmaps:
    """Heatmaps of clicks at `points` (m, 2) in 0..1, each on the banner with index `banner` (m,)."""
    bins = bins_of(points[:, 0], points[:, 1])
    counts = csr_matrix((np.ones(len(bins), np.float32), (banner, bins)), shape=(len(banner_id), N_BINS))
    counts.sum_duplicates()
    return Heatmaps(banner_id, grid_id, n_products, domain, counts)


def counts_of_lists(bins: pa.Array, counts: pa.Array) -> csr_matrix:
    """(n, 1600) CSR from two Arrow list columns of one length a row; the values are not copied through Python."""
    bins, counts = _one_chunk(bins), _one_chunk(counts)
    offsets = bins.offsets.to_numpy(zero_copy_only=False)
    start, end = offsets[0], offsets[-1]
    indices = bins.values.to_numpy(zero_copy_only=False)[start:end].astype(np.int32)
    first = counts.offsets[0].as_py()
    data = counts.values.to_numpy(zero_copy_only=False)[first : first + len(indices)].astype(np.float32)
    return csr_matrix((data, indices, (offsets - start).astype(np.int64)), shape=(len(bins), N_BINS))


def _one_chunk(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
