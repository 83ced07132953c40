"""Every way from one page to another: no other module changes the page.

Streamlit refuses to set a parameter that a widget of the page being left is bound to, and drops such a parameter of a link. So a jump
puts the filter of the next page into the session, where that page's widgets find it, and into the address once the page has changed.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.ui.session import address

NEXT, BROUGHT = "jump_to", "jump_brought"


def to(page: str, filters: Mapping[str, Any] | None = None) -> None:
    """Goes to a page of `address.PAGES` with these filters and no others; inside callbacks only. Values are what its widgets hold."""
    given = dict(filters or {})
    unknown = sorted(given.keys() - set(address.PAGES[page]))
    if unknown:
        raise ValueError(f"The page {page} has no filter named {', '.join(unknown)}; address.PAGES lists its filters.")
    for key in address.PAGES[page]:
        st.session_state.pop(key, None)
    st.session_state.update(given)
    st.session_state[NEXT], st.session_state[BROUGHT] = page, given


def begin() -> None:
    """Changes the page where a callback asked for it, and on that page completes the address; called before anything is drawn."""
    page = st.session_state.pop(NEXT, None)
    if page is not None:
        st.switch_page(f"pages/{page}.py", query_params={})
    address.put(st.session_state.pop(BROUGHT, {}))


def button(label: str, page: str, filters: Mapping[str, Any] | None = None, **more: Any) -> None:
    """A button that goes to a page with these filters; `more` as of `st.button`."""
    st.button(label, on_click=to, args=(page, filters), **more)


def link(page: str, label: str) -> None:
    """A plain link to a page, which keeps the filters that were set on it."""
    st.page_link(f"pages/{page}.py", label=label, icon=":material/arrow_forward:")
