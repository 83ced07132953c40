"""What to train on, for which grids, and by which method: the controls of the Calibrate page, all in the URL."""

import re
from typing import Any, NamedTuple

import numpy as np
import streamlit as st
from scipy.special import expit

from core.calibration.learn import Labels
from core.calibration.publish import Preview, Request
from core.calibration.thresholds import METHODS, log_odds
from core.ui.render import text
from core.ui.session import address, reads
from core.ui.session.state import Shown
from core.ui.session.version_words import CUT_BY

VALUES: dict[str, tuple[str, Any, Any, Any]] = {
    "precision": ("Precision at least", 0.01, 0.99, 0.01),
    "fpr": ("False positives at most", 0.001, 0.5, 0.001),
    "fdr": ("False alarms at most", 0.01, 0.5, 0.01),
    "budget": ("Banners at most", 1, 1_000_000, 1),
}
"""Label, least, most and step of a method's value; its key in the URL is the method's name."""
MOST_RATIO = 100
SPAN = 6.9
"""The slider's ends in log odds, a chance of .001 and .999; it moves by 0.05, a twentieth of the odds."""


def _written(p: float) -> str:
    return f"{p:.{2 - int(np.floor(np.log10(min(p, 1 - p))))}f}"


CUTS = [_written(float(p)) for p in expit(np.arange(-138, 139) * 0.05)]
"""Probabilities that the manual threshold may take, evenly spaced in log odds, three digits from their nearer end."""


SLIDER = "cut_slider"


class Choice(NamedTuple):
    """What was chosen: the request, and how many false alarms a miss is worth."""

    request: Request
    ratio: float


def choose(run: Shown, labels: Labels) -> Choice:
    """Both rows of controls."""
    scope, sources, targets, shots = _learn_from(run, labels)
    method, value, ratio = _cut_by()
    return Choice(Request(scope, sources, targets, shots, method, value), ratio)


def _learn_from(run: Shown, labels: Labels) -> tuple[str, tuple[int, ...] | None, tuple[int, ...] | None, int]:
    detectors = [r["detector"] for r in reads.detectors(run.path, run.run_id) if r["share"] == 1]
    every = [str(g) for g in reads.facets(run.path, run.run_id)["grids"]]
    labelled = [str(g) for g in np.unique(labels.grid_id)]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        scope = address.bound(st.selectbox,
            "Score", ["combined", *detectors], key="scope", width=190,
            help="All detectors combined, or one that scored every banner",
        )  # fmt: skip
        sources = address.bound(
            st.multiselect,
            "Train on labels from",
            labelled,
            key="source",
            placeholder="all labelled grids",
            width=300,
            format_func=text.grid,
        )
        targets = address.bound(st.multiselect,
            "Apply to grids", every, key="target", placeholder="every grid", width=300, format_func=text.grid,
            help="0-shot uses no label of these, unless all labelled grids are among them",
        )  # fmt: skip
        shots = _shots()
    chosen = [tuple(int(g) for g in grids) or None for grids in (sources, targets)]
    return scope, chosen[0], chosen[1], shots


def _shots() -> int:
    name = address.bound(st.segmented_control,
        "Shots", ["0", "1", "k"], default="0", key="shots", required=True,
        help="Labels used of each target grid: none; one ok banner; or k of any label",
    )  # fmt: skip
    if name != "k":
        return int(name or 0)
    return int(address.bound(st.number_input, "k", 2, 10_000, 5, key="k", width=110))


def _cut_by() -> tuple[str, float | None, float]:
    """Method, its value, and what a miss is worth."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = address.bound(st.segmented_control, "Threshold by", list(CUT_BY), default="F1", key="by", required=True)
        method = CUT_BY[name or "F1"]
        value = None
        if method in VALUES:
            label, least, most, step = VALUES[method]
            kind = type(least)
            value = address.bound(st.number_input,
                label, least, most, kind(METHODS[method][1] or 0), step, key=method, width=160,
                format="%d" if kind is int else "%.3f", help=METHODS[method][2].capitalize(),
            )  # fmt: skip
        ratio = address.bound(st.slider,
            "One missed banner costs as many false alarms as", 1, MOST_RATIO, int(METHODS["cost"][1] or 1), key="cost", width=290,
            help="Sets the threshold of `cost`; for the other methods it only adds up what misses and false alarms cost",
        )  # fmt: skip
    if method == "cost":
        value = float(ratio)
    if method == "manual":
        value = own_cut()
    return method, None if value is None else float(value), float(ratio)


def own_cut() -> float:
    """The manual threshold, at a stop of the slider: from the URL, or where the slider stood when it was chosen; kept in the URL."""
    asked = address.read("cut") or str(st.session_state.get(SLIDER) or CUTS[len(CUTS) // 2])
    is_chance = re.fullmatch(r"0?\.\d+", asked) is not None
    kept = nearest(float(asked)) if is_chance else CUTS[len(CUTS) // 2]
    if not is_chance:
        address.note("cut", asked, kept, why="is no probability between 0 and 1", value=kept)
    address.keep("cut", kept)
    return float(kept)


def nearest(cut: float) -> str:
    """The slider's stop that is nearest to a threshold in log odds."""
    at = float(np.clip(log_odds(np.array([min(cut, 1.0)]))[0], -SPAN, SPAN))
    return CUTS[round(at / 0.05) + len(CUTS) // 2]


def slider(seen: Preview) -> None:
    """The threshold: it follows the method until it is moved; from then on it is manual."""
    if seen.request.method != "manual":
        asked = address.read("cut")
        if asked is not None:
            address.note("cut", asked, f"the threshold by {seen.request.method}", why="goes with by=manual only")
        address.keep("cut", None)
    st.session_state[SLIDER] = nearest(seen.calibration.rule.cut)
    st.select_slider(
        "Threshold: a banner is flagged from this probability of being broken",
        CUTS,
        key=SLIDER,
        on_change=take_over,
        label_visibility="collapsed",
    )


def take_over() -> None:
    """The slider was moved: the threshold is manual."""
    address.keep("cut", st.session_state[SLIDER])
    st.session_state["by"] = "manual"
