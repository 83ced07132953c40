"""Data: is the machine fed and well?"""

import streamlit as st

from core.store.queries import health, runs
from core.ui.data import ingests, sections
from core.ui.render import text
from core.ui.session import address, components, state


def first_line() -> str:
    """Last ingest 3 h ago, 1.2 M clicks, 0.8 % rejected; last run 2 h ago, 3,030 banners in 21 s."""
    newest, finished = health.ingests(state.store(), 1), runs.finished_runs(state.store(), 1)
    if not newest:
        return "Nothing was ingested yet: name a click log below."
    last = newest[0]
    rejected = last["n_rejected"] / last["n_rows"] if last["n_rows"] else 0
    words = f"Last ingest {text.ago(last['finished_at'])}: {text.plural(last['n_accepted'], 'click')}, {text.percent(rejected)} rejected; "
    if not finished:
        return words + "nothing is scored yet."
    done = finished[0]
    return (
        words + f"last run {text.ago(done['finished_at'])}: {text.plural(done['n_banners'], 'banner')} in {text.duration(done['seconds'])}."
    )


def show() -> None:
    """The whole page."""
    components.sentence(text.markdown(first_line()))
    tab_in, tab_ingests, tab_runs, tab_rejects, tab_store = address.bound(
        st.tabs, ["Ingest", "Ingests", "Runs", "Rejects", "Store"], key="tab", on_change="rerun"
    )
    if tab_in.open:
        with tab_in:
            sections.ingest_section()
    if tab_ingests.open:
        with tab_ingests:
            ingests.section()
    if tab_runs.open:
        with tab_runs:
            sections.runs_section()
    if tab_rejects.open:
        with tab_rejects:
            sections.rejects_section()
    if tab_store.open:
        with tab_store:
            sections.store_section()
