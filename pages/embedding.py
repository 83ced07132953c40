"""Embedding: which banners resemble each other?"""

import streamlit as st

from core.queries import embeddings
from core.ui import address, embedding, nav, pairwise
from core.ui.state import Shown

VIEWS = ("map", "pairwise")


def embedding_page(run: Shown) -> None:
    """The whole page: the map, or two cosine similarities against each other."""
    top = st.container()
    bar = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    with bar:
        view = address.bound(st.segmented_control, "View", VIEWS, default=VIEWS[0], key="view", required=True)
    if view == VIEWS[1]:
        pairwise.view(run, top, bar)
    else:
        embedding.map_view(run, embeddings.listed(run.store, run.run_id), top, bar)


nav.show(embedding_page)
