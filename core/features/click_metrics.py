"""Hand-made measures of a heatmap that a person can read: where the clicks are, how wide, how many peaks, how close to the reference.

In: counts (n, 1600) in CSR and the expected shares of each banner's group. Out: (n, d) numbers in the order of NAMES. The same
function measures the reference itself, so that a page can show both. **Source** the capstone's metrics; Moran 1950 for Moran's I.
"""

from functools import lru_cache

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.sparse import csr_matrix, eye, kron
from scipy.spatial.distance import jensenshannon

from core.banners.heatmaps import pooling
from core.banners.images import smoothed
from core.settings import N_BINS, N_COLS, N_ROWS
from core.statistics.arrays import Matrix

NAMES: dict[str, str] = {
    "centroid_x": "mean place across, 0 = left, 1 = right",
    "centroid_y": "mean place down, 0 = top, 1 = bottom",
    "spread_x": "standard deviation across, in widths",
    "spread_y": "standard deviation down, in heights",
    "slant": "correlation of across and down, -1..1",
    "entropy": "evenness of the clicks over the cells, 0 = one cell, 1 = all alike",
    "n_peaks": "peaks of the smoothed map",
    "peak_mass": "share of the clicks within two cells of the highest peak",
    "edge_share": "share of the clicks in the outermost two cells",
    "corner_share": "share of the clicks in the four 4 by 4 corners",
    "asymmetry_x": "share of the clicks that would have to move to mirror left and right",
    "asymmetry_y": "share of the clicks that would have to move to mirror top and bottom",
    "morans_i": "how alike neighbouring cells are (Moran's I), -1..1",
    "distance": "Jensen-Shannon distance to the expected clicks at 10 by 10 cells, 0..1",
}
"""Each measure and what it says; a heatmap without clicks has the value of an even one, and distance 0."""
PEAK_SD = 1.0 / N_COLS
"""Standard deviation of the smoothing that peaks are looked for in: one cell."""
LEAST_PEAK = 0.25
"""A peak is at least so high, as a share of the highest."""
BLOCK = 512


def click_metrics(counts: csr_matrix, expected: Matrix) -> Matrix:
    """(n, 14) measures of banners with counts (n, 1600) whose groups expect the shares `expected` (n, 1600)."""
    blocks = [_measured(counts[a : a + BLOCK], expected[a : a + BLOCK]) for a in range(0, counts.shape[0], BLOCK)]
    return np.concatenate(blocks) if blocks else np.empty((0, len(NAMES)))


def _measured(counts: csr_matrix, expected: Matrix) -> Matrix:
    n = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    share = _shares(counts, n)
    mean_x, mean_y, square_x, square_y, product, edge, corner, neighbours = (share @ _places()).T
    sd_x, sd_y = np.sqrt(np.maximum(square_x - mean_x**2, 0)), np.sqrt(np.maximum(square_y - mean_y**2, 0))
    slant = (product - mean_x * mean_y) / np.maximum(sd_x * sd_y, 1e-9)
    row = np.repeat(np.arange(len(n)), np.diff(share.indptr))
    entropy = -np.bincount(row, share.data * np.log(share.data), len(n)) / np.log(np.clip(n, 2, N_BINS))  # at most log n for n clicks
    dense = share.toarray().reshape(-1, N_ROWS, N_COLS)
    peaks, mass = _peaks(smoothed(share, PEAK_SD).reshape(dense.shape), dense)
    coarse = (share @ pooling(N_ROWS, N_COLS, 10).astype(np.float64)).toarray()
    grid = coarse.reshape(-1, 10, 10)
    sides = [np.abs(grid - mirrored).sum(axis=(1, 2)) / 2 for mirrored in (grid[:, :, ::-1], grid[:, ::-1])]
    away = np.where(n > 0, jensenshannon(coarse, expected @ pooling(N_ROWS, N_COLS, 10).toarray(), base=2, axis=1), 0.0)
    moran = _moran(share, neighbours)
    return np.column_stack([mean_x, mean_y, sd_x, sd_y, slant, np.minimum(entropy, 1), peaks, mass, edge, corner, *sides, moran, away])


def _shares(counts: csr_matrix, n: Matrix) -> csr_matrix:
    """(n, 1600) shares of the clicks, even where a heatmap has none."""
    empty = np.flatnonzero(n == 0)
    if len(empty):
        even = csr_matrix((np.ones(len(empty)), (empty, np.zeros(len(empty)))), shape=(len(n), 1)) @ csr_matrix(np.ones((1, N_BINS)))
        counts, n = (counts + even).tocsr(), np.where(n > 0, n, N_BINS)
    return csr_matrix((counts.data / np.repeat(n, np.diff(counts.indptr)), counts.indices, counts.indptr), shape=counts.shape)


@lru_cache(maxsize=1)
def _places() -> Matrix:
    """(1600, 8) of every cell: its middle across and down (0..1), their squares and product, whether it belongs to the edge and to a
    corner, and how many cells share a side with it."""
    row, col = np.divmod(np.arange(N_BINS), N_COLS)
    near_x, near_y = np.minimum(col, N_COLS - 1 - col), np.minimum(row, N_ROWS - 1 - row)
    edge, corner = np.minimum(near_x, near_y) < 2, np.maximum(near_x, near_y) < 4
    x, y = (col + 0.5) / N_COLS, (row + 0.5) / N_ROWS
    return np.column_stack([x, y, x**2, y**2, x * y, edge, corner, 4.0 - (near_x == 0) - (near_y == 0)])


@lru_cache(maxsize=1)
def _pairs() -> csr_matrix:
    """(1600, 1600) ones from every cell to those on its right and below."""
    across, down = eye(N_ROWS), eye(N_COLS)
    return csr_matrix(kron(across, eye(N_COLS, k=1)) + kron(eye(N_ROWS, k=1), down))


def _peaks(smooth: Matrix, grid: Matrix) -> tuple[Matrix, Matrix]:
    """(n,) number of peaks, and share of the clicks in the 5 by 5 cells around the highest one."""
    highest = maximum_filter(smooth, size=(1, 5, 5), mode="constant")
    top = smooth.max(axis=(1, 2))
    found = (smooth == highest) & (smooth >= LEAST_PEAK * top[:, None, None]) & (smooth > 0)
    padded = np.pad(grid, ((0, 0), (2, 2), (2, 2)))
    around = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    row, col = np.divmod(smooth.reshape(len(grid), -1).argmax(axis=1), N_COLS)
    return found.sum(axis=(1, 2)).astype(np.float64), around[np.arange(len(grid)), row, col].sum(axis=(1, 2))


def _moran(share: csr_matrix, neighbours: Matrix) -> Matrix:
    """(n,) Moran's I over cells that share a side; 0 where all cells are alike. `neighbours` (n,): these, a click on average.

    With the mean share m, the sum of (s - m) (t - m) over all pairs of neighbours is that of s t less m times the sum of s over both
    ends of all pairs, and m² a pair.
    """
    mean, n_pairs = 1 / N_BINS, N_ROWS * (N_COLS - 1) + N_COLS * (N_ROWS - 1)
    products = np.asarray((share @ _pairs()).multiply(share).sum(axis=1)).ravel()
    together = products - mean * neighbours + n_pairs * mean**2
    variance = np.asarray(share.multiply(share).sum(axis=1)).ravel() - mean
    return np.divide(together * N_BINS, variance * n_pairs, out=np.zeros(len(variance)), where=variance > 1e-15)
