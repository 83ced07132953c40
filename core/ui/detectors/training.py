"""Networks of ours: which weights are in use, and training one from the page with its progress."""

from typing import Any

import pandas as pd
import streamlit as st

from core.models.training import job as train_job
from core.models.training.job import TrainHandle, TrainRequest
from core.ui.detectors import charts as detector_charts
from core.ui.detectors import reads as detector_reads
from core.ui.render import text
from core.ui.session import components, state, writes
from core.ui.session.state import Shown

Row = dict[str, Any]

EVERY_S = 1.0
OWN_BANNERS, SYNTHETIC = "this store's banners", "synthetic banners"
PURPOSES = {
    "cluster_count": "counts clusters of clicks; its features feed a cosine detector",
    "cluster_location": "finds where clusters lie; its features feed a cosine detector",
    "simclr": "learns which click maps resemble each other; features for a cosine detector",
    "ssad_clicks": "tells banners from the same with corrupted clicks; a detector of its own",
    "vit_small": "a small transformer over click maps; features for a cosine detector",
}


def show(run: Shown) -> None:
    """The training in work or its outcome, and the controls for the next."""
    st.markdown("##### Networks and training")
    handle = train_job.current(run.store)
    found = detector_reads.networks(run.path, train_job.state_of_weights(run.store.path))
    west, east = st.columns([0.56, 0.44], gap="large")
    with west:
        st.dataframe(networks_table(found), hide_index=True, key="networks", height="content", column_config=_COLUMNS)
        st.caption("Trained weights lie beside the store and win over the shipped ones, from the next scoring run on.")
    with east:
        is_going = handle is not None and handle.state == "running"
        begin(found, is_going)
        if is_going:
            watch()
        elif handle is not None:
            outcome(handle)


def networks_table(found: list[Row]) -> pd.DataFrame:
    """A row a network: whose weights are in use, and what they say of themselves."""
    return pd.DataFrame(
        {
            "network": [r["name"] for r in found],
            "weights in use": ["this store's own" if r["is_own"] else "shipped" for r in found],
            "learned from": [_learned_from(r["about"]) for r in found],
            "file": [r["weights"] for r in found],
        }
    )


_COLUMNS = {"file": st.column_config.TextColumn(help="File and content hash")}


def _learned_from(about: dict[str, str]) -> str:
    steps = f"{int(about['steps']):,} steps, " if about.get("steps", "").isdigit() else ""
    return f"{steps}{about.get('banners', text.UNKNOWN)}"


def begin(found: list[Row], is_going: bool) -> None:
    """Which network, from what, how long; one button, closed while another training is in work."""
    rows = {r["name"]: r for r in found}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Network", list(rows), index=list(rows).index("ssad_clicks"), key="network", width=170)
        row = rows[name]
        source = OWN_BANNERS
        if row["reads_banners"]:
            source = st.selectbox("Learn from", [OWN_BANNERS, SYNTHETIC], key="learn_from", width=190)
        steps = st.number_input(
            "Steps", 1, 1_000_000, row["steps"], key=f"steps_{name}", width=120, help="As the shipped weights, unless told"
        )
    request = TrainRequest(name, synthetic=row["reads_banners"] and source == SYNTHETIC, steps=int(steps))
    verb = f"Train {name}" if row["stopped_at"] is None else f"Go on training {name}"
    writes.button(
        "train", verb, writes.train, (request,), key="train", type="primary", icon=":material/model_training:", disabled=is_going,
        help="One at a time" if is_going else "In the background, behind everything else on this machine: minutes to hours",
    )  # fmt: skip
    st.caption(f"{name} {PURPOSES[name]}." if name in PURPOSES else "")
    if row["is_own"] and not is_going:
        writes.button("train", "Back to the shipped weights", writes.discard_weights, (name, row["weights"]), key="discard",
                      icon=":material/undo:",
                      help="From the next scoring run on. The store's own are kept beside it under another name")  # fmt: skip
    if row["stopped_at"] is not None:
        st.caption(
            f"Stopped {text.ago(row['stopped_at'])}: the same choices continue from its checkpoint, others start from the beginning."
        )


@st.fragment(run_every=EVERY_S)
def watch() -> None:
    """Progress and loss of the training in work, with a way to stop it."""
    handle = train_job.current(state.store())
    if handle is None or handle.state != "running":
        st.rerun()  # the whole page: it shows the new weights, and polling ends
        return
    left = f", about {text.duration(handle.left_s)} left" if handle.left_s is not None else ""
    what = f"{handle.request.name}: {handle.what} · {100 * handle.done:.0f} %{left}"
    st.progress(min(max(handle.done, 0.0), 1.0), text.markdown(what))
    loss_curve(handle)
    writes.button("train", "Stop", writes.cancel_training, (handle,), key="cancel_training", disabled=handle.is_cancelled,
                  help="The last checkpoint is kept, at most half a minute old")  # fmt: skip


def loss_curve(handle: TrainHandle) -> None:
    """The loss so far; nothing before there are two values."""
    if len(handle.losses) > 1:
        components.plot(detector_charts.losses(handle.losses, state.theme()), "losses", "Loss of the training over its progress")


def outcome(handle: TrainHandle) -> None:
    """How the latest training ended."""
    name = text.markdown(handle.request.name)
    if handle.state == "finished":
        loss = f", last loss {handle.losses[-1][1]:.4f}" if handle.losses else ""
        st.success(f"{name} is trained{loss}. Runs from now on use its new weights: score again on the Data page.", icon=":material/check:")
        loss_curve(handle)
    elif handle.state == "cancelled":
        st.warning(f"{name}: {text.markdown(handle.error or '')}", icon=":material/block:")
    else:
        st.error(f"{name}: {text.markdown(handle.error or '')}", icon=":material/error:")
    writes.button("train", "Close", writes.forget_training, (handle,), key="forget_training")
