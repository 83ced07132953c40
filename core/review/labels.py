"""What reviewers say about banners, as events: a label, the decision of a dispute, and taking either back.

Nothing is ever overwritten: the views `label_current` (a reviewer's newest label of a banner) and `label_state` (what holds
for a banner) show what follows from the events. A call that returned is on disk. A page makes a `batch_id` when it shows a
banner and hands it in with the answer: a key pressed twice, or an answer sent again after a lost connection, counts once.
"""

import math
import uuid
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict, Unpack

import duckdb

from core import logs
from core.banners.templates import FAMILIES
from core.errors import ChangedError, InputError
from core.review import changes
from core.review.changes import Change, Seen
from core.store import Store, clock

Label = Literal["broken", "ok", "unsure"]
LABELS: tuple[Label, ...] = ("broken", "ok", "unsure")
FAULTS = (*FAMILIES, "other")
"""What a reviewer may call the fault of a broken banner: the families that the diagnosis knows, or another one."""
PAGE = "page"
"""`source` of what was said on a page; what a file brought has 'file NAME'."""


class Event(NamedTuple):
    """One event of one reviewer about one banner. `label` of an undo is the label that it took back."""

    event_id: str
    batch_id: str
    banner_id: str
    op: str
    label: str


class About(TypedDict):
    """How a label came about: `blind`, without having seen what others or the run say; `seconds` >= 0 from showing the banner to the
    answer; a note; the fault of a broken banner; and the run that was on the screen."""

    blind: bool
    seconds: NotRequired[float | None]
    note: NotRequired[str | None]
    fault: NotRequired[str | None]
    run_id: NotRequired[str | None]


def label(
    store: Store,
    banner_id: str,
    label: str,
    reviewer: str,
    *,
    batch_id: str | None = None,
    seen: Seen | None = None,
    **about: Unpack[About],
) -> Event:
    """Writes what a reviewer says about a banner; it takes the place of what the same reviewer said before.

    Raises InputError for an unknown banner, label or fault, a fault of a banner that is not broken, no reviewer, or a batch_id that was
    used for another answer. With `seen`, raises ChangedError where anything was said about the banner since (`newest`).
    """
    return _write(store, "label", banner_id, label, reviewer, batch_id, dict(about), seen)


def adjudicate(
    store: Store,
    banner_id: str,
    label: str,
    reviewer: str,
    *,
    note: str | None = None,
    batch_id: str | None = None,
    seen: Seen | None = None,
) -> Event:
    """Decides what a banner is, whatever its reviewers say now or later, until this is taken back. Errors as for `label`."""
    return _write(store, "adjudicate", banner_id, label, reviewer, batch_id, {"note": note}, seen)


def newest(store: Store, banner_id: str) -> str | None:
    """The event of any user that a banner's state rests on: what `seen` is compared with. None where nothing holds."""
    found = store.rows("SELECT max(event_id)::VARCHAR AS event_id FROM label_kept WHERE banner_id = ?", [banner_id])
    return found[0]["event_id"]


def undo(
    store: Store, reviewer: str, *, batch_id: str | None = None, event_id: str | None = None, despite: Seen | None = None
) -> Event | None:
    """Takes back what the reviewer last said on a page and still holds; None where there is nothing. Again: the one before.

    What a file brought is not touched. The same batch_id again takes back nothing more. Raises ChangedError where what was shown as
    the last (`event_id`) no longer is, and, with `despite`, where another reviewer spoke about the banner since in an event that it
    does not name.
    """
    batch = _batch(batch_id)
    with store.transaction() as cursor:
        done = cursor.execute(
            """SELECT u.event_id::VARCHAR, u.batch_id::VARCHAR, u.banner_id, u.op, e.label FROM label_event u
               JOIN label_event e ON e.event_id = u.undo_of WHERE u.batch_id = ? AND u.op = 'undo' AND u.reviewer = ?""",
            [batch, reviewer.strip()],
        ).fetchall()
        if done:
            return Event(*done[0])
        last = _last(cursor, reviewer.strip())
        if event_id is not None and (last is None or last.event_id != event_id):
            raise ChangedError("What you said last is something else by now, in another window. Nothing was taken back: look again.")
        if last is None:
            return None
        if despite is not None:
            _check_others(cursor, last, reviewer.strip(), despite)
        about = {"undo_of": last.event_id}
        return _insert(cursor, "undo", last.banner_id, None, reviewer, batch, about)._replace(label=last.label)


def last_action(store: Store, reviewer: str) -> Event | None:
    """What `undo` would take back."""
    with store.cursor() as cursor:
        return _last(cursor, reviewer.strip())


def current(store: Store, banner_ids: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Each reviewer's label that holds now, sorted by banner and reviewer; of all banners unless ids are given.

    Keys: banner_id, reviewer, label, happened_at, blind, seconds, note, fault, run_id, source.
    """
    chosen = "" if banner_ids is None else "WHERE banner_id IN (SELECT unnest(?::VARCHAR[]))"
    return store.rows(
        f"""SELECT banner_id, reviewer, label, happened_at, blind, seconds, note, fault, run_id::VARCHAR AS run_id, source
            FROM label_current {chosen} ORDER BY banner_id, reviewer""",
        None if banner_ids is None else [list(banner_ids)],
    )


def states(store: Store, banner_ids: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """What holds for each labelled banner, sorted by banner: label (None while disputed) and state (agreed, disputed, adjudicated).

    Further keys: banner_id, n_reviewers, n_broken, n_ok, n_unsure, adjudicator. One reviewer alone agrees with themselves.
    """
    chosen = "" if banner_ids is None else "WHERE banner_id IN (SELECT unnest(?::VARCHAR[]))"
    return store.rows(f"FROM label_state {chosen} ORDER BY banner_id", None if banner_ids is None else [list(banner_ids)])


def hidden_from(store: Store, reviewer: str, banner_ids: Sequence[str] | None = None) -> set[str]:
    """Banners (all unless ids are given) that others labelled and this reviewer did not: what was said of them stays hidden, so that the
    reviewer's own label is blind."""
    chosen = "" if banner_ids is None else "WHERE banner_id IN (SELECT unnest(?::VARCHAR[]))"
    sql = f"SELECT banner_id FROM label_kept {chosen} GROUP BY 1 HAVING NOT bool_or(op = 'label' AND reviewer = ?)"
    return {row["banner_id"] for row in store.rows(sql, [reviewer] if banner_ids is None else [list(banner_ids), reviewer])}


def disputed(store: Store) -> list[dict[str, Any]]:
    """Banners whose reviewers differ, without a decision, sorted: banner_id and labels {reviewer: label}."""
    rows = store.rows(
        """SELECT banner_id, list(reviewer ORDER BY reviewer) AS reviewers, list(label ORDER BY reviewer) AS labels
           FROM label_current WHERE banner_id IN (SELECT banner_id FROM label_state WHERE state = 'disputed')
           GROUP BY banner_id ORDER BY banner_id"""
    )
    return [{"banner_id": r["banner_id"], "labels": dict(zip(r["reviewers"], r["labels"], strict=True))} for r in rows]


def n_settled(store: Store) -> int:
    """Banners whose reviewers differ and that were decided."""
    sql = """SELECT count(*) AS n FROM label_state WHERE state = 'adjudicated'
             AND (n_broken > 0)::INTEGER + (n_ok > 0)::INTEGER + (n_unsure > 0)::INTEGER > 1"""
    return int(store.rows(sql)[0]["n"])


def fault_problem(label: str, fault: str | None) -> str | None:
    """Why this fault cannot stand beside this label; None where it can."""
    if fault is None:
        return None
    if fault not in FAULTS:
        return "fault unknown"
    return None if label == "broken" else "fault of a banner that is not broken"


def _write(
    store: Store, op: str, banner_id: str, label: str, reviewer: str, batch_id: str | None, about: dict[str, Any], seen: Seen | None
) -> Event:
    _check(label, reviewer, about.get("seconds"), about.get("fault"))
    batch = _batch(batch_id)
    with store.transaction() as cursor:
        before = cursor.execute(
            """SELECT event_id::VARCHAR, batch_id::VARCHAR, banner_id, op, label, reviewer FROM label_event
               WHERE batch_id = ? AND op <> 'undo'""",
            [batch],
        ).fetchall()
        if before:
            return _same(before[0], (banner_id, op, label, reviewer.strip()))
        if not cursor.execute("SELECT 1 FROM banner WHERE banner_id = ? LIMIT 1", [banner_id]).fetchall():
            raise InputError(f"A label is about a banner of the store, and {banner_id!r} is not in it. Reload the page.")
        if seen is not None:
            _check_seen(cursor, banner_id, seen, reviewer.strip())
        written = _insert(cursor, op, banner_id, label, reviewer, batch, about)
    logs.detail("label_written", op=op, banner_id=banner_id, label=label)
    return written


PAST = {"label": "labelled", "adjudicate": "decided about", "undo": "took back what they said about"}


def _newest(cursor: duckdb.DuckDBPyConnection, banner_id: str) -> Change | None:
    """The newest event of a banner that was not taken back."""
    found = cursor.execute(
        """SELECT banner_id, event_id::VARCHAR, reviewer, op, happened_at FROM label_kept WHERE banner_id = ?
           ORDER BY event_id DESC LIMIT 1""",
        [banner_id],
    ).fetchall()
    return Change(*found[0])._replace(what=PAST[found[0][3]]) if found else None


def _check_seen(cursor: duckdb.DuckDBPyConnection, banner_id: str, seen: Seen, me: str) -> None:
    """Raises ChangedError where something else holds than what was shown. Says who spoke, not what: the label may be a blind one."""
    holds = _newest(cursor, banner_id)
    if (holds.event_id if holds else None) == seen.get(banner_id):
        return
    sql = "SELECT reviewer, op, happened_at FROM label_event WHERE banner_id = ? ORDER BY event_id DESC LIMIT 1"
    who, op, at = cursor.execute(sql, [banner_id]).fetchall()[0]
    raise changes.refuse([Change(banner_id, holds.event_id if holds else None, who, PAST[op], at)], me)


def _check_others(cursor: duckdb.DuckDBPyConnection, last: Event, me: str, despite: Seen) -> None:
    """Raises ChangedError where another reviewer spoke about the banner after what is to be taken back."""
    holds = _newest(cursor, last.banner_id)
    if holds and holds.author != me and holds.event_id != last.event_id and despite.get(last.banner_id) != holds.event_id:
        raise changes.refuse([holds], me)


def _insert(
    cursor: duckdb.DuckDBPyConnection, op: str, banner_id: str, label: str | None, reviewer: str, batch_id: str, about: dict[str, Any]
) -> Event:
    at = clock.moment(cursor, "label_event", "claim_event")
    event_id = clock.event_id(at)
    names = ("blind", "seconds", "note", "fault", "run_id", "undo_of")
    rest = [about.get(name) if about.get(name) != "" else None for name in names]
    cursor.execute(
        f"INSERT INTO label_event VALUES ({', '.join('?' * 14)})",
        [event_id, at, batch_id, banner_id, op, label, reviewer.strip(), *rest, PAGE],
    )
    return Event(event_id, batch_id, banner_id, op, label or "")


def _last(cursor: duckdb.DuckDBPyConnection, reviewer: str) -> Event | None:
    found = cursor.execute(
        """SELECT event_id::VARCHAR, batch_id::VARCHAR, banner_id, op, label FROM label_kept
           WHERE reviewer = ? AND source = ? ORDER BY happened_at DESC, event_id DESC LIMIT 1""",
        [reviewer, PAGE],
    ).fetchall()
    return Event(*found[0]) if found else None


def _same(before: tuple[Any, ...], said: tuple[str, ...]) -> Event:
    event, reviewer = Event(*before[:5]), before[5]
    if (event.banner_id, event.op, event.label, reviewer) != said:
        held = f"{event.label!r} for {event.banner_id!r} by {reviewer!r}"
        raise InputError(f"An answer is saved once: this one was saved as {held}. Reload the page, then label again.")
    return event


def _batch(given: str | None) -> str:
    try:
        return str(uuid.UUID(given)) if given is not None else str(uuid.uuid4())
    except ValueError as error:
        raise InputError(f"A batch_id is a UUID, not {given!r}. Leave it out, or make one.") from error


def _check(label: str, reviewer: str, seconds: float | None, fault: str | None) -> None:
    if label not in LABELS:
        raise InputError(f"A label is one of {', '.join(LABELS)}, not {label!r}. Choose one of them.")
    if not reviewer.strip():
        raise InputError("A label carries its reviewer's name: yours is empty. Write it at the foot of the sidebar.")
    if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
        raise InputError(f"The time taken is 0 seconds or more, not {seconds}. Leave it out where it is not known.")
    if fault_problem(label, fault or None):
        raise InputError(f"A fault of a broken banner is one of {', '.join(FAULTS)}, not {fault!r} of {label!r}. Choose again.")
