"""Making a map from the page: what it will take, start, progress with cancel, how it ended."""

import streamlit as st

from core.embeddings.job import MAP, MAX_POINTS
from core.embeddings.request import MapRequest
from core.store.queries.embeddings import HEATMAP
from core.ui.render import text
from core.ui.session import job_panel, writes
from core.ui.session.job_panel import Words
from core.ui.session.state import Shown

METHODS = {"PCA": "pca", "MVU": "mvu"}
"""As a reader knows them, which is also how they stand in the URL."""


def words(feature: str, method: str) -> str:
    """A map in words: MVU of efficientnet lite0."""
    return f"{method.upper()} of {text.fault(feature)}"


def missing(run: Shown, feature: str, method: str) -> None:
    """The state of a map that was not made yet: what it takes, and the one button that makes it."""
    with st.container(border=True, width=720):
        st.markdown(f"**No {text.markdown(words(feature, method))} of this run yet**")
        n = min(run.run["n_banners"], MAX_POINTS)
        if feature == HEATMAP:
            first = f"The smoothed heatmaps of {text.plural(n, 'banner')} are read from the store, no network is needed."
        else:
            first = f"Features of {text.plural(n, 'banner')} are read where they are kept; computing those that are not may take minutes."
        more = " Unfolding takes about half a minute." if method == "mvu" else " Principal components take seconds."
        st.markdown(text.markdown(first + more) + " You can go on working meanwhile.")
        button(run, feature, method, "Make this map")


def button(run: Shown, feature: str, method: str, label: str) -> None:
    """Starts the map."""
    is_running = job_panel.is_running(MAP)
    writes.button(
        "map", label, writes.start, (MAP, MapRequest(run.run_id, feature, method)),
        key="make_map", type="primary", icon=":material/play_arrow:", disabled=is_running,
        help="Another map is in progress" if is_running else None,
    )  # fmt: skip


WORDS = Words(title=lambda request: words(request.feature, request.method), stop="Cancel", kept="Features that were computed are kept")
