"""Overview: is anything going wrong, where, since when?"""

from functools import partial

import streamlit as st

from core import settings
from core.review.triage_queue import QueueFilter
from core.store.queries import runs
from core.store.queries.runs import Row
from core.ui.overview import rates
from core.ui.render import charts, report, tables, text
from core.ui.session import address, components, decisions, jump, reads, state, version_words
from core.ui.session.state import Shown

WINDOWS = {"whole window": None, "last 7 days": 7, "last 3 days": 3}
Facts = list[tuple[str, str]]
MOST_CHANGES = 3
COLUMNS = ["grid_id", "banners", "flagged", "rate", "low", "high", "main_fault", "state"]


def filters(run: Shown) -> tuple[int | None, int | None, str | None, int]:
    """Days of the trend, grid, domain and clicks at least, all in the URL."""
    known = reads.facets(run.path, run.run_id)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        window = address.bound(st.selectbox, "Trend over", list(WINDOWS), key="window", width=170)
        grid = address.bound(
            st.selectbox,
            "Grid",
            [str(g) for g in known["grids"]],
            index=None,
            placeholder="all grids",
            key="grid",
            width=170,
            format_func=text.grid,
        )
        domain = address.bound(st.selectbox, "Domain", known["domains"], index=None, placeholder="all domains", key="domain", width=220)
        least = address.bound(st.number_input,
            "Clicks at least", 0, 1_000_000, settings.MIN_CLICKS, 10, key="least", width=150,
            help="Banners with fewer clicks in the run's window are left out of every rate on this page.",
        )  # fmt: skip
        n = sum([window != "whole window", grid is not None, domain is not None, least != settings.MIN_CLICKS])
        if n:
            st.button(f"{text.plural(n, 'filter')} · clear", type="tertiary", on_click=clear, key="clear_overview")
    return WINDOWS[window], int(grid) if grid else None, domain, int(least)


def clear() -> None:
    """Sets every filter back."""
    st.session_state.update(window="whole window", grid=None, domain=None, least=settings.MIN_CLICKS)


def choose_grid() -> None:
    """Opens the drill-down of the picked row."""
    st.session_state["drill"] = int(components.picked("grids") or 0)


def previous_share(run: Shown, least: int) -> float | None:
    """Flagged share of the run before the one shown, of banners with as many clicks; only runs with the same grids compare."""
    found = runs.finished_runs(run.store)
    older = [r for r in found if r["finished_at"] < run.run["finished_at"] and r["grids"] == run.run["grids"]]
    return rates.share_of(reads.grids(run.path, older[0]["run_id"], least, None, None)) if older else None


def cards(run: Shown, rows: list[Row], review: Row, false_expected: float) -> None:
    """Scored, flagged, reviewed, and the run's threshold."""
    n, flagged = sum(r["n"] for r in rows), sum(r["flagged"] for r in rows)
    seen = review["confirmed"] + review["dismissed"]
    first, second, third, fourth = st.columns(4)
    first.metric(
        "Scored",
        text.number(n),
        border=True,
        help=f"of {run.run['n_banners']:,} banners in the run; the others have fewer clicks or are filtered out",
    )
    second.metric("Flagged", text.number(flagged), border=True, help=f"about {false_expected:.0f} of them are expected to be false alarms")
    third.metric("Still open", text.number(review["open"]), border=True, help=f"of {flagged:,} flagged; {review['snoozed']:,} snoozed")
    fourth.metric("Confirmed", f"{review['confirmed']:,} of {seen:,} reviewed" if seen else text.UNKNOWN, border=True)


def drill_down(run: Shown, grid: int, day: rates.Daily | None, domain: str | None, least: int) -> None:
    """One grid: daily rate with limits, rate by products and domain, the way into the queue."""
    st.markdown(f"##### Grid {text.markdown(text.grid(grid))}")
    left, right = st.columns([0.46, 0.54], gap="medium")
    with left:
        st.caption("Share of broken banners a day, with three-sigma limits around the median grid" if day else "No daily state in this run")
        if day is not None:
            marks, changes = version_words.marks(run.store, day.days[0].astype(object), day.days[-1].astype(object))
            components.plot(
                charts.control_chart(*day, state.theme(), marks), "control", f"Daily share of broken banners of grid {text.grid(grid)}"
            )
            if changes:
                st.caption("All days are judged by the active threshold. It changed:  \n" + "  \n".join(changes))
    with right:
        st.caption("Flagged by number of products (down) and domain (across); a click opens them in triage")
        found = reads.cells(run.path, run.run_id, grid, least, domain)
        components.pick_table(tables.cell_table(found), "cells", on_pick=partial(open_cell, grid, least), height=260, token=str(grid))


def changed_grids(run: Shown, grid: int | None) -> None:
    """Grids whose clicks as a whole lie elsewhere, which no flag can show: banners are compared with each other."""
    found = [row for row in reads.grid_changes(run.path, run.run_id) if grid is None or row["grid_id"] == grid]
    lines = [text.markdown(rates.change_sentence(row)) for row in found[:MOST_CHANGES]]
    if len(found) > MOST_CHANGES:
        lines.append(f"So did {text.plural(len(found) - MOST_CHANGES, 'other grid')}: choose one above to see it.")
    if lines:
        st.warning("  \n".join(lines), icon=":material/grid_view:")


def only_in_segments(run: Shown, least: int, grid: int | None, domain: str | None) -> None:
    """How many flagged banners are broken for one segment only, each the way to them; nothing where there are none."""
    found = reads.flagged_by_segment(run.path, run.run_id, least, grid, domain)
    if not found:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Broken for one segment only:", width="content")
        for row in found[:9]:
            queue = decisions.params_of(QueueFilter(grid, domain, min_clicks=least, segment=row["segment"], status="all"))
            jump.button(f"{text.markdown(row['segment'])}: {row['n']:,}", "triage", queue, type="tertiary", key=f"only_{row['segment']}")


def open_cell(grid: int, least: int) -> None:
    """Opens the flagged banners of the picked cell in triage."""
    products, _, domain = str(components.picked("cells")).partition("|")
    jump.to("triage", decisions.params_of(QueueFilter(grid, domain, int(products), min_clicks=least, status="all")))


def actions(
    run: Shown, row: Row, domain: str | None, least: int, words: str, shown: list[tables.GridRow], table: str, facts: Facts
) -> None:
    """The way into the queue, the table as CSV and the page as one HTML file."""
    stamp = f"{run.run['finished_at']:%Y%m%d-%H%M}"
    with st.container(horizontal=True):
        label = f"Open {row['flagged']:,} flagged in triage"
        queue = decisions.params_of(QueueFilter(row["grid_id"], domain, min_clicks=least, status="all"))
        jump.button(label, "triage", queue, type="primary", icon=":material/checklist:", disabled=not row["flagged"], key="open_triage")
        lines = [(r.grid_id, r.n, r.flagged, r.share, r.low, r.high, r.fault, r.state_text) for r in shown]
        data = report.csv_file([dict(zip(COLUMNS, line, strict=True)) for line in lines], COLUMNS)
        st.download_button("CSV", data, f"heatproof-overview-{stamp}.csv", "text/csv", icon=":material/download:", on_click="ignore")
        page = report.overview_html(words, facts, table)
        st.download_button(
            "HTML report", page, f"heatproof-overview-{stamp}.html", "text/html", icon=":material/description:", on_click="ignore"
        )


def show(run: Shown) -> None:
    """The whole page."""
    top = st.container()
    n_days, grid, domain, least = filters(run)
    rows = reads.grids(run.path, run.run_id, least, grid, domain)
    by_day = rates.daily(reads.days(run.path, run.run_id), n_days)
    new = reads.new_grids(run.path, run.run_id)
    shown = rates.grid_rows(rows, by_day, new)
    words = rates.sentence(rows, shown, previous_share(run, least) if (grid, domain) == (None, None) else None, run.last_day)
    words += rates.which(sum(r["flagged"] for r in rows), run.run["n_flagged"], least, grid, domain)
    with top:
        components.sentence(text.markdown(words))
    if not rows:
        components.empty("Nothing to show", "No scored banner passes these filters. Clear them, or lower the number of clicks.")
        return
    changed_grids(run, grid)
    review = reads.reviewed(run.path, run.run_id, reads.token(run), least, grid, domain)
    cards(run, rows, review, sum(r["false_expected"] for r in rows))
    if words := rates.not_judged_words(reads.not_judged(run.path, run.run_id, grid, domain)):
        st.caption(words)
    chosen = st.session_state.get("drill")
    if chosen not in [r.grid_id for r in shown]:
        chosen = shown[0].grid_id
    days = len(next(iter(by_day.values())).days) if by_day else 0
    table = tables.grid_table(shown, rates.axis_top(shown), chosen, days, settings.MIN_BANNERS)
    components.pick_table(table, "grids", on_pick=choose_grid, height=360 if len(shown) > 9 else None, token=run.run_id)
    if chosen in new:
        st.info(text.markdown(rates.new_sentence(new[chosen])), icon=":material/fiber_new:")
    only_in_segments(run, least, grid, domain)
    drill_down(run, chosen, by_day.get(chosen), domain, least)
    facts = [
        ("Run", f"finished {text.absolute(run.run['finished_at'])}"),
        ("Window", f"{run.run['first_day']} to {run.run['last_day']}"),
        ("Filters", f"grid {text.grid(grid) if grid is not None else 'all'}, domain {domain or 'all'}, at least {least} clicks"),
        ("Store", run.store.url.name),
    ]
    row = next(r for r in rows if r["grid_id"] == chosen)
    actions(run, row, domain, least, words, shown, table, facts)
