"""Segments of a log's clicks: the values of its column `device`, at most MOST of them in a store, the rest OTHER.

Works on the views of `validate.py`. A click without a value has no segment.
"""

from core.clicks.cancellable import Work
from core.clicks.checks import Row, quoted
from core.clicks.columns import Match

MOST = 8
OTHER = "other"
MAX_TEXT = 40
"""Characters kept of a value."""
MIN_COVERED = 0.5
"""A column that was found by its name must have this share of its values among the named ones: a device's model or id has not."""


class Segments:
    """Segments of one log. `known`: query for the segments of the store, the most frequent first."""

    def __init__(self, work: Work, row: Row, known: str) -> None:
        value = self._value(row)
        held = [str(name) for (name,) in work.rows(known) if name != OTHER]
        found = work.rows(f"SELECT {value} AS v, count(*) AS n FROM click_rows WHERE problem IS NULL GROUP BY 1 ORDER BY n DESC, v")
        self.counts = {str(v): int(n) for v, n in found if v}
        new = [v for v in self.counts if v not in held and v != OTHER]
        self.names = [*held[:MOST], *new][:MOST]
        self._of = value

    @staticmethod
    def _value(row: Row) -> str:
        return f"left(lower(trim(replace({row.name('device')}, chr(0), ''), E' \\t\\r\\n')), {MAX_TEXT})"

    @property
    def covered(self) -> float:
        """Share of the rows with a value whose value has a name of its own."""
        total = sum(self.counts.values())
        return sum(self.counts.get(name, 0) for name in self.names) / total if total else 1.0

    @property
    def by_code(self) -> list[str | None]:
        """Names by code: none, the named ones, OTHER."""
        return [None, *self.names, OTHER]

    def code(self) -> str:
        """SQL of a row's code."""
        whens = " ".join(f"WHEN {quoted(name)} THEN {k}" for k, name in enumerate(self.names, start=1))
        other = len(self.names) + 1
        return f"CASE coalesce({self._of}, '') WHEN '' THEN 0 {whens} ELSE {other} END"


def unused(match: Match, why: str) -> str:
    """What the user should know of a column that was found by its name and is not used."""
    theirs = match.fields["device"]
    step = f"If it splits banners' clicks, ingest it again by --segment {theirs} --replace."
    return f"Column {theirs!r} is not used as device: {why}. {step}"
