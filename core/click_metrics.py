"""Hand-made measures of a heatmap that a person can read: where the clicks are, how wide, how many peaks, how close to the reference.

In: counts (n, 1600) in CSR and the expected shares of each banner's group. Out: (n, d) numbers in the order of NAMES. The same
function measures the reference itself, so that a page can show both. **Source** the capstone's metrics; Moran 1950 for Moran's I.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.sparse import csr_matrix
from scipy.spatial.distance import jensenshannon

from core.images import smoothed
from core.settings import N_BINS, N_COLS, N_ROWS

Matrix = NDArray[np.float64]

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
BLOCK = 2048


def click_metrics(counts: csr_matrix, expected: Matrix) -> Matrix:
    """(n, 14) measures of banners with counts (n, 1600) whose groups expect the shares `expected` (n, 1600)."""
    blocks = [_measured(counts[a : a + BLOCK], expected[a : a + BLOCK]) for a in range(0, counts.shape[0], BLOCK)]
    return np.concatenate(blocks) if blocks else np.empty((0, len(NAMES)))


def _measured(counts: csr_matrix, expected: Matrix) -> Matrix:
    n = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    share = np.where(n[:, None] > 0, counts.toarray() / np.maximum(n, 1)[:, None], 1 / N_BINS)
    x, y, edge, corner = _places()
    mean_x, mean_y = share @ x, share @ y
    sd_x = np.sqrt(np.maximum(share @ x**2 - mean_x**2, 0))
    sd_y = np.sqrt(np.maximum(share @ y**2 - mean_y**2, 0))
    slant = (share @ (x * y) - mean_x * mean_y) / np.maximum(sd_x * sd_y, 1e-9)
    entropy = -np.sum(share * np.log(np.maximum(share, 1e-300)), axis=1) / np.log(np.clip(n, 2, N_BINS))  # at most log n for n clicks
    peaks, mass = _peaks(smoothed(csr_matrix(share), PEAK_SD).reshape(-1, N_ROWS, N_COLS), share.reshape(-1, N_ROWS, N_COLS))
    grid = share.reshape(-1, N_ROWS, N_COLS)
    coarse = _coarse(share)
    mirrored = [np.abs(_coarse(grid[:, :, ::-1]) - coarse), np.abs(_coarse(grid[:, ::-1]) - coarse)]
    sides = [m.sum(axis=(1, 2)) / 2 for m in mirrored]
    away = np.where(n > 0, jensenshannon(coarse.reshape(len(n), -1), _coarse(expected).reshape(len(n), -1), base=2, axis=1), 0.0)
    return np.column_stack(
        [mean_x, mean_y, sd_x, sd_y, slant, np.minimum(entropy, 1), peaks, mass, share @ edge, share @ corner, *sides, _moran(grid), away]
    )


@lru_cache(maxsize=1)
def _places() -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """Middle of every cell across and down (0..1), and which cells belong to the edge and to a corner; (1600,) each."""
    row, col = np.divmod(np.arange(N_BINS), N_COLS)
    near_x, near_y = np.minimum(col, N_COLS - 1 - col), np.minimum(row, N_ROWS - 1 - row)
    edge, corner = np.minimum(near_x, near_y) < 2, np.maximum(near_x, near_y) < 4
    return (col + 0.5) / N_COLS, (row + 0.5) / N_ROWS, edge.astype(np.float64), corner.astype(np.float64)


def _coarse(share: Matrix) -> Matrix:
    """(n, 10, 10) sums of 4 by 4 cells."""
    return np.asarray(share.reshape(-1, 10, N_ROWS // 10, 10, N_COLS // 10).sum(axis=(2, 4)))


def _peaks(smooth: Matrix, grid: Matrix) -> tuple[Matrix, Matrix]:
    """(n,) number of peaks, and share of the clicks in the 5 by 5 cells around the highest one."""
    highest = maximum_filter(smooth, size=(1, 5, 5), mode="constant")
    top = smooth.max(axis=(1, 2))
    found = (smooth == highest) & (smooth >= LEAST_PEAK * top[:, None, None]) & (smooth > 0)
    padded = np.pad(grid, ((0, 0), (2, 2), (2, 2)))
    around = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    row, col = np.divmod(smooth.reshape(len(grid), -1).argmax(axis=1), N_COLS)
    return found.sum(axis=(1, 2)).astype(np.float64), around[np.arange(len(grid)), row, col].sum(axis=(1, 2))


def _moran(grid: Matrix) -> Matrix:
    """(n,) Moran's I over cells that share a side; 0 where all cells are alike."""
    z = grid - grid.mean(axis=(1, 2), keepdims=True)
    across, down = (z[:, :, 1:] * z[:, :, :-1]).sum(axis=(1, 2)), (z[:, 1:] * z[:, :-1]).sum(axis=(1, 2))
    n_pairs = N_ROWS * (N_COLS - 1) + N_COLS * (N_ROWS - 1)
    variance = (z**2).sum(axis=(1, 2))
    return np.divide((across + down) * N_BINS, variance * n_pairs, out=np.zeros(len(grid)), where=variance > 1e-15)
