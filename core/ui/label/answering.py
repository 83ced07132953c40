"""One reviewer's desk in this session: the banner on it, and what each key does. Everything is saved before the next banner is shown.

Each banner on the desk carries the batch_id of its showing, and each key the banner it was drawn for: a key that comes late, or twice,
never says anything about another banner.
"""

import time
import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import streamlit as st

from core.review import labels
from core.review.changes import Seen
from core.review.claims import Item
from core.review.labelling_queue import Mode
from core.ui.render import text
from core.ui.session import asking, state, writes
from core.ui.session.state import Shown

PLACE = "label"
"""Where questions of this page stand: in the part that is redrawn alone."""
SOONEST = 0.3
"""Seconds after a banner was laid on the desk before which no answer is about it: a second press of the key for the one before."""


@dataclass
class Desk:
    """What is on it. `item` is None before the first banner, after an answer, and where the queue is empty.

    seen: scores or other labels of the banner on the desk were shown; peeked: of these banners, before they were answered.
    back: how many of one's own labels one looks back; 0 = at work.
    turn: changes with every action, so that a second press of the same key finds itself late. saved: the last answer. words: what the last
    key did and its sign, to be said when the page is drawn.
    """

    run_id: str = ""
    reviewer: str = ""
    item: Item | None = None
    since: float = 0.0
    seen: bool = False
    peeked: set[str] = field(default_factory=set)
    back: int = 0
    turn: str = field(default_factory=lambda: str(uuid.uuid4()))
    saved: dict[str, Any] | None = None
    words: tuple[str, str] | None = None
    holds: str | None = None
    """What held for the banner on the desk when it was shown: `labels.newest`."""


def current() -> Desk:
    """The desk of this session."""
    if "desk" not in st.session_state:
        st.session_state["desk"] = Desk()
    desk = st.session_state["desk"]
    assert isinstance(desk, Desk)
    return desk


def prepare(run: Shown, reviewer: str, mode: Mode, grid: int | None) -> Desk:
    """The desk with a banner on it, unless the queue is empty; cleared first where the run or the reviewer is another one."""
    desk = current()
    if (desk.run_id, desk.reviewer) != (run.run_id, reviewer):
        clear()
        desk.run_id, desk.reviewer, desk.saved = run.run_id, reviewer, None
    if desk.item is None:
        put(desk, writes.show_next(run.run_id, mode, grid=grid))
    return desk


def put(desk: Desk, item: Item | None, *, seen: bool = False) -> None:
    """Lays a banner on the desk; the clock starts."""
    desk.item, desk.since, desk.back, desk.turn = item, time.monotonic(), 0, str(uuid.uuid4())
    desk.seen = seen or (item is not None and item.banner_id in desk.peeked)
    desk.holds = labels.newest(state.store(), item.banner_id) if item is not None else None


def peek() -> None:
    """What is on the desk is not blind any more, nor when it comes back unanswered."""
    desk = current()
    desk.seen = True
    if desk.item is not None:
        desk.peeked.add(desk.item.banner_id)


def tell() -> None:
    """Says once what the last key did: a key itself may draw nothing while only a part of the page is redrawn."""
    desk = current()
    if desk.words is not None:
        words, icon = desk.words
        st.toast(words, icon=f":material/{icon}:")
        desk.words = None


def _say(words: str, icon: str) -> None:
    current().words = (words, icon)


def clear() -> None:
    """Gives the banner on the desk back, as when another queue is chosen."""
    desk = current()
    if desk.item is not None:
        writes.release(desk.item)
    desk.item, desk.back = None, 0


def save(item: Item, value: str) -> None:
    """Writes the answer to a banner; then there is room for the next."""
    desk = current()
    if desk.item is None or desk.item.batch_id != item.batch_id:
        _say(f"That key was for {text.markdown(item.banner_id)}: it came late and changed nothing.", "info")
        return
    if time.monotonic() - desk.since < SOONEST:
        _say(f"That key came before {text.markdown(item.banner_id)} could be seen: nothing was saved.", "info")
        return
    fault = str(st.session_state.get(f"fault_{item.batch_id}") or "").replace(" ", "_") or None
    note = str(st.session_state.get(f"note_{item.batch_id}") or "").strip() or None
    kept = fault if value == "broken" else None
    about = {"blind": not desk.seen, "seconds": round(time.monotonic() - desk.since, 2), "note": note, "fault": kept}
    about |= {"run_id": item.run_id, "batch_id": item.batch_id}
    saved = {"item": item, "label": value, "fault": kept, "left_out": fault if kept is None else None}
    asking.or_ask(
        partial(_save, item, value, about, saved), {item.banner_id: desk.holds}, f"Save {value}", "label", place=PLACE,
        then=f"Save yours as {value} beside it?",
    )  # fmt: skip


def _save(item: Item, value: str, about: dict[str, Any], saved: dict[str, Any], seen: Seen | None) -> None:
    writes.label(item.banner_id, value, **about, seen=seen)
    desk = current()
    desk.saved = saved
    desk.peeked.discard(item.banner_id)
    if desk.item is not None and desk.item.batch_id == item.batch_id:
        desk.item, desk.turn = None, str(uuid.uuid4())


def skip(item: Item) -> None:
    """Puts a banner aside."""
    desk = current()
    if desk.item is None or desk.item.batch_id != item.batch_id:
        return
    writes.skip(item)
    _say(f"Skipped {text.markdown(item.banner_id)} for half a day. Back with Z.", "skip_next")
    desk.item, desk.turn = None, str(uuid.uuid4())


def undo(run_id: str, mode: Mode, turn: str, action_id: str | None) -> None:
    """Takes back what one did last, as it was shown, and lays that banner on the desk again; asks where another reviewer spoke since.

    A decision between labels is only taken back.
    """
    desk = current()
    if desk.turn != turn:
        return
    desk.turn = str(uuid.uuid4())
    then = "Take yours back nevertheless?"
    asking.or_ask(partial(_undo, run_id, mode, turn, action_id), {}, "Take mine back", "label", place=PLACE, then=then)


def _undo(run_id: str, mode: Mode, turn: str, action_id: str | None, despite: Seen | None) -> None:
    desk = current()
    undone = writes.undo_review(turn, action_id, despite)
    if undone is None:
        _say("Nothing to undo: nothing that you said on a page still holds.", "undo")
        return
    what = "skipped" if undone.op == "skip" else f"{undone.label}"
    _say(f"Undone: {text.markdown(undone.banner_id)} was {what}.", "undo")
    desk.saved = None
    if undone.op != "adjudicate":
        clear()
        # its score was shown when it was saved
        put(desk, writes.show_again(run_id, undone.banner_id, mode, beside=True), seen=undone.op == "label")


def again(run_id: str, banner_id: str, mode: Mode) -> None:
    """Lays a banner that was labelled before on the desk, not blind any more; asks where another reviewer has it on the screen."""
    then = "Look at it beside them?"
    asking.or_ask(partial(_again, run_id, banner_id, mode), None, "Label it too", "label", place=PLACE, then=then)


def _again(run_id: str, banner_id: str, mode: Mode, despite: Seen | None) -> None:
    item = writes.show_again(run_id, banner_id, mode, beside=despite is not None)
    clear()
    put(current(), item, seen=True)


def look_back(step: int, most: int) -> None:
    """Left is one label further back, right one nearer to now."""
    desk = current()
    desk.back = min(max(desk.back + step, 0), most)
