"""Decisions about flagged banners, as events. One action of one person is one batch; taking it back is an event too.

Nothing is ever overwritten: `triage_current` shows what holds now. Writing a decision that already holds writes nothing, so a
key pressed twice decides once.
"""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal, NamedTuple

from core import clock
from core.errors import InputError
from core.queries.queue import FROM, QueueFilter
from core.queries.runs import n_flagged
from core.store import Store

Op = Literal["confirm", "dismiss", "snooze", "reopen"]

STATE_AFTER: dict[str, str] = {"confirm": "confirmed", "dismiss": "dismissed", "snooze": "snoozed", "reopen": "open"}

MAX_SNOOZE_DAYS = 365


class Batch(NamedTuple):
    """What one action did: its id, the operation, and how many banners it changed."""

    batch_id: str
    op: str
    n_banners: int


def decide(store: Store, run_id: str, banner_ids: Sequence[str], op: Op, author: str, *, days: int = 7, note: str | None = None) -> Batch:
    """Confirms, dismisses, snoozes (for `days`) or reopens banners of a run. Raises InputError for ids that the run did not score."""
    wanted = sorted(set(banner_ids))
    places = _positions(store, run_id, wanted)
    if len(places) != len(wanted):
        unknown = f"{len(wanted) - len(places)} of {len(wanted)}"
        raise InputError(f"A decision is about banners that the run scored, however {unknown} were not. Reload the page.")
    where = f"r.run_id = ? AND r.position IN ({', '.join('?' for _ in places) or 'NULL'})"
    return _write(store, run_id, where, [run_id, *places], op, author, days, note)


def _positions(store: Store, run_id: str, wanted: list[str]) -> list[int]:
    """Where the banners stand in the run: a run stands sorted by it, so what follows finds them at once."""
    sql = f"SELECT position FROM result WHERE run_id = ? {{}} AND banner_id IN ({', '.join('?' for _ in wanted) or 'NULL'})"
    found = store.rows(sql.format(f"AND position <= {n_flagged(store, run_id)}"), [run_id, *wanted])
    if len(found) < len(wanted):
        found = store.rows(sql.format(""), [run_id, *wanted])
    return [row["position"] for row in found]


def decide_all(store: Store, run_id: str, queue: QueueFilter, op: Op, author: str, *, days: int = 7, note: str | None = None) -> Batch:
    """The same for every flagged banner that the filter lets through, on all its pages."""
    where, values = queue.where(store, run_id)
    return _write(store, run_id, where, values, op, author, days, note)


def undo(store: Store, author: str) -> Batch | None:
    """Takes back the author's last action that still holds; None where there is none. Again: the one before it."""
    last = last_action(store, author)
    if last is None:
        return None
    batch_id = str(uuid.uuid4())
    with store.transaction() as cursor:
        at = clock.moment(cursor, "triage_event")
        cursor.execute(
            f"""INSERT INTO triage_event SELECT {clock.id_sql(at)}, ?, ?, run_id, banner_id, 'undo', ?, NULL, NULL, batch_id
                FROM triage_event WHERE batch_id = ?""",
            [at, batch_id, author, last.batch_id],
        )
    return last._replace(batch_id=batch_id)


def last_action(store: Store, author: str) -> Batch | None:
    """The author's newest action that was not taken back."""
    found = store.rows(
        """SELECT batch_id::VARCHAR AS batch_id, any_value(op) AS op, count(*) AS n FROM triage_event e
           WHERE author = ? AND op <> 'undo' AND NOT EXISTS (FROM triage_event u WHERE u.op = 'undo' AND u.undo_of = e.batch_id)
           GROUP BY batch_id ORDER BY max(happened_at) DESC, max(event_id) DESC LIMIT 1""",
        [author],
    )
    return Batch(found[0]["batch_id"], found[0]["op"], found[0]["n"]) if found else None


def _write(store: Store, run_id: str, where: str, values: list[Any], op: Op, author: str, days: int, note: str | None) -> Batch:
    _check(op, author, days)
    batch_id = str(uuid.uuid4())
    until = clock.now() + timedelta(days=days) if op == "snooze" else None
    changes: str = "coalesce(t.state, 'open') <> ?"
    state: list[Any] = [STATE_AFTER[op]]
    if until is not None:  # a snooze may be made longer
        changes, state = f"({changes} OR t.until < ?)", [STATE_AFTER[op], until - timedelta(minutes=1)]
    with store.transaction() as cursor:
        at = clock.moment(cursor, "triage_event")
        cursor.execute(
            f"""INSERT INTO triage_event
                SELECT {clock.id_sql(at)}, ?, ?, ?, r.banner_id, ?, ?, ?, ?, NULL {FROM} WHERE {where} AND {changes}""",
            [at, batch_id, run_id, op, author.strip(), note or None, until, *values, *state],
        )
        n = cursor.execute("SELECT count(*) FROM triage_event WHERE batch_id = ?", [batch_id]).fetchall()[0][0]
    return Batch(batch_id, op, n)


def _check(op: str, author: str, days: int) -> None:
    if op not in STATE_AFTER:
        raise InputError(f"A decision is one of {', '.join(STATE_AFTER)}, however it is {op!r}. Choose one of them.")
    if not author.strip():
        raise InputError("A decision carries a name, however yours is empty. Write it at the foot of the sidebar.")
    if op == "snooze" and not 1 <= days <= MAX_SNOOZE_DAYS:
        raise InputError(f"A snooze lasts 1 to {MAX_SNOOZE_DAYS} days, however {days} were asked for. Choose another length.")


def banners_of(store: Store, batch_id: str, limit: int = 100) -> list[str]:
    """Banners that an action was about."""
    rows = store.rows("SELECT DISTINCT banner_id FROM triage_event WHERE batch_id = ? ORDER BY banner_id LIMIT ?", [batch_id, limit])
    return [row["banner_id"] for row in rows]
