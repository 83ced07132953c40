"""With labels: which labels these are, the leaderboard, curves and scores of chosen detectors, and who finds which fault."""

import math
from typing import Any

import numpy as np
import streamlit as st

from core.statistics import leaderboard
from core.statistics.leaderboard import LEAST, Standing
from core.store.queries.detectors import COMBINED, OWN
from core.ui.detectors import charts as detector_charts
from core.ui.detectors import reads as detector_reads
from core.ui.detectors import tables as detector_tables
from core.ui.detectors.reads import Board
from core.ui.detectors.tables import METRICS
from core.ui.render import text
from core.ui.session import address, components, reads, state
from core.ui.session import reads as session_reads
from core.ui.session.state import Shown

Row = dict[str, Any]

BOARD_HEIGHT = 620
NO_FAMILY = "none known"
IN_ORDER = "ok"


def labels_used(used: Row, only_random: bool, n_random: int) -> str:
    """Which labels, whose, and which were left out."""
    n = used["n_broken"] + used["n_ok"]
    words = (
        f"{n:,} labelled banners, {used['n_broken']:,} broken and {used['n_ok']:,} ok, by {text.plural(used['n_reviewers'], 'reviewer')}"
    )
    out = [(used["n_disputed"], "disputed"), (used["n_unsure"], "unsure"), (used["n_elsewhere"], "not in this run")]
    left = ", ".join(f"{k:,} {why}" for k, why in out if k)
    words += f"; left out: {left}." if left else "."
    if only_random:
        return f"{words} Shown are the {n_random:,} that were drawn at random."
    return f"{words} Labels from a queue are no random sample: they compare detectors, but figures on all banners would differ."


def choose(used: Row, board: Board) -> bool:
    """The line on labels, with a switch to those drawn at random where there are some; returns what it says."""
    n_random = int(board.labelled.at_random.sum())
    with st.container(horizontal=True, vertical_alignment="center"):
        place = st.container(width="stretch")
        drawn = n_random > 0 and address.bound(st.toggle,
            f"Only the {n_random:,} drawn at random", key="drawn",
            help="Banners that a reviewer got as a control: the only honest estimate of how a detector does on all banners",
        )  # fmt: skip
    with place:
        st.caption(text.markdown(labels_used(used, bool(drawn), n_random)))
    return bool(drawn)


def order(board: Board, names: list[str], metric: str) -> list[str]:
    """Judges by a figure, the best first; what is not known comes last."""
    values = {name: METRICS[metric][1](board.standings[name]).share for name in names}
    return sorted(names, key=lambda name: (math.isnan(values[name]), -values[name] if not math.isnan(values[name]) else 0.0, name))


def level(board: Board, metric: str) -> dict[str, bool]:
    """Whether the labels cannot tell a judge from the best; of those that looked at every labelled banner."""
    names = board.whole()
    found = leaderboard.level_with_best([METRICS[metric][1](board.standings[name]) for name in names])
    return dict(zip(names, found.tolist(), strict=True))


def sentence(board: Board, metric: str) -> str:
    """Who leads by how much, and from whom the labels cannot tell it."""
    ranked, as_good = order(board, board.whole(), metric), level(board, metric)
    standing = board.standings[ranked[0]]
    value = METRICS[metric][1](standing)
    if math.isnan(value.share):
        return "Which detector can be trusted? These labels are all of one kind, so they cannot tell."
    span = "" if math.isnan(value.low) else f" ({value.low:.3f}\u2013{value.high:.3f})"
    words = f"{named(ranked[0], first=True)} leads with {metric} {value.share:.3f}{span}"
    others = [name for name in ranked[1:] if as_good[name]]
    if not others:
        return f"{words}, beyond what chance explains."
    who = " and ".join(named(name) for name in others) if len(others) < 3 else f"{len(others)} others"
    return f"{words}; these labels cannot tell it from {who}."


def named(name: str, *, first: bool = False) -> str:
    """A judge in a sentence."""
    words = text.fault(name)
    return words[0].upper() + words[1:] if first else words


def costs(run: Shown) -> dict[str, Row]:
    """Family, milliseconds and fit time by judge."""
    found: dict[str, Row] = {row["detector"]: row for row in reads.detectors(run.path, run.run_id)}
    return {COMBINED: {}, OWN: {}} | found


def table(run: Shown, board: Board, metric: str, chosen: str) -> None:
    """The leaderboard: detectors that scored all banners, then the others, beside `combined` on the same banners."""
    groups = [("", order(board, board.whole(), metric))]
    standings: dict[str, Standing] = dict(board.standings)
    partial = order(board, board.partial(), metric)
    if partial:
        why = "Looked only at banners that could still be flagged and at a control sample; not to be compared with the figures above"
        peer = f"{COMBINED}, on these"
        if board.peer is not None:
            standings[peer] = board.peer
            partial = [*partial, peer]
        groups.append((f"{why}{'' if board.peer is None else ', but with those of combined on the same banners'}.", partial))
    marks = level(board, metric)
    marks = marks if sum(marks.values()) > 1 else {}
    html = detector_tables.leaderboard(groups, standings, costs(run), metric, marks, chosen)
    components.pick_table(html, "board", on_pick=lambda: pick("board"), height=BOARD_HEIGHT)
    few = min(sum(s.n_broken for s in [board.standings[COMBINED]]), board.standings[COMBINED].n - board.standings[COMBINED].n_broken)
    notes = ["Intervals hold 95 %, by a bootstrap within broken and ok labels."]
    if marks:
        notes.append("≈ cannot be told from the best.")
    if few < LEAST:
        notes.append(f"Fewer than {LEAST} labels of a kind: no interval.")
    if OWN in board.standings:
        notes.append("`combined` follows a threshold version that may have learned from these labels; without labels it has not.")
    st.caption(" ".join(notes))


def pick(key: str) -> None:
    """The detector of the picked row is looked at closer."""
    st.session_state["detector"] = components.picked(key)


def drawn_curves(run: Shown, board: Board, drawn: bool) -> None:
    """ROC and precision-recall of the chosen detectors."""
    names = order(board, list(board.standings), "average precision")
    chosen = address.bound(st.multiselect,
        "Curves of", names, default=order(board, board.whole(), "average precision")[:2], key="curves",
        max_selections=detector_charts.MOST_CURVES, placeholder="Curves of …", label_visibility="collapsed",
    )  # fmt: skip
    token = session_reads.labels_token(run)
    found = [(name, detector_reads.curves_of(run.path, run.run_id, token, drawn, name)) for name in chosen]
    shown = [(name, curves) for name, curves in found if curves is not None]
    if not shown:
        st.caption("Choose detectors to draw." if not chosen else "No curve: the labels are all of one kind.")
        return
    figure = detector_charts.rates(shown, state.theme(), state.is_dark())
    components.plot(figure, "rates", "ROC and precision-recall curves of chosen detectors")


def families(board: Board, metric: str, chosen: str) -> None:
    """Who finds which fault: a heat table of the labelled banners."""
    labelled = board.labelled
    words = np.array([text.fault(f) if f else NO_FAMILY for f in labelled.fault], dtype=object)
    found, n = np.unique(words[labelled.broken].astype(str), return_counts=True)
    kinds = [str(k) for k in found[np.argsort(-n, kind="stable")]]
    code = np.array([kinds.index(w) if broken else len(kinds) for w, broken in zip(words.tolist(), labelled.broken.tolist(), strict=True)])
    hits, looked = leaderboard.by_kind(labelled.flagged, labelled.looked, code, len(kinds) + 1)
    names = [*order(board, board.whole(), metric), *order(board, board.partial(), metric)]
    rows = [labelled.names.index(name) for name in names]
    html = detector_tables.who_finds_what(names, [*kinds, IN_ORDER], hits[rows], looked[rows], chosen)
    components.pick_table(html, "families", on_pick=lambda: pick("families"), height=520)
    st.caption(
        "Share of the labelled banners of a fault that a detector flags, of those it looked at. The fault is the reviewer's where one was "
        f"given, else the diagnosis. “{IN_ORDER}” are false alarms."
    )
