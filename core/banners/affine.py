"""Banners shifted, scaled and mirrored: which clicks land in a cell then.

In: parameters of a move. Out: sparse operators on a distribution (1600,), bilinear, one at a time or all that templates are made of.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, kron

from core.settings import N_BINS, N_COLS, N_ROWS

Rows = NDArray[np.float32]
Cells = NDArray[np.int64]
Detail = dict[str, Any]

ROUNDING = 1e-9
"""Weights below it are 0."""


def _affine(detail: Detail) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per axis (x, y): scale and offset of target = scale * source + offset, in shares of the side."""
    if "dx" in detail:
        return np.ones(2), np.array([detail["dx"], detail["dy"]])
    if "flip" in detail:
        flip = np.array(["x" in detail["flip"], "y" in detail["flip"]], dtype=float)
        return 1 - 2 * flip, flip
    scale = np.array([detail["sx"], detail["sy"]])
    return scale, np.array([detail["at_x"], detail["at_y"]]) * (1 - scale)


@lru_cache(maxsize=4096)
def _operator_of(scale_x: float, scale_y: float, offset_x: float, offset_y: float) -> csr_matrix:
    """(1600, 1600): target cell t takes the density at the point of the source that lands on it."""
    axes = []
    for size, scale, offset in ((N_COLS, scale_x, offset_x), (N_ROWS, scale_y, offset_y)):
        at = ((np.arange(size) + 0.5) / size - offset) / scale * size - 0.5
        low = np.floor(at).astype(np.int64)
        high_share = at - low
        index = np.stack([low, low + 1], axis=1)
        weight = np.stack([1 - high_share, high_share], axis=1)
        target = np.repeat(np.arange(size), 2)
        ok = ((index >= 0) & (index < size)).ravel()
        axes.append(csr_matrix((weight.ravel()[ok], (target[ok], index.ravel()[ok])), shape=(size, size)))
    return csr_matrix(kron(axes[1], axes[0]))


def operator(detail: Detail) -> csr_matrix:
    """(1600, 1600) the move with parameters dx and dy (shares of a side), flip ("x", "y", "xy"), or sx, sy, at_x and at_y (scales about a
    point)."""
    scale, offset = _affine(detail)
    return _operator_of(float(scale[0]), float(scale[1]), float(offset[0]), float(offset[1]))


class Moves(NamedTuple):
    """k + l moves, of which the first k take every cell's density from one other: `source` (1600, k), N_BINS = from outside. The others
    mix those of four, `sources` (1600, 4, l), by `weights` (1600, 4, l). `inside` (k + l, 1600): what they leave inside; families and
    parameters."""

    source: Cells
    sources: Cells
    weights: Rows
    inside: Rows
    names: list[str]
    details: list[Detail]


@lru_cache(maxsize=1)
def moves() -> Moves:
    """All moves that templates are made of."""
    steps = np.round(np.arange(-8, 9) * 0.05, 2)
    details: list[tuple[str, Detail]] = [
        ("shifted", {"dx": float(dx), "dy": float(dy)}) for dx in steps for dy in steps if 0.06 < np.hypot(dx, dy) < 0.45
    ]
    corners = [(x, y) for x in (0.0, 0.5, 1.0) for y in (0.0, 0.5, 1.0)]
    factors = (0.4, 0.5, 0.6, 0.7, 0.8, 1.25, 1.4, 1.6, 1.9)
    for x, y in corners:
        details += [("scaled", {"sx": f, "sy": f, "at_x": x, "at_y": y}) for f in factors]
    for f in (0.5, 0.65, 0.8, 1.3, 1.6):
        for at in (0.0, 0.5, 1.0):
            details += [
                ("scaled", {"sx": f, "sy": 1.0, "at_x": at, "at_y": 0.5}),
                ("scaled", {"sx": 1.0, "sy": f, "at_x": 0.5, "at_y": at}),
            ]
    details += [("mirrored", {"flip": flip}) for flip in ("x", "y", "xy")]
    operators = [operator(d) for _, d in details]
    inside = np.concatenate([np.asarray(x.sum(axis=0), dtype=np.float32) for x in operators])
    n_shifts = sum(name == "shifted" for name, _ in details)  # by whole cells
    source, _ = _mixed(operators[:n_shifts], 1)
    return Moves(source[:, 0], *_mixed(operators[n_shifts:], 4), inside, [name for name, _ in details], [d for _, d in details])


def _mixed(operators: list[csr_matrix], most: int) -> tuple[Cells, Rows]:
    """What each of k operators mixes into every cell: at most `most` sources (1600, most, k), N_BINS where there are fewer, and weights."""
    source = np.full((N_BINS, most, len(operators)), N_BINS)
    weight = np.zeros(source.shape, dtype=np.float32)
    for k, operator in enumerate(operators):
        entries = operator.copy()  # it is kept, and others read it
        entries.data[entries.data < ROUNDING] = 0
        entries.eliminate_zeros()
        cell = np.repeat(np.arange(N_BINS), np.diff(entries.indptr))
        place = np.arange(entries.nnz) - entries.indptr[cell]
        source[cell, place, k], weight[cell, place, k] = entries.indices, entries.data
    return source, weight
