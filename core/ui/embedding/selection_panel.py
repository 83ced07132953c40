"""What is selected on a map, as pictures, table and decisions; clusters to start from; and what one banner resembles."""

import numpy as np
import streamlit as st

from core.review import triage
from core.store.queries import embeddings, selected
from core.store.queries.embeddings import Points
from core.store.queries.runs import Row
from core.ui.embedding import selection
from core.ui.render import gallery, report, tables, text
from core.ui.session import components, decisions, jump, reads, writes
from core.ui.session.state import Shown

MOST_TILES = 36
MOST_ROWS = 2000
N_ALIKE = 12
VIEWS = ("pictures", "table")
COLUMNS = ["banner_id", "grid_id", "n_products", "domain", "n_clicks", "p_value", "p_broken", "flagged", "fault", "sentence", "state"]


def panel(run: Shown, points: Points, about: Row) -> None:
    """The selection, or the clusters to pick one from where nothing is selected."""
    ids = selection.ids()
    if not ids:
        clusters(points, about)
        return
    on_map = selection.rows_of(points.banner_id)
    chosen_panel(run, ids, points.position[list(on_map)].tolist() if len(on_map) == len(ids) else None)


def chosen_panel(run: Shown, ids: list[str], positions: list[int] | None = None) -> None:
    """Selected banners: how many of which kind, decisions, pictures or table. `positions` of all of them, where known."""
    rows = embeddings.chosen(run.store, run.run_id, ids, positions)
    if len(rows) < len(ids):
        st.caption(f"{len(ids) - len(rows):,} of the {text.plural(len(ids), 'selected banner')} were not scored in this run.")
    if not rows:
        st.button("Clear the selection", key="map_clear", on_click=selection.clear)
        return
    st.markdown(summary(rows))
    view = actions(run, rows)
    if view == VIEWS[1]:
        table(rows)
        return
    shown = rows[:MOST_TILES]
    pictures = reads.thumbnails(run, shown)
    noted = [r | {"note": f"{text.likely(r['p_broken'])} · {text.grid(r['grid_id'])}"} for r in shown]
    html = gallery.tiles(noted, pictures, st.session_state.get("alike"))
    components.pick_table(html, "tiles", on_pick=pick_tile, height=400, token=str(len(ids)))
    rest = len(rows) - len(shown)
    st.caption(f"Strongest first; a click shows what a banner resembles.{f' {rest:,} more in the table.' if rest > 0 else ''}")


def summary(rows: list[Row]) -> str:
    """34 banners selected: 29 flagged, 3 confirmed; grids 333346 (30) and 333519 (4)."""
    parts = [f"{sum(r['flagged'] for r in rows):,} flagged"]
    parts += [f"{n:,} {name}" for name in ("confirmed", "dismissed", "snoozed") if (n := sum(r["state"] == name for r in rows))]
    grids, counts = np.unique([r["grid_id"] for r in rows], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:3]
    named = ", ".join(f"{grids[k]} ({counts[k]:,})" for k in order) + (" and others" if len(grids) > 3 else "")
    return f"**{text.plural(len(rows), 'banner')} selected**: {', '.join(parts)}; {'grid' if len(grids) == 1 else 'grids'} {named}."


def actions(run: Shown, rows: list[Row]) -> str:
    """Decisions about all that is selected, each with an undo; triage, file, clear. Returns how to show the selection."""
    seen, n = {r["banner_id"]: r["event_id"] for r in rows}, len(rows)
    choices: tuple[tuple[triage.Op, str], ...] = (("confirm", "Confirm"), ("dismiss", "Dismiss"), ("snooze", "Snooze"))
    with st.container(horizontal=True, gap="xsmall"):
        for op, label in choices:
            writes.button("triage", f"{label} {n:,}", decisions.decide_ticked, (run, seen, op), key=f"map_{op}")
        decisions.undo_button(run)
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        view = st.segmented_control("Show", VIEWS, default=VIEWS[0], key="picked", required=True, label_visibility="collapsed")
        queue = {"selected": selected.encode(run.run_id, [r["position"] for r in rows]), "status": "all"}
        jump.button(f"Open {n:,} in triage", "triage", queue, key="map_triage", help="These banners and no others, as a queue")
        st.download_button(
            "CSV", lambda: report.csv_file(rows, COLUMNS), "heatproof-selection.csv", "text/csv",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        st.button("Clear", key="map_clear", type="tertiary", on_click=selection.clear)
    return view or VIEWS[0]


def table(rows: list[Row]) -> None:
    """The selection as numbers."""
    shown = [
        {
            "banner": r["banner_id"],
            "grid": text.grid(r["grid_id"]),
            "flagged": "▲" if r["flagged"] else "",
            "likely broken": text.likely(r["p_broken"]),
            "p": text.p_value(r["p_value"]),
            "clicks": r["n_clicks"],
            "what": tables.why(r) if r["flagged"] else "",
            "state": r["state"],
        }
        for r in rows[:MOST_ROWS]
    ]
    st.dataframe(shown, hide_index=True, height=400, alt="Selected banners")
    if len(rows) > MOST_ROWS:
        st.caption(f"The first {MOST_ROWS:,} of {len(rows):,}; all of them are in the CSV.")


def clusters(points: Points, about: Row) -> None:
    """Nothing is selected yet: how to, and the clusters to begin with."""
    st.markdown("**Nothing selected.** Drag a lasso around banners, or begin with a cluster:")
    rows = []
    for k in range(-1, about["n_clusters"]):
        mine = points.cluster == k
        if mine.any():
            grids, counts = np.unique(points.grid_id[mine], return_counts=True)
            main = f"{grids[counts.argmax()]} ({100 * counts.max() / mine.sum():.0f} %)"
            rows.append((k, int(mine.sum()), int(points.flagged[mine].sum()), main))
    rows.sort(key=lambda r: -r[2] / r[1])
    components.pick_table(tables.cluster_table(rows), "clusters", on_pick=lambda: pick_cluster(points), height=470)
    st.caption("Those with the largest share of flagged banners first.")


def pick_cluster(points: Points) -> None:
    """Selects all banners of the picked cluster."""
    value = components.picked("clusters")
    if value is not None:
        selection.take(points.banner_id[points.cluster == int(value)].astype(str).tolist())


def pick_tile() -> None:
    """Shows what the picked banner resembles."""
    st.session_state["alike"] = components.picked("tiles")


def pick_alike() -> None:
    """Goes on to one of the neighbours."""
    st.session_state["alike"] = components.picked("neighbours")


def alike(run: Shown, points: Points, about: Row, found: str | None) -> None:
    """The banners nearest to the one that was found or picked last."""
    if found is not None and found != st.session_state.get("alike_found"):
        st.session_state["alike"] = found
    st.session_state["alike_found"] = found
    name = st.session_state.get("alike")
    if not name:
        return
    row, states = points.row_of(name), reads.decided(run.path, reads.token(run))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"##### What {text.markdown(name)} resembles", width="content")
        jump.button("Open it", "banner", {"banner": name}, key="open_alike", icon=":material/ads_click:")
    if row is None:
        st.info("It is not on this map.")
        return
    others = [r | {"note": f"{r['distance']:.2f} · {text.grid(r['grid_id'])}"} for r in points.nearest(row, states, limit=N_ALIKE)]
    tiles = [points.facts(row, states) | {"note": "this one"}, *others]
    pictures = reads.thumbnails(run, tiles)
    components.pick_table(gallery.tiles(tiles, pictures, name), "neighbours", on_pick=pick_alike)
    what = text.fault(about["feature"])
    st.caption(f"Nearest first, with the distance between their {what} features (0: the same; 1.41: nothing in common) and the grid.")
