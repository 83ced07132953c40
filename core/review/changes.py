"""What changed between showing something and deciding about it: whose decision it was, and when.

A decision carries what was shown (`Seen`): the id of the event that each banner's state rested on. It is compared inside the
transaction that writes, where nothing else can come in between.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from core.errors import ChangedError

Seen = Mapping[str, str | None]
"""By banner_id the event_id of what held when it was shown; None where nothing was decided yet."""


class Change(NamedTuple):
    """A banner (or version) that is not as it was shown. event_id: what holds now, to be expected where one goes on; what: past tense."""

    about: str
    event_id: str | None
    author: str
    what: str
    happened_at: datetime


def words(change: Change, me: str = "", now: datetime | None = None) -> str:
    """ana dismissed bn-000123 2 minutes ago."""
    who = "you" if change.author == me else change.author
    return f"{who} {change.what} {change.about} {ago(change.happened_at, now)}"


def begin(said: str) -> str:
    """The words at the start of a sentence; a name stays as it is written."""
    return f"Y{said[1:]}" if said.startswith("you ") else said


def refuse(changes: Sequence[Change], me: str = "") -> ChangedError:
    """The error that says who changed what since it was shown."""
    rest = f", and {len(changes) - 1:,} more changed" if len(changes) > 1 else ""
    return ChangedError(f"{begin(words(changes[0], me))}, after it was shown to you{rest}. Nothing was written.", tuple(changes))


def ago(at: datetime, now: datetime | None = None) -> str:
    """How long ago a naive UTC time is, in words: just now, 2 minutes ago, 3 hours ago, 4 days ago."""
    seconds = ((now or datetime.now(UTC).replace(tzinfo=None)) - at).total_seconds()
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            n = int(seconds // size)
            return f"{n} {unit}{'s' if n > 1 else ''} ago"
    return "just now"
