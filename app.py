"""The dashboard: navigation, sign-in, the store, and the one place where an error becomes a message. `streamlit run app.py`."""

import streamlit as st

from core.errors import HeatproofError
from core.ui import components, identity, nav, state

page = nav.navigation(hidden=not identity.is_known())
st.html("<style>.stMainBlockContainer { padding-left: 2.4rem; padding-right: 2.4rem; }</style>")

failure = st.session_state.pop("failure", None)
if failure:
    components.failed(failure)
try:
    if identity.gate():
        st.session_state["through_app"] = True
        state.sidebar_foot(state.shown())
        page.run()
except HeatproofError as error:
    components.failed(error)
