"""Click logs into the store: one transaction a file, the same file once, every row accounted for.

All reading and checking happens before the transaction, in temporary tables; the transaction only copies, and takes back the ingest
of an earlier version where the file replaces it. A process that dies at any moment therefore leaves a file either whole in the store or
not at all, and repeating the command completes it.
"""

import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from core import logs, settings
from core.clicks import Judge, Match, Source, Work, find_files, open_source, reject_causes
from core.clicks.cancellable import Progress
from core.clicks.columns import tool_of
from core.clicks.damage import readable
from core.clicks.ingest_results import FailedFile, FileError, FileResult, IngestResult, NothingIngestedError
from core.clicks.known_files import Content, KnownFile, KnownFileError, KnownPath, active, content_hash, place_of, recognise, to_replace
from core.clicks.source import undamaged
from core.clicks.undo import known_without, seen_without, segments_without, take_back
from core.clicks.uploads import name_of, recorded
from core.errors import InputError
from core.logs.strict_json import to_json
from core.store import Store, clock, days

CHANGED = "{name} was written to while it was read. Nothing of it was taken in; ingest it again once it is complete, or a copy of it."


@dataclass(frozen=True)
class Options:
    """How files are taken in. `known`: what becomes of a file that is known with other content. `allow_rejects`: a log of which more than
    half is rejected is taken in too. `uploaded`: the paths are copies, known by name only. `author`: by default who runs the process.
    """

    known: KnownPath = "refuse"
    allow_rejects: bool = False
    uploaded: bool = False
    author: str = field(default_factory=settings.login_name)


def ingest(
    store: Store,
    paths: list[Path],
    *,
    mapping: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
    options: Options | None = None,
) -> IngestResult:
    """Brings click logs (files, or folders of them) into the store, one transaction a file. Every file is tried.

    `mapping` is ours -> theirs. `progress` gets 0..1 of all bytes, in the caller's thread. Raises NothingIngestedError, an InputError,
    where no file could be taken in and none was in the store before, IngestCancelledError once `cancel` is set: files before it stay.
    """
    with store.locks["ingest"]:
        return take_in(store, paths, mapping or {}, options or Options(), progress=progress, cancel=cancel)


def take_in(
    store: Store,
    paths: list[Path],
    mapping: Mapping[str, str],
    options: Options,
    *,
    progress: Progress | None,
    cancel: threading.Event | None,
) -> IngestResult:
    """`ingest` for a caller who holds the lock."""
    files, failed = _find([Path(path) for path in paths])
    sizes = [max(_size(file), 1) for file in files]
    result = IngestResult([], failed)
    for index, file in enumerate(files):
        share = _share(progress, sum(sizes[:index]), sizes[index], sum(sizes))
        try:
            result.files.append(_logged(_File(store, file, mapping, options, share, cancel)))
        except FileError as error:
            result.failed.append(error.failed)
    if not result.files:
        raise NothingIngestedError(result)
    return result


def _find(paths: list[Path]) -> tuple[list[Path], list[FailedFile]]:
    """The click logs among the paths, and the paths that are or hold none."""
    if not paths:
        find_files(paths)
    files: list[Path] = []
    failed = []
    for path in paths:
        try:
            files += find_files([path])
        except (InputError, OSError) as error:
            failed.append(FailedFile(str(path), str(error)))
    return list(dict.fromkeys(files)), failed


def _size(path: Path) -> int:
    """Bytes on disk; 0 for a file that is gone since it was listed, which is said when it is opened."""
    return path.stat().st_size if path.exists() else 0


def _share(progress: Progress | None, before: int, size: int, total: int) -> Progress | None:
    return None if progress is None else lambda value: progress((before + size * value) / total)


@dataclass(frozen=True)
class _File:
    """One file on its way in."""

    store: Store
    path: Path
    mapping: Mapping[str, str] | None
    options: Options
    progress: Progress | None
    cancel: threading.Event | None


def _logged(file: _File) -> FileResult:
    """Takes a file in. Raises FileError where it cannot be."""
    try:
        done = _ingest_file(file)
    except BaseException as error:
        logs.failure("ingest_failed", error, file=str(file.path))
        if isinstance(error, FileError) or not isinstance(error, InputError | PermissionError | FileNotFoundError | IsADirectoryError):
            raise
        known = error.next_step if isinstance(error, KnownFileError) else ""
        raise FileError(FailedFile(recorded(file.path), str(error), known, "known" if known else "unusable")) from error
    facts = {"accepted": done.accepted, "rejected": done.rejected, "banners": done.n_banners, "seconds": done.seconds}
    logs.event("ingest_finished", file=str(file.path), already_ingested=done.already_ingested, **facts)
    return done


def _ingest_file(file: _File) -> FileResult:
    started = days.now()
    with file.store.cursor() as cursor, scratch(file.store) as folder:
        work = Work(cursor, file.progress, file.cancel)
        work.stage(0.0, 0.05)
        stamp = _stamp(file.path)
        known = active(work)
        content = Content([k.n_text for k in known])
        source = open_source(cursor, file.path, work.tick, content.add, tool_of(file.mapping))
        found = _matched(file, source)
        recognised = recognise(known, content, source, found, place_of(file.path, file.options.uploaded), work)
        if recognised.same:
            return _known_file(work, file.path, found, recognised.same)
        replaced = [k.ingest_id for k in to_replace(name_of(file.path), recognised, file.options.known)]
        kept = {"known": known_without(replaced), "seen": seen_without(replaced), "segments": segments_without(replaced)}
        judge = Judge(work, source, found, folder, started, **kept)
        with readable(file.path):
            judge.judge()
        if _stamp(file.path) != stamp:
            raise InputError(CHANGED.format(name=name_of(file.path)))
        if not (file.options.allow_rejects and judge.n_rows):
            reject_causes.refuse(work, judge)
        work.stage(0.75, 0.88)
        judge.write_heat()
        result = _write(file, work, judge, content, content_hash(content.digest, judge.match), replaced, started)
        work.stage(1.0, 1.0)
        return result


def _matched(file: _File, source: Source) -> Match:
    try:
        return reject_causes.matched(source, file.mapping)
    except InputError as error:
        raise InputError(f"{name_of(file.path)}: {error}") from error


def _stamp(path: Path) -> tuple[int, int]:
    """Changes when the file is written to."""
    with undamaged(path):
        facts = path.stat()
    return facts.st_size, facts.st_mtime_ns


@contextmanager
def scratch(store: Store) -> Iterator[Path]:
    """A folder beside the store for repaired text. What a killed process left there goes with the next one."""
    folder = store.path.with_suffix(".scratch")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _known_file(work: Work, path: Path, found: Match, known: KnownFile) -> FileResult:
    """The file is in the store: nothing was accepted, nothing rejected, nothing changed."""
    sql = "SELECT n_banners, first_day, last_day FROM ingest WHERE ingest_id = ?"
    n_banners, first, last = work.rows(sql, [known.ingest_id])[0]
    work.stage(1.0, 1.0)
    return FileResult(recorded(path), known.ingest_id, True, 0, 0, {}, n_banners, 0, _text(first), _text(last), found.layout, found.meaning)


def _write(file: _File, work: Work, judge: Judge, content: Content, meaning: str, replaced: list[str], started: datetime) -> FileResult:
    """Copies what was judged into the store, and takes back what it replaces, in one transaction."""
    source, found, author = judge.source, judge.match, file.options.author
    ingest_id, why = str(work.one("SELECT uuidv7()")), reject_causes.many(work, judge)
    with file.store.bulk(work.con) as begun:
        if replaced:
            begun.take_turn()
        for old in replaced:
            take_back(work.con, old, author, "replaced by a newer version", ingest_id)
        work.stage(0.88, 0.97)
        _copy_clicks(work, judge, ingest_id)
        work.stage(0.97, 0.99)
        summary = "SELECT count(DISTINCT banner_id), coalesce(sum(n_clicks), 0)::BIGINT, min(day), max(day) FROM click_heat"
        n_banners, n_clicks, first, last = work.rows(summary)[0]
        begun.take_turn()  # from here to the commit no run starts: what finished before one began, it sees
        with file.store.cursor() as others:
            finished = clock.moment(others, "ingest", "run_event")
        counts = [source.n_bytes, judge.n_rows, judge.n_accepted, sum(judge.rejected.values()), n_banners, first, last]
        facts = [meaning, *counts, to_json(found.meaning), started, finished]
        _insert(work, "ingest", [ingest_id, recorded(source.path), *facts])
        place = place_of(source.path, file.options.uploaded)
        _insert(work, "ingest_file", [ingest_id, place, content.digest, content.n_bytes, n_clicks, author])
    return FileResult(
        recorded(source.path), ingest_id, False,
        judge.n_rows, judge.n_accepted, judge.rejected, n_banners, n_clicks, _text(first), _text(last),
        found.layout, found.meaning, replaced, round(max((days.now() - started).total_seconds(), 0.0), 3), why, judge.notes,
    )  # fmt: skip


def _copy_clicks(work: Work, judge: Judge, ingest_id: str) -> None:
    """Bins, banners, digests and rejects, from the temporary tables into the store's."""
    columns = "banner_id, day, n_clicks, bins, counts, segment"
    work.rows(f"INSERT INTO heatmap_day (ingest_id, {columns}) SELECT ?::UUID, {columns} FROM click_heat", [ingest_id])
    if judge.segments is not None:
        work.rows(
            """INSERT INTO ingest_segment SELECT ?::UUID, segment, sum(n_clicks)::BIGINT FROM click_heat
            WHERE segment IS NOT NULL GROUP BY segment ORDER BY segment""",
            [ingest_id],
        )
    work.rows(
        """INSERT INTO banner SELECT banner_id, grid_id, n_products, domain, ?::UUID FROM click_code
        WHERE is_new AND banner_id IN (SELECT banner_id FROM click_heat) ORDER BY banner_id""",
        [ingest_id],
    )
    if judge.row.grid_names:
        work.rows(
            """INSERT INTO grid_name SELECT grid_id, name, ?::UUID FROM click_grid
            WHERE grid_id NOT IN (SELECT grid_id FROM grid_name) ORDER BY grid_id""",
            [ingest_id],
        )
    if "click_id" in judge.match:
        work.rows(
            """INSERT INTO click_seen
            SELECT ?::UUID, (click_key >> 64)::UBIGINT, (click_key & 18446744073709551615::UHUGEINT)::UBIGINT
            FROM click_staged WHERE key IS NOT NULL AND click_key IS NOT NULL""",
            [ingest_id],
        )
    if judge.rejected:
        columns = "?::UUID, ?, line, reason, value, raw"
        work.rows(f"INSERT INTO reject SELECT {columns} FROM click_reject ORDER BY line", [ingest_id, recorded(judge.source.path)])


def _insert(work: Work, table: str, values: list[Any]) -> None:
    work.rows(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)


def _text(day: Any) -> str | None:
    return None if day is None else str(day)
