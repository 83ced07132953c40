"""What a page knows before it draws: the open store, the run shown, who acts, the theme. And how an action is done."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core import __version__, logs, settings
from core.errors import HeatproofError
from core.store import Store, grids
from core.store.queries import runs
from core.ui.render import palette, text
from core.ui.render.palette import Theme
from core.ui.session import address, identity, version_words
from core.ui.session.roles import Person

NEWEST = "newest"
AWAY_S = 3.0
"""How often a page asks again for a store whose server does not answer."""
COLOURS = "colours"
"""Key of the choice of colours for counts, in the session and in the URL."""


@dataclass(frozen=True)
class Shown:
    """The finished run on the screen."""

    store: Store
    path: str
    run_id: str
    run: dict[str, Any]
    every: list[dict[str, Any]]
    """Every finished run that can be shown, this one too, newest first."""

    @property
    def last_day(self) -> Any:
        """Last day of the run's window."""
        return self.run["last_day"]


@st.cache_resource(max_entries=8, show_spinner=False, on_release=lambda store: store.close())
def _open(path: str) -> Store:
    return Store(path)


def store() -> Store:
    """The one open store of this process. Raises StoreError where it cannot be opened."""
    return _open(settings.store_url())


def at_path(path: str) -> Store:
    """The open store by its path, for cached reads that take the path as their key."""
    return _open(path)


def is_dark() -> bool:
    """Whether the reader sees the dark theme."""
    return st.context.theme.type == "dark"


def theme() -> Theme:
    """The colours of the theme that the reader sees, with those of counts as chosen in the sidebar."""
    chosen = st.session_state.get(COLOURS) or address.read(COLOURS)
    return palette.theme(is_dark(), chosen if chosen in palette.RAMPS else "heat")


def person() -> Person:
    """Who acts in this session, and as what."""
    return identity.person()


def author() -> str:
    """The name that decisions carry."""
    return identity.person().name


def shown() -> Shown | None:
    """The run on the screen, None where the store has no finished run."""
    opened = store()
    found = runs.finished_runs(opened)
    if not found:
        return None
    wanted = st.session_state.get("run") or address.read("run") or NEWEST
    run = next((r for r in found if run_label(r) == wanted), found[0])
    text.know_grids(_grid_names(str(opened.url), run["run_id"]))
    return Shown(opened, str(opened.url), run["run_id"], run, found)


@st.cache_resource(max_entries=64, show_spinner=False)  # cache_data would warn where this is imported before the server runs
def _grid_names(path: str, run_id: str) -> dict[int, str]:
    """Names of grids as of a run: those of later ingests are in later runs. Shared between sessions, so read-only."""
    return grids.names(at_path(path))


def run_label(run: dict[str, Any]) -> str:
    """A run in the list of runs and in the URL: when it finished."""
    return f"{run['finished_at']:%Y-%m-%d %H:%M:%S}"


def sidebar_foot(run: Shown | None) -> None:
    """Store, run with its age, the active threshold, who you are, the version."""
    with st.sidebar:
        st.space("small")
        opened = store()
        if run is not None:
            address.bound(
                st.selectbox,
                "Run shown",
                [NEWEST, *(run_label(r) for r in run.every)],
                key="run",
                help="Finished runs, by the time they finished (UTC).",
            )
            st.caption(
                f"{text.ago(run.run['finished_at'])} · {run.run['n_banners']:,} banners · "
                f"{text.day(run.run['first_day'])} to {text.day(run.run['last_day'])}",
                help=f"finished {text.absolute(run.run['finished_at'])}",
            )
            cut, meaning = version_words.foot(opened, run.run)
            st.caption(cut, help=meaning)
        address.bound(
            st.segmented_control, "Colours of counts", list(palette.RAMPS), default="heat", key=COLOURS, required=True,
            help="Heat and mono grow away from the page: darker means more on light paper, lighter on dark. "
            "Cividis is the same on both. All of them can be told apart by colour-blind eyes.",
        )  # fmt: skip
        identity.foot()
        st.caption(f"Store: {text.markdown(opened.url.name)}  \nHeatproof {__version__}", help=text.markdown(opened.url.shown))


@st.fragment(run_every=AWAY_S)
def come_back() -> None:
    """Draws the page again as soon as the store answers."""
    try:
        store().rows("SELECT count(*) AS n FROM migration")
    except HeatproofError:
        return
    st.rerun()


def act(function: Callable[..., Any], *args: Any) -> None:
    """Runs a callback; an error for the user is kept for `app.py` to show, since callbacks run before it."""
    try:
        function(*args)
    except HeatproofError as error:
        logs.failure("page_failed", error)
        st.session_state["failure"] = str(error)
