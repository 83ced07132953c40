"""Click logs into the store: one transaction a file, the same file once, every row accounted for.

All reading and checking happens before the transaction, in temporary tables; the transaction only copies. A process that
dies at any moment therefore leaves a file either whole in the store or not at all, and repeating the command completes it.
"""

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from core import clock, logs
from core.clicks import Judge, Match, Work, find_files, hash_bytes, match, open_source
from core.clicks.source import undamaged
from core.clicks.work import Progress
from core.errors import InputError
from core.store import Store
from core.strict_json import to_json
from core.uploads import recorded

KNOWN = "SELECT banner_id, grid_id, n_products, domain FROM banner"
SEEN = "SELECT (high::UHUGEINT << 64) + low AS click_key FROM click_seen"


@dataclass
class FileResult:
    """What became of one file. `n_rows = accepted + rejected`; a file that was in the store before adds nothing."""

    file: str
    ingest_id: str
    already_ingested: bool
    n_rows: int
    accepted: int
    rejected: dict[str, int]
    n_banners: int
    n_clicks: int
    first_day: str | None
    last_day: str | None
    layout: str | None = None
    mapping: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class IngestResult:
    """What became of all files of one call."""

    files: list[FileResult]

    @property
    def accepted(self) -> int:
        """Rows that this call brought into the store."""
        return sum(file.accepted for file in self.files)

    @property
    def rejected(self) -> dict[str, int]:
        """Reason -> rows that this call rejected, most frequent first."""
        total: dict[str, int] = {}
        for file in self.files:
            for reason, n in file.rejected.items():
                total[reason] = total.get(reason, 0) + n
        return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))

    @property
    def already_ingested(self) -> bool:
        """Every file was in the store before."""
        return all(file.already_ingested for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: accepted, rejected by reason, n_rows, n_rejected, already_ingested, files."""
        return {
            "accepted": self.accepted,
            "rejected": self.rejected,
            "n_rows": sum(file.n_rows for file in self.files),
            "n_rejected": sum(self.rejected.values()),
            "already_ingested": self.already_ingested,
            "files": [asdict(file) for file in self.files],
        }


def ingest(
    store: Store,
    paths: list[Path],
    *,
    mapping: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> IngestResult:
    """Brings click logs (files, or folders of them) into the store, one transaction a file.

    `mapping` is ours -> theirs. `progress` gets 0..1 of all bytes, in the caller's thread. Raises InputError for a file that
    cannot be used (files before it stay ingested, and are recognised when the call is repeated), IngestCancelledError
    once `cancel` is set.
    """
    files = find_files([Path(path) for path in paths])
    sizes = [max(file.stat().st_size, 1) for file in files]
    results = []
    with store.ingesting:
        for index, file in enumerate(files):
            share = _share(progress, sum(sizes[:index]), sizes[index], sum(sizes))
            results.append(_logged(store, file, mapping, share, cancel))
    return IngestResult(results)


def _logged(
    store: Store, path: Path, mapping: Mapping[str, str] | None, progress: Progress | None, cancel: threading.Event | None
) -> FileResult:
    try:
        done = _ingest_file(store, path, mapping, progress, cancel)
    except BaseException as error:
        logs.failure("ingest_failed", error, file=str(path))
        raise
    facts = {"accepted": done.accepted, "rejected": done.rejected, "banners": done.n_banners, "seconds": done.seconds}
    logs.event("ingest_finished", file=str(path), already_ingested=done.already_ingested, **facts)
    return done


def _share(progress: Progress | None, before: int, size: int, total: int) -> Progress | None:
    return None if progress is None else lambda value: progress((before + size * value) / total)


def _ingest_file(
    store: Store, path: Path, mapping: Mapping[str, str] | None, progress: Progress | None, cancel: threading.Event | None
) -> FileResult:
    started = now()
    with store.cursor() as cursor, scratch(store) as folder:
        work = Work(cursor, progress, cancel)
        work.stage(0.0, 0.02)
        with undamaged(path):
            digest = hash_bytes(path, work.tick)
        work.stage(0.02, 0.05)
        source = open_source(cursor, path, work.tick)
        found = match(source.names, mapping)
        content_hash = _content_hash(digest, found)
        before = work.rows("SELECT ingest_id FROM ingest WHERE content_hash = ?", [content_hash])
        if before:
            return _known_file(work, path, found, before[0][0])
        judge = Judge(work, source, found, folder, started.date().isoformat(), known=KNOWN, seen=SEEN)
        with readable(path):
            judge.judge()
        work.stage(0.75, 0.88)
        judge.write_heat()
        result = _write(store, work, judge, content_hash, started)
        work.stage(1.0, 1.0)
        return result


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


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns what DuckDB finds wrong with a file's bytes into an InputError."""
    try:
        yield
    except (duckdb.InvalidInputException, duckdb.IOException, duckdb.SerializationException, duckdb.InternalException) as error:
        raise InputError(f"{path.name} should be readable to its end, however DuckDB stops: {str(error).splitlines()[0]}") from error


def _content_hash(digest: str, found: Match) -> str:
    meaning = json.dumps([found.layout, sorted(found.fields.items())])
    return hashlib.sha256(f"{digest} {meaning}".encode()).hexdigest()


def _known_file(work: Work, path: Path, found: Match, ingest_id: Any) -> FileResult:
    """The file is in the store: nothing was accepted, nothing rejected, nothing changed."""
    n_banners, first, last = work.rows("SELECT n_banners, first_day, last_day FROM ingest WHERE ingest_id = ?", [ingest_id])[0]
    work.stage(1.0, 1.0)
    return FileResult(recorded(path), str(ingest_id), True, 0, 0, {}, n_banners, 0, _text(first), _text(last), found.layout, found.fields)


def _write(store: Store, work: Work, judge: Judge, content_hash: str, started: datetime) -> FileResult:
    """Copies what was judged into the store, in one transaction."""
    source, found = judge.source, judge.match
    ingest_id = str(work.one("SELECT uuidv7()"))
    with store.bulk(work.con) as begun:
        work.stage(0.88, 0.97)
        work.rows("INSERT INTO heatmap_day SELECT ?::UUID, banner_id, day, n_clicks, bins, counts FROM click_heat", [ingest_id])
        work.stage(0.97, 0.99)
        summary = "SELECT count(DISTINCT banner_id), coalesce(sum(n_clicks), 0), min(day), max(day) FROM click_heat"
        n_banners, n_clicks, first, last = work.rows(summary)[0]
        work.rows(
            """INSERT INTO banner SELECT banner_id, grid_id, n_products, domain, ?::UUID FROM click_code
            WHERE is_new AND banner_id IN (SELECT banner_id FROM click_heat) ORDER BY banner_id""",
            [ingest_id],
        )
        if "click_id" in found:
            work.rows(
                """INSERT INTO click_seen
                SELECT ?::UUID, (click_key >> 64)::UBIGINT, (click_key & 18446744073709551615::UHUGEINT)::UBIGINT
                FROM click_staged WHERE key IS NOT NULL AND click_key IS NOT NULL""",
                [ingest_id],
            )
        if judge.rejected:
            columns = "?::UUID, ?, line, reason, value, raw"
            work.rows(f"INSERT INTO reject SELECT {columns} FROM click_reject ORDER BY line", [ingest_id, recorded(source.path)])
        begun.take_turn()  # from here to the commit nobody starts a run: what finished before one began, it sees
        with store.cursor() as others:
            finished = clock.moment(others, "ingest", "run_event")
        counts = [source.n_bytes, judge.n_rows, judge.n_accepted, sum(judge.rejected.values()), n_banners, first, last]
        work.rows(
            f"INSERT INTO ingest VALUES ({', '.join('?' * 13)})",
            [ingest_id, recorded(source.path), content_hash, *counts, to_json(found.fields), started, finished],
        )
    return FileResult(
        recorded(source.path),
        ingest_id,
        False,
        judge.n_rows,
        judge.n_accepted,
        judge.rejected,
        n_banners,
        int(n_clicks),
        _text(first),
        _text(last),
        found.layout,
        found.fields,
        round(max((now() - started).total_seconds(), 0.0), 3),
    )


def now() -> datetime:
    """Naive UTC, as everywhere in the store."""
    return datetime.now(UTC).replace(tzinfo=None)


def _text(day: Any) -> str | None:
    return None if day is None else str(day)
