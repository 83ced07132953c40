"""The desk of the Label page: queue, banner, keys, what was saved. A fragment, so that an answer redraws nothing else."""

import math
from typing import Any

import streamlit as st

from core.errors import HeatproofError
from core.review import claims, labelling_queue, labels
from core.review import reviewers as drift
from core.review.claims import Item
from core.review.labelling_queue import WHY, Mode
from core.ui.label import answering
from core.ui.label import reads as label_reads
from core.ui.label.answering import Desk
from core.ui.render import pictures, text
from core.ui.render.pictures import Picture
from core.ui.session import address, asking, components, reads, state, writes
from core.ui.session.state import Shown

GOAL = 40
"""Labels a day that a reviewer can give with a clear head; only the line at the top counts to it."""
QUEUES: dict[str, Mode] = {
    "mixed": "mixed", "uncertain": "uncertain", "disagreement": "disagreement", "second reading": "second", "control": "control",
}  # fmt: skip
STYLES = ("smooth", "clicks")
FAULTS = [text.fault(name) for name in labels.FAULTS]
SIZES = {False: (396, 296, 140), True: (290, 190, 86)}
"""Widths in pixels of the banner, of what is expected of it, and of a known banner."""

Row = dict[str, Any]


@st.fragment
def fragment(run: Shown) -> None:
    """The whole desk. Errors become messages here: `app.py` does not run when only this is redrawn."""
    failure = st.session_state.pop("failure", None)
    if failure:
        components.failed(failure)
    answering.tell()
    asking.show(answering.PLACE)
    try:
        draw(run)
    except HeatproofError as error:
        components.failed(error)


def draw(run: Shown) -> None:
    """Queue, banner, keys; then the reads that the next banner will need."""
    top = st.container()
    mode, grid = controls(run)
    reviewer = state.author()
    at = answering.prepare(run, reviewer, mode, grid)
    with top:
        components.sentence(progress(run, reviewer))
    back = drift.latest(run.store, reviewer) if at.back else []
    if at.back and back:
        look_back(run, at, back, mode)
    elif at.item is None:
        nothing(mode, grid)
        keys(run, at, mode)
        saved(run, at)
    else:
        banner(run, at, at.item, mode)
    if at.item is not None:
        for upcoming in labelling_queue.draw(run.store, run.run_id, reviewer, 1, mode, grid=grid):
            label_reads.warm(run, upcoming.banner.position)


def controls(run: Shown) -> tuple[Mode, int | None]:
    """Which queue, of which grid, blind or not, and how maps are drawn."""
    grids = [str(g) for g in reads.facets(run.path, run.run_id)["grids"]]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        queue = address.bound(st.selectbox, "Queue", list(QUEUES), key="reasons", width=160, on_change=state.act, args=(answering.clear,))
        grid = address.bound(st.selectbox,
            "Grid", grids, index=None, placeholder="all grids", key="grid", width=128, format_func=text.grid,
            on_change=state.act, args=(answering.clear,),
        )  # fmt: skip
        st.segmented_control(
            "Maps", STYLES, default=STYLES[0], key="style", required=True, persist_state="session",
            help="Smooth spreads each click over its neighbours; clicks shows the cells as counted",
        )  # fmt: skip
        st.toggle(
            "Blind", value=True, key="blind", persist_state="session",
            help="Scores and other labels stay hidden until yours is saved. Each label remembers whether it was given blind.",
        )  # fmt: skip
    return QUEUES[queue], int(grid) if grid else None


def progress(run: Shown, reviewer: str) -> str:
    """12 of 40 today · kappa with ben .81 (.70-.90)."""
    words = f"{drift.today(run.store, reviewer)} of {GOAL} labelled today"
    mine, n = drift.second_readings(run.store, reviewer)
    found = label_reads.kappa(run.path, reviewer) if mine else None
    if found is None:
        return f"{words}; {second_words(mine, n)}."
    other, kappa = found
    if math.isnan(kappa.value):
        return f"{words}; {second_words(mine, n)}, where every label is the same: too little for a kappa."
    value = text.decimal(kappa.value) + (f" ({text.decimal(kappa.low)} to {text.decimal(kappa.high)})" if kappa.low == kappa.low else "")
    return f"{words} · kappa with {text.markdown(other)} {value} on {text.plural(kappa.n, 'banner')}"


def second_words(mine: int, n: int) -> str:
    """How many banners two reviewers have read, and how many of these the reviewer."""
    if not n:
        return "no banner has a second reading yet"
    if not mine:
        return f"{text.plural(n, 'banner')} {'has' if n == 1 else 'have'} a second reading, none of yours yet"
    return f"{text.plural(mine, 'banner')} of yours {'was' if mine == 1 else 'were'} read by another reviewer too"


def banner(run: Shown, at: Desk, item: Item, mode: Mode) -> None:
    """The banner to decide about: why it is here, its maps, the keys, fault and note."""
    facts = label_reads.facts(run.path, run.run_id, item.position)
    where = f"{text.markdown(text.grid(facts['grid_id']))} · {text.products(facts['n_products'])} · {facts['n_clicks']:,} clicks"
    st.markdown(f"**Why this one:** {WHY[item.reason]} · {text.markdown(item.banner_id)} · {where}")
    maps_of(run, facts)
    if not st.session_state.get("blind", True):
        answering.peek()
        at.holds = labels.newest(run.store, item.banner_id)  # before the labels are read: what is shown is never older
        st.markdown(f"{verdict(facts)} · {others(run, item.banner_id, state.author())}")
    keys(run, at, mode)
    saved(run, at)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.pills("Fault, if broken (optional)", FAULTS, key=f"fault_{item.batch_id}", width="stretch")
        st.text_input("Note (optional)", key=f"note_{item.batch_id}", max_chars=500, width=260)


def maps_of(run: Shown, facts: Row, *, small: bool = False) -> None:
    """The banner large (less so where there is little room), its reference, four known banners of its grid, all with as many clicks."""
    n, sizes = facts["n_clicks"], SIZES[small]
    seen, hoped = label_reads.counts(run, facts["banner_id"]), label_reads.expected(run, facts)
    examples = label_reads.beside(run, facts)
    tiles = [Picture(label_reads.scaled(label_reads.counts(run, e["banner_id"]), n), example_words(e, facts), sizes[2]) for e in examples]
    hidden = st.session_state.get("hidden", False)
    lines = "" if hidden or hoped is None else "; thick and thin lines hold 50 % and 90 % of the expected clicks"
    large = Picture(seen, f"this banner{lines}", sizes[0], not hidden)
    expected = Picture(hoped * n, "expected for its group", sizes[1]) if hoped is not None else None
    smooth = st.session_state.get("style", STYLES[0]) == STYLES[0]
    kind = "labelled ok by reviewers" if examples and examples[0]["n_reviewers"] is not None else "the most ordinary by their scores"
    rest = f"The {len(examples)} small ones are of the same grid, {kind}." if examples else "The grid has no other banner to show."
    note = f"All on one scale, as if each had {text.plural(n, 'click')}. {rest}"
    st.html(pictures.board(large, expected, tiles, note, state.theme(), smooth=smooth))


def example_words(example: Row, facts: Row) -> str:
    """What an example is: who said so, and where it differs from the banner."""
    n = example["n_reviewers"]
    who = "ordinary" if n is None else "ok, adjudicated" if n == 0 else f"ok by {n}"
    other = "" if example["n_products"] == facts["n_products"] else f", {text.products(example['n_products'])}"
    return f"{who}{other}, {example['n_clicks']:,} clicks"


def keys(run: Shown, at: Desk, mode: Mode) -> None:
    """The answers, each with its key; without a banner only the way back."""
    item = at.item if not at.back else None
    with st.container(horizontal=True, gap="xsmall"):
        if item is not None:
            name = item.batch_id
            for label, value, key, why in (
                ("Broken", "broken", "B", "Its clicks are not where this layout puts them"),
                ("Ok", "ok", "O", "Its clicks are as expected"),
                ("Unsure", "unsure", "U", "Can't tell"),
            ):
                writes.button("label", label, answering.save, (item, value), key=f"{value}_{name}", shortcut=key, help=why)
            writes.button(
                "label", "Skip", answering.skip, (item,), key=f"skip_{name}", shortcut="S", help="Not for me: it goes to another reviewer"
            )
        undo_button(run, mode, at)
        st.button("Overlay", key="overlay", shortcut="H", help="Hides or shows the outline of the expected clicks", on_click=toggle_overlay)
        most = len(drift.latest(run.store, at.reviewer)) if at.back else 200
        st.button("Back", key="back", shortcut="Left", help="Looks back at what you labelled", on_click=answering.look_back, args=(1, most))
        if at.back:
            st.button("Forward", key="forward", shortcut="Right", help="Towards now", on_click=answering.look_back, args=(-1, most))


def undo_button(run: Shown, mode: Mode, at: Desk) -> None:
    """Takes back what the reviewer did last, also after a restart: what its tooltip names, or nothing."""
    last = claims.last_action(run.store, state.author())
    about = "Nothing of yours to take back"
    if last is not None:
        said = "skipped" if last.op == "skip" else last.label
        about = f"Takes back: {text.markdown(last.banner_id)} {said}"
    args = (run.run_id, mode, at.turn, last.action_id if last else None)
    writes.button("label", "Undo", answering.undo, args, key=f"undo_{at.turn}", shortcut="Z", help=about, disabled=last is None)


def toggle_overlay() -> None:
    """Hides the outlines, or shows them."""
    st.session_state["hidden"] = not st.session_state.get("hidden", False)


def look_back(run: Shown, at: Desk, back: list[Row], mode: Mode) -> None:
    """One of the reviewer's own labels, with what is known of it."""
    at.back = min(at.back, len(back))
    mine = back[at.back - 1]
    st.markdown(f"**Looking back:** label {at.back} of {len(back)}, {text.ago(mine['happened_at'])} · {text.markdown(mine['banner_id'])}")
    facts = label_reads.facts_of(run, mine["banner_id"])
    if facts is None:
        st.info("The run on the screen did not score this banner.")
    else:
        maps_of(run, facts)
    keys(run, at, mode)
    note = f" · “{text.markdown(mine['note'])}”" if mine["note"] else ""
    fault = f", {text.fault(mine['fault'])}" if mine["fault"] else ""
    st.markdown(f"You said **{mine['label']}**{fault}{' without seeing scores' if mine['blind'] else ''}{note}")
    if facts is not None:
        st.markdown(f"{verdict(facts)} · {others(run, mine['banner_id'], at.reviewer)}")
        args = (run.run_id, mine["banner_id"], mode)
        writes.button("label", "Label it again", answering.again, args, key=f"again_{at.turn}_{at.back}", icon=":material/refresh:")


def verdict(facts: Row) -> str:
    """What the detectors say of a banner."""
    flagged = "flagged" if facts["flagged"] else "not flagged"
    why = f" · {text.markdown(facts['sentence'].split(' (next best')[0].rstrip('.'))}" if facts["flagged"] and facts["sentence"] else ""
    return (
        f"{text.markdown(text.likely(facts['p_broken']))} likely broken, {flagged}, p {text.markdown(text.p_value(facts['p_value']))}, "
        f"{facts['n_agree']} of {facts['n_detectors']} detectors find it unusual{why}"
    )


def others(run: Shown, banner_id: str, reviewer: str) -> str:
    """What the other reviewers say of a banner."""
    said = [r for r in labels.current(run.store, [banner_id]) if r["reviewer"] != reviewer]
    return ", ".join(f"{text.markdown(r['reviewer'])} says {r['label']}" for r in said) or "no other reviewer has labelled it"


def saved(run: Shown, at: Desk) -> None:
    """What was saved last, now with its score and the other labels."""
    if at.saved is None:
        return
    item = at.saved["item"]
    facts = label_reads.facts(run.path, item.run_id, item.position)
    fault = f", {text.fault(at.saved['fault'])}" if at.saved["fault"] else ""
    left = f" (a fault goes with broken only: {text.fault(at.saved['left_out'])} was left out)" if at.saved["left_out"] else ""
    words = f":material/check: Saved **{text.markdown(item.banner_id)}** as **{at.saved['label']}**{fault}{left}: {verdict(facts)}"
    st.markdown(f"{words} · {others(run, item.banner_id, at.reviewer)}")


def nothing(mode: Mode, grid: int | None) -> None:
    """The empty queue."""
    why = {
        "mixed": "Every banner of this run was labelled, or is on another reviewer's screen.",
        "uncertain": "No unlabelled banner has a probability between 5 % and 95 %.",
        "disagreement": "No unlabelled banner has detectors that disagree.",
        "second": "No banner that exactly one other reviewer has read waits for you.",
        "control": "Every banner was drawn already.",
    }[mode]
    of = f" of grid {text.markdown(text.grid(grid))}" if grid is not None else ""
    components.empty(f"This queue{of} is worked through", f"{why} Choose another queue above, or look at what reviewers disagree on.")
