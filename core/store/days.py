"""Which days of the store are real: a click is never later than a day from now, and stores from before that rule may hold such days.

Whatever counts back from the newest day, or ends with it, takes `last_possible`, so that one click of 2099 is not the newest.
"""

from datetime import date, datetime, timedelta

from core.store import clock
from core.store.store import Store


def now() -> datetime:
    """Naive UTC, as everywhere in the store."""
    return clock.now()


def last_possible() -> date:
    """The last day that a click can have by this machine's clock."""
    return (now() + AHEAD).date()


def newest(store: Store) -> date | None:
    """The newest day with clicks that is not in the future; None where there is none."""
    found: date | None = store.rows("SELECT max(day) AS day FROM heatmap_day WHERE day <= ?", [last_possible()])[0]["day"]
    return found


def n_future(store: Store) -> int:
    """Number of days with clicks that lie in the future."""
    return int(store.rows("SELECT count(DISTINCT day) AS n FROM heatmap_day WHERE day > ?", [last_possible()])[0]["n"])


def future_words(n: int) -> str:
    """A sentence about days in the future; empty where there are none."""
    if not n:
        return ""
    days = "1 day" if n == 1 else f"{n:,} days"
    return f"Clicks of {days} in the future are left out: `ingests` lists where they came from, `ingests undo ID` takes them back."


AHEAD = timedelta(days=1)
"""A click may be later than now by this much: clocks differ, and local times stand in logs as UTC."""
