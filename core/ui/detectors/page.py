"""Detectors: which of them can be trusted, and for what? Without labels: what they cost, and what they have in common."""

import pandas as pd
import streamlit as st

from core.ui.detectors import audit as detector_audit
from core.ui.detectors import charts as detector_charts
from core.ui.detectors import leaderboard as detector_board
from core.ui.detectors import model_selection, one_detector, tiers
from core.ui.detectors import reads as detector_reads
from core.ui.detectors import tables as detector_tables
from core.ui.detectors import training as detector_training
from core.ui.detectors.reads import Row
from core.ui.render import text
from core.ui.session import address, components, reads, state
from core.ui.session import reads as session_reads
from core.ui.session.state import Shown

RANKS, FLAGS = "rank correlation", "shared flags"


def show(run: Shown) -> None:
    """The whole page."""
    used = detector_reads.used(run.path, run.run_id, session_reads.labels_token(run))
    if used["n_broken"] and used["n_ok"]:
        with_labels(run, used)
    else:
        without_labels(run, used)
    tiers.show(run)
    detector_audit.show(run)
    model_selection.show(run)
    detector_training.show(run)
    weights(run)


def with_labels(run: Shown, used: Row) -> None:
    """Leaderboard beside curves and scores; who finds what beside what they have in common; who is found by one alone."""
    top = st.container()
    token = session_reads.labels_token(run)
    drawn = detector_board.choose(used, detector_reads.board(run.path, run.run_id, token, False))
    board = detector_reads.board(run.path, run.run_id, token, drawn)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = address.bound(
            st.segmented_control, "Compare by", list(detector_tables.METRICS), default="average precision", key="rank", required=True
        )
        chosen = one_detector.choose(run, with_labels=True)
    metric = metric or "average precision"
    with top:
        components.sentence(text.markdown(detector_board.sentence(board, metric)))
    west, east = st.columns([0.64, 0.36], gap="medium")
    with west:
        detector_board.table(run, board, metric, chosen)
    with east:
        detector_board.drawn_curves(run, board, drawn)
        one_detector.scores(run, board, chosen)
    west, east = st.columns([0.64, 0.36], gap="medium")
    with west:
        st.markdown("##### Who finds what")
        detector_board.families(board, metric, chosen)
    with east:
        in_common(run)
    st.markdown("##### One detector closer")
    one_detector.show(run, board, chosen)


def without_labels(run: Shown, used: Row) -> None:
    """What can be known without them, and the one next step."""
    found = reads.detectors(run.path, run.run_id)
    components.sentence(cost_sentence(run, found))
    chosen = one_detector.choose(run, with_labels=False)
    cost_table(found)
    st.caption(
        "Slow detectors look at banners that could still be flagged and at a random control sample; they leave the others out, which "
        "does not mean that those are ok."
    )
    n = used["n_broken"] + used["n_ok"]
    why = (
        "No banner of this run is labelled yet."
        if not n
        else f"All {n:,} labels are of one kind: {'broken' if used['n_ok'] == 0 else 'ok'}."
    )
    components.empty(
        "How good each detector is needs labels of both kinds", f"{why} Some twenty of each already tell the best from the worst.",
        page="label", label="Label banners",
    )  # fmt: skip
    west, east = st.columns([0.5, 0.5], gap="medium")
    with west:
        in_common(run)
    with east:
        st.markdown("##### Scores")
        one_detector.scores(run, None, chosen)
    st.markdown("##### Found by one alone")
    one_detector.show(run, None, chosen)


def cost_sentence(run: Shown, found: list[Row]) -> str:
    """How many detectors took how long, and how many of them looked at some banners only."""
    seconds = sum(row["fit_s"] + row["score_s"] for row in found)
    some = [row for row in found if row["share"] < 1]
    words = f"{text.plural(len(found), 'detector')} took {seconds:,.0f} s for {text.plural(run.run['n_banners'], 'banner')}"
    if some:
        most = max(row["n_scored"] for row in some)
        who = "all" if len(some) == len(found) else len(some)
        words += f"; {who} of them looked only at the {most:,} that could still be flagged, control sample included"
    return f"{words}."


def cost_table(found: list[Row]) -> None:
    """A row a detector: whom it looked at, what it cost, how far it goes along with the flags."""
    table = pd.DataFrame(
        {
            "detector": [row["detector"] for row in found],
            "family": [text.fault(row["family"]) for row in found],
            "looked at": [row["n_scored"] for row in found],
            "of all": [100 * row["share"] for row in found],
            "agrees": [None if row["agree"] is None else 100 * row["agree"] for row in found],
            "alone": [row["alone"] for row in found],
            "ms": [row["ms"] for row in found],
            "fit": [row["fit_s"] for row in found],
            "seconds": [row["fit_s"] + row["score_s"] for row in found],
        }
    )
    st.dataframe(table, hide_index=True, height=min(36 * len(found) + 38, 440), column_config=_COLUMNS, key="detectors")


_COLUMNS = {
    "looked at": st.column_config.NumberColumn(format="localized", help="Banners that it scored in this run"),
    "of all": st.column_config.ProgressColumn(format="%.0f %%", min_value=0, max_value=100, help="Share of the run's banners"),
    "agrees": st.column_config.NumberColumn(format="%.0f %%", help="Share of the flagged banners it scored that have p ≤ 0.05"),
    "alone": st.column_config.NumberColumn("not flagged", format="localized", help="Banners with p ≤ 0.001 that the run does not flag"),
    "ms": st.column_config.NumberColumn("ms a banner", format="%.2f", help="Fit and score, or features and score, by banner it looked at"),
    "fit": st.column_config.NumberColumn("fit s", format="%.1f"),
    "seconds": st.column_config.NumberColumn(format="%.1f", help="Fit and score, or features and score, in this run"),
}


def in_common(run: Shown) -> None:
    """What each two detectors have in common, by ranks or by flags."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown("##### In common")
        which = address.bound(
            st.segmented_control, "In common", [RANKS, FLAGS], default=RANKS, key="common", required=True, label_visibility="collapsed"
        )
    of_flags = which == FLAGS
    names = detector_reads.sample(run.path, run.run_id).names
    values = detector_reads.alike(run.path, run.run_id, of_flags)
    figure = detector_charts.alike(names, values, state.theme(), of_flags=of_flags)
    components.plot(figure, "alike", f"{which} of every two detectors")
    what = "of the banners that either flags, the share that both flag" if of_flags else "Spearman, all scores"
    st.caption(f"{what[0].upper()}{what[1:]}; over the banners that both looked at.")


def weights(run: Shown) -> None:
    """Weights in use, feature extractors, and what else the catalogue holds."""
    found = reads.detectors(run.path, run.run_id)
    st.markdown("##### Weights, extractors, catalogue")
    west, east = st.columns([0.42, 0.58], gap="large")
    with west:
        own = [row for row in found if row["weights"]]
        rows = {"detector": [row["detector"] for row in own], "weights in this run": [row["weights"] for row in own]}
        st.dataframe(pd.DataFrame(rows), hide_index=True, height="content", key="weights")
        missing = [row["name"] for row in detector_reads.catalogue() if row["name"] not in {r["detector"] for r in found}]
        if missing:
            st.caption(
                f"Not in this run: {text.markdown(', '.join(missing))}. `python -m core score --detectors` takes any of them by name."
            )
    with east:
        st.dataframe(
            pd.DataFrame(reads.extractors()), hide_index=True, key="extractors", height="content",
            column_config={"features": st.column_config.NumberColumn(format="localized", width="small")},
        )  # fmt: skip
        st.caption("`python -m core info` also asks whether a hub answers. `HF_HOME` names a cache copied from another machine.")
