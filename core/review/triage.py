"""Decisions about flagged banners, as events. One action of one person is one batch; taking it back is an event too.

Nothing is ever overwritten: `triage_current` shows what holds now. Writing a decision that already holds writes nothing, so a
key pressed twice decides once. Who hands in what they saw (`core.review.changes.Seen`) decides only about banners that are still so; the
others come back with who changed them.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import duckdb

from core.errors import ChangedError, InputError
from core.review import changes
from core.review.changes import Change, Seen
from core.review.triage_queue import FROM, QueueFilter
from core.store import Store, clock
from core.store.queries.runs import n_flagged

Op = Literal["confirm", "dismiss", "snooze", "reopen"]

STATE_AFTER: dict[str, str] = {"confirm": "confirmed", "dismiss": "dismissed", "snooze": "snoozed", "reopen": "open"}

PAST = {"confirm": "confirmed", "dismiss": "dismissed", "snooze": "snoozed", "reopen": "reopened", "undo": "took back a decision about"}

MAX_SNOOZE_DAYS = 365


class Batch(NamedTuple):
    """What one action did: its id, the operation, how many banners it changed, and those it left alone, which are not as shown."""

    batch_id: str
    op: str
    n_banners: int
    changed: tuple[Change, ...] = ()


class Decision(NamedTuple):
    """What is decided: `days` and `until` are of a snooze."""

    op: Op
    author: str
    days: int
    note: str | None

    @property
    def until(self) -> datetime | None:
        """When a snooze ends, in naive UTC."""
        return clock.now() + timedelta(days=self.days) if self.op == "snooze" else None


def decide(
    store: Store,
    run_id: str,
    banner_ids: Sequence[str],
    op: Op,
    author: str,
    *,
    days: int = 7,
    note: str | None = None,
    seen: Seen | None = None,
) -> Batch:
    """Confirms, dismisses, snoozes (for `days`) or reopens banners of a run. Raises InputError for ids that the run did not score.

    With `seen`, a banner on whose state another event stands by now is left alone, unless it holds already what is decided.
    """
    wanted = sorted(set(banner_ids))
    places = _positions(store, run_id, wanted)
    if len(places) != len(wanted):
        unknown = f"{len(wanted) - len(places)} of {len(wanted)}"
        raise InputError(f"A decision is about banners that the run scored: {unknown} were not. Reload the page.")
    where = f"r.run_id = ? AND r.position IN ({', '.join('?' for _ in places) or 'NULL'})"
    return _write(store, run_id, where, [run_id, *places], Decision(op, author.strip(), days, note or None), seen)


def _positions(store: Store, run_id: str, wanted: list[str]) -> list[int]:
    """Where the banners stand in the run: a run stands sorted by it, so what follows finds them at once."""
    sql = f"SELECT position FROM result WHERE run_id = ? {{}} AND banner_id IN ({', '.join('?' for _ in wanted) or 'NULL'})"
    found = store.rows(sql.format(f"AND position <= {n_flagged(store, run_id)}"), [run_id, *wanted])
    if len(found) < len(wanted):
        found = store.rows(sql.format(""), [run_id, *wanted])
    return [row["position"] for row in found]


def decide_all(store: Store, run_id: str, queue: QueueFilter, op: Op, author: str, *, days: int = 7, note: str | None = None) -> Batch:
    """The same for every flagged banner that the filter lets through now, on all its pages, seen or not."""
    where, values = queue.where(store, run_id)
    return _write(store, run_id, where, values, Decision(op, author.strip(), days, note or None), None)


def undo(store: Store, author: str, *, batch_id: str | None = None, despite: Seen | None = None) -> Batch | None:
    """Takes back the author's last action that still holds; None where there is none. Again: the one before it.

    `batch_id`: the action that was shown as the last; raises ChangedError where it no longer is. A banner that another person decided
    about since is left alone and comes back in `changed`, unless `despite` names what holds for it: then that goes on to hold.
    """
    taken_back = str(uuid.uuid4())
    with store.transaction() as cursor:
        last = _last(cursor, author)
        if batch_id is not None and (last is None or last.batch_id != batch_id):
            raise _not_the_last(cursor, last, author)
        if last is None:
            return None
        over = {c.about: c for c in _decided_since(cursor, last.batch_id, author)}
        left = [c for c in over.values() if (despite or {}).get(c.about) != c.event_id]
        n = _insert_undo(cursor, taken_back, author, last.batch_id, [c.about for c in left])
    return last._replace(batch_id=taken_back, n_banners=n, changed=tuple(left))


def _insert_undo(cursor: duckdb.DuckDBPyConnection, taken_back: str, author: str, batch_id: str, without: list[str]) -> int:
    at = clock.moment(cursor, "triage_event")
    cursor.execute(
        f"""INSERT INTO triage_event
            SELECT {clock.id_sql(at)}, ?, ?, run_id, banner_id, 'undo', ?, NULL, NULL, batch_id
            FROM triage_event e WHERE batch_id = ? AND {KEPT} AND banner_id NOT IN (SELECT unnest(?::VARCHAR[]))""",
        [at, taken_back, author, batch_id, without],
    )
    return _count(cursor, taken_back)


KEPT = "NOT EXISTS (FROM triage_event u WHERE u.op = 'undo' AND u.undo_of = e.batch_id AND u.banner_id = e.banner_id)"


LAST = f"""SELECT batch_id::VARCHAR AS batch_id, any_value(op) AS op, count(*) AS n_banners
           FROM triage_event e WHERE author = ? AND op <> 'undo' AND {KEPT}
           GROUP BY batch_id ORDER BY max(happened_at) DESC, max(event_id) DESC LIMIT 1"""


def last_action(store: Store, author: str) -> Batch | None:
    """The author's newest action that was not taken back, with how many banners of it were not."""
    found = store.rows(LAST, [author])
    return Batch(**found[0]) if found else None


def _last(cursor: duckdb.DuckDBPyConnection, author: str) -> Batch | None:
    found = cursor.execute(LAST, [author]).fetchall()
    return Batch(*found[0]) if found else None


def _decided_since(cursor: duckdb.DuckDBPyConnection, batch_id: str, author: str) -> list[Change]:
    """What others decided about the banners of an action after it, and still holds."""
    found = cursor.execute(
        """SELECT t.banner_id, t.event_id::VARCHAR, t.author, t.op, t.happened_at
           FROM triage_event e JOIN triage_current t USING (banner_id)
           WHERE e.batch_id = ? AND t.author <> ? AND t.event_id > e.event_id ORDER BY t.banner_id""",
        [batch_id, author],
    ).fetchall()
    return [Change(banner, event, who, PAST[op], at) for banner, event, who, op, at in found]


def _not_the_last(cursor: duckdb.DuckDBPyConnection, last: Batch | None, author: str) -> ChangedError:
    if last is None:
        return ChangedError("That decision was taken back already, in another window. Nothing was written.")
    banner, at = cursor.execute("SELECT min(banner_id), max(happened_at) FROM triage_event WHERE batch_id = ?", [last.batch_id]).fetchall()[
        0
    ]
    about = banner if last.n_banners == 1 else f"{last.n_banners:,} banners"
    change = Change(about, last.batch_id, author, PAST[last.op], at)
    return ChangedError(f"Your last decision is another one by now: {changes.words(change, author)}. Nothing was taken back.", (change,))


def _write(store: Store, run_id: str, where: str, values: list[Any], what: Decision, seen: Seen | None) -> Batch:
    _check(what)
    batch_id, until = str(uuid.uuid4()), what.until
    news: str = "coalesce(t.state, 'open') <> ?"
    state: list[Any] = [STATE_AFTER[what.op]]
    if until is not None:  # a snooze may be made longer
        news, state = f"({news} OR t.until < ?)", [STATE_AFTER[what.op], until - timedelta(minutes=1)]
    with store.transaction() as cursor:
        changed = _changed(cursor, f"{where} AND {news}", [*values, *state], seen) if seen is not None else []
        at = clock.moment(cursor, "triage_event")
        cursor.execute(
            f"""INSERT INTO triage_event
                SELECT {clock.id_sql(at)}, ?, ?, ?, r.banner_id, ?, ?, ?, ?, NULL {FROM}
                WHERE {where} AND {news} AND r.banner_id NOT IN (SELECT unnest(?::VARCHAR[]))""",
            [at, batch_id, run_id, what.op, what.author, what.note, until, *values, *state, [c.about for c in changed]],
        )
        n = _count(cursor, batch_id)
    return Batch(batch_id, what.op, n, tuple(changed))


def _changed(cursor: duckdb.DuckDBPyConnection, where: str, values: list[Any], seen: Seen) -> list[Change]:
    """Banners to be written whose state rests on another event than the one that was shown, with the newest thing done to each."""
    found = cursor.execute(f"SELECT r.banner_id, t.event_id::VARCHAR {FROM} WHERE {where}", values).fetchall()
    other = {banner: event for banner, event in found if seen.get(banner) != event}
    if not other:
        return []
    newest = cursor.execute(
        """SELECT banner_id, author, op, happened_at FROM triage_event WHERE banner_id IN (SELECT unnest(?::VARCHAR[]))
           QUALIFY row_number() OVER (PARTITION BY banner_id ORDER BY event_id DESC) = 1 ORDER BY banner_id""",
        [list(other)],
    ).fetchall()
    return [Change(banner, other[banner], who, PAST[op], at) for banner, who, op, at in newest]


def _count(cursor: duckdb.DuckDBPyConnection, batch_id: str) -> int:
    return int(cursor.execute("SELECT count(*) FROM triage_event WHERE batch_id = ?", [batch_id]).fetchall()[0][0])


def _check(what: Decision) -> None:
    if what.op not in STATE_AFTER:
        raise InputError(f"A decision is one of {', '.join(STATE_AFTER)}, not {what.op!r}. Choose one of them.")
    if not what.author:
        raise InputError("A decision carries a name, and yours is empty. Write it at the foot of the sidebar.")
    if what.op == "snooze" and not 1 <= what.days <= MAX_SNOOZE_DAYS:
        raise InputError(f"A snooze lasts 1 to {MAX_SNOOZE_DAYS} days, not {what.days}. Choose another length.")


def banners_of(store: Store, batch_id: str, limit: int = 100) -> list[str]:
    """Banners that an action was about."""
    rows = store.rows("SELECT DISTINCT banner_id FROM triage_event WHERE batch_id = ? ORDER BY banner_id LIMIT ?", [batch_id, limit])
    return [row["banner_id"] for row in rows]
