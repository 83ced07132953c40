"""Diagnosis: which fault, where, how large, and how sure, in one sentence a banner.

In: the evidence of the template banks. Out: family, parameters, margin over the runner-up and the words for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from core.banners.affine import Detail
from core.banners.evidence import Evidence
from core.banners.templates import FAMILIES

NAMES = {
    "shifted": "a shift",
    "scaled": "a change of size",
    "mirrored": "a mirror image",
    "clipped": "clipping",
    "missing_product": "a missing product",
    "hot_spot": "a hot spot",
    "uniform": "clicks anywhere",
    "edge": "clicks along an edge",
    "close_corner": "clicks on a corner",
    "other_grid": "another grid's layout",
}
"""How the runner-up is called in a sentence."""


@dataclass(frozen=True)
class Diagnosis:
    """The likeliest fault of one banner. `log_odds` nats of its family's mean template over the reference; `margin` nats over `runner_up`.

    `fault` is None where the reference is likelier than every family; `segment` names the clicks that alone show it, None = all.
    """

    fault: str | None
    size: float | None
    detail: Detail | None
    log_odds: float
    runner_up: str
    margin: float
    sentence: str
    segment: str | None = None


def within(diagnosis: Diagnosis, segment: str | None) -> Diagnosis:
    """The same of the clicks of one segment, which the sentence names first."""
    if segment is None:
        return diagnosis
    sentence = f"For {segment} only: {diagnosis.sentence[0].lower()}{diagnosis.sentence[1:]}"
    return replace(diagnosis, sentence=sentence, segment=segment)


def diagnose(evidence: Evidence, grids: dict[int, int]) -> list[Diagnosis]:
    """A diagnosis a banner; `grids` holds the grid_id of each reference id."""
    order = np.argsort(-evidence.log_odds, axis=1, kind="stable")
    total = logsumexp(evidence.log_odds, axis=1)
    return [
        _one(evidence.log_odds[i], order[i], float(total[i]), evidence.best[i], evidence.details[int(row)], grids)
        for i, row in enumerate(evidence.rows)
    ]


def _one(
    log_odds: NDArray[np.float64],
    order: NDArray[np.int64],
    total: float,
    best: NDArray[np.int32],
    bank: list[Detail],
    grids: dict[int, int],
) -> Diagnosis:
    first, second = int(order[0]), int(order[1])
    top, margin = float(log_odds[first]), float(log_odds[first] - log_odds[second])
    fault, runner_up = FAMILIES[first], FAMILIES[second]
    if top <= 0:
        return Diagnosis(
            None, None, None, top, fault, -top, "Its clicks are likeliest under its own layout; no fault explains them better."
        )
    detail = bank[int(best[first])]
    sentence = f"{describe(fault, detail, grids)} (next best: {NAMES[runner_up]}, {_times(margin)} less likely)."
    return Diagnosis(fault, size_of(fault, detail), detail, top, runner_up, margin, sentence)


def size_of(fault: str, detail: Detail) -> float | None:
    """How large the fault is: distance moved, scale factor, share of the area gone, or share of the clicks; None where it has no size."""
    if fault == "shifted":
        return float(np.hypot(detail["dx"], detail["dy"]))
    if fault == "scaled":
        return float(detail["sx"] if detail["sx"] != 1 else detail["sy"])
    if fault in ("clipped", "missing_product"):
        return float((detail["right"] - detail["left"]) * (detail["bottom"] - detail["top"]))
    return float(detail["share"]) if "share" in detail else None


def describe(fault: str, detail: Detail, grids: dict[int, int]) -> str:
    """The fault in words, as the start of a sentence."""
    words: dict[str, Callable[[Detail], str]] = {
        "shifted": _shifted,
        "scaled": _scaled,
        "mirrored": lambda d: f"Mirrored {({'x': 'left to right', 'y': 'top to bottom', 'xy': 'both ways'})[d['flip']]}",
        "clipped": lambda d: f"Clipped: nothing on the {d['side']} {_percent(_depth(d))} of the banner is clicked",
        "missing_product": lambda d: f"A product seems to be missing {_place(*_middle(d))}",
        "hot_spot": lambda d: f"A hot spot {_place(d['x'], d['y'])} takes about {_percent(d['share'])} of the clicks",
        "uniform": lambda d: f"About {_percent(d['share'])} of the clicks fall anywhere, as if at random",
        "edge": _edge,
        "close_corner": lambda d: f"About {_percent(d['share'])} of the clicks are on the {_corner(d['x'], d['y'])} corner",
        "other_grid": lambda d: f"Looks like the layout of grid {grids.get(d['reference_id'], 'unknown')}",
    }
    return words[fault](detail)


def _shifted(d: Detail) -> str:
    parts = []
    if d["dx"]:
        parts.append(f"{'right' if d['dx'] > 0 else 'left'} by {abs(d['dx']):.2f}")
    if d["dy"]:
        parts.append(f"{'down' if d['dy'] > 0 else 'up'} by {abs(d['dy']):.2f}")
    return "Shifted " + " and ".join(parts)


def _scaled(d: Detail) -> str:
    if d["sx"] == d["sy"]:
        return f"Drawn at {_percent(d['sx'])} of its size, from the {_anchor(d['at_x'], d['at_y'])}"
    return f"Drawn at {_percent(d['sx'])} of its width" if d["sx"] != 1 else f"Drawn at {_percent(d['sy'])} of its height"


def _edge(d: Detail) -> str:
    where = "along all edges" if d["side"] == "all" else f"along the {d['side']} edge"
    return f"About {_percent(d['share'])} of the clicks are {where}"


def _depth(d: Detail) -> float:
    return float(d["right"] - d["left"] if d["side"] in ("left", "right") else d["bottom"] - d["top"])


def _middle(d: Detail) -> tuple[float, float]:
    return (d["left"] + d["right"]) / 2, (d["top"] + d["bottom"]) / 2


def _place(x: float, y: float) -> str:
    vertical = "top" if y < 1 / 3 else "bottom" if y > 2 / 3 else ""
    horizontal = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
    words = " ".join(w for w in (vertical, horizontal) if w)
    return f"at the {words}" if words else "in the centre"


def _anchor(x: float, y: float) -> str:
    place = _place(x, y)
    return place.removeprefix("at the ").removeprefix("in the ")


def _corner(x: float, y: float) -> str:
    return f"{'top' if y < 0.5 else 'bottom'} {'left' if x < 0.5 else 'right'}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _times(margin: float) -> str:
    """A difference in nats as "14 times", rounded as far as it means anything."""
    if margin < np.log(1.5):
        return "hardly"
    if margin > np.log(1000):
        return "over 1,000 times"
    return f"{np.exp(margin):.0f} times"
