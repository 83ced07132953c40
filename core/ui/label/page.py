"""Label: one decision, without being told; what reviewers differ on; and how steady each of them is."""

import streamlit as st

from core.review import labels
from core.ui.label import disagreements, view
from core.ui.label import reviewers as team
from core.ui.render import text
from core.ui.session import address, components, identity
from core.ui.session.state import Shown

PARTS = ("Label", "Disagreements", "Reviewers")


def show(run: Shown) -> None:
    """The whole page."""
    with st.container(horizontal=True, vertical_alignment="center"):
        part = address.bound(st.segmented_control, "Part", PARTS, default=PARTS[0], key="part", required=True, label_visibility="collapsed")
        n = len(labels.disputed(run.store))
        st.caption(f"{text.plural(n, 'disagreement')} to decide" if n else "")
    why = identity.refused("label")
    if part == PARTS[1]:
        disagreements.show(run)
    elif part == PARTS[2]:
        team.show(run)
    elif why is not None:
        components.sentence("Banners are labelled by reviewers.")
        components.empty("You may look, not label", text.markdown(why), page="triage", label="See what is flagged")
    else:
        view.fragment(run)
