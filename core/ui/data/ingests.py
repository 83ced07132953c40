"""Ingests on the Data page: what each brought, and taking one back after saying what goes."""

from pathlib import Path
from typing import Any

import streamlit as st

from core.clicks import undo
from core.ui.render import text
from core.ui.session import components, identity, state, writes

SHOWN = 200


def section() -> None:
    """The newest ingests; a picked one can be taken back."""
    rows = undo.ingests(state.store(), SHOWN)
    if not rows:
        components.empty("Nothing was ingested", "Ingests are listed here, and can be taken back.")
        return
    picked = st.dataframe(
        [_row(row) for row in rows],
        hide_index=True,
        alt="Ingests, newest first",
        key="ingest_rows",
        on_select="rerun",
        selection_mode="single-row",
    )
    chosen = [rows[k] for k in picked["selection"]["rows"] if k < len(rows)]
    if not chosen:
        st.caption("Pick an ingest to take it back.")
        return
    _take_back(chosen[0])


def _row(row: dict[str, Any]) -> dict[str, str]:
    gone = row["undone_at"] is not None
    return {
        "file": Path(row["file"]).name,
        "when": text.ago(row["finished_at"]),
        "by": row["author"] or text.UNKNOWN,
        "rows": text.number(row["n_rows"]),
        "clicks": text.number(row["n_clicks"]),
        "rejected": text.number(row["n_rejected"]),
        "days": f"{text.day(row['first_day'])} to {text.day(row['last_day'])}" if row["first_day"] else text.UNKNOWN,
        "state": f"taken back by {row['undone_by']}: {row['undone_reason']}" if gone else row["state"],
        "ingest": row["ingest_id"],
    }


def _take_back(row: dict[str, Any]) -> None:
    """What goes, a reason, and the button."""
    name = text.markdown(Path(row["file"]).name)
    if row["undone_at"] is not None:
        st.info(
            f"**{name}** was taken back {text.ago(row['undone_at'])} by {text.markdown(row['undone_by'])}. "
            "Ingest the file again to have its clicks.",
            icon=":material/info:",
        )
        return
    why = identity.refused("take_back")
    if why is not None:
        st.caption(text.markdown(why))
        return
    st.warning(f"**{name}**: {_words(undo.effect(state.store(), row['ingest_id']))}", icon=":material/undo:")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        reason = st.text_input("Why is it taken back?", key=f"undo_reason_{row['ingest_id']}", max_chars=500)
        sure = st.checkbox("Take these clicks out of the store", key=f"undo_sure_{row['ingest_id']}")
        args = (row["ingest_id"], reason)
        writes.button("take_back", "Take back", take_back, args, key="undo_ingest", type="primary", disabled=not sure)


def _words(effect: undo.Effect) -> str:
    """What goes and what stays."""
    words = f"taking it back removes {text.plural(effect.n_clicks, 'click')} on {text.plural(effect.n_banners, 'banner')}"
    if effect.banners_gone:
        words += f", {effect.banners_gone:,} of which no other ingest has clicks of"
    labels = f" Labels stay, {effect.n_labels:,} of them on banners without clicks." if effect.n_labels else ""
    return f"{words}. Runs that were made before stay as they are.{labels} {text.markdown(effect.elsewhere_words)}".strip()


def take_back(ingest_id: str, reason: str) -> None:
    """Takes it back, and says so."""
    done = writes.undo_ingest(ingest_id, reason)
    st.toast(f"Took back {text.plural(done.n_clicks, 'click')} of {text.markdown(Path(done.file).name)}.", icon=":material/undo:")
