"""Whole numbers that identify: grid_id and n_products, as SQL expressions. Every format is read by the same rules.

    accepted   digits with an optional sign, leading zeros, `.0` behind, blanks around: 7, +7, 007, ` 7 `, 7.0
    rejected   what is no whole number (7.5, 12abc, 0x1F, 1,000); what 64 bits do not hold; and what may have lost digits: 1.79E+18
               in text, or a float from 2**53 on, where neighbours are one number

A rule is (condition, reason, value that broke it); the first that holds counts, and the last is always the one on 64 bits.
"""

from core.store.spelling import BLANK_CLASS

INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
EXACT_BELOW = {"DOUBLE": 2**53, "FLOAT": 2**24}
"""Floats from here on stand for several whole numbers."""

WHOLE = r"'[+-]?[0-9]+(\.0*)?'"
NUMBER = r"'[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?'"
"""Patterns of a whole number, and of any number."""
_SCIENTIFIC = r"'[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][+-]?[0-9]+'"
Fault = tuple[str, str, str]


def value(ours: str, kind: str, text: str) -> str:
    """The field as BIGINT; only where it keeps `faults`. `text` is its SQL as VARCHAR."""
    if kind in INTEGERS or kind in EXACT_BELOW or kind.startswith("DECIMAL"):
        return f"TRY_CAST(f_{ours} AS BIGINT)"
    return f"TRY_CAST(split_part({_trimmed(text)}, '.', 1) AS BIGINT)"


def faults(ours: str, kind: str, text: str) -> list[Fault]:
    """What makes a field no whole number of 64 bits."""
    empty, not_whole, lost = f"{ours} empty", f"{ours} not a number", f"{ours} may have lost digits"
    outside = (f"{value(ours, kind, text)} IS NULL", f"{ours} outside 64 bits", text)
    if kind in INTEGERS:
        return [(f"f_{ours} IS NULL", empty, text), outside]
    if kind.startswith("DECIMAL"):
        return [(f"f_{ours} IS NULL", empty, text), (f"f_{ours} <> floor(f_{ours})", not_whole, text), outside]
    if kind in EXACT_BELOW:
        number = f"CAST(f_{ours} AS DOUBLE)"
        whole = f"(isfinite({number}) AND {number} = floor({number}))"
        exact = f"abs({number}) < {EXACT_BELOW[kind]}"
        return [(f"f_{ours} IS NULL", empty, text), (f"NOT {whole}", not_whole, text), (f"NOT {exact}", lost, text), outside]
    trimmed = _trimmed(text)
    float_like = f"(contains({trimmed}, '.') AND NOT coalesce(abs(TRY_CAST({trimmed} AS DOUBLE)) < {2**53}, false))"
    return [
        (f"coalesce({trimmed} = '', true)", empty, text),
        (f"regexp_full_match({trimmed}, {_SCIENTIFIC})", lost, text),
        (f"NOT regexp_full_match({trimmed}, {WHOLE})", not_whole, text),
        (float_like, lost, text),
        outside,
    ]


def _trimmed(text: str) -> str:
    return rf"regexp_replace({text}, '^{BLANK_CLASS}+|{BLANK_CLASS}+$', '', 'g')"
