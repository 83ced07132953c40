"""Banners on which reviewers differ: the list, and one of them opened with everything that is known, to be decided."""

import uuid
from functools import partial
from typing import Any

import streamlit as st

from core.review import labels
from core.review.changes import Seen
from core.ui.label import answering, view
from core.ui.label import reads as label_reads
from core.ui.render import tables, text
from core.ui.render.text import markup
from core.ui.session import asking, components, reads, writes
from core.ui.session.state import Shown

TABLE = "disputes"
MOST = 200

Row = dict[str, Any]


def show(run: Shown) -> None:
    """The list on the left, the opened banner on the right."""
    answering.tell()
    asking.show(answering.PLACE)
    differ = labels.disputed(run.store)
    n_decided = labels.n_settled(run.store)
    if not differ:
        all_decided = "The one disagreement is decided." if n_decided == 1 else f"All {n_decided:,} disagreements are decided."
        components.sentence(all_decided if n_decided else "Reviewers differ on no banner.")
        components.empty(
            "Nothing to decide", "A disagreement shows up here once two reviewers gave one banner different labels. "
            "The queue “second reading” asks for second labels.",
        )  # fmt: skip
        undo(run)
        return
    components.sentence(f"Reviewers differ on {text.plural(len(differ), 'banner')}; {n_decided:,} decided.")
    at = next((row for row in differ if row["banner_id"] == st.session_state.get("dispute")), differ[0])
    west, east = st.columns([0.34, 0.66], gap="medium")
    with west:
        shown = differ[:MOST]
        thumbnails = reads.thumbnails(run, shown)
        components.pick_table(dispute_table(shown, thumbnails, at["banner_id"]), TABLE, on_pick=pick, height=620)
        if len(differ) > MOST:
            st.caption(f"The first {MOST} of {len(differ):,}.")
    with east:
        opened(run, at)


def pick() -> None:
    """Opens the picked banner."""
    st.session_state["dispute"] = components.picked(TABLE)


def dispute_table(rows: list[Row], thumbnails: dict[str, str], current: str) -> str:
    """Banners with who said what; a click opens one."""
    body = "".join(
        f'<tr data-pick="{markup(row["banner_id"])}" tabindex="0" aria-selected="{str(row["banner_id"] == current).lower()}">'
        f"<td>{_picture(thumbnails.get(row['banner_id']))}</td><td><b>{markup(row['banner_id'])}</b></td>"
        f"<td>{'<br>'.join(f'{markup(who)}: {markup(said)}' for who, said in row['labels'].items())}</td></tr>"
        for row in rows
    )
    head = f'<tr><th title="{tables.PICTURES}">map</th><th>banner</th><th>who said what</th></tr>'
    return f'<div class="hp"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def _picture(url: str | None) -> str:
    return f'<img src="{url}" alt="">' if url else ""


def opened(run: Shown, row: Row) -> None:
    """One banner with its maps, its scores, every label with its note, and the decision."""
    name = row["banner_id"]
    holds = labels.newest(run.store, name)  # before the labels are read: what is shown is never older
    facts = label_reads.facts_of(run, name)
    st.markdown(
        f"**{text.markdown(name)}**"
        + ("" if facts is None else f" · {text.markdown(text.grid(facts['grid_id']))} · {facts['n_clicks']:,} clicks")
    )
    if facts is None:
        st.info("The run on the screen did not score this banner: choose another run at the foot of the sidebar.")
    else:
        view.maps_of(run, facts, small=True)
        st.markdown(view.verdict(facts))
    for said in labels.current(run.store, [name]):
        about = [text.fault(said["fault"])] if said["fault"] else []
        about += [f"“{text.markdown(said['note'])}”"] if said["note"] else []
        about += [{True: "blind", False: "not blind", None: "not known whether blind"}[said["blind"]], text.ago(said["happened_at"])]
        st.markdown(f"- **{text.markdown(said['reviewer'])}**: {said['label']} · {' · '.join(about)}")
    batch = batch_of(name)
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="bottom"):
        for label, value, key in (("Broken", "broken", "B"), ("Ok", "ok", "O"), ("Unsure", "unsure", "U")):
            args = (name, value, batch, holds)
            help_text = f"Decides: {text.markdown(name)} is {value}, whatever reviewers said"
            writes.button("adjudicate", f"It is {label.lower()}", decide, args, key=f"decide_{value}_{batch}", shortcut=key, help=help_text)
        st.text_input("Why (optional)", key=f"why_{batch}", max_chars=500, width=260)
        undo(run)


def undo(run: Shown) -> None:
    """Takes back what one did last."""
    view.undo_button(run, "mixed", answering.current())


def batch_of(banner_id: str) -> str:
    """The id of the decision to come about the opened banner."""
    held = st.session_state.get("dispute_batch")
    if held is None or held[0] != banner_id:
        held = st.session_state["dispute_batch"] = (banner_id, str(uuid.uuid4()))
    return str(held[1])


def decide(banner_id: str, value: str, batch: str, holds: str | None) -> None:
    """Writes the decision, as the labels were shown; asks where anything was said about the banner since."""
    note = str(st.session_state.get(f"why_{batch}") or "").strip() or None
    asking.or_ask(
        partial(_decide, banner_id, value, batch, note), {banner_id: holds}, f"Decide {value}", "adjudicate", place=answering.PLACE
    )


def _decide(banner_id: str, value: str, batch: str, note: str | None, seen: Seen | None) -> None:
    """The next disagreement opens."""
    writes.adjudicate(banner_id, value, note=note, batch_id=batch, seen=seen)
    for key in ("dispute_batch", "dispute"):
        st.session_state.pop(key, None)
    answering.current().turn = str(uuid.uuid4())
    st.toast(f"Decided: {text.markdown(banner_id)} is {value}. Undo with Z.", icon=":material/gavel:")
