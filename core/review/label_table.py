"""Rows of a label file as text, with the line where each begins. What the columns mean is not its business."""

import csv
import gzip
import io
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import InputError
from core.store.spelling import from_csv

MAX_RAW = 500


class Row(NamedTuple):
    """One row: its first line, {column: trimmed text}, what is wrong with its shape, and the row as it stands.

    `ids` are the ids that its banner_id may be, untrimmed, the surest first.
    """

    line: int
    values: dict[str, str]
    problem: str | None
    raw: str
    ids: tuple[str, ...] = ()


def read_rows(path: Path) -> tuple[list[str], list[Row]]:
    """Column names (lower case) and rows of a CSV, CSV.gz or Parquet file; blank lines of a CSV are no rows.

    A CSV is UTF-8, its columns are separated by the comma, semicolon or tab that its first line has most of. Raises InputError
    for a file that cannot be read to its end.
    """
    if not path.is_file():
        raise InputError(f"Labels come from a CSV or Parquet file: {path} is no file. Check the path.")
    names, rows = _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"A column stands in a file once: {path.name} has {', '.join(twice)} twice. Remove one.")
    return names, rows


def _csv(path: Path) -> tuple[list[str], list[Row]]:
    text = _text(path)
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True)
    names: list[str] | None = None
    rows, begins = [], 1
    try:
        for cells in reader:
            if names is None and cells:
                names = [cell.strip().lower() for cell in cells]
            elif cells and names is not None:
                rows.append(_row(begins, names, cells))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path.name} should be a CSV to its end: line {begins} is none: {error}. Correct its quotes.") from error
    if names is None:
        raise InputError(f"A label file has a header and rows: {path.name} is empty. Name another file.")
    return names, rows


def _row(line: int, names: list[str], cells: list[str]) -> Row:
    raw = ",".join(cells)[:MAX_RAW]
    if len(cells) != len(names):
        return Row(line, {}, "too few fields" if len(cells) < len(names) else "too many fields", raw)
    by_name = dict(zip(names, cells, strict=True))
    values = {name: from_csv(cell.strip())[0] for name, cell in by_name.items()}
    return Row(line, values, None, raw, from_csv(by_name.get("banner_id", "")))


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        return data.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"A label file is a CSV in UTF-8 or Parquet: {path.name} is not: {error}. Save it again.") from error


def _parquet(path: Path) -> tuple[list[str], list[Row]]:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"{path.name} should be a Parquet file: it cannot be read: {first} Write it again.") from error
    names = [name.strip().lower() for name in table.column_names]
    columns = [column.to_pylist() for column in table.columns]
    rows = []
    for line, cells in enumerate(zip(*columns, strict=True), 1):
        texts = [_cell(cell) for cell in cells]
        values = {name: text.strip() for name, text in zip(names, texts, strict=True)}
        ids = tuple(text for name, text in zip(names, texts, strict=True) if name == "banner_id")
        rows.append(Row(line, values, None, ",".join(texts)[:MAX_RAW], ids))
    return names, rows


def _cell(value: Any) -> str:
    if value is None or value != value:  # NaN: how pandas writes what is missing
        return ""
    return value.isoformat() if isinstance(value, datetime) else str(value)
