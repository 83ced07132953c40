"""Detectors: which of them took part, at what cost, and with which weights."""

import pandas as pd
import streamlit as st

from core.ui import components, nav, reads, text
from core.ui.state import Shown


def detectors_page(run: Shown) -> None:
    """The whole page."""
    found = reads.detectors(run.path, run.run_id)
    _sentence(run, found)
    table = pd.DataFrame(
        {
            "detector": [row["detector"] for row in found],
            "family": [row["family"].replace("_", " ") for row in found],
            "looked at": [row["n_scored"] for row in found],
            "of all": [100 * row["share"] for row in found],
            "agrees": [None if row["agree"] is None else 100 * row["agree"] for row in found],
            "alone": [row["alone"] for row in found],
            "ms": [row["ms"] for row in found],
            "seconds": [row["fit_s"] + row["score_s"] for row in found],
            "weights": [row["weights"] or text.UNKNOWN for row in found],
        }
    )
    st.dataframe(table, hide_index=True, height="content", column_config=_COLUMNS, key="detectors")
    st.caption(
        "Slow detectors look at banners that could still be flagged and at a random control sample; the others are left out by them, which "
        "does not mean that they are in order. How good each detector is needs labels."
    )
    _extractors()


_COLUMNS = {
    "looked at": st.column_config.NumberColumn(format="localized", help="Banners that it scored in this run"),
    "of all": st.column_config.ProgressColumn(format="%.0f %%", min_value=0, max_value=100, help="Share of the run's banners"),
    "agrees": st.column_config.NumberColumn(
        format="%.0f %%", help="Share of the flagged banners it looked at that are odd to it: p ≤ 0.05"
    ),
    "alone": st.column_config.NumberColumn(format="localized", help="Banners that it finds odd, p ≤ 0.001, however the run does not flag"),
    "ms": st.column_config.NumberColumn("ms a banner", format="%.2f", help="Fit and score, or features and score, by banner it looked at"),
    "seconds": st.column_config.NumberColumn(format="%.1f", help="Fit and score, or features and score, in this run"),
    "weights": st.column_config.TextColumn(help="File and content hash of the trained weights; – = it has none", width="large"),
}


def _sentence(run: Shown, found: list[reads.Row]) -> None:
    seconds = sum(row["fit_s"] + row["score_s"] for row in found)
    some = [row for row in found if row["share"] < 1]
    words = f"{text.plural(len(found), 'detector')} took {seconds:,.0f} s for {text.plural(run.run['n_banners'], 'banner')}"
    if some:
        most = max(row["n_scored"] for row in some)
        words += f"; {len(some)} of them looked only at the {most:,} that could still be flagged, control sample included"
    components.sentence(f"{words}.")


def _extractors() -> None:
    st.markdown("**Feature extractors on this machine**")
    table = pd.DataFrame(reads.extractors())
    st.dataframe(
        table,
        hide_index=True,
        key="extractors",
        column_config={"features": st.column_config.NumberColumn(format="localized", width="small")},
    )
    st.caption("`python -m core info` also asks whether a hub answers. `HF_HOME` names a cache copied from another machine.")


nav.show(detectors_page)
