"""How well probabilities tell broken banners from others at every threshold: ROC and precision-recall, with bootstrap bands.

In: p (n,) and what the banners are. Only what was predicted without a banner's own grid says how another grid will do. Precision depends on
the share of broken banners among those labelled, which reviewers' queues make larger than it is.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.statistics.arrays import Mask, Vector

DRAWS = 200
AT = np.linspace(0, 1, 101)


class Curve(NamedTuple):
    """A curve over AT with its pointwise 95 % band, (101,) each, and the area under it with its interval."""

    y: Vector
    low: Vector
    high: Vector
    area: tuple[float, float, float]


class Curves(NamedTuple):
    """True-positive over false-positive rate, and precision over recall."""

    roc: Curve
    precision_recall: Curve


def curves(p: Vector, broken: Mask, seed: int = 0) -> Curves | None:
    """Both curves of n banners; None where all of them are of one kind.

    **Bands** percentiles of DRAWS bootstrap samples drawn within either kind (Efron and Tibshirani 1993, ch. 13), and one banner more or
    less at either end: where all of the first few are broken, every sample says so again. Precision between two thresholds is that of
    the threshold that reaches the recall, since a line between them promises too much (Davis and Goadrich 2006).
    """
    if not broken.any() or broken.all():
        return None
    order = np.argsort(-p, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(p[order]) != 0, True))
    kinds = [np.flatnonzero(broken[order] == kind) for kind in (True, False)]
    rng = np.random.default_rng(seed)
    drawn = [_shapes(kinds, [np.ones(len(kind)) for kind in kinds], ends)]
    for _ in range(DRAWS):
        weights = [rng.multinomial(len(kind), np.full(len(kind), 1 / len(kind))).astype(np.float64) for kind in kinds]
        drawn.append(_shapes(kinds, weights, ends))
    one_banner = np.full(len(AT), 1 / len(kinds[0])), 1 / _n_flagged(kinds, ends)
    return Curves(*(_curve([shapes[k] for shapes in drawn], one_banner[k]) for k in (0, 1)))


def _shapes(kinds: list[NDArray[np.int64]], weights: list[Vector], ends: NDArray[np.int64]) -> list[tuple[Vector, float]]:
    """ROC and precision-recall at AT with their areas, of banners in falling order; ties are flagged together."""
    true, false = (_share_by(kind, weight, ends) for kind, weight in zip(kinds, weights, strict=True))
    n_true, n_false = true * len(kinds[0]), false * len(kinds[1])
    x, y = np.append(0.0, false), np.append(0.0, true)
    roc = np.interp(AT, *_tops(x, y)), float(np.trapezoid(y, x))
    precision = n_true / np.maximum(n_true + n_false, 1e-9)
    return [roc, (precision[_reached(true)], float(np.sum(np.diff(y) * precision)))]


def _reached(true: Vector) -> NDArray[np.int64]:
    """(101,) the first threshold that reaches each recall of AT; recall 0 is reached by flagging nothing, which has no precision."""
    return np.maximum(np.searchsorted(true, AT - 1e-12, side="left").clip(max=len(true) - 1), int(np.argmax(true > 0)))


def _n_flagged(kinds: list[NDArray[np.int64]], ends: NDArray[np.int64]) -> Vector:
    """(101,) banners at or above the first threshold that reaches each recall of AT."""
    reached = _reached(_share_by(kinds[0], np.ones(len(kinds[0])), ends))
    return (ends[reached] + 1).astype(np.float64)


def _share_by(kind: NDArray[np.int64], weight: Vector, ends: NDArray[np.int64]) -> Vector:
    """Share of a kind at or above each threshold."""
    placed = np.zeros(int(ends[-1]) + 1)
    placed[kind] = weight
    share: Vector = np.cumsum(placed)[ends] / weight.sum()
    return share


def _tops(x: Vector, y: Vector) -> tuple[Vector, Vector]:
    """A rising step without its vertical parts: the highest y of every x."""
    last = np.append(np.diff(x) > 0, True)
    return x[last], y[last]


def _curve(drawn: list[tuple[Vector, float]], one_banner: Vector) -> Curve:
    low, high = np.quantile([y for y, _ in drawn[1:]], [0.025, 0.975], axis=0)
    low, high = np.maximum(low - one_banner, 0.0), np.minimum(high + one_banner, 1.0)
    area = np.quantile([a for _, a in drawn[1:]], [0.025, 0.975]).tolist()
    return Curve(drawn[0][0], low, high, (drawn[0][1], *area))
