"""Grids that a log names by a text, such as a placement's name: each name has a number of its own, the same in every store.

A log's grid_id holds names where most of its rows hold no whole number there; in any other log such a row is rejected.
"""

from core.clicks import integers
from core.clicks.cancellable import Work
from core.store.grids import FIRST_NAMED, N_NAMED
from core.store.spelling import BLANK_CLASS

MAX_NAME = 200
"""Characters of the longest name."""


def has_names(work: Work, kind: str, text: str) -> bool:
    """Whether most rows of `click_combination` have a grid_id, `text` in SQL, that is no number."""
    if kind in integers.INTEGERS or kind in integers.EXACT_BELOW or kind.startswith("DECIMAL"):
        return False
    whole = f"regexp_full_match({name(text)}, {integers.NUMBER})"
    share = f"coalesce(sum(n) FILTER (NOT {whole}) / sum(n), 0)"
    return bool(work.one(f"SELECT {share} > 0.5 FROM click_combination WHERE problem IS NULL AND coalesce({name(text)}, '') <> ''"))


def name(text: str) -> str:
    """SQL of a name in its one spelling: Unicode NFC, without blanks at its ends."""
    return rf"regexp_replace(nfc_normalize({text}), '^{BLANK_CLASS}+|{BLANK_CLASS}+$', '', 'g')"


def number(text: str) -> str:
    """SQL of the number of a grid: itself where it is a whole number, else one that its name alone decides."""
    named = f"{FIRST_NAMED} + (md5_number({name(text)}) % {N_NAMED})::BIGINT"
    whole = f"CASE WHEN regexp_full_match({name(text)}, {integers.WHOLE}) THEN {integers.value('grid_id', 'VARCHAR', text)} END"
    return f"coalesce({whole}, {named})"


def faults(text: str) -> list[integers.Fault]:
    """What makes a field no name of a grid."""
    return [
        (f"coalesce({name(text)} = '', true)", "grid_id empty", text),
        (f"length({name(text)}) > {MAX_NAME}", f"grid_id longer than {MAX_NAME} characters", text),
        (f"contains({text}, chr(0))", "NUL byte", f"replace({text}, chr(0), '')"),
    ]
