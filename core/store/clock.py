"""The store's clock: it never goes back, whatever the machine's clock does.

What was decided last holds, so the order of events must not depend on a clock that may be set back. `moment` is the present, or a
microsecond after the newest row of the tables named; ids made by `event_id` and `id_sql` sort as their moments do. Both are asked for
inside a write transaction: writers take turns, so no other event comes in between.
"""

import uuid
from datetime import UTC, datetime, timedelta

import duckdb

STAMPS: dict[str, tuple[str, str | None]] = {
    "audit": ("finished_at", None),
    "claim_event": ("happened_at", "event_id"),
    "embedding": ("finished_at", None),
    "ingest": ("finished_at", None),
    "ingest_undo": ("happened_at", "event_id"),
    "label_event": ("happened_at", "event_id"),
    "model_choice": ("happened_at", "choice_id"),
    "model_selection": ("finished_at", None),
    "refusal": ("happened_at", "refusal_id"),
    "run_event": ("happened_at", None),
    "run_info": ("finished_at", None),
    "saved_mapping": ("happened_at", "mapping_id"),
    "threshold_event": ("happened_at", "event_id"),
    "triage_event": ("happened_at", "event_id"),
    "verdict": ("happened_at", "verdict_id"),
}
"""Tables whose newest row is asked for: when it was written, and its id where rows are sorted by it."""
TICK = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1)
TAIL = 20
"""Where the part of a UUID's text begins that holds no time, counted from 1."""


def now() -> datetime:
    """What the machine's clock says, as the naive UTC that the tables hold."""
    return datetime.now(UTC).replace(tzinfo=None)


def moment(cursor: duckdb.DuckDBPyConnection, *tables: str, step: timedelta = TICK) -> datetime:
    """When a row written now into one of the `tables` (keys of STAMPS) happens: the present, or `step` after their newest row."""
    newest = [at for table in tables if (at := _newest(cursor, table)) is not None]
    return max([now(), *(at + step for at in newest)])


def event_id(at: datetime) -> str:
    """A UUIDv7 of this moment (naive UTC). Of two moments, the later one's is greater, down to a microsecond."""
    return head(at) + str(uuid.uuid4())[TAIL - 1 :]


def id_sql(at: datetime) -> str:
    """SQL of such an id, a new one for every row."""
    return f"('{head(at)}' || substr(uuid()::VARCHAR, {TAIL}))::UUID"


def head(at: datetime) -> str:
    """The part of the id's text that holds the time: 48 bits of milliseconds, then the microseconds (RFC 9562, 6.2, method 3)."""
    ms, us = divmod((at - EPOCH) // TICK, 1000)
    return f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7{us * 4:03x}-"


def _newest(cursor: duckdb.DuckDBPyConnection, table: str) -> datetime | None:
    """The latest moment that a row of the table has in its time or its id: earlier versions took the id from another clock."""
    at, key = STAMPS[table]
    sql = f"SELECT max({at}), {f'max({key})::VARCHAR' if key else 'NULL'} FROM {table}"
    written, last = cursor.execute(sql).fetchall()[0]
    times = [time for time in (written, _time_of(last) if last else None) if time is not None]
    return max(times, default=None)


def _time_of(key: str) -> datetime | None:
    """The time in a UUIDv7; None for another UUID."""
    if key[14] != "7":
        return None
    ms = int(key[:8] + key[9:13], 16)
    return EPOCH + timedelta(milliseconds=ms, microseconds=int(key[15:18], 16) // 4)
