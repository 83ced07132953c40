"""What an ingest of one file would do, tried on its beginning: format, columns, first rows, what would be rejected and why."""

import codecs
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from core.clicks import Judge, Match, Source, Work, find_files, open_source, reject_causes
from core.clicks.checks import quoted
from core.clicks.columns import tool_of
from core.clicks.damage import readable
from core.clicks.known_files import Content, KnownFile, Recognised, active, place_of, recognise, said, to_replace
from core.clicks.place_causes import PERCENT
from core.clicks.source import beginning, form, list_in, literal, open_bytes, read_bytes, undamaged
from core.clicks.undo import known_without, seen_without
from core.clicks.uploads import name_of
from core.errors import InputError
from core.settings import N_COLS, N_ROWS
from core.store import Store, days

SAMPLE_BYTES = 2_000_000
SAMPLE_ROWS = 10_000
N_SHOWN = 20
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass
class Preview:
    """The beginning of a file, judged. `problem` says what is wrong with the columns; then nothing was judged.

    `fields` is ours -> theirs; `rows` are the first rows, ours -> text; `rejects` have line, reason, value, raw;
    `whole` tells that the sample is the whole file. `refused`: more than half of it would be rejected, or all; `cause` is the likeliest
    one. `known` says that the file is in the store, with this content (`is_known`) or another.
    """

    file: str
    format: str
    columns: list[str]
    problem: str | None = None
    layout: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    n_rows: int = 0
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    rejects: list[dict[str, Any]] = field(default_factory=list)
    whole: bool = False
    refused: bool = False
    cause: str | None = None
    known: str | None = None
    is_known: bool = False
    notes: list[str] = field(default_factory=list)
    heat: list[int] = field(default_factory=list)
    """Clicks of the accepted rows by cell, 1,600 of them, row by row from the top left."""
    guess: dict[str, str] = field(default_factory=dict)
    """What a mapping would have to say too, as the rejected rows show; for a person to accept."""


def preview(store: Store, path: Path, mapping: Mapping[str, str] | None = None, *, uploaded: bool = False) -> Preview:
    """Judges the first 2 MB of text, or 10,000 rows of Parquet, against the store; writes nothing to it.

    `uploaded`: the path is a copy, known by its name only. Raises InputError for a file that cannot be opened. A column that
    is missing is no error here but `problem`.
    """
    path = find_files([Path(path)])[0]
    with store.cursor() as cursor, tempfile.TemporaryDirectory() as name:
        work = Work(cursor)
        sample, whole = _cut(work, path, Path(name))
        files = active(work)
        with readable(path):
            content = Content([k.n_text for k in files])
            source = open_source(cursor, sample, seen=content.add, tool=tool_of(mapping))
        shown = Preview(str(path), _format(source, path), list(source.names), whole=whole)
        try:
            found = reject_causes.matched(replace(source, path=path), mapping)
        except InputError as error:
            return replace(shown, problem=str(error))
        known = _known(work, path, replace(source, path=path), found, content if whole else None, files, uploaded)
        replaced = [k.ingest_id for k in to_replace(name_of(path), known, "replace")]
        kept = {"known": known_without(replaced), "seen": seen_without(replaced)}
        judge = Judge(work, source, found, Path(name), days.now(), **kept)
        with readable(path):
            judge.judge()
        shown = replace(shown, known=said(name_of(path), known), is_known=known.same is not None)
        return _judged(shown, work, judge, judge.match)  # not `found`: a guessed click_id may turn out to be none


def _known(
    work: Work, path: Path, source: Source, found: Match, content: Content | None, files: list[KnownFile], uploaded: bool
) -> Recognised:
    """What is known of a file: all of it where the sample is the whole, else of its place only."""
    place = place_of(path, uploaded)
    if content is None:
        return Recognised(others=tuple(k for k in files if k.place == place))
    if source.kind == "parquet":  # the sample is another file
        content = Content([k.n_text for k in files])
        read_bytes(path, work.tick, content.add)
    return recognise(files, content, source, found, place, work)


def _judged(shown: Preview, work: Work, judge: Judge, found: Match) -> Preview:
    texts = ", ".join(f"CAST(f_{ours} AS VARCHAR)" for ours in found.names)
    rows = [dict(zip(found.names, row, strict=True)) for row in work.rows(f"SELECT {texts} FROM click_rows LIMIT {N_SHOWN}")]
    rejects, why = [], None if shown.is_known else reject_causes.cause(work, judge)
    judge.write_heat()
    cells = "SELECT unnest(bins) AS bin, unnest(counts) AS n FROM click_heat"
    by_cell = dict(work.rows(f"SELECT bin, sum(n)::BIGINT FROM ({cells}) GROUP BY 1"))
    if judge.rejected:
        # a few of every reason, so that a frequent one does not hide the others
        few = "QUALIFY row_number() OVER (PARTITION BY reason ORDER BY line) <= 3 ORDER BY line"
        for line, reason, value, raw in work.rows(f"SELECT line, reason, value, raw FROM click_reject {few} LIMIT {N_SHOWN}"):
            rejects.append({"line": line, "reason": reason, "value": value, "raw": raw})
    return replace(
        shown,
        layout=found.layout,
        fields=found.meaning,
        refused=not shown.is_known and reject_causes.refusal(work, judge) is not None,
        cause=why,
        heat=[int(by_cell.get(cell, 0)) for cell in range(N_ROWS * N_COLS)],
        guess={"unit": "percent"} if why is not None and why.startswith(PERCENT) else {},
        rows=rows,
        n_rows=judge.n_rows,
        accepted=judge.n_accepted,
        rejected=judge.rejected,
        rejects=rejects,
        notes=judge.notes,
    )


def _cut(work: Work, path: Path, folder: Path) -> tuple[Path, bool]:
    """The beginning of the file as a file of its own, and whether it is all of it."""
    if form(path)[0] != "parquet":
        return _cut_text(path, folder)
    sample = folder / path.name
    rows = f"FROM read_parquet({quoted(literal(path))}, hive_partitioning = false)"
    open_source(work.con, path)
    with readable(path):
        work.rows(f"COPY (SELECT * {rows} LIMIT {SAMPLE_ROWS}) TO {quoted(str(sample))} (FORMAT parquet)")
        return sample, bool(work.one(f"SELECT count(*) <= {SAMPLE_ROWS} {rows}"))


def _cut_text(path: Path, folder: Path) -> tuple[Path, bool]:
    sample = folder / f"sample.{form(path)[0]}"
    with undamaged(path), _text_of(path) as file:
        head = file.read(SAMPLE_BYTES + 1)
    whole = len(head) <= SAMPLE_BYTES
    if not whole:
        end = head.rfind(b"\n") + 1 or SAMPLE_BYTES
        head = head[: end // 2 * 2 if head.startswith(UTF16) else end]
    sample.write_bytes(head)
    return sample, whole


def _text_of(path: Path) -> BinaryIO:
    """The text of a file, unpacked; of a JSON list one object a line."""
    kind, packed = form(path)
    source = Source(path, kind or "csv", packed, path.stat().st_size, ())
    if kind == "jsonl":
        _, encoding, lines = beginning(source)
        if lines and encoding != "utf-16":
            source = replace(source, list_at=list_in(source, lines))
    return open_bytes(source)


def _format(source: Source, path: Path) -> str:
    words = {"csv": "CSV", "jsonl": "JSON Lines", "parquet": "Parquet"}[source.kind]
    if source.kind == "csv" and source.delimiter != ",":
        words += " separated by " + {"\t": "tabs", ";": "semicolons", "|": "bars"}[source.delimiter]
    if source.encoding == "utf-16":
        words += ", UTF-16"
    return words + (", gzip" if form(path)[1] else "")
