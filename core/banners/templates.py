"""Fault templates: what a group's reference becomes when a banner renders wrongly.

In: a reference (1600,), the references of other grids. Out: a bank of k alternatives at the cells asked for, with families and
parameters.
A template is one of three things: the reference moved (by sparse operators, the same for every reference), the reference with
a region taken away, or the reference mixed with something that does not depend on it. Always with a little uniform noise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.banners import affine
from core.banners.affine import Cells, Detail, Rows
from core.errors import ContractError
from core.settings import N_BINS, N_COLS, N_ROWS
from core.statistics.arrays import Matrix

FAMILIES = (
    "shifted",
    "scaled",
    "mirrored",
    "clipped",
    "missing_product",
    "hot_spot",
    "uniform",
    "edge",
    "close_corner",
    "other_grid",
)
NOISE = 0.03
"""Share of uniform clicks in every template."""
SHARES = (0.4, 0.65, 0.9)
"""Share of the clicks that an added source takes."""
SPOT_SD = 0.018
EDGE_DEPTH = 0.035
CORNER_SD = 0.024
CORNER_AT = 0.04
ALL: Cells = np.arange(N_BINS)
BLOCK = 64
"""Cells of a bank that are worked out at a time: they stay in the processor's cache."""
MAX_OTHER = 120
MIN_INSIDE = 0.02
"""A move is worth a template where it leaves so much of the reference inside."""
MIN_REMOVED, MAX_REMOVED = 0.06, 0.8
"""A region is worth a template where it holds between these shares of the reference."""


class Part(NamedTuple):
    """Some templates without noise: `at(cells)` gives them there (m, k); families and parameters."""

    at: Callable[[Cells], Rows]
    names: list[str]
    details: list[Detail]


@dataclass(frozen=True)
class Bank:
    """Alternatives to one reference at some cells: `log_ratio` (m, k) float32, log t / p at each of `cells` (m,), sorted by family; `spans`
    start and stop of each of FAMILIES; `details` (k,) parameters."""

    cells: Cells
    log_ratio: Rows
    spans: list[tuple[int, int]]
    details: list[Detail]


def make_bank(reference: Matrix, others: dict[int, Matrix], cells: Cells = ALL) -> Bank:
    """The bank of one reference at `cells` (m,), whose number is what it costs; `others` are references of other grids by reference id."""
    single = reference.astype(np.float32)
    parts = [_moved(single), _removed(single), _added(single), _others(others)]
    log_ratio = np.empty((len(cells), sum(len(part.names) for part in parts)), dtype=np.float32)
    for a in range(0, len(cells), BLOCK):
        at, block = cells[a : a + BLOCK], log_ratio[a : a + BLOCK]
        np.concatenate([part.at(at) for part in parts], axis=1, out=block)
        block *= 1 - NOISE
        block += NOISE / N_BINS
        block /= single[at, None]
        np.log(block, out=block)
    family = np.array([FAMILIES.index(name) for part in parts for name in part.names])  # every part gives its families in their order
    bounds = np.searchsorted(family, np.arange(len(FAMILIES) + 1))
    return Bank(cells, log_ratio, [(int(a), int(b)) for a, b in pairwise(bounds)], [detail for part in parts for detail in part.details])


def prepare() -> None:
    """Makes what all banks share, which takes most of a second: before processes are forked, that they need not each."""
    affine.moves(), _regions(), _sources()


def template_of(reference: Matrix, fault: str, detail: Detail, other: Matrix | None = None) -> Matrix:
    """(1600,) the template that `fault` and `detail` name, built again. Raises ContractError for an unknown fault."""
    if fault in ("shifted", "scaled", "mirrored"):
        return _with_noise(_renormalised((affine.operator(detail) @ reference)[None]))[0]
    if fault in ("clipped", "missing_product"):
        return _with_noise(_without(reference, _region(detail))[None])[0]
    if fault == "other_grid" and other is not None:
        return _with_noise(other[None])[0]
    if fault in ("hot_spot", "uniform", "edge", "close_corner"):
        return _with_noise(((1 - detail["share"]) * reference + detail["share"] * _source(fault, detail))[None])[0]
    raise ContractError(f"A template needs one of {', '.join(FAMILIES)}: fault={fault!r}. Score again with this version.")


def _with_noise(p: Matrix) -> Matrix:
    return (1 - NOISE) * p + NOISE / N_BINS


def _renormalised(p: NDArray[Any]) -> NDArray[Any]:
    return p / np.maximum(p.sum(axis=1, keepdims=True), 1e-12)


# Moved: the reference under an affine map of the banner.


def _moved(reference: Rows) -> Part:
    moves = affine.moves()
    inside = moves.inside @ reference
    keep = np.flatnonzero(inside > MIN_INSIDE)
    padded = np.append(reference, np.float32(0))

    def at(cells: Cells) -> Rows:
        mixed = np.einsum("mfl,mfl->ml", padded.take(moves.sources[cells]), moves.weights[cells])
        return np.concatenate([padded.take(moves.source[cells]), mixed], axis=1)[:, keep] / inside[keep]

    return Part(at, [moves.names[i] for i in keep], [moves.details[i] for i in keep])


# Removed: a region of the reference holds no clicks.


def _region(detail: Detail) -> NDArray[np.bool_]:
    """(1600,) mask of a rectangle left, top, right, bottom in shares of the side."""
    x, y = (np.arange(N_COLS) + 0.5) / N_COLS, (np.arange(N_ROWS) + 0.5) / N_ROWS
    mask = ((y >= detail["top"]) & (y < detail["bottom"]))[:, None] & ((x >= detail["left"]) & (x < detail["right"]))
    return np.asarray(mask.ravel())


def _rectangle(left: float, top: float, right: float, bottom: float) -> Detail:
    return {"left": round(left, 3), "top": round(top, 3), "right": round(right, 3), "bottom": round(bottom, 3)}


@lru_cache(maxsize=1)
def _cuts() -> list[Detail]:
    cuts = np.round(np.arange(0.3, 0.86, 0.05), 2)
    out = []
    for c in cuts:
        far, near = float(c), float(round(1 - c, 2))
        out += [{**_rectangle(far, 0, 1, 1), "side": "right"}, {**_rectangle(0, far, 1, 1), "side": "bottom"}]
        out += [{**_rectangle(0, 0, near, 1), "side": "left"}, {**_rectangle(0, 0, 1, near), "side": "top"}]
    return out


@lru_cache(maxsize=1)
def _tiles() -> list[Detail]:
    """Where a product may stand: columns, rows and blocks, with and without a header."""
    out = []
    for top in (0.0, 0.15):
        height = 1 - top
        for n in (2, 3, 4, 5, 6):
            out += [_rectangle(k / n, top, (k + 1) / n, 1) for k in range(n)]
            out += [_rectangle(0, top + height * k / n, 1, top + height * (k + 1) / n) for k in range(n)]
            out += [_rectangle(0.5, top + height * k / n, 1, top + height * (k + 1) / n) for k in range(n)]
        for cols, rows in ((2, 2), (3, 2), (2, 3), (3, 3)):
            for k in range(cols * rows):
                c, r = k % cols, k // cols
                out.append(_rectangle(c / cols, top + height * r / rows, (c + 1) / cols, top + height * (r + 1) / rows))
    return out


@lru_cache(maxsize=1)
def _regions() -> tuple[Rows, list[str], list[Detail]]:
    """What each leaves (1600, k), 1 or 0; families and parameters."""
    details = [("clipped", d) for d in _cuts()] + [("missing_product", d) for d in _tiles()]
    left = np.array([~_region(d) for _, d in details]).T
    return np.ascontiguousarray(left, dtype=np.float32), [n for n, _ in details], [d for _, d in details]


def _without(reference: Matrix, region: NDArray[np.bool_]) -> Matrix:
    p = np.where(region, 0.0, reference)
    return np.asarray(p / max(p.sum(), 1e-12))


def _removed(reference: Rows) -> Part:
    left, names, details = _regions()
    kept = reference @ left
    keep = np.flatnonzero((kept < 1 - MIN_REMOVED) & (kept > 1 - MAX_REMOVED))

    def at(cells: Cells) -> Rows:
        return left[cells][:, keep] * reference[cells, None] / kept[keep]

    return Part(at, [names[k] for k in keep], [details[k] for k in keep])


# Added: part of the clicks come from somewhere else.


def _cells(size: int) -> Matrix:
    return (np.arange(size) + 0.5) / size


def _blob(x: float, y: float, sd: float) -> Matrix:
    column, row = np.exp(-0.5 * ((_cells(N_COLS) - x) / sd) ** 2), np.exp(-0.5 * ((_cells(N_ROWS) - y) / sd) ** 2)
    p = np.outer(row, column).ravel()
    return np.asarray(p / p.sum())


def _source(fault: str, detail: Detail) -> Matrix:
    if fault == "uniform":
        return np.full(N_BINS, 1 / N_BINS)
    if fault == "hot_spot":
        return _blob(detail["x"], detail["y"], SPOT_SD)
    if fault == "close_corner":
        return _blob(detail["x"], detail["y"], CORNER_SD)
    sides = ("left", "top", "right", "bottom") if detail["side"] == "all" else (detail["side"],)
    return np.asarray(np.mean([_edge(side) for side in sides], axis=0))


def _edge(side: str) -> Matrix:
    axis = _cells(N_COLS)
    depth = np.exp(-0.5 * (axis / EDGE_DEPTH) ** 2)
    depth = depth if side in ("left", "top") else depth[::-1]
    p = np.outer(np.ones(N_ROWS), depth) if side in ("left", "right") else np.outer(depth, np.ones(N_COLS))
    return np.asarray(p.ravel() / p.sum())


@lru_cache(maxsize=1)
def _sources() -> tuple[Rows, Rows, list[str], list[Detail]]:
    """Sources times their shares (1600, k), what is left to the reference (k,), families and parameters."""
    near, far = CORNER_AT, 1 - CORNER_AT
    at = np.round((np.arange(20) + 0.5) / 20, 3)
    spots = [(float(x), float(y)) for x in at for y in at if not (min(x, 1 - x) < 0.08 and min(y, 1 - y) < 0.08)]
    details: list[tuple[str, Detail]] = [("hot_spot", {"x": x, "y": y, "share": s}) for x, y in spots for s in SHARES]
    details += [("uniform", {"share": s}) for s in (0.4, 0.6, 0.8, 1.0)]
    details += [("edge", {"side": side, "share": s}) for side in ("left", "top", "right", "bottom", "all") for s in SHARES]
    details += [("close_corner", {"x": x, "y": y, "share": s}) for x in (near, far) for y in (near, far) for s in SHARES]
    shares = np.array([d["share"] for _, d in details])
    mixed = np.ascontiguousarray(shares * np.array([_source(n, d) for n, d in details]).T)
    return mixed.astype(np.float32), (1 - shares).astype(np.float32), [n for n, _ in details], [d for _, d in details]


def _added(reference: Rows) -> Part:
    mixed, left, names, details = _sources()
    return Part(lambda cells: mixed[cells] + left * reference[cells, None], names, details)


def _others(others: dict[int, Matrix]) -> Part:
    ids = sorted(others)[:: max(1, -(-len(others) // MAX_OTHER))]
    p = np.array([others[k] for k in ids], dtype=np.float32).reshape(-1, N_BINS).T
    return Part(lambda cells: p[cells], ["other_grid"] * len(ids), [{"reference_id": int(k)} for k in ids])
