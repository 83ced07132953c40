"""Which of a banner's clicks are drawn: all, or those of one segment."""

import streamlit as st

from core.store.queries.runs import Row
from core.ui.render import cells as maps
from core.ui.render import text
from core.ui.render.cells import Map
from core.ui.session import reads
from core.ui.session.state import Shown

ALL = "all clicks"


def chosen(run: Shown, found: Row, seen: Map) -> Map:
    """The clicks of the segment that is chosen, by default of the one that alone shows the fault; all where the store has no segments."""
    parts = reads.by_segment(run.path, run.run_id, found["banner_id"], run.run)
    if not parts:
        return seen
    names = [ALL, *parts]
    kept = {ALL: seen, **{name: maps.as_map(counts) for name, counts in parts.items()}}
    name = st.segmented_control(
        "Clicks of", names, key=f"of_{found['banner_id']}", default=found["segment"] if found["segment"] in parts else ALL, required=True,
        label_visibility="collapsed", format_func=lambda name: f"{name}: {text.number(int(kept[name].sum()))}",
    )  # fmt: skip
    return kept[str(name)]
