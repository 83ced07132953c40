"""Embedding: which banners resemble each other?"""

import streamlit as st

from core.store.queries import embeddings
from core.ui.embedding import map_view, pairwise
from core.ui.session import address
from core.ui.session.state import Shown

VIEWS = ("map", "pairwise")


def show(run: Shown) -> None:
    """The whole page: the map, or two cosine similarities against each other."""
    top = st.container()
    bar = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    with bar:
        view = address.bound(st.segmented_control, "View", VIEWS, default=VIEWS[0], key="view", required=True)
    if view == VIEWS[1]:
        pairwise.view(run, top, bar)
    else:
        map_view.map_view(run, embeddings.listed(run.store, run.run_id), top, bar)
