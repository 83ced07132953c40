"""The slow reader, for text that is not plain: other encodings, broken bytes, quotes over several lines, endless lines.

It splits the text into rows and writes them to a Parquet file (`line`, `problem`, `raw`, `c0`, `c1`, …, all but `line`
VARCHAR), which is then judged by the same SQL as any other log. It judges nothing but the form of a row.
"""

import codecs
import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from core.clicks.profile import CHUNK, MAX_LINE, Tick
from core.clicks.source import Source, open_bytes

MAX_RAW = 500
"""Characters of a rejected row that are kept."""

BATCH = 50_000
Line = tuple[int, str, str | None]
Row = tuple[int, str | None, str, list[str]]


def repair(source: Source, target: Path, tick: Tick) -> int:
    """Writes the rows of `source` to the Parquet file `target`; returns how many there are."""
    lines = _lines(source, tick)
    rows = _csv_rows(lines, source.delimiter) if source.kind == "csv" else _json_rows(lines)
    width = len(source.names) if source.kind == "csv" else 1
    names = ["line", "problem", "raw", *(f"c{i}" for i in range(width))]
    schema = pa.schema([(name, pa.int64() if name == "line" else pa.string()) for name in names])
    n_rows = 0
    with pq.ParquetWriter(target, schema) as writer:
        for batch in _batches(rows):
            n_rows += len(batch)
            columns = [[row[0] for row in batch], [_problem(row, width) for row in batch], [row[2][:MAX_RAW] for row in batch]]
            columns += [[row[3][i] if i < len(row[3]) else None for row in batch] for i in range(width)]
            writer.write_batch(pa.record_batch([pa.array(c, t) for c, t in zip(columns, schema.types, strict=True)], schema=schema))
    return n_rows


def _problem(row: Row, width: int) -> str | None:
    """A row of a CSV has as many fields as its header."""
    _, problem, _, fields = row
    if problem or len(fields) == width:
        return problem
    return "too few fields" if len(fields) < width else "too many fields"


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _lines(source: Source, tick: Tick) -> Iterator[Line]:
    """(line number, text, what is wrong with it), blank lines left out."""
    for number, piece in enumerate(_split(_chunks(source, tick)), start=1):
        text = piece[: MAX_LINE + 1].decode("utf-8", "replace")
        if number == 1:
            text = text.removeprefix("\ufeff")
        problem = None
        if len(piece) > MAX_LINE:
            problem = "line too long"
        elif "\ufffd" in text and not _is_utf8(piece):
            problem = "not UTF-8"
        elif "\x00" in text:
            problem = "NUL byte"
        if text.strip("\r"):
            yield number, text, problem


def _is_utf8(piece: bytes) -> bool:
    try:
        piece.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _chunks(source: Source, tick: Tick) -> Iterator[bytes]:
    """The text as UTF-8, with line feeds where an old Macintosh wrote carriage returns."""
    decoder = codecs.getincrementaldecoder("utf-16")("replace") if source.encoding == "utf-16" else None
    done = 0
    with open_bytes(source) as file:
        while chunk := file.read(CHUNK):
            done += len(chunk)
            tick(min(done / source.n_bytes, 1.0))
            text = decoder.decode(chunk).encode("utf-8", "replace") if decoder else chunk
            yield text.replace(b"\r", b"\n") if source.n_lines <= 1 else text


def _split(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines without their ends. Of one that is too long only the beginning is held."""
    held = b""
    for chunk in chunks:
        *whole, rest = chunk.split(b"\n")
        if whole:
            yield held + whole[0]
            yield from whole[1:]
            held = b""
        held = (held + rest)[: MAX_LINE + 1]
    if held:
        yield held


def _json_rows(lines: Iterator[Line]) -> Iterator[Row]:
    for number, text, problem in lines:
        yield number, problem, text, [text.strip("\r")]


def _csv_rows(lines: Iterator[Line], delimiter: str) -> Iterator[Row]:
    """Rows below the header. A quoted field may run over several lines, as long as they fit one line's limit together."""
    ahead: deque[Line] = deque()
    header = True
    while (line := ahead.popleft() if ahead else next(lines, None)) is not None:
        number, text, problem = line
        if problem or '"' not in text:
            row = (number, problem, text, [] if problem else text.rstrip("\r").split(delimiter))
        else:
            row = _quoted(line, lines, ahead, delimiter)
        if not header:
            yield row
        header = False


class _UnclosedError(Exception):
    """A quote is still open where the text ends, breaks, or grows too long."""


def _quoted(first: Line, lines: Iterator[Line], ahead: deque[Line], delimiter: str) -> Row:
    """One row that has quotes; lines that turn out not to belong to it go back to `ahead`."""
    taken: list[Line] = [first]

    def feed() -> Iterator[str]:
        size = len(first[1])
        yield first[1] + "\n"
        while True:
            line = ahead.popleft() if ahead else next(lines, None)
            if line is None:
                raise _UnclosedError
            taken.append(line)
            size += len(line[1])
            if line[2] or size > MAX_LINE:
                raise _UnclosedError
            yield line[1] + "\n"

    try:
        fields = next(csv.reader(feed(), delimiter=delimiter, strict=True))
    except (_UnclosedError, csv.Error) as error:
        ahead.extendleft(reversed(taken[1:]))
        closed = len(taken) == 1 and not isinstance(error, _UnclosedError)
        return first[0], "quote misplaced" if closed else "quote never closed", first[1], []
    return first[0], None, "\n".join(text for _, text, _ in taken), fields
