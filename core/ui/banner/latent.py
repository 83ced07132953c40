"""What a network would draw of a banner: training it, and its code turned entry by entry."""

import numpy as np
import streamlit as st

from core.models.latent import job as latent
from core.models.latent.job import LATENT, Latent
from core.models.latent.request import LEAST, MOST, LatentRequest
from core.store.queries.runs import Row
from core.ui.render import cells as maps
from core.ui.render import charts, text
from core.ui.render.cells import Map
from core.ui.session import components, job_panel, state, writes
from core.ui.session.job_panel import Words
from core.ui.session.state import Shown

WORDS = Words(title=lambda request: str(request.banner_id))


def drawings(run: Shown, found: Row) -> None:
    """The expander of the Banner page; nothing is read before it is open."""
    with st.expander("What a network would draw", key="latent", on_change="rerun") as box:
        if not box.open:
            return
        drawn = latent.kept(run.store, run.run_id, found["banner_id"])
        if drawn is not None:
            show(drawn, found)
            return
        job = job_panel.current(LATENT)
        is_own = job is not None and job.request.banner_id == found["banner_id"]
        if job is None or not (job.is_running or (is_own and job.state != "finished")):
            missing(run, found)
        else:
            job_panel.show(LATENT, WORDS)


def missing(run: Shown, found: Row) -> None:
    """Nothing was drawn yet: what it takes, and the button."""
    st.markdown(
        f"A variational autoencoder learns what banners of grid {text.markdown(text.grid(found['grid_id']))} look like and draws this "
        "one again from a code of 8 numbers. Turn two of them and see what they stand for. Training takes about half a minute, "
        "longer where the machine is busy; nothing in the store changes."
    )
    request = LatentRequest(run.run_id, found["banner_id"])
    writes.button("map", "Train and draw", writes.start, (LATENT, request), key="draw_latent", type="primary", icon=":material/draw:")


def show(drawn: Latent, found: Row) -> None:
    """Two entries and their values, then the banner, its reconstruction and what the changed code gives, on one scale."""
    values = chosen(drawn, found["position"])
    images = {
        "this banner, as the network sees it": drawn.original,
        "as it draws it again": drawn.reconstruction,
        "with the two entries changed": drawn.changed(values),
    }
    shown = {name: in_clicks(image, found["n_clicks"]) for name, image in images.items()}
    top = maps.limit(*shown.values())
    for k, (place, (name, image)) in enumerate(zip(st.columns(3), shown.items(), strict=True)):
        with place:
            st.caption(f"**{name}**")
            figure = charts.counts(image, state.theme(), top=top, height=330, flat=True)
            components.plot(figure, f"latent_map_{k}", f"Heatmap: {name}")
    st.caption(
        f"Error of the reconstruction: {text.decimal(drawn.error, 1)}, larger than that of {text.percent(drawn.smaller_share, 0)} of the "
        f"{drawn.n_fitted - 1:,} other banners. Smoothed clicks a cell, one scale. Trained in {text.duration(drawn.seconds)}."
    )


def chosen(drawn: Latent, position: int) -> dict[int, int]:
    """{entry: value} of the two entries that the reader changes; at first those farthest from 0, at the steps nearest to their own."""
    entries = list(range(len(drawn.code)))

    def words(entry: int) -> str:
        return f"{entry + 1} (its own: {text.decimal(drawn.code[entry], 1)})"

    first, second = drawn.strongest()
    west, east = st.columns(2, gap="large")
    with west:
        one = st.selectbox("First entry", entries, index=first, format_func=words, key=f"entry_1_{position}")
        a = st.slider("Value of the first", LEAST, MOST, drawn.step(one), key=f"value_1_{position}_{one}")
    others = [entry for entry in entries if entry != one]
    with east:
        at = others.index(second if second != one else first)
        two = st.selectbox("Second entry", others, index=at, format_func=words, key=f"entry_2_{position}")
        b = st.slider("Value of the second", LEAST, MOST, drawn.step(two), key=f"value_2_{position}_{two}")
    return {one: a, two: b}


def in_clicks(image: Map, n_clicks: int) -> Map:
    """Square roots of shares as clicks a cell; below 0, where a network may draw, there are none."""
    return np.asarray(np.square(np.maximum(image, 0)) * n_clicks)
