"""What the Banner page shows of maps and cosines: its place, its similarity to the anchors, known banners like it."""

from functools import partial

import streamlit as st

from core.features.names import feature_of
from core.store.queries import embeddings
from core.store.queries.embeddings import Points
from core.store.queries.runs import Row
from core.ui.render import cosine_charts, gallery, scatter, text
from core.ui.session import components, jump, map_job, reads, state
from core.ui.session.state import Shown

N_KNOWN = 4


def company(run: Shown, found: Row) -> None:
    """Three answers side by side: where it lies, how near to the anchor, which known banners are like it."""
    maps = embeddings.listed(run.store, run.run_id)
    about = maps[0] if maps else None
    name = found["banner_id"]
    points = reads.points(run.path, run.run_id, about["embedding_id"]) if about else None
    row = points.row_of(name) if points else None
    west, middle, east = st.columns([0.28, 0.32, 0.4], gap="large")
    with west:
        st.markdown("##### On the map")
        on_the_map(about, points, row, name)
    with middle:
        st.markdown("##### Beside its anchor")
        beside_the_anchor(run, found)
    with east:
        st.markdown("##### Known banners like it")
        known(run, about, points, row)


def on_the_map(about: Row | None, points: Points | None, row: int | None, name: str) -> None:
    """A small map with the banner ringed."""
    if about is None or points is None:
        components.empty("No map of this run yet", "A map shows which banners resemble it.", page="embedding", label="Make a map")
        return
    if row is None:
        st.info("It is not on the latest map, which holds a sample of the banners that are not flagged.")
        return
    figure = scatter.small_map(points, state.theme(), row)
    components.plot(figure, "small_map", "Map of banners with this one ringed")
    flags = "▲ flagged, " if points.flagged.any() else ""
    where = f"in cluster {points.cluster[row] + 1}" if points.cluster[row] >= 0 else "in no cluster"
    st.caption(f"{text.markdown(map_job.words(about['feature'], about['method']))}: it lies {where}. {flags}○ this one.")
    filters = {"find": name, "feature": about["feature"], "method": about["method"].upper()}
    jump.button("Find it on the map", "embedding", filters, key="to_map", type="tertiary", icon=":material/bubble_chart:")


def beside_the_anchor(run: Shown, found: Row) -> None:
    """Cosine similarity to the anchor of its layout, a bar a feature."""
    detectors = reads.cosine_detectors(run.path, run.run_id)
    if not detectors:
        components.empty("No cosine in this run", "No deep detector was asked.", page="data", label="Score again on the Data page")
        return
    own = {r["detector"]: r["score"] for r in reads.scores(run.path, run.run_id, found["banner_id"]) if r["detector"] in detectors}
    cuts = {d: reads.zero_shot_cut(run.path, run.run_id, d, found["grid_id"]) for d in detectors}
    nan = float("nan")
    rows = [(text.fault(feature_of(d)), 1 - own[d] if d in own else nan, 1 - cut.distance if (cut := cuts[d]) else nan) for d in detectors]
    components.plot(cosine_charts.bars(rows, state.theme()), "cosines", "Cosine similarity to the anchor by feature")
    left_out = sum(d not in own for d in detectors)
    more = " Left out: not asked, since a flag was out of reach." if left_out else ""
    ticks = "Tick: the 0-shot threshold that the other grids give; at or below it the bar counts as broken."
    drawn = any(cut is not None for cut in cuts.values())
    st.caption((ticks if drawn else "No 0-shot threshold: too few banners of other grids were scored.") + more)


def known(run: Shown, about: Row | None, points: Points | None, row: int | None) -> None:
    """The nearest banners that analysts dismissed as ok and confirmed as broken, side by side."""
    if about is None or points is None or row is None:
        st.info("This needs the banner on a map: likeness is measured between the features that a map keeps.")
        return
    states = reads.decided(run.path, reads.token(run))
    words = (("dismissed", "Ok", "Dismiss a false alarm (D)"), ("confirmed", "Broken", "Confirm a broken banner (B)"))
    for decision, title, step in words:
        rows = points.nearest(row, states, state=decision, limit=N_KNOWN)
        if not rows:
            st.caption(f"**{title}**: none known yet. {step}: banners of the map with that decision appear here, nearest first.")
            continue
        st.caption(f"**{title}**")
        pictures = reads.thumbnails(run, rows)
        noted = [r | {"note": f"{r['distance']:.2f} · {text.grid(r['grid_id'])}"} for r in rows]
        components.pick_table(
            gallery.tiles(noted, pictures, across=N_KNOWN), f"known_{decision}", on_pick=partial(go_to, f"known_{decision}")
        )
    st.caption(f"Distance by {text.fault(about['feature'])} features (0: the same; 1.41: nothing in common), and grid.")


def go_to(key: str) -> None:
    """Opens the picked banner on this page."""
    value = components.picked(key)
    if value is not None:
        st.session_state["banner"] = value
