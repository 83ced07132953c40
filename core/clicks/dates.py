"""Dates with the day or the month first: 20/11/2026, 11/20/2026, 20.11.2026 09:30.

Which it is shows only where one of the two numbers is above 12, in any row of the log. A log in which none is can be read in two ways and
is refused with both, until one says which: `--dates day-first` or `--dates month-first`.
"""

import re
from collections.abc import Sequence

from core.clicks.cancellable import Work
from core.clicks.columns import Match

PATTERN = r"^\s*([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4})([^0-9].*)?$"
HEAD = 1_000
"""Rows in which such dates are looked for."""
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")


def order(work: Work, match: Match, text: str) -> str | None:
    """day-first or month-first, as asked or as the dates of `click_rows` show; None where neither, or where there are no such dates.

    `text` is SQL of the column of times as text.
    """
    asked = match.how.get("dates")
    if asked:
        return asked
    if not work.one(f"SELECT coalesce(bool_or(regexp_matches({text}, '{PATTERN}')), false) FROM (FROM click_rows LIMIT {HEAD})"):
        return None
    parts = [f"max(TRY_CAST(regexp_extract({text}, '{PATTERN}', {k}) AS INTEGER))" for k in (1, 2)]
    first, second = work.rows(f"SELECT {', '.join(parts)} FROM click_rows")[0]
    return "day-first" if first > 12 >= second else "month-first" if second > 12 >= first else None


def ordered(text: str, dates: str) -> str:
    """SQL of such a date as ISO 8601; of any other text NULL. A time of day behind it may be written with AM and PM."""
    by = r"\3-\2-\1\4" if dates == "day-first" else r"\3-\1-\2\4"
    iso = rf"regexp_replace({text}, '{PATTERN}', '{by}')"
    iso = rf"regexp_replace({iso}, '^([0-9]{{4}}-[0-9]+-[0-9]+), *', '\1 ')"
    clock = "['%Y-%m-%d %I:%M:%S %p', '%Y-%m-%d %I:%M %p']"
    halves = rf"regexp_replace({iso}, '([0-9])([AaPp][Mm])', '\1 \2')"
    read = f"CASE WHEN regexp_matches({text}, '[AaPp][Mm]\\s*$') THEN try_strptime(trim({halves}), {clock})::TIMESTAMPTZ"
    return f"CASE WHEN regexp_matches({text}, '{PATTERN}') THEN {read} ELSE TRY_CAST({iso} AS TIMESTAMPTZ) END END"


def said(dates: str, asked: bool) -> str:
    """How dates were read."""
    how = "as asked" if asked else "as those above 12 show"
    example = "20/11/2026" if dates == "day-first" else "11/20/2026"
    return f"Dates have the {dates.removesuffix('-first')} first ({example} is 20 November), {how}."


def both(texts: Sequence[str]) -> str | None:
    """Both readings of dates that can be read in two ways; None where these cannot."""
    parts = next((p for text in texts if (p := re.match(r"\s*(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})", text)) and p[1] != p[2]), None)
    if parts is None or not (0 < int(parts[1]) <= 12 and 0 < int(parts[2]) <= 12):
        return None
    a, b = int(parts[1]), int(parts[2])
    return (
        f"{parts[0].strip()!r} is {a} {MONTHS[b - 1]} {parts[3]} or {b} {MONTHS[a - 1]} {parts[3]}. "
        "Say which: --dates day-first or --dates month-first."
    )
