"""What reviewers did so far, held in memory: labels that hold, banners on screens, what was skipped and shown.

It follows from the events alone and is brought up to date by those written since, by any process, which costs the same for any number
of events before.
"""

import threading
from bisect import insort
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import md5
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from core.review.candidates import Candidate
from core.store import Store

CLAIM_LASTS = timedelta(minutes=10)
"""How long a banner that is shown to a reviewer is not shown to another."""
SKIP_LASTS = timedelta(hours=12)
"""How long a reviewer is not shown again what they skipped."""


class Kept(NamedTuple):
    """A label or adjudication that was not taken back."""

    at: datetime
    event_id: str
    op: str
    reviewer: str


class Claim(NamedTuple):
    """A banner on a reviewer's screen."""

    batch_id: str
    reviewer: str
    until: datetime


@dataclass
class Shown:
    """What one reviewer was shown of one run and did not give back, and how many of it in the mixed queue."""

    n_mixed: int = 0
    by_grid: Counter[tuple[int, str]] = field(default_factory=Counter)


class Past:
    """The state after all events seen. Use it inside `past_of` only: one thread at a time."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.kept: dict[str, list[Kept]] = {}
        """By banner, in no order; a banner without an entry was never labelled, or all was taken back."""
        self.own: dict[str, dict[str, datetime]] = {}
        """By reviewer: banners they labelled and when first, in the order of writing, also where taken back since."""
        self.claims: dict[str, Claim] = {}
        """By banner; may have run out."""
        self.skipped: dict[tuple[str, str], datetime] = {}
        """By reviewer and banner."""
        self.shown: dict[tuple[str, str], Shown] = {}
        """By reviewer and run."""
        self._next_label = self._next_claim = 0
        self._shown_at: dict[tuple[str, str], Candidate] = {}
        self._places: dict[str, dict[str, Candidate | None]] = {}
        self._queues: dict[str, dict[int, list[tuple[str, Candidate]]]] = {}
        self._new: dict[str, list[str]] = {}

    def refresh(self, store: Store) -> None:
        """Takes in the events written since."""
        for row in _since(store, "claim_event", self._next_claim):
            self._next_claim = row["rowid"] + 1
            self._claim(row)
        rows = _since(store, "label_event", self._next_label)
        for row in rows:
            self._next_label = row["rowid"] + 1
            self._label(row)
        undone = sorted({row["banner_id"] for row in rows if row["op"] == "undo"})
        if undone:
            self._reread(store, undone)

    def labelled_in(self, store: Store, run_id: str) -> dict[int, list[tuple[str, Candidate]]]:
        """Banners of a run that were ever labelled, by grid, in the order of a lottery, which no label has a part in."""
        places, queues = self._places.setdefault(run_id, {}), self._queues.setdefault(run_id, {})
        new = [banner for banner in self._new.pop(run_id, self.kept) if banner not in places]
        found = {banner: self._shown_at[run_id, banner] for banner in new if (run_id, banner) in self._shown_at}
        unknown = [banner for banner in new if banner not in found]
        if unknown:
            sql = "SELECT banner_id, grid_id, position FROM result WHERE run_id = ? AND banner_id IN (SELECT unnest(?::VARCHAR[]))"
            found |= {row["banner_id"]: Candidate(**row) for row in store.rows(sql, [run_id, unknown])}
        for banner in new:
            places[banner] = found.get(banner)
            if banner in found:
                insort(queues.setdefault(found[banner].grid_id, []), (md5(banner.encode()).hexdigest(), found[banner]))
        self._new[run_id] = []
        return queues

    def place(self, run_id: str, banner_id: str) -> Candidate | None:
        """Where a banner that was labelled stands in a run; None where it was not scored, or `labelled_in` was not asked before."""
        return self._places.get(run_id, {}).get(banner_id)

    def is_claimed(self, banner_id: str, now: datetime) -> bool:
        """Whether a banner is on a screen. A claim that outlasts a new one was made before the clock was set back, and holds no longer."""
        claim = self.claims.get(banner_id)
        return claim is not None and now < claim.until <= now + CLAIM_LASTS

    def is_skipped(self, reviewer: str, banner_id: str, now: datetime) -> bool:
        """Whether this reviewer skipped it lately."""
        at = self.skipped.get((reviewer, banner_id))
        return at is not None and at > now - SKIP_LASTS

    def _claim(self, row: dict[str, Any]) -> None:
        who, banner = row["reviewer"], row["banner_id"]
        held = self.claims.get(banner)
        if row["op"] == "show":
            self.claims[banner] = Claim(row["batch_id"], who, row["expires_at"])
            self._shown_at[row["run_id"], banner] = Candidate(banner, row["grid_id"], row["position"])
        elif held is not None and held.batch_id == row["batch_id"]:
            del self.claims[banner]
        if row["op"] in ("show", "release") and row["reason"] != "again":
            self._count(row, 1 if row["op"] == "show" else -1)
        if row["op"] == "skip":
            self.skipped[who, banner] = row["happened_at"]
        elif row["op"] == "unskip":
            self.skipped.pop((who, banner), None)

    def _count(self, row: dict[str, Any], n: int) -> None:
        """What was given back unanswered does not count as shown: the queue goes on where it was."""
        seen = self.shown.setdefault((row["reviewer"], row["run_id"]), Shown())
        seen.by_grid[row["grid_id"], row["reason"]] += n
        seen.n_mixed += n * (row["mode"] == "mixed")

    def _label(self, row: dict[str, Any]) -> None:
        banner = row["banner_id"]
        held = self.claims.get(banner)
        if held is not None and held.batch_id == row["batch_id"]:
            del self.claims[banner]
        if row["op"] != "undo":
            self.kept.setdefault(banner, []).append(Kept(row["happened_at"], row["event_id"], row["op"], row["reviewer"]))
            for names in self._new.values():
                names.append(banner)
        if row["op"] == "label":
            self.own.setdefault(row["reviewer"], {}).setdefault(banner, row["happened_at"])

    def _reread(self, store: Store, banners: list[str]) -> None:
        """What is left of banners where something was taken back."""
        rows = store.rows(
            """SELECT banner_id, happened_at, event_id::VARCHAR, op, reviewer FROM label_kept
               WHERE banner_id IN (SELECT unnest(?::VARCHAR[]))""",
            [banners],
        )
        for banner in banners:
            self.kept.pop(banner, None)
        for row in rows:
            self.kept.setdefault(row.pop("banner_id"), []).append(Kept(*row.values()))


def _since(store: Store, table: str, first: int) -> list[dict[str, Any]]:
    """Events from row `first` on: the tables only grow, writers take turns, and a row's number never changes."""
    ids = "rowid, event_id::VARCHAR AS event_id, batch_id::VARCHAR AS batch_id, banner_id, op, reviewer, happened_at"
    more = ", run_id::VARCHAR AS run_id, grid_id, position, mode, reason, expires_at" if table == "claim_event" else ""
    return store.rows(f"SELECT {ids}{more} FROM {table} WHERE rowid >= {first} ORDER BY rowid")


_pasts: WeakKeyDictionary[Store, Past] = WeakKeyDictionary()
_making = threading.Lock()


@contextmanager
def past_of(store: Store) -> Iterator[Past]:
    """The state after all events of a store, for one thread at a time."""
    with _making:
        past = _pasts.setdefault(store, Past())
    with past.lock:
        past.refresh(store)
        yield past
