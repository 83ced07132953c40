"""The dashboard: navigation, sign-in, the store, and the one place where an error becomes a message. `streamlit run app.py`.

Streamlit imports this file once, to find the server to run, and then runs it as a script for every visit and every click.
"""

import streamlit as st

from core import logs
from core.errors import HeatproofError, StoreAwayError
from core.ui.server import endpoints, memory
from core.ui.session import address, asking, components, identity, jump, navigation, state


def draw() -> None:
    """One visit or click, from top to bottom."""
    page = navigation.navigation(hidden=not identity.is_known())
    jump.begin()
    address.begin(page.url_path or "overview")
    st.html("<style>.stMainBlockContainer { padding-left: 2.4rem; padding-right: 2.4rem; }</style>")
    failure = st.session_state.pop("failure", None)
    if failure:
        components.failed(failure)
    try:
        if identity.gate():
            st.session_state["through_app"] = True
            state.sidebar_foot(state.shown())
            notes = st.container()
            asking.show()
            page.run()
            with notes:
                address.tell()
    except HeatproofError as error:
        endpoints.page_failed(error)
        components.failed(error)
        if isinstance(error, StoreAwayError):
            state.come_back()
    memory.settle()


if __name__ == "__main__":
    draw()
else:
    logs.mask_everything()
    logs.configure("text")
    try:
        middleware = endpoints.begin()
    except HeatproofError as error:
        raise SystemExit(f"Error: {error}") from error
    app = st.App(__file__, routes=endpoints.ROUTES, middleware=middleware, on_script_error=endpoints.page_failed)
