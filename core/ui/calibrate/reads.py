"""Cached reads of the Calibrate page: what was learned stays while only the cut moves, and changes with every label and version."""

from dataclasses import replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.calibration import publish, verdicts, versions
from core.calibration.learn import Labels
from core.calibration.publish import Preview, Request
from core.calibration.verdicts import Judged, Scored
from core.errors import HeatproofError
from core.review import reviewers as drift
from core.statistics import curves
from core.statistics.curves import Curves
from core.ui.session import state
from core.ui.session.state import Shown


@st.cache_resource(max_entries=4, show_spinner="Reading the run's scores once …")
def scored(path: str, scored_id: str) -> Scored:
    """What a run's detectors say; shared between sessions, so read-only."""
    with state.at_path(path).cursor() as cursor:
        return verdicts.read_scored(cursor, scored_id)


def token(run: Shown) -> int:
    """Changes with every label."""
    return drift.labels_token(run.store)


@st.cache_resource(max_entries=8, show_spinner=False)
def labels(path: str, scored_id: str, token: int) -> Labels:
    """Labels of the run's banners that say broken or ok."""
    return publish.labels_of(state.at_path(path), scored(path, scored_id))


def preview(run: Shown, request: Request) -> Preview:
    """What a version would do to the run on the screen. Errors as of `publish.preview` and `thresholds.find_cut`."""
    plain = replace(request, method="f1", value=None)
    learned = _learned(run.path, run.run["scored_id"], run.run_id, token(run), plain).cut_by(request.method, request.value)
    return replace(learned, active=publish.active_number(run.store))


@st.cache_resource(max_entries=24, show_spinner="Learning from the labels …")
def _learned(path: str, scored_id: str, result_id: str, token: int, request: Request) -> Preview:
    of = scored(path, scored_id)
    with state.at_path(path).cursor() as cursor:
        before = verdicts.flags_of(cursor, result_id)
    return publish.preview(of, before, labels(path, scored_id, token), request)


def curves_of(run: Shown, seen: Preview) -> tuple[Curves | None, dict[str, NDArray[np.float64]]]:
    """ROC and precision-recall of the labels that were learned from, each predicted without its grid; and `Worlds.bands`."""
    plain = replace(seen.request, method="f1", value=None)
    return _curves(run.path, run.run["scored_id"], token(run), plain, seen)


@st.cache_data(max_entries=24, show_spinner=False)
def _curves(
    path: str, scored_id: str, token: int, request: Request, _seen: Preview
) -> tuple[Curves | None, dict[str, NDArray[np.float64]]]:
    found = _seen.calibration
    return curves.curves(found.source_p, found.source.broken), found.worlds.bands()


@st.cache_resource(max_entries=16, show_spinner=False)
def judged(path: str, scored_id: str, version_id: str | None) -> Judged | HeatproofError:
    """What a version says of a run, or why it cannot."""
    try:
        with state.at_path(path).cursor() as cursor:
            rules = versions.chain(cursor, version_id)
        return verdicts.judge(scored(path, scored_id), rules)
    except HeatproofError as error:
        return error
