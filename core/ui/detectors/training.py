"""Networks of ours: which weights are in use, and training one from the page with its progress."""

from typing import Any

import pandas as pd
import streamlit as st

from core.jobs.job import Job
from core.models.training import job as train_job
from core.models.training.job import TRAINING
from core.models.training.request import TrainRequest
from core.ui.detectors import charts as detector_charts
from core.ui.detectors import reads as detector_reads
from core.ui.render import text
from core.ui.session import components, job_panel, state, writes
from core.ui.session.job_panel import Words
from core.ui.session.state import Shown

Row = dict[str, Any]

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
    found = detector_reads.networks(run.path, train_job.state_of_weights(run.store.path))
    west, east = st.columns([0.56, 0.44], gap="large")
    with west:
        st.dataframe(networks_table(found), hide_index=True, key="networks", height="content", column_config=_COLUMNS)
        st.caption("Trained weights lie beside the store and win over the shipped ones, from the next scoring run on.")
    with east:
        begin(found, job_panel.is_running(TRAINING))
        job_panel.show(TRAINING, WORDS)


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


def begin(found: list[Row], is_running: bool) -> None:
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
        "train", verb, writes.start, (TRAINING, request), key="train", type="primary",
        icon=":material/model_training:", disabled=is_running,
        help="One at a time" if is_running else "In the background, behind everything else on this machine: minutes to hours",
    )  # fmt: skip
    st.caption(f"{name} {PURPOSES[name]}." if name in PURPOSES else "")
    if row["is_own"] and not is_running:
        writes.button("train", "Back to the shipped weights", writes.discard_weights, (name, row["weights"]), key="discard",
                      icon=":material/undo:",
                      help="From the next scoring run on. The store's own are kept beside it under another name")  # fmt: skip
    if row["stopped_at"] is not None:
        st.caption(
            f"Stopped {text.ago(row['stopped_at'])}: the same choices continue from its checkpoint, others start from the beginning."
        )


def loss_curve(job: Job[Any, Any]) -> None:
    """The loss so far; nothing before there are two values."""
    curve = job.curve("loss")
    if len(curve) > 1:
        components.plot(detector_charts.losses(curve, state.theme()), "losses", "Loss of the training over its progress")


def outcome(job: Job[Any, Any]) -> None:
    """How the latest training ended."""
    if job.state != "finished":
        job_panel.outcome(WORDS)(job)
        return
    loss = f", last loss {job.numbers['loss']:.4f}" if "loss" in job.numbers else ""
    name = text.markdown(job.request.name)
    st.success(f"{name} is trained{loss}. Runs from now on use its new weights: score again on the Data page.", icon=":material/check:")
    loss_curve(job)


WORDS = Words(
    title=lambda request: str(request.name), kept="The last checkpoint is kept, at most half a minute old", beside=loss_curve, ended=outcome
)
