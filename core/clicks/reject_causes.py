"""Why most of a log was rejected: the likeliest cause in words, from what the rejected rows hold, and the refusal of such a log.

A cause is named where it fits nine in ten of the rows that a frequent reason rejected; else none is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.clicks import ALIASES, Judge, Match, Source, Work, match, place_causes, time_causes
from core.clicks.checks import CUT_OFF, DUPLICATE, FUTURE, NO_TIME, OTHER_BANNER, quoted
from core.clicks.columns import PLACE, constants_of
from core.clicks.ingest_results import FailedFile, FileError
from core.clicks.reshape import NOT_A_CLICK
from core.clicks.source import UNFINISHED
from core.clicks.time_causes import fits
from core.clicks.uploads import name_of, recorded
from core.errors import InputError

SAMPLE = 2_000
"""Rejected rows of a reason that are looked at."""
FREQUENT = 0.2
"""Share of the rejected rows from which on a reason's cause is looked for."""
MANY = 0.05
"""Share of a log's rows from which on its rejects are many."""
A_LOG = 10
"""Rows from which on a log's times may tell of a wrong clock."""
DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
OTHERS = {":": "colons", " ": "blanks", "^": "carets", "~": "tildes", "\x01": "control characters (\\x01)", "¦": "broken bars"}


@dataclass(frozen=True)
class Rejects:
    """Up to SAMPLE rows that one reason rejected."""

    work: Work
    judge: Judge
    reason: str
    values: list[str]
    raws: list[str]


def matched(source: Source, mapping: Mapping[str, str] | None) -> Match:
    """The log's columns. Raises InputError where one is missing, with the likeliest cause."""
    folders = {ours: value for ours, value in constants_of(source.path.absolute(), source.names).items() if ours not in (mapping or {})}
    try:
        return match(source.names, {**folders, **(mapping or {})}, nested=source.kind != "csv")
    except InputError as error:
        why = None if mapping else _header_cause(source)
        if why is None:
            raise
        raise InputError(f"{error} Likeliest cause: {why}") from error


def _header_cause(source: Source) -> str | None:
    if source.kind != "csv":
        return None
    if source.n_lines == 1 and not source.ended:
        return f"the only line is cut off. {UNFINISHED}"
    if len(source.names) == 1:
        found = next((words for mark, words in OTHERS.items() if source.names[0].count(mark) >= 3), None)
        return found and f"the columns are separated by {found}. Separate them by {', '.join(DELIMITERS.values())}."
    numbers = sum(re.fullmatch(r"[+-]?\d+([.,]\d+)?([- T:].*)?", name) is not None for name in source.names)
    if numbers >= 3:
        return f"the header is missing: the first line is a row ({', '.join(source.names)[:120]}). Put the columns' names above it."
    return None


def many(work: Work, judge: Judge) -> str | None:
    """The likeliest cause of the rejects of a log that is taken in; None where they are few."""
    return cause(work, judge) if sum(judge.rejected.values()) - judge.rejected.get(NOT_A_CLICK, 0) >= MANY * judge.n_rows else None


def refuse(work: Work, judge: Judge) -> None:
    """Raises FileError for a log without rows, without an accepted row, or of which more than half is rejected.

    Clicks that were counted before do not count as rejected here: the log was read as it should be.
    """
    why = refusal(work, judge)
    if why is not None:
        path = judge.source.path
        facts = FailedFile(
            recorded(path), f"{name_of(path)} {why}", _next_step(judge), "rejected", judge.n_rows, judge.rejected, cause(work, judge)
        )
        raise FileError(facts)


def _next_step(judge: Judge) -> str:
    if judge.n_rows == 0:
        return ""
    kept = f"takes in the {judge.n_accepted:,} others" if judge.n_accepted else "keeps the rejected rows as a record"
    return f"Mend the log, or name its columns with --map; --allow-rejects {kept}."


def refusal(work: Work, judge: Judge) -> str | None:
    """Why a judged log is not taken in, without its name; None where it is."""
    if judge.n_rows == 0:
        return "holds no row after its header. Export it again."
    n_rejected = sum(judge.rejected.values())
    n_known, n_other = n_counted_before(work, judge), judge.rejected.get(NOT_A_CLICK, 0)
    if judge.n_accepted and n_rejected - n_known - n_other <= (judge.n_rows - n_other) / 2:
        return None
    if n_known == judge.n_rows:
        return f"holds only clicks that were counted before: all of its {judge.n_rows:,} click_ids are in the store. Nothing was taken in."
    reasons = ", ".join(f"{reason} {n:,}{_example(work, reason)}" for reason, n in list(judge.rejected.items())[:3])
    why = cause(work, judge)
    half = "Nothing was taken in: a log that is half read misleads." if judge.n_accepted else "Nothing was taken in."
    return f"has {n_rejected:,} of {judge.n_rows:,} rows rejected: {reasons}. {half}{f' Likeliest cause: {why}' if why else ''}"


def n_counted_before(work: Work, judge: Judge) -> int:
    """Rejected rows whose click the store has counted before, by their click_id."""
    if DUPLICATE not in judge.rejected:
        return 0
    sql = f"SELECT count(*) FROM click_reject WHERE reason = {quoted(DUPLICATE)} AND md5_number(value) IN ({judge.seen})"
    return int(work.one(sql))


def _example(work: Work, reason: str) -> str:
    line, value = work.rows(f"SELECT line, value FROM click_reject WHERE reason = {quoted(reason)} ORDER BY line LIMIT 1")[0]
    return f" (line {line}{f': {value[:60]!r}' if value is not None else ''})"


def cause(work: Work, judge: Judge) -> str | None:
    """The likeliest cause of the most frequent rejects, as a sentence that says what to do; None where none fits."""
    n_rejected = sum(judge.rejected.values()) - judge.rejected.get(NOT_A_CLICK, 0)
    for reason, n in judge.rejected.items():
        if n >= FREQUENT * n_rejected and (found := _cause_of(_sample(work, judge, reason))):
            return found
    return None


def _sample(work: Work, judge: Judge, reason: str) -> Rejects:
    rows = work.rows(f"SELECT value, raw FROM click_reject WHERE reason = {quoted(reason)} ORDER BY hash(line) LIMIT {SAMPLE}")
    return Rejects(work, judge, reason, [value for value, _ in rows if value is not None], [raw for _, raw in rows if raw is not None])


def _cause_of(rejects: Rejects) -> str | None:
    if rejects.reason == FUTURE:
        return time_causes.cause(rejects.values) or _ahead(rejects)
    if rejects.reason in ("time unreadable", NO_TIME):
        return time_causes.cause(rejects.values)
    if rejects.reason == CUT_OFF:
        return f"the last line is cut off. {UNFINISHED}"
    if rejects.reason == "coordinate not a number":
        return place_causes.texts(rejects.values)
    if rejects.reason == "coordinate empty":
        return "the log holds other events than clicks, such as views, which have no coordinates. Export clicks only."
    causes = {
        "coordinate outside 0..1": _outside,
        "too many fields": _too_many,
        "too few fields": _too_few,
        "grid_id not a number": _names,
        DUPLICATE: _kinds,
        OTHER_BANNER: _several,
    }
    found = causes.get(rejects.reason)
    return found(rejects) if found else None


def _ahead(rejects: Rejects) -> str | None:
    """A log, not a few clicks, is in the future as a whole."""
    n_rows, n_late = rejects.judge.n_rows, rejects.judge.rejected[FUTURE]
    return time_causes.ahead(rejects.judge.row.now) if n_rows >= A_LOG and n_late >= time_causes.MOST * n_rows else None


def _outside(rejects: Rejects) -> str | None:
    layout = rejects.judge.match.layout
    names = [f"m_{name}" for name in PLACE[layout]]
    rows = rejects.work.rows(
        f"""SELECT {", ".join(names)} FROM (SELECT line, {rejects.judge.row.measures()} FROM click_lines)
        WHERE line IN (SELECT line FROM click_reject WHERE reason = {quoted(rejects.reason)} ORDER BY hash(line) LIMIT {SAMPLE})"""
    )
    measured = np.array(rows, dtype=np.float64).reshape(-1, len(names))
    columns = measured[np.isfinite(measured).all(axis=1)].T
    if not columns.shape[1]:
        return None
    if layout == "pixels":
        return place_causes.pixels(*columns)
    x, y = columns
    return place_causes.relative(x, y, _sizes(rejects.judge.source))


def _sizes(source: Source) -> tuple[str, str] | None:
    """Columns that are named like a banner's width and height."""
    plain = {re.sub(r"[\W_]+", "", name).casefold(): name for name in source.names}
    found = [
        next((plain[key] for alias in (ours, *ALIASES[ours]) if (key := alias.replace("_", "")) in plain), None)
        for ours in ("banner_width", "banner_height")
    ]
    return (found[0], found[1]) if found[0] and found[1] else None


def _too_many(rejects: Rejects) -> str | None:
    source = rejects.judge.source
    if source.delimiter == "," and fits(rejects.raws, lambda raw: re.search(r"(^|,)[01]?,\d+,[01]?,\d+(,|$)", raw) is not None):
        return "the coordinates have decimal commas, and commas part the columns too. Write decimal points, or part columns by semicolons."
    return _off_by(rejects)


def _too_few(rejects: Rejects) -> str | None:
    source = rejects.judge.source
    n = len(source.names) - 1
    for mark, words in DELIMITERS.items():
        if mark != source.delimiter and n and fits(rejects.raws, lambda raw, m=mark: raw.count(m) == n):  # type: ignore[misc]
            return f"the rows are separated by {words}, the header by {DELIMITERS[source.delimiter]}. Use one of the two."
    return _off_by(rejects)


def _off_by(rejects: Rejects) -> str | None:
    """Every row has the same number of fields, and the header another."""
    source = rejects.judge.source
    if source.kind != "csv" or not rejects.raws or any('"' in raw for raw in rejects.raws):
        return None
    n = rejects.raws[0].count(source.delimiter) + 1
    if n != len(source.names) and fits(rejects.raws, lambda raw: raw.count(source.delimiter) + 1 == n):
        return f"the header names {len(source.names)} columns, the rows have {n} fields. Name every column, also an index."
    return None


def _names(rejects: Rejects) -> str | None:
    if not fits(rejects.values, lambda value: not re.fullmatch(r"\s*[+-]?[\d.]+\s*", value)):
        return None
    theirs = rejects.judge.match.fields["grid_id"]
    return (
        f"some rows of {theirs} hold names ({rejects.values[0][:60]!r}), where most hold whole numbers. "
        "Name one column of numbers, or one of names: --map grid_id=THEIR_COLUMN."
    )


def _kinds(rejects: Rejects) -> str | None:
    """A column of few kinds is no id of clicks."""
    kinds = set(rejects.values)
    if len(kinds) > max(1, len(rejects.values) // 20):
        return None
    theirs = rejects.judge.match.fields["click_id"]
    return (
        f"{theirs}, read as click_id, has few values ({sorted(kinds)[0][:60]!r}): it names kinds of events, not clicks. "
        "Rename the column, or name another: --map click_id=THEIR_COLUMN."
    )


def _several(rejects: Rejects) -> str | None:
    """One banner_id in several places within the log."""
    fields = ("grid_id", "n_products", "domain")
    counts = ", ".join(f"count(DISTINCT {name}) > 1 AS {name}" for name in fields)
    several = f"SELECT {counts} FROM click_checked WHERE fault IS NULL GROUP BY banner_id"
    found = rejects.work.rows(f"SELECT {', '.join(f'coalesce(avg({name}::INTEGER), 0)' for name in fields)} FROM ({several})")[0]
    shown = [name for name, share in zip(fields, found, strict=True) if share >= 0.5]
    if not shown:
        return None
    return (
        f"most banner_ids stand with more than one {' and '.join(shown)} in the log, where a banner has one of each. Make an id for each "
        "placement, or leave out --strict-banners: each is then a banner of its own."
    )
