"""Cached reads of the Detectors page. A finished run never changes; what depends on labels is keyed by their number."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.detectors import listing as info
from core.models.training import job as train_job
from core.statistics import curves, leaderboard
from core.statistics.curves import Curves
from core.statistics.leaderboard import Standing
from core.store.queries import detectors
from core.store.queries.detectors import COMBINED, OWN, Cut, Labelled, Sample
from core.ui.session import state
from core.ui.session.state import Shown

Row = dict[str, Any]


@dataclass(frozen=True)
class Board:
    """What labels say: the labelled banners, a Standing a judge, and `combined` over those that the slow detectors looked at (None where
    these differ among each other, or are all)."""

    labelled: Labelled
    standings: dict[str, Standing]
    peer: Standing | None

    def whole(self) -> list[str]:
        """Judges that looked at every labelled banner, in the order of their names."""
        return [name for name, s in self.standings.items() if s.n == len(self.labelled.broken)]

    def partial(self) -> list[str]:
        """Judges that left some out."""
        return [name for name in self.standings if name not in self.whole()]


@st.cache_data(max_entries=16, show_spinner=False)
def cuts(path: str, run_id: str) -> dict[str, Cut]:
    """Each detector's own threshold."""
    return detectors.cuts(state.at_path(path), run_id)


@st.cache_data(max_entries=16, show_spinner=False)
def used(path: str, run_id: str, token: int) -> Row:
    """Which labels there are."""
    return detectors.used(state.at_path(path), run_id)


@st.cache_resource(max_entries=8, show_spinner="Comparing detectors by labels …")
def board(path: str, run_id: str, token: int, only_random: bool) -> Board:
    """Detectors by labels; shared between sessions, so read-only."""
    found = detectors.labelled(state.at_path(path), run_id, cuts(path, run_id))
    found = found.take(found.at_random) if only_random else found
    standings = leaderboard.standings(found.scores, found.flagged, found.broken)
    return Board(found, dict(zip(found.names, standings, strict=True)), _peer(found))


def _peer(found: Labelled) -> Standing | None:
    """`combined` over the banners that every slow detector looked at."""
    looked = found.looked
    some = looked[:, ~looked.all(axis=0)]
    if not some.shape[1] or (some != some[:, :1]).any():
        return None
    part = found.take(some[:, 0])
    return leaderboard.standings(part.scores[:, :1], part.flagged[:, :1], part.broken)[0]


@st.cache_data(max_entries=64, show_spinner=False)
def curves_of(path: str, run_id: str, token: int, only_random: bool, name: str) -> Curves | None:
    """ROC and precision-recall of one judge over the labelled banners it looked at, with bands; None for labels of one kind."""
    found = board(path, run_id, token, only_random).labelled
    k = found.names.index(name)
    looked = found.looked[:, k]
    return curves.curves(found.scores[looked, k], found.broken[looked])


@st.cache_resource(max_entries=8, show_spinner="Reading the run's scores once …")
def sample(path: str, run_id: str) -> Sample:
    """Scores of the run's banners; shared between sessions, so read-only."""
    return detectors.sample(state.at_path(path), run_id, cuts(path, run_id))


@st.cache_data(max_entries=16, show_spinner=False)
def alike(path: str, run_id: str, of_flags: bool) -> NDArray[np.float64]:
    """(k, k) rank correlations of detectors, or the share of their flags that two have in common."""
    found = sample(path, run_id)
    if of_flags:
        return leaderboard.same_flags(found.flagged, np.isfinite(found.scores))
    return leaderboard.rank_correlation(found.scores)


@st.cache_data(max_entries=16, show_spinner=False)
def alone(path: str, run_id: str) -> list[Row]:
    """Banners that one detector flags and no other."""
    return detectors.alone(state.at_path(path), run_id, cuts(path, run_id))


@st.cache_data(max_entries=8, show_spinner=False)
def networks(path: str, token: str) -> list[Row]:
    """Networks that can be trained and their weights."""
    return train_job.networks(Path(path))


@st.cache_data(show_spinner=False)
def catalogue() -> list[Row]:
    """Every detector there is; kept, since asking loads the catalogue."""
    return info.detectors()


def judges(run: Shown) -> list[str]:
    """Whose scores can be looked at: the detectors of the run, and what they say together."""
    return [COMBINED, *([OWN] if run.run_id != run.run["scored_id"] else []), *cuts(run.path, run.run_id)]
