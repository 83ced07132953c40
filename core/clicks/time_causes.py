"""The likeliest cause of times that were rejected, from their texts. None where no cause fits nearly all of them."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from core.clicks import dates

MOST = 0.9
"""Share of the texts that a cause has to fit."""
ISO = "Write ISO 8601, e.g. 2026-11-20T10:00:00Z, or an epoch in seconds or smaller units."
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"[2-7]\d{4}(\.\d+)?", "the times are days as a spreadsheet counts them, since 1900"),
    (rf".*\b{_MONTH}\b.*\d{{4}}.*", "the times name their months by words"),
    (r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s*([ap]m)?", "the times are times of day without a date"),
    (
        r"(0|0000-00-00.*|0001-01-01.*|1899-12-3[01].*|19(00|70)-01-01.*)",
        "the times are not set: they stand at the beginning of a calendar",
    ),
)


def cause(values: Sequence[str]) -> str | None:
    """The form that the texts have, and what to write instead; None where nearly all have none of those known here."""
    texts = [value.strip().lower() for value in values if value and value.strip()]
    if not texts:
        return None
    for pattern, words in _PATTERNS:
        if fits(texts, lambda text, p=pattern: re.fullmatch(p, text) is not None):  # type: ignore[misc]
            return f"{words} ({texts[0]!r}). {ISO}"
    return _swapped(texts) or _by_day(texts)


def fits(texts: Sequence[str], holds: Callable[[str], bool]) -> bool:
    """Whether a condition holds for nearly all texts."""
    return len(texts) > 0 and sum(map(holds, texts)) >= MOST * len(texts)


def ahead(now: datetime) -> str:
    """The cause of a log that is later than this machine's clock as a whole."""
    return f"nearly every click is later than this machine's clock, {now:%Y-%m-%d %H:%M} UTC. Check the clock, then the log's times."


def _swapped(texts: Sequence[str]) -> str | None:
    """2026-20-11: year, day, month."""
    form = r"\d{4}[-/.](1[3-9]|2\d|3[01])[-/.](0\d|1[0-2])(\D.*)?"
    if fits(texts, lambda text: re.fullmatch(form, text) is not None):
        return f"day and month are swapped: the dates are written year-day-month ({texts[0]!r}). Write year-month-day."
    return None


def _by_day(texts: Sequence[str]) -> str | None:
    """20/11/2026 or 11/20/2026."""
    parts = [p for text in texts if (p := re.match(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})(\D|$)", text))]
    if len(parts) < MOST * len(texts):
        return None
    if (readings := dates.both(texts)) and all(int(p[1]) <= 12 and int(p[2]) <= 12 for p in parts):
        return f"the dates can be read in two ways: {readings}"
    first, second = max(int(p[1]) for p in parts), max(int(p[2]) for p in parts)
    order = "day/month/year" if first > 12 >= second else "month/day/year" if second > 12 >= first else "day/month/year or month/day/year"
    return f"the dates are written {order} ({texts[0]!r}). {ISO}"
