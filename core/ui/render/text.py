"""Numbers, times and strings from data as a reader should see them. "–" stands for unknown, never 0."""

import html
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from core.store.spelling import UNKNOWN_PRODUCTS

FAR = datetime(9999, 1, 1)
"""Later than every ingest."""

UNKNOWN = "\u2013"


def number(value: float | None) -> str:
    """Thousands separated: 12,345."""
    return UNKNOWN if _missing(value) else f"{value:,.0f}"


def decimal(value: float | None, digits: int = 2) -> str:
    """Fixed digits, thousands separated, with a real minus sign."""
    return UNKNOWN if _missing(value) else f"{value:,.{digits}f}".replace("-", "\u2212")


def percent(share: float | None, digits: int = 1) -> str:
    """A share 0..1 as 2.0 %."""
    return UNKNOWN if _missing(share) else f"{100 * share:.{digits}f} %"  # type: ignore[operator]


def span(low: float, high: float) -> str:
    """An interval of shares as 1.6–2.6, without the unit."""
    return UNKNOWN if _missing(low) or _missing(high) else f"{100 * low:.1f}\u2013{100 * high:.1f}"


def p_value(p: float | None) -> str:
    """0.003, or < 0.001."""
    if p is None or math.isnan(p):
        return UNKNOWN
    if p < 0.001:
        return "< 0.001"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def likely(p: float | None) -> str:
    """A probability in percent that never claims certainty: > 99 %, < 1 %."""
    if p is None or math.isnan(p):
        return UNKNOWN
    return "> 99 %" if p > 0.99 else "< 1 %" if p < 0.01 else f"{100 * p:.0f} %"


def times(nats: float) -> str:
    """A likelihood ratio of e**nats in words: 14 times, 1,200 times, over a million times."""
    if nats > math.log(1e6):
        return "over a million times"
    ratio = math.exp(nats)
    return f"{ratio:.1f} times" if ratio < 10 else f"{float(f'{ratio:.2g}'):,.0f} times"


_grids: dict[int, str] = {}
WHOLE = re.compile(r"-?[0-9]{1,19}")


def know_grids(names: Mapping[int, str]) -> None:
    """Names of grids that stand in the place of their numbers. A number follows from its name alone, in whatever store."""
    _grids.update(names)


def grid(grid_id: int | str | None) -> str:
    """A grid as people call it: its name where it has one, else its number."""
    text = str(grid_id)
    return _grids.get(int(text), text) if WHOLE.fullmatch(text) else text


def grid_number(word: Any) -> int | None:
    """The grid_id of a number or name in an address; None for what is neither."""
    text = str(word or "")
    if WHOLE.fullmatch(text):
        return int(text)
    return next((number for number, name in _grids.items() if name == text), None)


def product_count(n: int | str) -> str:
    """A number of products by itself."""
    return "?" if int(n) == UNKNOWN_PRODUCTS else str(n)


def products(n: int) -> str:
    """3 products; a log need not say how many."""
    return "products unknown" if n == UNKNOWN_PRODUCTS else plural(n, "product")


def plural(n: int, one: str, many: str | None = None) -> str:
    """1 banner, 12 banners."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def day(value: date | None) -> str:
    """12 Nov, with the year where it is not this one."""
    if value is None:
        return UNKNOWN
    text = f"{value.day} {value:%b}"
    return text if value.year == datetime.now(UTC).year else f"{text} {value.year}"


def absolute(value: datetime | None) -> str:
    """2026-11-12 03:14:05 UTC."""
    return UNKNOWN if value is None else f"{value:%Y-%m-%d %H:%M:%S} UTC"


def ago(value: datetime | None, now: datetime | None = None) -> str:
    """How long ago a naive UTC time is: just now, 5 min ago, 3 h ago, 2 days ago; later times as "in 3 days"."""
    if value is None:
        return UNKNOWN
    seconds = ((now or datetime.now(UTC).replace(tzinfo=None)) - value).total_seconds()
    length = duration(abs(seconds))
    if abs(seconds) < 60:
        return "just now"
    return f"{length} ago" if seconds > 0 else f"in {length}"


def duration(seconds: float | None) -> str:
    """0.4 s, 21 s, 5 min, 3 h, 2 days."""
    if seconds is None or math.isnan(seconds):
        return UNKNOWN
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    for size, unit in ((86400, "day"), (3600, "h"), (60, "min")):
        if seconds >= size:
            n = int(seconds // size)
            return f"{n} {unit}{'s' if unit == 'day' and n > 1 else ''}"
    return UNKNOWN


def size(n_bytes: float | None) -> str:
    """1.2 MB."""
    if n_bytes is None:
        return UNKNOWN
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def fault(name: str | None) -> str:
    """A fault family in words: hot spot."""
    return UNKNOWN if not name else name.replace("_", " ")


def markdown(value: Any) -> str:
    """Text from data made harmless for Streamlit's markdown: every sign that could mean something is escaped, lines are joined."""
    joined = " ".join(str(value).split())
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", joined)


def markup(value: Any) -> str:
    """Text from data made harmless for HTML."""
    return html.escape(str(value), quote=True)


def cell(value: Any) -> Any:
    """A value for a CSV file: text that a spreadsheet would run as a formula gets a quote in front (OWASP, CSV injection)."""
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return "'" + value
    return value


def _missing(value: float | None) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
