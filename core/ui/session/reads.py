"""Cached reads. A finished run never changes, so most are keyed by store path, run and filter; what depends on decisions also by
a token that changes with each of them, and lives for a minute since a snooze ends by itself."""

from functools import partial
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.calibration import cosine_cuts
from core.features import listing as info
from core.review import labels, triage_queue
from core.review import reviewers as drift
from core.review.triage_queue import QueueFilter, Standing
from core.store.queries import banner, cosines, embeddings, heatmaps, overview, runs, segments
from core.store.queries import grid_changes as changes
from core.store.queries import new_grids as strangers
from core.store.queries.cosines import Asked
from core.store.queries.embeddings import Points
from core.ui.render.thumbnails import Thumbnails
from core.ui.session import identity, state
from core.ui.session.state import Shown

Row = dict[str, Any]


@st.cache_data(max_entries=16, show_spinner=False)
def detectors(path: str, run_id: str) -> list[Row]:
    """What a run knows of its detectors."""
    return runs.detectors(state.at_path(path), run_id)


@st.cache_data(ttl=60, show_spinner=False)
def extractors() -> list[Row]:
    """Feature extractors, and where their weights are; asks no hub."""
    return info.extractors_here()


@st.cache_data(max_entries=64, show_spinner=False)
def facets(path: str, run_id: str) -> dict[str, list[Any]]:
    """Choices of the filters."""
    return runs.facets(state.at_path(path), run_id)


@st.cache_data(max_entries=256, show_spinner=False)
def grids(path: str, run_id: str, min_clicks: int, grid: int | None, domain: str | None) -> list[Row]:
    """Rates per grid."""
    return overview.grids(state.at_path(path), run_id, min_clicks, grid, domain)


@st.cache_data(max_entries=64, show_spinner=False)
def new_grids(path: str, run_id: str) -> dict[int, Row]:
    """Grids that no earlier run knew."""
    return strangers.by_grid(state.at_path(path), run_id)


@st.cache_data(max_entries=256, show_spinner=False)
def not_judged(path: str, run_id: str, grid: int | None, domain: str | None) -> Row:
    """Banners of too few clicks to be judged, and all."""
    return overview.not_judged(state.at_path(path), run_id, grid, domain)


@st.cache_data(max_entries=64, show_spinner=False)
def grid_changes(path: str, run_id: str) -> list[Row]:
    """Grids that changed as a whole."""
    return changes.of_run(state.at_path(path), run_id)


@st.cache_data(max_entries=64, show_spinner=False)
def days(path: str, run_id: str) -> list[Row]:
    """Daily rates of every grid."""
    return overview.days(state.at_path(path), run_id)


@st.cache_data(max_entries=256, show_spinner=False)
def cells(path: str, run_id: str, grid: int, min_clicks: int, domain: str | None) -> list[Row]:
    """Rates of a grid by product count and domain."""
    return overview.cells(state.at_path(path), run_id, grid, min_clicks, domain)


@st.cache_data(max_entries=256, ttl=60, show_spinner=False)
def reviewed(path: str, run_id: str, token: str, min_clicks: int, grid: int | None, domain: str | None) -> Row:
    """How far the flagged banners are worked through."""
    return overview.reviewed(state.at_path(path), run_id, min_clicks, grid, domain)


@st.cache_resource(max_entries=16, ttl=60, show_spinner=False)
def standing(path: str, run_id: str, token: str, chosen: QueueFilter) -> Standing:
    """The whole queue; shared between sessions, so read-only."""
    return triage_queue.standing(state.at_path(path), run_id, chosen)


@st.cache_data(max_entries=256, ttl=60, show_spinner=False)
def page(path: str, run_id: str, token: str, chosen: QueueFilter, number: int) -> list[Row]:
    """A page of the queue."""
    return triage_queue.page(state.at_path(path), run_id, standing(path, run_id, token, chosen), number)


@st.cache_data(max_entries=256, ttl=60, show_spinner=False)
def neighbours(path: str, run_id: str, token: str, chosen: QueueFilter, position: int) -> Row | None:
    """Previous and next in the queue."""
    return triage_queue.neighbours(state.at_path(path), run_id, standing(path, run_id, token, chosen), position)


@st.cache_data(max_entries=512, show_spinner=False)
def counts(path: str, run_id: str, banner_id: str, _run: Row, _position: int | None = None) -> NDArray[np.int64]:
    """(1600,) counts of a banner in the run's window; found faster where its position in the run is known."""
    places = None if _position is None else {banner_id: _position}
    return heatmaps.counts_of(state.at_path(path), [banner_id], _run, places)[banner_id]


@st.cache_data(max_entries=256, show_spinner=False)
def by_segment(path: str, run_id: str, banner_id: str, _run: Row) -> dict[str, NDArray[np.int64]]:
    """(1600,) counts of a banner in the run's window by segment; none where the store has no segments."""
    store = state.at_path(path)
    return segments.counts_of(store, banner_id, _run) if segments.names(store) else {}


@st.cache_data(max_entries=256, show_spinner=False)
def flagged_by_segment(path: str, run_id: str, min_clicks: int, grid: int | None, domain: str | None) -> list[Row]:
    """Flagged banners whose fault one segment alone shows."""
    return segments.flagged(state.at_path(path), run_id, min_clicks, grid, domain)


@st.cache_data(max_entries=256, show_spinner=False)
def daily(path: str, run_id: str, banner_id: str, _run: Row) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Days and (n_days, 1600) counts of a banner."""
    return heatmaps.days_of(state.at_path(path), banner_id, _run)


@st.cache_data(max_entries=256, show_spinner=False)
def reference(path: str, run_id: str, reference_id: int) -> tuple[Row, NDArray[np.float64]] | None:
    """A group's expected shares."""
    return banner.reference(state.at_path(path), run_id, reference_id)


@st.cache_data(max_entries=512, show_spinner=False)
def scores(path: str, run_id: str, banner_id: str) -> list[Row]:
    """Every detector's score of a banner."""
    return banner.scores(state.at_path(path), run_id, banner_id)


@st.cache_data(max_entries=16, show_spinner="Ranking the run's scores once …")
def ranks(path: str, run_id: str) -> dict[str, NDArray[np.float64]]:
    """Per detector sorted scores of the run, for percentiles."""
    return banner.score_sample(state.at_path(path), run_id)


@st.cache_resource
def _thumbnails() -> Thumbnails:
    return Thumbnails()


def thumbnails(run: Shown, rows: list[Row]) -> dict[str, str]:
    """Pictures of banners by id, all on one scale, from rows with banner_id, and with position where all are in this run."""
    places = {r["banner_id"]: r["position"] for r in rows if r.get("position") is not None}
    known = places if len(places) == len(rows) else None
    read = partial(heatmaps.counts_of, run.store, run=run.run, places=known)
    return _thumbnails().of(f"{run.path} {run.run_id}", [r["banner_id"] for r in rows], state.theme().ramp, read)


def token(run: Shown) -> str:
    """Changes with every decision."""
    return runs.decisions_token(run.store)


@st.cache_resource(max_entries=8, show_spinner=False)
def points(path: str, run_id: str, embedding_id: str) -> Points:
    """Every banner of a map; shared between sessions, so read-only."""
    return embeddings.points(state.at_path(path), embedding_id, run_id)


@st.cache_data(max_entries=32, show_spinner=False)
def map_anchors(path: str, embedding_id: str) -> list[Row]:
    """Anchors of a map."""
    return embeddings.anchors(state.at_path(path), embedding_id)


@st.cache_data(max_entries=64, ttl=60, show_spinner=False)
def decided(path: str, token: str) -> dict[str, str]:
    """State of everything that was decided."""
    return embeddings.decided(state.at_path(path))


@st.cache_data(max_entries=64, show_spinner=False)
def cosine_detectors(path: str, run_id: str) -> list[str]:
    """Cosine detectors of a run."""
    return cosines.detectors(state.at_path(path), run_id)


@st.cache_resource(max_entries=8, show_spinner="Reading cosines once …")
def asked(path: str, run_id: str, detector: str) -> Asked:
    """The banners that a detector scored; shared between sessions, so read-only."""
    return cosines.asked(state.at_path(path), run_id, detector)


@st.cache_data(max_entries=256, show_spinner=False)
def zero_shot_cut(path: str, run_id: str, detector: str, grid: int) -> cosine_cuts.Cut | None:
    """The threshold that the other grids give this one."""
    found = asked(path, run_id, detector)
    return cosine_cuts.zero_shot_cut(found.distance, found.grid_id, found.p_broken, grid)


def labels_token(run: Shown) -> int:
    """Changes with every label."""
    return drift.labels_token(run.store)


def seen_labels(run: Shown) -> tuple[dict[str, str], int]:
    """What holds for the labelled banners that the reader may see: broken, ok, unsure or disputed; and how many are hidden from them.

    Who may label sees the labels of a banner once they labelled it too, so that theirs is blind.
    """
    reader = state.author() if identity.refused("label") is None else None
    return _seen_labels(run.path, labels_token(run), reader)


@st.cache_data(max_entries=16, show_spinner=False)
def _seen_labels(path: str, token: int, reader: str | None) -> tuple[dict[str, str], int]:
    store = state.at_path(path)
    every = {row["banner_id"]: row["label"] or "disputed" for row in labels.states(store)}
    hidden = labels.hidden_from(store, reader) if reader is not None else set()
    shown = {name: said for name, said in every.items() if name not in hidden}
    return shown, len(every) - len(shown)
