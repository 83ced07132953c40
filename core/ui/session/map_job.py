"""Making a map from the page: what it will take, start, progress with cancel, how it ended."""

import streamlit as st

from core.embeddings import job as embed
from core.embeddings.job import MapRequest
from core.store.queries.embeddings import HEATMAP
from core.ui.render import text
from core.ui.session import state, writes
from core.ui.session.state import Shown

EVERY_S = 1.0
METHODS = {"PCA": "pca", "MVU": "mvu"}
"""As a reader knows them, which is also how they stand in the URL."""


def words(feature: str, method: str) -> str:
    """A map in words: MVU of efficientnet lite0."""
    return f"{method.upper()} of {text.fault(feature)}"


def is_going() -> bool:
    """Whether this process makes a map of the store just now."""
    handle = embed.current(state.store())
    return handle is not None and handle.state == "running"


def missing(run: Shown, feature: str, method: str) -> None:
    """The state of a map that was not made yet: what it takes, and the one button that makes it."""
    with st.container(border=True, width=720):
        st.markdown(f"**No {text.markdown(words(feature, method))} of this run yet**")
        n = min(run.run["n_banners"], embed.MAX_POINTS)
        if feature == HEATMAP:
            first = f"The smoothed heatmaps of {text.plural(n, 'banner')} are read from the store, no network is needed."
        else:
            first = f"Features of {text.plural(n, 'banner')} are read where they are kept; computing those that are not may take minutes."
        more = " Unfolding takes about half a minute." if method == "mvu" else " Principal components take seconds."
        st.markdown(text.markdown(first + more) + " You can go on working meanwhile.")
        button(run, feature, method, "Make this map")


def button(run: Shown, feature: str, method: str, label: str) -> None:
    """Starts the map."""
    writes.button(
        "map", label, writes.make_map, (MapRequest(run.run_id, feature, method),),
        key="make_map", type="primary", icon=":material/play_arrow:", disabled=is_going(),
        help="Another map is in work" if is_going() else None,
    )  # fmt: skip


@st.fragment(run_every=EVERY_S)
def watch() -> None:
    """Progress of the map in work, with a way to stop it."""
    handle = embed.current(state.store())
    if handle is None or handle.state != "running":
        st.rerun()  # the whole page: it shows the map, and polling ends
        return
    what = words(handle.request.feature, handle.request.method)
    st.progress(min(handle.done, 1.0), f"{text.markdown(what)}: {text.markdown(handle.what)} · {100 * handle.done:.0f} %")
    kept = "Features that were computed are kept"
    writes.button("map", "Cancel", writes.cancel_map, (handle,), key="cancel_map", disabled=handle.is_cancelled, help=kept)


def progress_or_outcome() -> None:
    """What became of the latest map that this process began: its progress, or why there is none."""
    handle = embed.current(state.store())
    if handle is None or handle.state == "finished":
        return
    if handle.state == "running":
        watch()
        return
    what = text.markdown(words(handle.request.feature, handle.request.method))
    if handle.state == "cancelled":
        st.warning(f"{what}: {text.markdown(handle.error or '')}", icon=":material/block:")
    else:
        st.error(f"{what}: {text.markdown(handle.error or '')}", icon=":material/error:")
    writes.button("map", "Close", writes.forget_map, (handle,), key="forget_map")
