"""A question at the top of the page before something is done that another person's decision speaks against: one key goes on, one leaves.

What would be done is fixed when the question is asked, with what holds by then: where that changes again, it is asked again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from core.errors import ChangedError
from core.review import changes
from core.review.changes import Change, Seen
from core.ui.render import text
from core.ui.session import state, writes
from core.ui.session.roles import Action

SHOWN = 5
"""Changes that a question names; more stand in its list."""


@dataclass(frozen=True)
class Question:
    """`words` is markdown; `go_on` is on the button that calls `then(seen)`, where seen is what holds by now."""

    words: str
    go_on: str
    action: Action
    then: Callable[[Seen], None]
    changed: tuple[Change, ...]


def ask(words: str, go_on: str, action: Action, then: Callable[[Seen], None], changed: Sequence[Change], place: str = "page") -> None:
    """Asks when the page is drawn next; a question that was open in the same place is dropped."""
    st.session_state[f"question_{place}"] = Question(words, go_on, action, then, tuple(changed))


def listed(changed: Sequence[Change]) -> str:
    """ana dismissed bn-000123 2 minutes ago, eva snoozed bn-000124 just now, and 3 more. Markdown."""
    me = state.author()
    said = ", ".join(text.markdown(changes.words(change, me)) for change in changed[:SHOWN])
    rest = len(changed) - SHOWN
    words = f"{said}, and {rest:,} more" if rest > 0 else said
    return changes.begin(words)


def or_ask(
    do: Callable[[Seen | None], None], seen: Seen | None, go_on: str, action: Action, *, place: str = "page", then: str = "Decide again?"
) -> None:
    """Does it, or asks where it is refused since something changed. Raises ChangedError where going on makes no sense."""
    try:
        do(seen)
    except ChangedError as error:
        if not error.changes:
            raise
        words = f"{listed(error.changes)}, after it was shown to you. {then}"
        ask(words, go_on, action, lambda now: or_ask(do, now, go_on, action, place=place, then=then), error.changes, place)


def show(place: str = "page") -> None:
    """The open question, if any."""
    question = st.session_state.get(f"question_{place}")
    if question is None:
        return
    with st.container(border=True):
        st.markdown(f":material/warning: {question.words}")
        if len(question.changed) > SHOWN:
            rows = [{"banner": c.about, "by": c.author, "what": c.what, "when": text.ago(c.happened_at)} for c in question.changed]
            st.dataframe(rows, hide_index=True, alt="Changed since they were shown", height=180)
        with st.container(horizontal=True, gap="xsmall"):
            writes.button(question.action, question.go_on, _go_on, (place,), key=f"go_on_{place}", shortcut="Y", type="primary")
            st.button("Leave it as it is", key=f"leave_{place}", shortcut="N", on_click=_close, args=(place,))


def _go_on(place: str) -> None:
    question: Question = st.session_state[f"question_{place}"]
    _close(place)
    question.then({change.about: change.event_id for change in question.changed})


def _close(place: str) -> None:
    st.session_state.pop(f"question_{place}", None)
