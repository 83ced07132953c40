"""Labels from and to files: CSV, CSV.gz or Parquet with banner_id, label, reviewer, labelled_at and what else is known.

An import is one transaction. Every row becomes a label, is known already, or is rejected with its line and a reason. A row is
known where the same reviewer gave the same banner the same label at the same time before: repeating an import changes
nothing, and what was taken back since stays taken back.
"""

import math
import uuid
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from core.errors import ChangedError, InputError
from core.review.changes import Change, words
from core.review.label_table import Row, read_rows
from core.review.labels import LABELS, PAST, fault_problem
from core.store import Store, clock
from core.store.files import write_rows
from core.store.spelling import known_id, spellings

REQUIRED = ("banner_id", "label", "reviewer", "labelled_at")
OPTIONAL = ("op", "blind", "seconds", "fault", "note")
YES, NO = ("true", "1", "yes"), ("false", "0", "no")
OPS = ("label", "adjudicate")


class Reject(NamedTuple):
    """A row that became no label: its first line (row of a Parquet file, from 1), the reason, what broke the rule, the row."""

    line: int
    reason: str
    value: str
    raw: str


@dataclass
class LabelImport:
    """What became of a file: n_rows = added + known + len(rejected). readings: what others hold of banners that added labels differ on.

    Columns that are not read are named in `ignored`."""

    file: str
    n_rows: int = 0
    added: int = 0
    known: int = 0
    readings: list[Change] = field(default_factory=list)
    rejected: list[Reject] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    @property
    def reasons(self) -> dict[str, int]:
        """Reason -> rejected rows, most frequent first."""
        counts = Counter(reject.reason for reject in self.rejected)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the fields, `reasons`, and each reject as a dictionary."""
        rejected = [reject._asdict() for reject in self.rejected]
        readings = [reading._asdict() for reading in self.readings]
        return {**asdict(self), "readings": readings, "reasons": self.reasons, "rejected": rejected, "n_rejected": len(rejected)}


class Said(NamedTuple):
    """One readable row. `labelled_at` is naive UTC."""

    banner_id: str
    op: str
    label: str
    reviewer: str
    labelled_at: datetime
    blind: bool | None
    seconds: float | None
    note: str | None
    fault: str | None


class _BadRowError(Exception):
    """A rule that a row breaks, and the value that does."""


def import_labels(store: Store, path: Path, *, add_readings: bool = False) -> LabelImport:
    """Takes the labels of a file in: columns REQUIRED, and OPTIONAL where they are there.

    A label that differs from what another reviewer holds of its banner is a second reading: with `add_readings` both stand, else
    ChangedError says who spoke and when. Times without a zone are UTC. In CSV, an apostrophe that an export put before a formula is
    taken off again. Raises InputError for a file that cannot be read or lacks a column. After an error nothing of it is in the store.
    """
    names, rows = read_rows(path)
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InputError(
            f"A label file has the columns {', '.join(REQUIRED)}: {path.name} has no {', '.join(missing)}. Rename or add them."
        )
    result = LabelImport(str(path), len(rows), ignored=[name for name in names if name not in REQUIRED + OPTIONAL])
    with store.cursor() as cursor:
        now = clock.moment(cursor, "label_event")
    readable: list[tuple[Row, Said]] = []
    for row in rows:
        try:
            readable.append((row, _said(row, now)))
        except _BadRowError as bad:
            result.rejected.append(Reject(row.line, bad.args[0], bad.args[1], row.raw))
    with store.transaction() as cursor:
        new = _settle(cursor, readable, result)
        result.readings = _differing(cursor, new)
        if result.readings and not add_readings:
            raise _refuse(path, result.readings)
        _insert(cursor, new, path.name)
    result.added = len(new)
    result.rejected.sort()
    return result


def export_labels(store: Store, target: Path) -> int:
    """Writes what holds now, sorted by banner: each reviewer's newest label, and every decision of a dispute; returns the rows.

    The columns are those that `import_labels` reads. A file of this name is replaced, at once and whole. In CSV, text that a
    spreadsheet would run as a formula gets an apostrophe in front. Raises InputError for another ending.
    """
    kept = "(FROM label_current UNION ALL FROM label_kept WHERE op = 'adjudicate')"
    sql = f"""SELECT banner_id, label, reviewer, strftime(happened_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS labelled_at, op, blind, seconds,
        fault, note FROM {kept} ORDER BY banner_id, op DESC, reviewer, happened_at"""
    return write_rows(store, target, sql, ("banner_id", "reviewer", "note"))


def _said(row: Row, now: datetime) -> Said:
    if row.problem:
        raise _BadRowError(row.problem, "")
    text = row.values
    for name in REQUIRED:
        if not text[name]:
            raise _BadRowError(f"{name} empty", "")
    label = _one_of("label", text["label"], LABELS)
    fault = text.get("fault", "").lower() or None
    problem = fault_problem(label, fault)
    if problem:
        raise _BadRowError(problem, fault)
    return Said(
        text["banner_id"],
        _one_of("op", text.get("op") or "label", OPS),
        label,
        text["reviewer"],
        _time(text["labelled_at"], now),
        _yes_or_no(text.get("blind", "")),
        _seconds(text.get("seconds", "")),
        text.get("note") or None,
        fault,
    )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value.lower() not in allowed:
        raise _BadRowError(f"{name} unknown", value)
    return value.lower()


def _time(value: str, now: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(value) if value[4:5] == "-" else None
    except ValueError:
        at = None
    if at is None:
        raise _BadRowError("labelled_at unreadable", value)
    try:
        at = at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
    except OverflowError:
        raise _BadRowError("labelled_at unreadable", value) from None
    if at > now:
        raise _BadRowError("labelled_at in the future", value)
    return at


def _yes_or_no(value: str) -> bool | None:
    if value.lower() not in (*YES, *NO, ""):
        raise _BadRowError("blind is neither true nor false", value)
    return value.lower() in YES if value else None


def _seconds(value: str) -> float | None:
    if not value:
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise _BadRowError("seconds is not 0 or more", value)
    return number


def _settle(cursor: duckdb.DuckDBPyConnection, readable: list[tuple[Row, Said]], result: LabelImport) -> list[Said]:
    """What the store does not have yet. Counts what it has, and rejects unknown banners and contradictions into `result`."""
    chosen = "WHERE banner_id IN (SELECT unnest(?::VARCHAR[]))"
    written = sorted({name for row, _ in readable for name in spellings(row.ids)})
    banners = {name for (name,) in cursor.execute(f"SELECT banner_id FROM banner {chosen}", [written]).fetchall()}
    readable = [(row, said._replace(banner_id=known_id(row.ids, banners) or said.banner_id)) for row, said in readable]
    ids = sorted({said.banner_id for _, said in readable})
    sql = f"SELECT banner_id, op, reviewer, happened_at, label FROM label_event {chosen} AND op <> 'undo'"
    before = {tuple(key): label for *key, label in cursor.execute(sql, [ids]).fetchall()}
    new = []
    for row, said in readable:
        key = (said.banner_id, said.op, said.reviewer, said.labelled_at)
        if said.banner_id not in banners:
            result.rejected.append(Reject(row.line, "banner_id not in the store", said.banner_id, row.raw))
        elif key not in before:
            before[key] = said.label
            new.append(said)
        elif before[key] == said.label:
            result.known += 1
        else:
            result.rejected.append(Reject(row.line, "another label of the same time", f"{said.label}, before {before[key]}", row.raw))
    return new


def _differing(cursor: duckdb.DuckDBPyConnection, new: list[Said]) -> list[Change]:
    """What others than a new row's reviewer hold of its banner where it differs, newest first: labels, and decisions of disputes."""
    ids = sorted({said.banner_id for said in new})
    held = cursor.execute(
        """SELECT banner_id, event_id::VARCHAR, reviewer, op, happened_at, label FROM (FROM label_current UNION ALL
               (FROM label_kept WHERE op = 'adjudicate' QUALIFY row_number() OVER (PARTITION BY banner_id ORDER BY event_id DESC) = 1))
           WHERE banner_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY happened_at DESC, event_id DESC""",
        [ids],
    ).fetchall()
    said_of: dict[str, list[Said]] = {}
    for said in new:
        said_of.setdefault(said.banner_id, []).append(said)
    return [
        Change(name, event_id, who, PAST[op], at)
        for name, event_id, who, op, at, label in held
        if any(said.reviewer != who and said.label != label and (said.op, op) != ("adjudicate", "label") for said in said_of[name])
    ]


def _refuse(path: Path, readings: list[Change]) -> ChangedError:
    """Says who spoke, not what: a label may be a blind one."""
    n = len({reading.about for reading in readings})
    more = f", and {n - 1:,} more banners are labelled otherwise" if n > 1 else ""
    return ChangedError(
        f"{words(readings[0])}, and {path.name} says otherwise of it{more}. Nothing was written. "
        "To keep both as separate readings, import it with --add-readings.",
        tuple(readings),
    )


def _insert(cursor: duckdb.DuckDBPyConnection, new: list[Said], source: str) -> None:
    if not new:
        return
    types = [pa.string()] * 4 + [pa.timestamp("us"), pa.bool_(), pa.float64(), pa.string(), pa.string()]
    columns = [pa.array(column, kind) for column, kind in zip(zip(*new, strict=True), types, strict=True)]
    at = clock.moment(cursor, "label_event")
    cursor.register("label_file", pa.table(columns, names=list(Said._fields)))
    cursor.execute(
        f"""INSERT INTO label_event SELECT {clock.id_sql(at)}, labelled_at, ?::UUID, banner_id, op, label, reviewer, blind, seconds, note,
            fault, NULL, NULL, ? FROM label_file ORDER BY labelled_at""",
        [str(uuid.uuid4()), f"file {source}"],
    )
    cursor.unregister("label_file")
