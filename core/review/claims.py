"""Who works on which banner: a banner that is shown to a reviewer is theirs for ten minutes, until they answer, skip it or leave.

Claims are events, written in the one write transaction at a time that a store has: two reviewers never get the same banner at
once. Each showing has a batch_id that the answer carries (`core.review.labels.label`), so what was shown, when and why is known of every
label.
"""

import uuid
from datetime import datetime
from typing import Any, NamedTuple

import duckdb

from core.errors import ChangedError, InputError
from core.review import changes, labelling_queue, labels
from core.review.candidates import Candidate, pools_of
from core.review.changes import Change, Seen
from core.review.labelling_queue import Mode
from core.review.past_work import CLAIM_LASTS
from core.store import Store, clock


class Item(NamedTuple):
    """A banner on a reviewer's screen. batch_id: of this showing. control: it belongs to the random control sample."""

    batch_id: str
    banner_id: str
    reviewer: str
    run_id: str
    grid_id: int
    position: int
    mode: str
    reason: str
    control: bool
    from_grid: int | None
    seed: int


class Undone(NamedTuple):
    """What was taken back: op is label, adjudicate or skip; label is None for a skip."""

    op: str
    banner_id: str
    label: str | None


def next_item(store: Store, run_id: str, reviewer: str, mode: Mode = "mixed", *, grid: int | None = None, seed: int = 0) -> Item | None:
    """Claims the next banner of the reviewer's queue; None where the queue is empty. Raises InputError without a name."""
    _check(reviewer)
    pools_of(store, run_id, seed)  # may take a second once: not while others wait to write
    with store.transaction() as cursor:
        draws = labelling_queue.draw(store, run_id, reviewer, 1, mode, seed, grid=grid)
        return _show(cursor, draws[0].banner, draws[0].reason, reviewer, run_id, mode, grid, seed) if draws else None


def again(store: Store, run_id: str, reviewer: str, banner_id: str, mode: Mode = "mixed", *, beside: bool = False) -> Item:
    """Claims one banner that the reviewer came back to. Raises InputError where the run did not score it, ChangedError where another
    reviewer has it on the screen, unless `beside` them."""
    _check(reviewer)
    sql = "SELECT banner_id, grid_id, position FROM result WHERE run_id = ? AND banner_id = ?"
    found = store.rows(sql, [run_id, banner_id])
    if not found:
        raise InputError(f"One labels banners of the run on the screen, and {banner_id!r} is not in it. Choose another run.")
    with store.transaction() as cursor:
        held = _held_by_another(cursor, banner_id, reviewer.strip())
        if held is not None and not beside:
            raise changes.refuse([held])
        return _show(cursor, Candidate(**found[0]), "again", reviewer, run_id, mode, None, 0)


def skip(store: Store, item: Item) -> None:
    """Puts a banner aside for this reviewer, for half a day; others may get it at once."""
    _end(store, item, "skip")


def release(store: Store, item: Item) -> None:
    """Gives a banner back that was shown and not answered."""
    _end(store, item, "release")


class Last(NamedTuple):
    """What a reviewer did last: op is label, adjudicate or skip; label is None for a skip. action_id: of that event or showing."""

    op: str
    banner_id: str
    label: str | None
    action_id: str


def last_action(store: Store, reviewer: str) -> Last | None:
    """What `undo` would take back."""
    skipped = _last_skip(store, reviewer.strip())
    sql = "SELECT max(happened_at) AS at FROM label_kept WHERE reviewer = ? AND source = ?"
    said = store.rows(sql, [reviewer.strip(), labels.PAGE])[0]["at"]
    if skipped is not None and (said is None or skipped["happened_at"] > said):
        return Last("skip", skipped["banner_id"], None, skipped["batch_id"])
    last = labels.last_action(store, reviewer)
    return Last(last.op, last.banner_id, last.label, last.event_id) if last else None


def undo(
    store: Store, reviewer: str, *, batch_id: str | None = None, action_id: str | None = None, despite: Seen | None = None
) -> Undone | None:
    """Takes back what the reviewer did last on a page: a label, an adjudication or a skip. None where there is nothing left.

    Raises ChangedError where what was shown as the last (`action_id`) no longer is, else as `labels.undo`.
    """
    last = last_action(store, reviewer)
    if action_id is not None and (last is None or last.action_id != action_id) and not _is_done(store, batch_id):
        raise ChangedError("What you did last is something else by now, in another window. Nothing was taken back: look again.")
    if last is not None and last.op == "skip":
        skipped = _last_skip(store, reviewer.strip())
        assert skipped is not None
        item = Item(**{name: skipped[name] for name in Item._fields})
        _end(store, item, "unskip")
        return Undone("skip", item.banner_id, None)
    event = labels.undo(store, reviewer, batch_id=batch_id, event_id=action_id, despite=despite)
    return Undone(last.op if last else "label", event.banner_id, event.label) if event else None


def _is_done(store: Store, batch_id: str | None) -> bool:
    """Whether an undo was written under this id: the same key sent twice."""
    return batch_id is not None and bool(store.rows("SELECT 1 AS yes FROM label_event WHERE batch_id = ? AND op = 'undo'", [batch_id]))


def control_sample(store: Store, run_id: str, seed: int = 0) -> list[dict[str, Any]]:
    """The banners drawn at random from the whole run so far, in their order: the honest ground for estimating what is missed.

    It reaches to the last one that was shown as a control, and holds those too that had been labelled for another reason. Keys:
    banner_id, grid_id, flagged, p_broken, label and state (both None where it is not labelled).
    """
    return store.rows(
        """WITH lots AS (SELECT banner_id, grid_id, flagged, p_broken, md5_number_lower(? || ' ' || banner_id) AS lot
                         FROM result WHERE run_id = ?),
                drawn AS (SELECT banner_id FROM shown WHERE run_id = ? AND control AND from_grid IS NULL AND seed = ?)
           SELECT l.banner_id, l.grid_id, l.flagged, l.p_broken, s.label, s.state FROM lots l LEFT JOIN label_state s USING (banner_id)
           WHERE l.lot <= (SELECT max(lot) FROM lots SEMI JOIN drawn USING (banner_id)) ORDER BY l.lot""",
        [str(seed), run_id, run_id, seed],
    )


def _show(
    cursor: duckdb.DuckDBPyConnection, banner: Candidate, reason: str, reviewer: str, run_id: str, mode: str, grid: int | None, seed: int
) -> Item:
    item = Item(str(uuid.uuid4()), banner.banner_id, reviewer.strip(), run_id, banner.grid_id, banner.position, mode, reason,
                reason == "control", grid, seed)  # fmt: skip
    _write(cursor, item, "show", clock.now() + CLAIM_LASTS)
    return item


def _held_by_another(cursor: duckdb.DuckDBPyConnection, banner_id: str, me: str) -> Change | None:
    """The other reviewer on whose screen a banner is now, since when."""
    found = cursor.execute(
        """SELECT batch_id::VARCHAR, reviewer, happened_at FROM claim_event s
           WHERE banner_id = ? AND reviewer <> ? AND op = 'show' AND expires_at > ? AND expires_at <= ?
             AND NOT EXISTS (FROM claim_event e WHERE e.batch_id = s.batch_id AND e.op <> 'show')
             AND NOT EXISTS (FROM label_event l WHERE l.batch_id = s.batch_id)
           ORDER BY event_id DESC LIMIT 1""",
        [banner_id, me, now := clock.now(), now + CLAIM_LASTS],
    ).fetchall()
    return Change(banner_id, found[0][0], found[0][1], "opened", found[0][2]) if found else None


def _end(store: Store, item: Item, op: str) -> None:
    """Ends a showing once: what was never shown, was answered, or was ended in this way before, stays as it is."""
    with store.transaction() as cursor:
        answered = "SELECT 1 FROM label_event WHERE batch_id = ? AND op <> 'undo' LIMIT 1"
        last = "SELECT op FROM claim_event WHERE batch_id = ? ORDER BY rowid DESC LIMIT 1"
        ended = cursor.execute(last, [item.batch_id]).fetchall()
        if ended and ended != [(op,)] and not cursor.execute(answered, [item.batch_id]).fetchall():
            _write(cursor, item, op, clock.now())


def _write(cursor: duckdb.DuckDBPyConnection, item: Item, op: str, expires_at: datetime) -> None:
    at = clock.moment(cursor, "claim_event", "label_event")
    cursor.execute(
        f"INSERT INTO claim_event VALUES ({', '.join('?' * 15)})",
        [clock.event_id(at), at, item.batch_id, op, item.banner_id, item.reviewer, item.run_id, item.grid_id, item.position,
         item.mode, item.reason, item.control, item.from_grid, item.seed, expires_at],
    )  # fmt: skip


def _last_skip(store: Store, reviewer: str) -> dict[str, Any] | None:
    """The reviewer's newest skip that was not taken back."""
    found = store.rows(
        """SELECT * REPLACE (batch_id::VARCHAR AS batch_id, run_id::VARCHAR AS run_id) FROM claim_event e
           WHERE op = 'skip' AND reviewer = ? AND NOT EXISTS (FROM claim_event u WHERE u.op = 'unskip' AND u.batch_id = e.batch_id)
           ORDER BY happened_at DESC, event_id DESC LIMIT 1""",
        [reviewer],
    )
    return found[0] if found else None


def _check(reviewer: str) -> None:
    if not reviewer.strip():
        raise InputError("A label carries its reviewer's name: yours is empty. Write it at the foot of the sidebar.")
