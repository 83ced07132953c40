"""The one cell that takes far more clicks than expected: what a banner's diagnosis is where no fault template fits better.

Templates spread a hot spot over a few cells, so a banner whose clicks pile up in a single one can be likeliest under its own layout.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import xlogy

from core.banners.diagnosis import Diagnosis
from core.settings import N_BINS, N_COLS, N_ROWS

LEAST_SHARE = 0.05
LEAST_NATS = 21.0
"""Log-likelihood ratio at which a cell is named: one in a million by chance, with 1,600 cells to choose from."""


class HotCell(NamedTuple):
    """A cell with its share of the banner's clicks, the share that is expected there, and how sure the excess is in nats."""

    row: int
    col: int
    share: float
    expected: float
    nats: float


def hottest(counts: csr_matrix, p: NDArray[np.float64], of: NDArray[np.int64]) -> dict[int, HotCell]:
    """By row of counts (n, 1600) the cell whose excess over its expected share is least due to chance; rows without one are left out.

    p (k, 1600), rows of sum 1, are the expectations; of (n,) says whose is whose.
    """
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    n = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()[rows]
    share, hoped = counts.data / np.maximum(n, 1.0), np.clip(p[of[rows], counts.indices], 1e-12, 1 - 1e-12)
    nats = n * (xlogy(share, share / hoped) + xlogy(1 - share, (1 - share) / (1 - hoped)))
    found: dict[int, HotCell] = {}
    for k in np.flatnonzero((share > hoped) & (share >= LEAST_SHARE) & (nats >= LEAST_NATS)).tolist():
        i = int(rows[k])
        if i not in found or nats[k] > found[i].nats:
            found[i] = HotCell(*divmod(int(counts.indices[k]), N_COLS), float(share[k]), float(hoped[k]), float(nats[k]))
    return found


def named(diagnosis: Diagnosis, cell: HotCell) -> Diagnosis:
    """The diagnosis with the cell as its fault, where the cell explains the clicks better than every template; at least in its words where
    none does."""
    log_odds = cell.nats - np.log(N_BINS)  # any of so many cells could have been the hottest
    if diagnosis.fault is None:
        return replace(diagnosis, sentence=sentence(cell))
    if log_odds <= diagnosis.log_odds:
        return diagnosis
    detail = {"x": (cell.col + 0.5) / N_COLS, "y": (cell.row + 0.5) / N_ROWS, "share": cell.share}
    margin = float(log_odds - diagnosis.log_odds)
    runner_up = diagnosis.runner_up if diagnosis.fault == "hot_spot" else diagnosis.fault
    return Diagnosis("hot_spot", cell.share, detail, float(log_odds), runner_up, margin, sentence(cell))


def sentence(cell: HotCell) -> str:
    """55 % of its clicks lie in one cell in the top left corner (0, 0), where 12 % are expected."""
    where = f"{_place(cell.row, cell.col)} ({cell.row}, {cell.col})"
    return f"{100 * cell.share:.0f} % of its clicks lie in one cell {where}, where {_percent(cell.expected)} are expected."


def _place(row: int, col: int) -> str:
    vertical = "top" if row == 0 else "bottom" if row == N_ROWS - 1 else ""
    horizontal = "left" if col == 0 else "right" if col == N_COLS - 1 else ""
    if vertical and horizontal:
        return f"in the {vertical} {horizontal} corner"
    if vertical or horizontal:
        return f"on the {vertical or horizontal} edge"
    vertical = "top" if row < N_ROWS / 3 else "bottom" if row >= 2 * N_ROWS / 3 else ""
    horizontal = "left" if col < N_COLS / 3 else "right" if col >= 2 * N_COLS / 3 else ""
    return f"at the {' '.join(w for w in (vertical, horizontal) if w)}" if vertical or horizontal else "in the centre"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"
