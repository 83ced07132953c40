"""What a page's address says: widgets whose values stand in it, and a line on the page about each value that was not taken.

A widget is bound to the address here only, and every other parameter is read and written here: a test walks the source to hold it.
Streamlit drops a value that a widget does not know without a word, so what the address asked for is compared with what is shown.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import streamlit as st

from core.ui.render import text

QUEUE = ("grid", "domain", "products", "fault", "segment", "clicks", "p", "status", "sort", "selected")
PAGES: dict[str, tuple[str, ...]] = {
    "overview": ("window", "grid", "domain", "least"),
    "triage": (*QUEUE, "page", "map", "at"),
    "label": ("part", "reasons", "grid"),
    "banner": ("banner", "scale", "shared", *QUEUE),
    "embedding": ("view", "feature", "method", "axes", "colour", "find", "pair_grid", "across", "up", "shot"),
    "detectors": ("drawn", "rank", "detector", "list", "curves", "common"),
    "calibrate": (
        *("scope", "source", "target", "shots", "k", "by", "precision", "fpr", "fdr", "budget", "cost", "cut"),
        *("compare", "first", "second"),
    ),
    "data": ("tab",),
}
"""Parameters of each page; `run` and `colours` are those of all pages."""
OF_THE_RUN = {
    *("grid", "domain", "products", "fault", "segment", "pair_grid", "across", "up", "detector", "scope", "curves", "source", "target")
}
"""Parameters whose choices are what the run on the screen holds."""
WHY = {"run": "is no run of this store", "first": "is no threshold version", "second": "is no threshold version"}
NOTES, USED = "address_notes", "address_used"


class Note(NamedTuple):
    """A value that was not taken: what is said about it, and what was shown instead."""

    words: str
    shown: Any


def bound(widget: Callable[..., Any], label: Any, *args: Any, key: str, **more: Any) -> Any:
    """Draws a Streamlit widget whose value stands in the address as `key`, and returns what the widget returns.

    A value of the address that the widget does not take is noted, to be shown by `tell`.
    """
    asked = [value for value in st.query_params.get_all(key) if value] if key not in st.session_state else []
    result = widget(label, *args, key=key, bind="query-params", **more)
    value = st.session_state.get(key)
    _use(key)
    _expire(key, value)
    if asked:
        words = more.get("format_func", str)
        shown = list(value) if isinstance(value, list | tuple) else [value]
        lost = _not_taken(asked if isinstance(value, list | tuple) else asked[-1:], shown, words)
        if lost:
            note(key, ", ".join(lost), ", ".join(words(v) for v in shown if v not in (None, "")), value=value)
    return result


def read(key: str) -> str | None:
    """A parameter without a widget: of the address, or else what a jump to this page brought; None where it is in neither."""
    _use(key)
    value = st.query_params.get(key) or st.session_state.get(key)
    return None if value in (None, "") else str(value)


def keep(key: str, value: str | None) -> None:
    """Puts a parameter without a widget into the address, or takes it out."""
    _use(key)
    _expire(key, value)
    if value is None:
        st.query_params.pop(key, None)
    elif st.query_params.get(key) != value:
        st.query_params[key] = value


def put(filters: Mapping[str, Any]) -> None:
    """Writes what a jump brought into the address of the page it led to, before a widget is drawn that is bound to any of it."""
    if filters:
        st.query_params.update({key: str(value) for key, value in filters.items()})


def note(key: str, asked: str, shown: str, *, why: str = "", value: Any = None) -> None:
    """Remembers that a value of the address was not taken, and what is shown instead (empty: everything).

    The note stands until the page is left, or the parameter gets another value than `value`.
    """
    reason = why or WHY.get(key) or ("is not in this run" if key in OF_THE_RUN else "is not one of the choices")
    _notes()[key] = Note(f"{key} {asked} {reason}; showing {shown or 'all'}", value)


def begin(page: str) -> None:
    """Before a page is drawn: what was noted of another page is forgotten."""
    if st.session_state.get(NOTES, {}).get("page") != page:
        st.session_state[NOTES] = {"page": page, "said": {}}
    st.session_state[USED] = set()


def tell() -> None:
    """After a page is drawn: one line on the values that were not taken, and on the parameters that this page does not use."""
    used = st.session_state.get(USED, set())
    said = [found.words for found in _notes().values()]
    said += [f"{key} {value} has no effect on this page" for key, value in st.query_params.items() if key not in used]
    if said:
        st.caption(f":material/filter_alt_off: {text.markdown(' · '.join(said))}.")


def _notes() -> dict[str, Note]:
    kept: dict[str, Any] = st.session_state.setdefault(NOTES, {"page": "", "said": {}})
    said: dict[str, Note] = kept["said"]
    return said


def _expire(key: str, value: Any) -> None:
    """Forgets what was noted of a parameter once another value is shown."""
    known = _notes().get(key)
    if known is not None and known.shown != value:
        _notes().pop(key)


def _use(key: str) -> None:
    st.session_state.setdefault(USED, set()).add(key)


def _not_taken(asked: Sequence[str], shown: Sequence[Any], words: Callable[[Any], str]) -> list[str]:
    """Values of the address that are none of those shown."""
    known = [value for value in shown if value is not None]
    taken = {form for value in known for form in (str(value), str(value).lower(), words(value))}
    numbers = {float(value) for value in known if isinstance(value, int | float)}
    return [value for value in asked if value not in taken and value.lower() not in taken and _number(value) not in numbers]


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
