"""Working the queue: the filter in the URL, the current banner, decisions with auto-advance and undo. Shared by Triage and Banner."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from core.errors import InputError
from core.review import triage, triage_queue
from core.review.changes import Seen
from core.review.triage_queue import PAGE_SIZE, SORTS, STATUSES, QueueFilter, Standing
from core.store.queries import selected
from core.ui.render import text
from core.ui.session import address, asking, components, jump, reads, state, writes
from core.ui.session.state import Shown

TABLE = "queue"
P_CHOICES = ["0.0001", "0.001", "0.005", "0.01", "0.05"]
CLICK_CHOICES = ["30", "100", "300", "1000", "3000"]
DONE = {"confirm": "Confirmed", "dismiss": "Dismissed", "snooze": "Snoozed", "reopen": "Reopened"}
CHOICES = {"grid": "grids", "domain": "domains", "products": "products", "fault": "faults", "segment": "segments"}
"""Parameters whose choices are what the run holds, with their name in `reads.facets`."""


def queue_of(params: Mapping[str, Any]) -> QueueFilter:
    """The filter that URL parameters or widget values describe; what cannot be read counts as not set."""
    status, order = params.get("status"), params.get("sort")
    return QueueFilter(
        grid=text.grid_number(params.get("grid")),
        domain=params.get("domain") or None,
        products=_number(params.get("products"), int),
        fault=_fault(params.get("fault")),
        min_clicks=_number(params.get("clicks"), int) or 0,
        max_p=_number(params.get("p"), float),
        status=status if status in STATUSES else "open",
        sort=order if order in SORTS else "strongest",
        selected=str(params.get("selected") or ""),
        segment=params.get("segment") or None,
    )


def params_of(chosen: QueueFilter) -> dict[str, str]:
    """The filter as URL parameters; defaults are left out."""
    values = {
        "grid": chosen.grid,
        "domain": chosen.domain,
        "products": chosen.products,
        "fault": text.fault(chosen.fault) if chosen.fault else None,
        "segment": chosen.segment,
        "clicks": chosen.min_clicks or None,
        "p": f"{chosen.max_p:g}" if chosen.max_p is not None else None,
        "status": None if chosen.status == "open" else chosen.status,
        "sort": None if chosen.sort == "strongest" else chosen.sort,
        "selected": chosen.selected or None,
    }
    return {key: str(value) for key, value in values.items() if value is not None}


def _number(value: Any, kind: type) -> Any:
    try:
        found = kind(value) if value not in (None, "") else None
    except ValueError:
        return None
    return found if found is None or math.isfinite(found) else None


def _fault(value: Any) -> str | None:
    return str(value).replace(" ", "_") if value else None


def filters(run: Shown) -> QueueFilter:
    """One row of selects, all in the URL."""
    known = choices(run)
    menus: list[tuple[str, str, str, int]] = [
        ("Grid", "grid", "all grids", 128),
        ("Domain", "domain", "all domains", 150 if known["segment"] else 180),
        ("Products", "products", "any", 92),
        ("Fault", "fault", "any fault", 130),
        *([("Only for", "segment", "any", 104)] if known["segment"] else []),
        ("Clicks ≥", "clicks", "any", 90),
        ("p ≤", "p", "any", 90),
    ]
    values: dict[str, Any] = {"selected": selection(run)}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        for label, key, none, width in menus:
            options, kept = known[key], st.session_state.get(key) or address.read(key)
            if kept and kept not in options and is_number(key, str(kept)):
                options = [*options, str(kept)]
            values[key] = address.bound(
                st.selectbox,
                label,
                options,
                index=None,
                placeholder=none,
                key=key,
                width=width,
                on_change=first_page,
                format_func=text.grid if key == "grid" else text.product_count if key == "products" else str,
            )
        values["status"] = address.bound(st.selectbox, "Status", STATUSES, key="status", width=118, on_change=first_page)
        values["sort"] = address.bound(st.selectbox, "Sort", list(SORTS), key="sort", width=130, on_change=first_page)
        chosen = queue_of(values)
        if chosen.selected:
            words = f"{len(triage_queue.members(run.run_id, chosen)):,} selected on the map"
            st.button(words, icon=":material/close:", key="drop_selected", on_click=drop_selected, help="Shows the whole queue again")
        n = len(params_of(chosen)) - ("sort" in params_of(chosen))
        if n:
            st.button(f"{text.plural(n, 'filter')} · clear", type="tertiary", on_click=clear, key="clear_triage")
    return chosen


def choices(run: Shown) -> dict[str, list[str]]:
    """What each menu of the queue offers, by its parameter."""
    known = reads.facets(run.path, run.run_id)
    found = {key: [text.fault(str(value)) if key == "fault" else str(value) for value in known[name]] for key, name in CHOICES.items()}
    return found | {"clicks": CLICK_CHOICES, "p": P_CHOICES}


def is_number(key: str, value: str) -> bool:
    """Whether a value that is none of the choices of a menu can be taken all the same: any number of clicks, any p-value."""
    return key in ("clicks", "p") and _number(value, int if key == "clicks" else float) is not None


def selection(run: Shown) -> str:
    """The banners that were selected on a map, as the address names them; empty where it names none, or those of another run."""
    word = address.read("selected")
    if word is not None:
        try:
            selected.decode(run.run_id, word)
        except InputError:
            address.note("selected", "", "", why="is no selection of this run")
            drop_selected()
            word = None
    address.keep("selected", word)
    return word or ""


def drop_selected() -> None:
    """The whole queue again."""
    st.session_state.pop("selected", None)
    address.keep("selected", None)


def queue_here(run: Shown) -> QueueFilter:
    """The queue that the address names on a page without its menus; what the run does not know is noted and left out."""
    allowed = choices(run) | {"status": list(STATUSES), "sort": list(SORTS)}
    given = {key: address.read(key) for key in address.QUEUE if key != "selected"}
    for key, value in given.items():
        if value is not None and value not in allowed[key] and not is_number(key, value):
            address.note(key, value, {"status": "open", "sort": "strongest"}.get(key, ""))
            given[key] = None
    chosen = queue_of(given | {"selected": selection(run)})
    for key in given:
        address.keep(key, params_of(chosen).get(key))
    return chosen


def place_of(chosen: QueueFilter, banner_id: str, place: int) -> dict[str, Any]:
    """Filters of Triage at a banner with a place (1-based) in a queue."""
    page = (place - 1) // PAGE_SIZE + 1
    return {**params_of(chosen), "at": banner_id} | ({"page": page} if page > 1 else {})


def clear() -> None:
    """Sets every filter of the queue back."""
    st.session_state.update(dict.fromkeys(("grid", "domain", "products", "fault", "clicks", "p")) | {"status": "open"})
    drop_selected()
    first_page()


def first_page() -> None:
    """Another filter starts at its first page, with nothing ticked."""
    st.session_state["page"] = 1
    leave_banner()


def leave_banner() -> None:
    """The first banner of what is shown next becomes the current one, and nothing is ticked."""
    st.session_state.pop("at", None)
    address.keep("at", None)
    components.untick(TABLE)


def decide(run: Shown, chosen: QueueFilter, row: dict[str, Any], op: triage.Op) -> None:
    """Writes one decision about the banner of a result row, and moves on to the banner that followed."""
    around = reads.neighbours(run.path, run.run_id, reads.token(run), chosen, row["position"])
    n = _write(run, {row["banner_id"]: row["event_id"]}, op, snooze_days(), _note(row["banner_id"]))
    if n and around:
        go_to(around["next"] or around["previous"], around["place"] + (chosen.status == "all" and bool(around["next"])))


def decide_ticked(run: Shown, seen: Seen, op: triage.Op) -> None:
    """The same decision for every ticked banner, as it was seen."""
    _write(run, seen, op, snooze_days(), _note())
    components.untick(TABLE)


def decide_all(run: Shown, whole: Standing, op: triage.Op) -> None:
    """The same decision for the whole filtered queue on all its pages, as it was read when the page was drawn."""
    _write(run, triage_queue.seen(run.store, run.run_id, whole), op, snooze_days(), _note())
    first_page()


def _write(run: Shown, seen: Seen, op: triage.Op, days: int, note: str | None) -> int:
    """Decides, says what was done, and asks about banners that changed since they were seen; returns how many were decided."""
    batch = writes.decide(run.run_id, seen, op, days=days, note=note)
    if batch.n_banners or not batch.changed:
        one = next(iter(seen)) if len(seen) == 1 else None
        _say(batch, text.markdown(one) if one else text.plural(batch.n_banners, "banner"))
    if batch.changed:
        n = len(batch.changed)
        what = text.markdown(batch.changed[0].about) if n == 1 else f"these {n:,}"
        done = f"{DONE[op]} {text.plural(batch.n_banners, 'banner')}. " if len(seen) > 1 else ""
        words = f"{done}{asking.listed(batch.changed)}, after {'it was' if n == 1 else 'they were'} shown to you. Decide again?"
        asking.ask(words, f"{op.capitalize()} {what}", "triage", partial(_again, run, op, days, note), batch.changed)
    return batch.n_banners


def _again(run: Shown, op: triage.Op, days: int, note: str | None, seen: Seen) -> None:
    _write(run, seen, op, days, note)


def undo_button(run: Shown) -> None:
    """Takes the person's last decision back: the one that its tooltip names, or nothing."""
    last = triage.last_action(run.store, state.author())
    about = "Nothing of yours to take back"
    if last is not None:
        what = triage.banners_of(run.store, last.batch_id, limit=1)[0] if last.n_banners == 1 else f"{last.n_banners:,} banners"
        about = f"Takes back: {DONE[last.op].lower()} {text.markdown(what)}"
    writes.button(
        "triage", "Undo", undo, (run, last.batch_id if last else None), key="undo", shortcut="Z", help=about, disabled=last is None
    )


def undo(run: Shown, batch_id: str | None, despite: Seen | None = None) -> None:
    """Takes this last decision of the person back and returns to its banner; asks where another person decided since."""
    batch = writes.undo_decision(batch_id, despite)
    if batch is None:
        st.toast("Nothing to undo: no decision under your name still holds.", icon=":material/undo:")
        return
    if batch.n_banners:
        st.toast(f"Undone: {DONE[batch.op].lower()} {text.plural(batch.n_banners, 'banner')}.", icon=":material/undo:")
    if batch.changed:
        words = f"{asking.listed(batch.changed)}, after your decision, and that goes on to hold. Take yours back nevertheless?"
        asking.ask(words, "Take mine back", "triage", partial(undo, run, batch_id), batch.changed)
        return
    banners = triage.banners_of(run.store, batch.batch_id, limit=2)
    if len(banners) == 1:
        go_to(banners[0], None)


def go_to(banner_id: str | None, place: int | None) -> None:
    """Makes a banner the current one, on its page of the queue."""
    st.session_state["at"] = banner_id
    if place is not None and "page" in st.session_state:
        st.session_state["page"] = (place - 1) // PAGE_SIZE + 1


def snooze_days() -> int:
    """Length of a snooze as chosen beside the buttons."""
    return int(st.session_state.get("snooze_days", 7))


def _note(banner_id: str | None = None) -> str | None:
    """The note that was typed, once. A decision about one banner takes only what was typed beside that banner."""
    note = str(st.session_state.get("note") or "").strip()
    if banner_id not in (None, st.session_state.get("note_beside", banner_id)):
        return None
    st.session_state["note"] = ""
    return note or None


def _noted(banner_id: str) -> None:
    st.session_state["note_beside"] = banner_id


def _say(batch: triage.Batch, what: str) -> None:
    if batch.n_banners:
        st.toast(f"{DONE[batch.op]} {what}. Undo with Z.", icon=":material/check:")
    else:
        st.toast("Nothing changed: that decision holds already.", icon=":material/info:")


def buttons(run: Shown, chosen: QueueFilter, row: dict[str, Any], *, opens: bool = True) -> None:
    """The decisions about one banner, each with its key; with `opens` also the way to its page."""
    name = row["banner_id"]
    days = snooze_days()
    choices: list[tuple[str, triage.Op, str, str]] = [
        ("Confirm", "confirm", "B", "It is broken"),
        ("Dismiss", "dismiss", "D", "It is ok: a false alarm"),
        (f"Snooze {days} d", "snooze", "S", f"Hide it for {text.plural(days, 'day')}"),
    ]
    after = triage.STATE_AFTER
    with st.container(horizontal=True, gap="xsmall"):
        for label, op, key, why in choices:
            holds = row["state"] == after[op] and op != "snooze"
            writes.button(
                "triage", label, decide, (run, chosen, row, op), key=f"{op}_{name}", shortcut=key, help=why, disabled=holds,
                type="primary" if op == "confirm" else "secondary",
            )  # fmt: skip
        if row["state"] != "open":
            args = (run, chosen, row, "reopen")
            writes.button("triage", "Reopen", decide, args, key=f"reopen_{name}", help="Back into the open queue")
        if opens:
            filters = {"banner": name, **params_of(chosen)}
            jump.button("Open", "banner", filters, key="open_banner", shortcut="E", help="Everything about this banner, on its own page")
        undo_button(run)
        with st.popover("", icon=":material/edit_note:", help="Note and length of a snooze"):
            about = f"Note on {text.markdown(name)}, or on the banners decided together"
            st.text_input(about, key="note", max_chars=500, on_change=_noted, args=(name,))
            st.selectbox("Snooze for days", [1, 3, 7, 14, 30], index=2, key="snooze_days", persist_state="session")
