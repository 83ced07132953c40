"""Threshold versions: published with author and reason, kept for ever, rolled back by an event. What each says of a run is a verdict.

The first threshold of all, by Benjamini-Hochberg without labels, has no row and stands as None.
"""

import json
from typing import Any

import duckdb

from core.errors import ChangedError, InputError
from core.logs.strict_json import to_json
from core.review import changes
from core.review.changes import Change
from core.store import Store, clock

Row = dict[str, Any]

COLUMNS = """version_id::VARCHAR AS version_id, number, made_at, author, reason, scope, shots, source_grids, target_grids, method, value,
    n_labels, run_id::VARCHAR AS run_id, base_id::VARCHAR AS base_id"""


def history(store: Store, limit: int = 100) -> list[Row]:
    """Which version became active when, newest first: happened_at, op, author, reason, number and version_id (None: the threshold
    without labels)."""
    return store.rows(
        """SELECT e.happened_at, e.op, e.author, e.reason, v.number, e.version_id::VARCHAR AS version_id
           FROM threshold_event e LEFT JOIN threshold_version v USING (version_id) ORDER BY e.event_id DESC LIMIT ?""",
        [limit],
    )


def versions(store: Store) -> list[Row]:
    """Every version, newest first, without its rule; `expected` as written."""
    found = store.rows(f"SELECT {COLUMNS}, expected::VARCHAR AS expected FROM threshold_version ORDER BY number DESC")
    return [row | {"expected": json.loads(row["expected"])} for row in found]


def in_force(store: Store) -> Row | None:
    """The active version with when it became active (`since`); None for the threshold without labels."""
    newest = store.rows(LATEST)
    if not newest or newest[0]["version_id"] is None:  # asked first: a lake is slow to say of a wide table that it holds nothing
        return None
    found = store.rows(f"SELECT {COLUMNS} FROM threshold_version WHERE version_id = ?", [newest[0]["version_id"]])
    return found[0] | {"since": newest[0]["happened_at"]}


LATEST = "SELECT version_id, happened_at FROM threshold_event ORDER BY event_id DESC LIMIT 1"


def chain(cursor: duckdb.DuckDBPyConnection, version_id: str | None) -> list[Row]:
    """The version with those it rests on, oldest first, each with its `rule`; a version for every grid needs none before it."""
    found: list[Row] = []
    while version_id is not None:
        row = _one(cursor, f"SELECT {COLUMNS}, rule::VARCHAR AS rule FROM threshold_version WHERE version_id = ?", [version_id])
        if row is None:
            raise InputError(f"A version is one that was published: {version_id!r} was not. Reload the page.")
        found.insert(0, row | {"rule": json.loads(row["rule"])})
        version_id = row["base_id"] if row["target_grids"] is not None else None
    return found


def check_active(cursor: duckdb.DuckDBPyConnection, seen: int, me: str = "") -> None:
    """Raises ChangedError where another version than number `seen` (0: the threshold without labels) is active by now, with who made it
    so."""
    sql = """SELECT coalesce(v.number, 0) AS number, e.version_id::VARCHAR AS version_id, e.happened_at, e.op, e.author, e.reason
             FROM threshold_event e LEFT JOIN threshold_version v USING (version_id) ORDER BY e.event_id DESC LIMIT 1"""
    now = _one(cursor, sql)
    number = now["number"] if now else 0
    if number == seen:
        return
    if now is None:
        raise InputError(f"There is no version v{seen}: no version was published yet. Look at the history again.")
    what = "published" if now["op"] == "publish" else "rolled back to"
    change = Change(f"v{number}", now["version_id"], now["author"], what, now["happened_at"])
    raise ChangedError(
        f"v{seen} is no longer active: {changes.words(change, me)} ({now['reason']}). Nothing was changed: look at it, then decide.",
        (change,),
    )


def in_force_id(cursor: duckdb.DuckDBPyConnection) -> str | None:
    """Id of the active version, seen from a transaction."""
    row = _one(cursor, f"SELECT version_id::VARCHAR AS version_id FROM ({LATEST})")
    return row["version_id"] if row else None


def by_number(store: Store, number: int) -> str | None:
    """Id of version `number`; None for 0, the threshold without labels. Raises InputError where there is no such version."""
    if number == 0:
        return None
    found = store.rows("SELECT version_id::VARCHAR AS id FROM threshold_version WHERE number = ?", [number])
    if not found:
        raise InputError(f"A version has a number from the history: there is no version {number}. `versions list` shows them.")
    return str(found[0]["id"])


def write_version(cursor: duckdb.DuckDBPyConnection, about: Row) -> Row:
    """Inserts a version and its `publish` event; returns version_id and number. `about` has the columns that are not set here."""
    _signed(about["author"], about["reason"])
    row = _one(cursor, "SELECT uuidv7()::VARCHAR AS version_id, coalesce(max(number), 0) + 1 AS number FROM threshold_version")
    assert row is not None
    values = {**about, **row, "base_id": in_force_id(cursor), "rule": to_json(about["rule"]), "expected": to_json(about["expected"])}
    values["made_at"] = clock.moment(cursor, "threshold_event")
    names = ", ".join(values)
    places = ", ".join("?" for _ in values)
    cursor.execute(f"INSERT INTO threshold_version ({names}) VALUES ({places})", [*values.values()])
    write_event(cursor, "publish", row["version_id"], about["author"], about["reason"])
    return row


def write_event(cursor: duckdb.DuckDBPyConnection, op: str, version_id: str | None, author: str, reason: str) -> None:
    """Puts a version into force. Raises InputError without author or reason."""
    _signed(author, reason)
    at = clock.moment(cursor, "threshold_event")
    values = [clock.event_id(at), at, op, version_id, author.strip(), reason.strip()]
    cursor.execute("INSERT INTO threshold_event VALUES (?, ?, ?, ?, ?, ?)", values)


def _signed(author: str, reason: str) -> None:
    if not author.strip():
        raise InputError("A version carries its author's name: yours is empty. Write it at the foot of the sidebar.")
    if not reason.strip():
        raise InputError("Please give a reason: say in a few words why the threshold changes.")


def _one(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any] | None = None) -> Row | None:
    found = cursor.execute(sql, parameters or []).fetchall()
    names = [column[0] for column in cursor.description or []]
    return dict(zip(names, found[0], strict=True)) if found else None
