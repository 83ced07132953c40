"""Triage: what do I look at next, and what is wrong with it?"""

import math

import streamlit as st

from core.review import triage_queue
from core.review.changes import Seen
from core.review.triage_queue import PAGE_SIZE, QueueFilter, Standing
from core.store.queries.runs import Row
from core.ui.render import cells as maps
from core.ui.render import charts, report, tables, text
from core.ui.session import address, components, decisions, reads, state, writes
from core.ui.session.state import Shown

MODES = ["clicks", "difference", "expected"]


def first_line(whole: Standing, flagged: int) -> str:
    """86 flagged banners open, about 9 of them expected to be false alarms."""
    n, status, expected = len(whole), whole.queue.status, whole.false_expected
    which = "" if status == "all" else f" {status}"
    filtered = "" if n == flagged else f" of {flagged:,} in this run"
    if n < flagged and status == "open" and set(decisions.params_of(whole.queue)) <= {"sort"}:
        filtered += f" ({flagged - n:,} confirmed, dismissed or snoozed)"
    words = f"{text.plural(n, 'flagged banner')}{which}{filtered}"
    if n and status in ("open", "all"):
        about = f"about {expected:.0f}" if expected >= 0.5 else "probably none"
        words += f", {about} of them expected to be {'a false alarm' if round(expected) == 1 else 'false alarms'}"
    return words + "."


def selected_line(run: Shown, whole: Standing, flagged: int) -> str:
    """12 of the 34 banners selected on the map, 9 of these 12 flagged."""
    n, among = len(whole), len(triage_queue.members(run.run_id, whole.queue))
    of_these = int((whole.position <= flagged).sum())
    if n == among:
        return f"{text.plural(n, 'banner')} selected on the map, {of_these:,} of them flagged."
    return f"{n:,} of the {text.plural(among, 'banner')} selected on the map, {of_these:,} of these {n:,} flagged."


def pick() -> None:
    """Makes the picked row the current banner."""
    st.session_state["at"] = components.picked(decisions.TABLE)


def queue_page(run: Shown, chosen: QueueFilter, token: str, n: int) -> tuple[list[Row], int]:
    """Rows of the page in the URL."""
    n_pages = max(1, math.ceil(n / PAGE_SIZE))
    asked = st.session_state.get("page") or address.read("page") or "1"
    number = min(max(1, int(asked)), n_pages) if str(asked).isdigit() else 1
    if "page" not in st.session_state and str(asked) != str(number):
        address.note("page", str(asked), str(number), why=f"is not one of {text.plural(n_pages, 'page')}")
    return reads.page(run.path, run.run_id, token, chosen, number), n_pages


def left(run: Shown, whole: Standing, rows: list[Row], current: str, n_pages: int) -> None:
    """The queue with its pages, bulk actions and export."""
    chosen, n = whole.queue, len(whole)
    pictures = reads.thumbnails(run, rows)
    ids = {r["banner_id"] for r in rows}
    ticked = [b for b in components.ticked(decisions.TABLE) if b in ids]
    table = tables.queue_table(rows, pictures, current, ticked, run.last_day)
    components.pick_table(table, decisions.TABLE, on_pick=pick, height=560, token=f"{chosen} {rows[0]['place']}")
    with st.container(horizontal=True, vertical_alignment="center"):
        if n_pages > 1:
            if (st.session_state.get("page") or 1) > n_pages:
                st.session_state["page"] = n_pages
            address.bound(st.pagination, n_pages, key="page", on_change=turned)
        if ticked:
            bulk(run, {r["banner_id"]: r["event_id"] for r in rows if r["banner_id"] in ticked})
        else:
            whole_filter(run, whole)
        st.download_button(
            "CSV", lambda: report.csv_file(triage_queue.export(run.store, run.run_id, chosen)), "heatproof-queue.csv", "text/csv",
            icon=":material/download:", on_click="ignore", help=f"All {n:,} banners in this filter, with their reasons",
        )  # fmt: skip


def turned() -> None:
    """Another page: its first banner, nothing ticked."""
    decisions.leave_banner()


def bulk(run: Shown, ticked: Seen) -> None:
    """One decision for the ticked banners."""
    for op, label in (("confirm", "Confirm"), ("dismiss", "Dismiss"), ("snooze", "Snooze")):
        writes.button("triage", f"{label} {len(ticked):,} selected", decisions.decide_ticked, (run, ticked, op), key=f"bulk_{op}")


def whole_filter(run: Shown, whole: Standing) -> None:
    """One decision for everything that the filter let through when the page was drawn."""
    n = len(whole)
    with st.popover(f"All {n:,} in this filter", help="One decision for all pages of this queue; one undo takes it back"):
        for op, label in (("confirm", "Confirm"), ("dismiss", "Dismiss"), ("snooze", "Snooze"), ("reopen", "Reopen")):
            writes.button("triage", f"{label} all {n:,}", decisions.decide_all, (run, whole, op), key=f"all_{op}", width="stretch")


def right(run: Shown, chosen: QueueFilter, row: Row) -> None:
    """The current banner: map, reason, how sure, decisions."""
    name, place = (
        text.markdown(row["banner_id"]),
        f"{text.markdown(text.grid(row['grid_id']))} · {text.products(row['n_products'])} · {text.markdown(row['domain'])}",
    )
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{name}** · {place}")
        mode = address.bound(st.segmented_control, "Map", MODES, default=MODES[0], key="map", label_visibility="collapsed", required=True)
    heatmap(run, row, mode or MODES[0])
    st.markdown(text.markdown(tables.why(row)))
    st.caption(
        f"{row['n_agree']} of {row['n_detectors']} detectors find it unusual · p {text.markdown(text.p_value(row['p_value']))} · "
        f"{text.markdown(text.likely(row['p_broken']))} likely broken · {row['n_clicks']:,} clicks · {row['state']}"
    )
    decisions.buttons(run, chosen, row)


def heatmap(run: Shown, row: Row, mode: str) -> None:
    """The large map; clicks and expected stand on one scale."""
    seen = maps.as_map(reads.counts(run.path, run.run_id, row["banner_id"], run.run, row["position"]))
    found = reads.reference(run.path, run.run_id, row["reference_id"])
    if found is None and mode != "clicks":
        st.info("This run kept no reference for the banner's group, so there is nothing to compare with.")
        return
    hoped = maps.as_map(found[1]) * seen.sum() if found else seen
    top = maps.limit(seen, hoped)
    if mode == "difference":
        figure = charts.difference(maps.difference_z(seen, hoped), state.theme(), height=360)
    else:
        figure = charts.counts(seen if mode == "clicks" else hoped, state.theme(), top=top, height=360)
    components.plot(figure, "triage_map", f"{mode} of the banner as a 40 by 40 heatmap")


def show(run: Shown) -> None:
    """The whole page."""
    top = st.container()
    chosen = decisions.filters(run)
    token = reads.token(run)
    whole, flagged = reads.standing(run.path, run.run_id, token, chosen), run.run["n_flagged"]
    with top:
        words = selected_line(run, whole, flagged) if chosen.selected else first_line(whole, flagged)
        components.sentence(text.markdown(words))
    if not len(whole):
        nothing(flagged, chosen)
        decisions.undo_button(run)
        return
    rows, n_pages = queue_page(run, chosen, token, len(whole))
    row = current(rows)
    west, east = st.columns([0.56, 0.44], gap="medium")
    with west:
        left(run, whole, rows, row["banner_id"], n_pages)
    with east:
        right(run, chosen, row)


def current(rows: list[Row]) -> Row:
    """The row of the banner that was picked, or that the address names; else the first of the page."""
    asked = None if "at" in st.session_state else address.read("at")
    at = asked or st.session_state.get("at")
    row = next((r for r in rows if r["banner_id"] == at), rows[0])
    if asked is not None and asked != row["banner_id"]:
        address.note("at", asked, str(row["banner_id"]), why="is not on this page of the queue", value=row["banner_id"])
    address.keep("at", row["banner_id"])
    st.session_state["at"] = row["banner_id"]
    return row


def nothing(flagged: int, chosen: QueueFilter) -> None:
    """The empty queue: worked through, or filtered away."""
    if not flagged:
        components.empty(
            "No banner is flagged in this run", "Nothing looks broken at the active threshold.", page="overview", label="Overview"
        )
    elif len(decisions.params_of(chosen)):
        components.empty(
            "No banner passes these filters", f"The run flagged {text.plural(flagged, 'banner')}. Clear the filters to see more."
        )
    else:
        components.empty(
            "The queue is worked through",
            f"All {flagged:,} flagged banners are decided or snoozed.",
            page="overview",
            label="Overview",
        )
