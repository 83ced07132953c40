"""Before an ingest: what a file holds, which column is what, what would be rejected; then the button."""

from pathlib import Path

import streamlit as st

from core.clicks import uploads
from core.clicks.columns import ALIASES
from core.clicks.known_files import KnownPath
from core.clicks.preview import Preview, preview
from core.store.queries import runs
from core.ui.data import how_read
from core.ui.render import text
from core.ui.session import state, upload_gate, writes

CHOICES: dict[KnownPath, str] = {"refuse": "Leave out", "replace": "Replace", "add": "Add"}


@st.cache_data(max_entries=32, ttl=600, show_spinner="Reading the beginning of the file …")
def _preview(store: str, path: str, stamp: str, token: str, mapping: tuple[tuple[str, str], ...], owned: bool) -> Preview:
    return preview(state.at_path(store), Path(path), dict(mapping), uploaded=owned)


def looked_at(path: Path, mapping: dict[str, str], owned: bool = False) -> Preview:
    """The preview of a file, read again where the file, the mapping or the store changed. Raises InputError."""
    facts = path.stat() if path.exists() else None
    stamp = f"{facts.st_mtime_ns}-{facts.st_size}" if facts else "absent"
    opened = state.store()
    return _preview(str(opened.url), str(path), stamp, runs.ingests_token(opened), tuple(sorted(mapping.items())), owned)


def preview_and_start(paths: list[Path], owned: bool) -> None:
    """The first file's preview, its columns to change, and the start."""
    chosen = {ours: st.session_state.get(f"map_{ours}") for ours in ALIASES}
    mapped = {ours: str(theirs) for ours, theirs in chosen.items() if theirs}
    plain = looked_at(paths[0], how_read.tool(), owned)
    base = how_read.saved_mapping(plain)
    mapped = {ours: theirs for ours, theirs in mapped.items() if theirs in plain.columns and plain.fields.get(ours) != theirs}
    mapping = {**base, **how_read.asked(), **mapped}
    found = looked_at(paths[0], mapping, owned) if mapping else plain
    verdict(found)
    how_read.controls(found)
    columns(found)
    if found.problem is None:
        tables(found)
        how_read.heatmap(found)
        how_read.save_as(found, mapping)
        label = f"Ingest {text.plural(len(paths), 'file')}" if len(paths) > 1 else "Ingest"
        args = (paths, mapping, owned, *choices(found))
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
    if found.is_known:
        st.info(f"{text.markdown(found.known or '')} Nothing would change.", icon=":material/info:")
        return
    st.markdown(f"{name} · of {part} {text.plural(found.n_rows, 'row')}, {found.accepted:,} would be accepted and {n:,} rejected{share}.")


def choices(found: Preview) -> tuple[KnownPath, bool]:
    """What becomes of files that are known with other content, and whether a log is taken in of which most is rejected."""
    if found.known and not found.is_known:
        st.warning(text.markdown(found.known), icon=":material/difference:")
    known = st.radio(
        "A file that is known with other content",
        list(CHOICES),
        horizontal=True,
        format_func=lambda choice: CHOICES[choice],
        key="known_choice",
        help="Replace: the earlier ingest is taken back, for a log that has grown or was corrected. Add: both are counted, for a "
        "name that is used again.",
    )
    if found.refused:
        cause = f" Likeliest cause: {text.markdown(found.cause)}" if found.cause else ""
        st.warning(f"As it is, nothing of it would be taken in: more than half is rejected.{cause}", icon=":material/rule:")
    allow = st.checkbox("Take in what is left where more than half is rejected", key="allow_rejects") if found.refused else False
    return known, allow


def columns(found: Preview) -> None:
    """Which column is what; anything can be changed."""
    with st.expander("Columns: which is what", expanded=found.problem is not None):
        st.caption("As found; choose another column to map it. A file that was ingested by other columns replaces that, or is left out.")
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
        for note in found.notes:
            st.caption(text.markdown(note))
    with right:
        if not found.rejected:
            st.caption("Nothing of it would be rejected")
            return
        st.caption(" · ".join(f"{text.markdown(reason)} {n:,}" for reason, n in found.rejected.items()))
        st.dataframe(found.rejects, hide_index=True, height=230, alt="Rows that would be rejected, a few of every reason")


def begin(paths: list[Path], mapping: dict[str, str], owned: bool, known: KnownPath, allow_rejects: bool) -> None:
    """Starts the ingest in the background and clears the form."""
    writes.ingest(paths, mapping, owned=owned, known=known, allow_rejects=allow_rejects)
    for key in ("known_choice", "allow_rejects"):
        st.session_state.pop(key, None)
    if owned:
        upload_gate.release()
    st.session_state["path"] = ""
    st.session_state["upload_round"] = st.session_state.get("upload_round", 0) + 1
    how_read.clear()
    for ours in ALIASES:
        st.session_state.pop(f"map_{ours}", None)
