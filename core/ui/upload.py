"""Before an ingest: what a file holds, which column is what, what would be rejected; then the button."""

from pathlib import Path

import streamlit as st

from core import uploads
from core.clicks.columns import ALIASES
from core.preview import Preview, preview
from core.queries import runs
from core.ui import state, text, upload_gate, writes


@st.cache_data(max_entries=32, ttl=600, show_spinner="Reading the beginning of the file …")
def _preview(store: str, path: str, stamp: str, token: str, mapping: tuple[tuple[str, str], ...]) -> Preview:
    return preview(state.at_path(store), Path(path), dict(mapping))


def looked_at(path: Path, mapping: dict[str, str]) -> Preview:
    """The preview of a file, read again where the file, the mapping or the store changed. Raises InputError."""
    facts = path.stat() if path.exists() else None
    stamp = f"{facts.st_mtime_ns}-{facts.st_size}" if facts else "absent"
    opened = state.store()
    return _preview(str(opened.url), str(path), stamp, runs.ingests_token(opened), tuple(sorted(mapping.items())))


def preview_and_start(paths: list[Path], owned: bool) -> None:
    """The first file's preview, its columns to change, and the start."""
    chosen = {ours: st.session_state.get(f"map_{ours}") for ours in ALIASES}
    mapping = {ours: str(theirs) for ours, theirs in chosen.items() if theirs}
    plain = looked_at(paths[0], {})
    mapping = {ours: theirs for ours, theirs in mapping.items() if theirs in plain.columns and plain.fields.get(ours) != theirs}
    found = looked_at(paths[0], mapping) if mapping else plain
    verdict(found)
    columns(found)
    if found.problem is None:
        tables(found)
        label = f"Ingest {text.plural(len(paths), 'file')}" if len(paths) > 1 else "Ingest"
        args = (paths, mapping, owned)
        writes.button("ingest", label, begin, args, type="primary", icon=":material/download_for_offline:", key="ingest")


def verdict(found: Preview) -> None:
    """One sentence about the file."""
    name = f"**{text.markdown(uploads.name_of(Path(found.file)))}** · {text.markdown(found.format)}"
    if found.problem is not None:
        st.markdown(name)
        st.warning(text.markdown(found.problem), icon=":material/rule:")
        return
    part = "all" if found.whole else "the first"
    n = sum(found.rejected.values())
    share = f" ({text.percent(n / found.n_rows)})" if found.n_rows else ""
    st.markdown(f"{name} · of {part} {text.plural(found.n_rows, 'row')}, {found.accepted:,} would be accepted and {n:,} rejected{share}.")


def columns(found: Preview) -> None:
    """Which column is what; anything can be changed."""
    with st.expander("Columns: which is what", expanded=found.problem is not None):
        st.caption("As found; choose another column to map it. The same file with another mapping is another ingest.")
        with st.grid(5):
            for ours in ALIASES:
                hint = found.fields.get(ours)
                st.selectbox(ours, found.columns, index=None, placeholder=hint or text.UNKNOWN, key=f"map_{ours}")


def tables(found: Preview) -> None:
    """First rows as they are understood; rejects by reason with lines."""
    left, right = st.columns(2, gap="large")
    with left:
        st.caption("First rows, as they are understood")
        st.dataframe(found.rows, hide_index=True, height=230, alt="First rows")
    with right:
        if not found.rejected:
            st.caption("Nothing of it would be rejected")
            return
        st.caption(" · ".join(f"{text.markdown(reason)} {n:,}" for reason, n in found.rejected.items()))
        st.dataframe(found.rejects, hide_index=True, height=230, alt="Rows that would be rejected, a few of every reason")


def begin(paths: list[Path], mapping: dict[str, str], owned: bool) -> None:
    """Starts the ingest in the background and clears the form."""
    writes.ingest(paths, mapping, owned=owned)
    if owned:
        upload_gate.release()
    st.session_state["path"] = ""
    st.session_state["upload_round"] = st.session_state.get("upload_round", 0) + 1
    for ours in ALIASES:
        st.session_state.pop(f"map_{ours}", None)
