"""How a file is read, on the Data page: format, corner, unit and values for every row; its heatmap as it would be; a name to save it."""

import numpy as np
import streamlit as st

from core.clicks import mappings
from core.clicks.columns import HOW
from core.clicks.preview import Preview
from core.settings import N_COLS, N_ROWS
from core.ui.render import pictures, text
from core.ui.session import state, writes

LABELS = {"format": "Format", "unit": "Unit", "origin": "Origin", "dates": "Dates", "banners": "One banner_id on several domains"}
HELP = {
    "format": "Whose export it is; auto: as its columns say.",
    "unit": "Coordinates are shares of 0..1, or percent.",
    "origin": "The corner where coordinates are 0. The heatmap below shows an axis that is upside down.",
    "dates": "What 03/04/2026 is; auto: as the other dates of the file say.",
    "banners": "split: each is a banner of its own; strict: such rows are rejected.",
}
SET = ("grid_id", "n_products", "domain", "banner_width", "banner_height")
"""Fields that may be set for every row here."""


def tool() -> dict[str, str]:
    """The format alone, as a mapping: it decides which columns there are."""
    return {name: value for name, value in asked().items() if name == "format"}


def asked() -> dict[str, str]:
    """What was chosen here, as a mapping."""
    how = {name: str(st.session_state.get(f"how_{name}") or values[0]) for name, values in HOW.items()}
    chosen = {name: value for name, value in how.items() if value != HOW[name][0]}
    constants = {ours: str(st.session_state.get(f"set_{ours}") or "").strip() for ours in SET}
    return chosen | {ours: f"={value}" for ours, value in constants.items() if value}


def saved_mapping(plain: Preview) -> dict[str, str]:
    """The saved mapping that was picked for a file with these columns; empty where none was."""
    fitting = mappings.fitting(state.store(), plain.columns)
    if not fitting:
        return {}
    by_name = {one.name: one for one in fitting}
    name = st.selectbox(
        "Mapping saved for files of this shape",
        list(by_name),
        index=None,
        placeholder="none",
        key="how_saved",
        format_func=lambda name: f"{name}, by {by_name[name].author} {text.ago(by_name[name].happened_at)}",
    )
    return by_name[name].mapping if name in by_name else {}


def controls(found: Preview) -> None:
    """Format, unit, origin, dates, and values for every row."""
    if found.guess and found.fields.get("unit") is None:
        words = ", ".join(f"{name} {value}" for name, value in found.guess.items())
        st.info(f"As it looks: {words}. Nothing is read so until it is chosen.", icon=":material/lightbulb:")
        st.button("Read it so", key="how_guess", on_click=_accept, args=(found.guess,))
    with st.expander("How it is read: format, unit, origin, values for every row", expanded=found.problem is not None or found.refused):
        with st.grid(5):
            for name, values in HOW.items():
                st.selectbox(LABELS[name], list(values), key=f"how_{name}", help=HELP[name])
        st.caption("A value for every row, where the file has no such column")
        with st.grid(5):
            for ours in SET:
                st.text_input(ours, key=f"set_{ours}", max_chars=200, placeholder=found.fields.get(ours, text.UNKNOWN))


def _accept(guess: dict[str, str]) -> None:
    for name, value in guess.items():
        st.session_state[f"how_{name}"] = value


def heatmap(found: Preview) -> None:
    """A small heatmap of the accepted rows, upper edge on top."""
    counts = np.array(found.heat, dtype=np.float64).reshape(N_ROWS, N_COLS) if found.heat else np.zeros((N_ROWS, N_COLS))
    if not counts.any():
        return
    picture = pictures.data_url(counts, pictures.common_top([counts]), state.theme().ramp)
    part = "all" if found.whole else "the first"
    st.caption(f"Clicks of {part} {text.plural(found.n_rows, 'row')} as they would be read: the top of the banner is at the top")
    st.html(
        f'<img src="{picture}" width="200" height="200" alt="Heatmap of the file as it would be read" style="image-rendering: pixelated">'
    )


def save_as(found: Preview, mapping: dict[str, str]) -> None:
    """A name for how the file is read; nothing where it is read by its columns alone."""
    if not mapping:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Save this mapping as", key="how_name", max_chars=mappings.LONGEST)
        args = (name, found.columns, mapping)
        writes.button("ingest", "Save the mapping", keep, args, key="how_save", disabled=not name.strip())


def keep(name: str, columns: list[str], mapping: dict[str, str]) -> None:
    """Saves the mapping, and says so."""
    writes.save_mapping(name, columns, mapping)
    st.toast(f"Saved the mapping {text.markdown(name)}: it is offered for the next file of this shape.", icon=":material/bookmark:")


def clear() -> None:
    """Forgets what was chosen for a file."""
    for key in (*(f"how_{name}" for name in (*HOW, "saved", "name")), *(f"set_{ours}" for ours in SET)):
        st.session_state.pop(key, None)
