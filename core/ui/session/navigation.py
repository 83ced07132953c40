"""The pages there are, in their groups."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.ui.render import thumbnails
from core.ui.session import components, state
from core.ui.session.state import Shown


def navigation(*, hidden: bool = False) -> Any:
    """The window's title and width, and navigation in the sidebar unless hidden; returns the page to run."""
    # before the pages, whose icons would else become the window's: those are fetched from the internet
    st.set_page_config(page_title="Heatproof", page_icon=thumbnails.icon(), layout="wide", initial_sidebar_state=232)
    return st.navigation(
        {
            "Watch": [st.Page("pages/overview.py", title="Overview", icon=":material/monitoring:", default=True)],
            "Work": [
                st.Page("pages/triage.py", title="Triage", icon=":material/checklist:"),
                st.Page("pages/label.py", title="Label", icon=":material/label:"),
            ],
            "Understand": [
                st.Page("pages/banner.py", title="Banner", icon=":material/ads_click:"),
                st.Page("pages/embedding.py", title="Embedding", icon=":material/bubble_chart:"),
                st.Page("pages/detectors.py", title="Detectors", icon=":material/radar:"),
            ],
            "Decide & run": [
                st.Page("pages/calibrate.py", title="Calibrate", icon=":material/tune:"),
                st.Page("pages/data.py", title="Data", icon=":material/database:"),
            ],
        },
        position="hidden" if hidden else "sidebar",
    )


def through_app() -> None:
    """Starts over through `app.py` where a page was run without it.

    Streamlit takes a folder named pages for its older kind of app until `st.navigation` was called once, so the very first
    visit after a start would show a bare page if it came by a deep link.
    """
    if not st.session_state.pop("through_app", False):
        navigation()
        st.rerun()


def show(page: Callable[[Shown], None]) -> None:
    """Shows a page about a run, or what to do where there is none."""
    through_app()
    run = state.shown()
    if run is None:
        components.no_run()
    else:
        page(run)
