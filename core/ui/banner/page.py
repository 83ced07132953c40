"""Banner: everything about one banner, on one page that can be sent as a link."""

import math

import numpy as np
import streamlit as st

from core import settings
from core.store.queries import banner
from core.store.queries import new_grids as strangers
from core.store.queries.runs import Row
from core.ui.banner import evidence, latent, neighbours, segments
from core.ui.render import cells as maps
from core.ui.render import charts, palette, tables, text
from core.ui.render.cells import Map
from core.ui.session import address, components, decisions, jump, reads, state
from core.ui.session.state import Shown

SCALES = ["counts", "log", "smooth"]


def header(run: Shown, facts: Row, found: Row | None) -> None:
    """The diagnosis first, then what the banner is and where it stands."""
    name = text.markdown(facts["banner_id"])
    is_new = found is not None and facts["grid_id"] in reads.new_grids(run.path, run.run_id)
    new = strangers.of_banner(run.store, run.run_id, facts["banner_id"]) if is_new else None
    if new is not None and new["held_back"]:
        components.sentence(f"{name} is of an unknown grid: nothing says what is normal there, so it is neither flagged nor ok.")
    elif found is None:
        components.sentence(f"{name} was not scored in this run.")
    elif found["flagged"]:
        components.sentence(text.markdown(tables.why(found).split(" (next best")[0].rstrip(".") + ".") + odds(found))
    elif found["n_clicks"] < settings.MIN_JUDGED:
        clicks = text.plural(found["n_clicks"], "click")
        components.sentence(f"{name} cannot be judged: {clicks}, and most faults show from {settings.MIN_JUDGED} on only.")
    else:
        p = text.markdown(text.p_value(found["p_value"]))
        components.sentence(f"{name} looks ok: as unusual as {p} of the ok banners (p-value).")
    parts = [
        f"**{name}**",
        f"grid {text.markdown(text.grid(facts['grid_id']))}",
        text.products(facts["n_products"]),
        text.markdown(facts["domain"]),
    ]
    if found is not None:
        parts += [text.plural(found["n_clicks"], "click"), f"{text.day(run.run['first_day'])} to {text.day(run.run['last_day'])}"]
        flag = f"flagged, {palette.SIGNS[found['state']]} {found['state']}" if found["flagged"] else "not flagged"
        parts.append(flag)
        if new is None or not new["held_back"]:  # of the others these say nothing: they rest on what is normal in their grid
            parts += [
                f"p {text.markdown(text.p_value(found['p_value']))}",
                f"{text.markdown(text.likely(found['p_broken']))} likely broken",
            ]
        parts += [f"number {found['position']:,} of {run.run['n_banners']:,}"]
    if new is not None:
        parts.append(new_words(new))
    st.markdown(" · ".join(parts))


def new_words(new: Row) -> str:
    """How a banner of a grid that no earlier run knew compares with the layouts that are known."""
    fit = {True: "its clicks fit no known layout, closest is that", False: "its clicks fit the layout", None: "the closest layout is that"}
    return f"new grid: {fit[new['fits_none']]} of grid {text.markdown(text.grid(new['nearest_grid_id']))}"


def odds(found: Row) -> str:
    """How much likelier the fault is than the grid's own layout, and than the next best explanation."""
    if not found["log_odds"] or found["log_odds"] <= 0:
        return ""
    words = f" Its clicks are {text.times(found['log_odds'])} likelier under that than under the layout of its own grid"
    if found["runner_up"] and found["margin"]:
        words += f", and {text.times(found['margin'])} likelier than under the next best ({text.fault(found['runner_up'])})"
    return words + "."


def top_row(run: Shown, banner_id: str, found: Row | None) -> None:
    """Find a banner, previous and next of the queue one came from, decisions."""
    chosen = decisions.queue_here(run)
    around = reads.neighbours(run.path, run.run_id, reads.token(run), chosen, found["position"]) if found else None
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        address.bound(st.text_input, "Banner id", key="banner", width=230, type="search")
        if around:
            step("Previous", "Left", around["previous"])
            step("Next", "Right", around["next"])
            words = f"{around['place']:,} of {around['n']:,} in the queue"
            back = decisions.place_of(chosen, banner_id, around["place"])
            jump.button(words, "triage", back, type="tertiary", help="Back to the queue", key="back")
        if found and found["flagged"]:
            decisions.buttons(run, chosen, found, opens=False)


def step(label: str, key: str, banner_id: str | None) -> None:
    """One banner back or on in the queue."""
    st.button(label, key=f"go_{label}", shortcut=key, disabled=banner_id is None, on_click=go, args=(banner_id,))


def go(banner_id: str | None) -> None:
    """Shows another banner."""
    st.session_state["banner"] = banner_id


def pictures(run: Shown, found: Row, seen: Map, hoped: Map | None) -> None:
    """This banner, expected, difference, best template, side by side."""
    with st.container(horizontal=True, vertical_alignment="center"):
        scale = address.bound(
            st.segmented_control, "Scale", SCALES, default="counts", key="scale", required=True, label_visibility="collapsed"
        )
        shared = address.bound(st.toggle, "One scale for all counts", value=True, key="shared")
        seen = segments.chosen(run, found, seen)
        st.caption("Drag over cells of the first map to add them up.")
    hoped = None if hoped is None else hoped * (seen.sum() / max(hoped.sum(), 1e-12))
    template = evidence.template(run, found) if hoped is not None else None
    shapes = {"this banner": seen, "expected": hoped, "best template": None if template is None else template * seen.sum()}
    shown = {name: maps.smooth(m) if scale == "smooth" else m for name, m in shapes.items() if m is not None}
    top = maps.limit(*shown.values())
    places = dict(zip(("this banner", "expected", "difference", "best template"), st.columns(4), strict=True))
    for name, image in shown.items():
        own = top if shared else maps.limit(image)
        figure = charts.counts(image, state.theme(), top=own, log=scale == "log", height=310, flat=True)
        with places[name]:
            st.caption(f"**{name}**" + (f": {text.fault(found['fault'])}" if name == "best template" else ""))
            if name == "this banner":
                brush(figure)
            else:
                components.plot(figure, f"map_{name}", f"Heatmap: {name}")
    with places["difference"]:
        st.caption("**difference**, z: red more, blue fewer")
        if hoped is not None:
            components.plot(
                charts.difference(maps.difference_z(seen, hoped), state.theme(), height=310, flat=True), "map_z", "Signed difference"
            )
    if template is None:
        places["best template"].caption("**best template**")
        places["best template"].info(
            "No fault template beats the layout of its own grid." if hoped is not None else "No reference in this run."
        )


def brush(figure: charts.Figure) -> None:
    """The banner's own map, whose cells can be selected."""
    components.plot(
        charts.brushable(figure, state.theme()),
        "brush",
        "Heatmap of this banner; drag to select cells",
        on_select="rerun",
        selection_mode=("box", "lasso"),
    )


def brushed(run: Shown, banner_id: str, seen: Map, hoped: Map | None) -> None:
    """What the selected cells hold."""
    kept = st.session_state.get("brush") or {}
    bins = sorted(
        {
            int(p["customdata"][0] if isinstance(p["customdata"], list) else p["customdata"])
            for p in kept.get("selection", {}).get("points", [])
            if "customdata" in p
        }
    )
    bins = [b for b in bins if 0 <= b < seen.size]
    if not bins or hoped is None:
        return
    cells = np.array(bins)
    clicks, expected, z = maps.brushed(seen, hoped, cells)
    days, counts = reads.daily(run.path, run.run_id, banner_id, run.run)
    on = int((counts[:, cells].sum(axis=1) > 0).sum())
    st.markdown(
        f"**Brushed:** {text.plural(len(bins), 'cell')}, {text.plural(clicks, 'click')}, {text.decimal(expected, 1)} expected, "
        f"z = {text.decimal(z, 1)}, on {on} of {text.plural(len(days), 'day')}"
    )
    with st.expander("The cells"):
        st.dataframe(evidence.cell_rows(cells, seen, hoped, counts), hide_index=True, height=240, alt="Brushed cells")


def where_it_stands(run: Shown, found: Row) -> None:
    """Every detector as a dot on one axis, and as numbers."""
    rows = evidence.detector_rows(run, found["banner_id"])
    st.markdown("##### What the detectors say")
    if not rows:
        cleared = found["n_left_out"] and "Statistics cleared the banner: the other detectors did not look at it."
        st.info(cleared or "This run kept no scores by detector for the banner.")
        return
    left_out = f" {text.plural(found['n_left_out'], 'slow detector')} left this banner out." if found["n_left_out"] else ""
    st.caption(
        f"{found['n_agree']} of {found['n_detectors']} find it unusual (own p-value at most 0.05: filled). 100 = the most anomalous "
        f"of those "
        f"that a detector looked at in this run.{left_out}"
    )
    components.plot(charts.detector_dots(rows, state.theme()), "dots", "Percentile of every detector among the run's banners")
    with st.expander("As numbers"):
        st.dataframe(evidence.detector_table(rows), hide_index=True, alt="Scores by detector")


def sides(seen: Map, hoped: Map | None) -> None:
    """Marginals: clicks by column and by row."""
    st.markdown("##### Clicks by column and by row")
    st.caption("Bars: this banner. Line: expected." if hoped is not None else "Bars: this banner. This run kept no reference to compare.")
    expected = hoped if hoped is not None else np.full_like(seen, np.nan)
    left, right = st.columns(2)
    with left:
        components.plot(charts.marginal(seen.sum(axis=0), expected.sum(axis=0), state.theme(), "column"), "by_column", "Clicks by column")
    with right:
        components.plot(charts.marginal(seen.sum(axis=1), expected.sum(axis=1), state.theme(), "row"), "by_row", "Clicks by row")


def over_time(run: Shown, found: Row) -> None:
    """Days with what each says for the fault."""
    st.markdown("##### Day by day")
    days, counts = reads.daily(run.path, run.run_id, found["banner_id"], run.run)
    if not len(days):
        st.info("No click in this run's window.")
        return
    said = {r["day"]: r["log_odds"] for r in banner.evidence(run.store, run.run_id, found["banner_id"])}
    listed = days.astype(object).tolist()
    odds_by_day = [said.get(d, math.nan) for d in listed]
    if said:
        since = f" Since {text.day(found['since'])} (dotted)." if found["since"] in listed else ""
        since += f" What a day says rests on the clicks of {text.markdown(found['segment'])}." if found["segment"] else ""
        st.caption(f"Clicks, and below what a day says for the fault (up) or for the grid's own layout (down).{since}")
    components.plot(
        charts.days_chart(listed, counts.sum(axis=1).tolist(), odds_by_day, found["since"] if said else None, state.theme()),
        "days",
        "Clicks and log odds a day",
    )


def measures(seen: Map, hoped: Map | None) -> None:
    """The hand-made measures beside what chance alone would give."""
    if hoped is None or not seen.sum():
        return
    with st.expander("Measures: where the clicks are, how wide, how many peaks", key="measures", on_change="rerun") as box:
        if box.open:
            st.caption(
                "Expected: mean and spread over draws of as many clicks from the reference. Banners of one grid differ by more than that."
            )
            st.dataframe(evidence.measure_rows(seen, hoped), hide_index=True, alt="Measures of this banner beside the expected ones")


def history(run: Shown, banner_id: str) -> None:
    """Decisions, labels and earlier runs."""
    st.markdown("##### History")
    said = evidence.seen_labels(run, banner_id)
    if said is None:
        st.caption("Others have labelled it. What they said is shown once you did.")
    rows = evidence.history_rows(run, banner_id, said or [])
    if rows:
        st.dataframe(rows, hide_index=True, alt="Decisions, labels and runs")
    else:
        st.caption("No decision yet, and no finished run scored it.")


def scored(run: Shown, found: Row, facts: Row) -> None:
    """The page of a scored banner."""
    seen = maps.as_map(reads.counts(run.path, run.run_id, facts["banner_id"], run.run, found["position"]))
    group = reads.reference(run.path, run.run_id, found["reference_id"])
    hoped = None if group is None else maps.as_map(group[1]) * seen.sum()
    pictures(run, found, seen, hoped)
    brushed(run, facts["banner_id"], seen, hoped)
    neighbours.company(run, found)
    latent.drawings(run, found)
    west, east = st.columns(2, gap="large")
    with west:
        where_it_stands(run, found)
    with east:
        over_time(run, found)
        measures(seen, hoped)
        sides(seen, hoped)
        history(run, facts["banner_id"])


def unscored(run: Shown, facts: Row) -> None:
    """The page of a banner that the run did not score: its clicks, and how to get a score."""
    seen = maps.as_map(reads.counts(run.path, run.run_id, facts["banner_id"], {**run.run, "first_day": None, "started_at": text.FAR}))
    components.empty(
        "No score in this run",
        f"It has {text.plural(int(seen.sum()), 'click')} in the store. It may have come after the run, or lie outside its window or grids.",
        page="data",
        label="Start a run on the Data page",
    )
    if seen.sum():
        st.columns(3)[0].plotly_chart(charts.counts(seen, state.theme(), top=maps.limit(seen)), theme=None, config=charts.CONFIG)


def unknown(run: Shown, banner_id: str) -> None:
    """No such banner: say so, and offer what comes close."""
    components.sentence(f"There is no banner “{text.markdown(banner_id)}” in this store." if banner_id else "Which banner?")
    address.bound(st.text_input, "Banner id", key="banner", width=320, type="search", placeholder="bn-000123")
    close = banner.similar_ids(run.store, banner_id) if banner_id else []
    for name in close:
        st.button(text.markdown(name), key=f"close_{name}", type="tertiary", on_click=go, args=(name,))
    if not close:
        components.empty(
            "Pick one from the queue",
            "Type an id above, or open a banner from the triage queue with E.",
            page="triage",
            label="Triage",
        )


def show(run: Shown) -> None:
    """The whole page."""
    wanted = str(st.session_state.get("banner") or address.read("banner") or "")
    facts = banner.known(run.store, wanted) if wanted.strip() else None
    if facts is None:
        unknown(run, wanted.strip())
        return
    banner_id = str(facts["banner_id"])
    found = banner.result(run.store, run.run_id, banner_id)
    header(run, facts, found)
    top_row(run, banner_id, found)
    if found is None:
        unscored(run, facts)
    else:
        scored(run, found, facts)
