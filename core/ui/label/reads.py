"""Cached reads of the Label page. A finished run never changes; what depends on labels is keyed by their number, or lives shortly."""

from typing import Any

import numpy as np
import streamlit as st

from core.review import agreement as reviewers
from core.review import labelling_queue
from core.review import reviewers as drift
from core.review.reviewers import Reviewer
from core.statistics.kappa import Estimate
from core.store.queries import banner, known_banners
from core.ui.render import cells as maps
from core.ui.render.cells import Map
from core.ui.session import reads, state
from core.ui.session.state import Shown

Row = dict[str, Any]
N_EXAMPLES = 4


@st.cache_data(max_entries=2048, show_spinner=False)
def facts(path: str, run_id: str, position: int) -> Row:
    """All that a run says of a banner."""
    return labelling_queue.row_at(state.at_path(path), run_id, position)


@st.cache_data(max_entries=512, ttl=300, show_spinner=False)
def known(path: str, run_id: str, grid_id: int, n_products: int) -> list[Row]:
    """Banners to hold others of the grid and product count against: labelled ok where there are enough, else the most ordinary. They stay
    the same for five minutes, so that they do not change under one's eyes."""
    store = state.at_path(path)
    agreed = known_banners.known_ok(store, run_id, grid_id, n_products, N_EXAMPLES + 1)
    return agreed if len(agreed) > N_EXAMPLES else known_banners.ordinary(store, run_id, grid_id, n_products, N_EXAMPLES + 1)


def beside(run: Shown, of: Row) -> list[Row]:
    """Up to four of them, never the banner itself."""
    found = known(run.path, run.run_id, of["grid_id"], of["n_products"])
    return [row for row in found if row["banner_id"] != of["banner_id"]][:N_EXAMPLES]


def counts(run: Shown, banner_id: str) -> Map:
    """(40, 40) clicks of a banner as the run saw it."""
    return maps.as_map(reads.counts(run.path, run.run_id, banner_id, run.run))


def expected(run: Shown, of: Row) -> Map | None:
    """(40, 40) shares of its group's clicks; None where the run kept none."""
    found = reads.reference(run.path, run.run_id, of["reference_id"])
    return maps.as_map(found[1]) if found else None


def warm(run: Shown, position: int) -> None:
    """Reads what showing a banner will need."""
    of = facts(run.path, run.run_id, position)
    expected(run, of)
    for banner_id in (of["banner_id"], *(row["banner_id"] for row in beside(run, of))):
        counts(run, banner_id)


@st.cache_data(max_entries=64, ttl=15, show_spinner=False)
def kappa(path: str, reviewer: str) -> tuple[str, Estimate] | None:
    """Agreement with the reviewer who saw most of the same banners; at most a quarter of a minute old."""
    return drift.kappa_with_most(state.at_path(path), reviewer)


@st.cache_data(max_entries=16, ttl=600, show_spinner=False)
def team(path: str, token: int) -> list[Reviewer]:
    """Each reviewer alone."""
    return drift.reviewers(state.at_path(path))


@st.cache_data(max_entries=16, ttl=600, show_spinner="Comparing reviewers …")
def agreement(path: str, token: int, blind_only: bool) -> dict[str, Any]:
    """Reviewers against each other."""
    return reviewers.agreement(state.at_path(path), blind_only=blind_only)


def scaled(image: Map, n_clicks: float) -> Map:
    """The map as if it had so many clicks."""
    return image * (n_clicks / max(float(np.sum(image)), 1e-9))


def facts_of(run: Shown, banner_id: str) -> Row | None:
    """All that a run says of a banner by its id; None where the run did not score it."""
    position = _position(run.path, run.run_id, banner_id)
    return None if position is None else facts(run.path, run.run_id, position)


@st.cache_data(max_entries=2048, show_spinner=False)
def _position(path: str, run_id: str, banner_id: str) -> int | None:
    found = banner.result(state.at_path(path), run_id, banner_id)
    return None if found is None else int(found["position"])
