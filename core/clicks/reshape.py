"""Reads the export of a web tool as JSON Lines with our own columns, one line a row of the export, so that every row keeps its account.

A row that is no click becomes `{"not_a_click": why}`; a click also holds the whole row, so that `--map n_products=event.properties.n`
reaches everything in it.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.clicks import formats
from core.clicks.formats import Reader, Row
from core.clicks.rrweb import Recording
from core.errors import InputError

NOT_A_CLICK = "not a click"
MORE = "\0more"
ROW = "event"
"""What `--map` finds the whole row of an export under."""
FORMATS: dict[str, Callable[[], Reader]] = {
    "posthog": lambda: formats.posthog,
    "matomo": lambda: formats.matomo,
    "rrweb": Recording,
    "openreplay": lambda: formats.openreplay,
    "ga4": lambda: formats.ga4,
    "clarity": lambda: formats.clarity,
    "umami": lambda: formats.umami,
}
SIGNS: dict[str, tuple[frozenset[str], ...]] = {
    "posthog": (frozenset({"pointer_relative_x", "pointer_y"}), frozenset({"scale_factor", "viewport_width", "current_url"})),
    "matomo": (frozenset({"idselector", "event_type", "x"}), frozenset({"selector", "offset_x", "offset_y"})),
    "rrweb": (frozenset({"type", "data", "timestamp"}),),
    "openreplay": (frozenset({"normalizedx", "normalizedy"}),),
    "ga4": (frozenset({"event_name", "event_params", "event_timestamp"}),),
    "clarity": (frozenset({"event", "data", "time"}),),
    "umami": (frozenset({"url_path", "viewport_w", "page_w"}),),
}
"""Columns by which an export is recognised; of OpenReplay without underscores."""
LOOKED_AT, ENOUGH = 200_000, 1_000
"""Rows in which the columns of clicks are looked for, and clicks after which that ends."""


def recognised(names: Iterable[str]) -> str | None:
    """The tool whose export has these columns; None where it is none that is known."""
    own = set(names)
    plain = {name.replace("_", "").lower() for name in own}
    return next((tool for tool, signs in SIGNS.items() if any(sign <= (plain if tool == "openreplay" else own) for sign in signs)), None)


def columns(lines: "Lines", tool: str, name: str) -> tuple[str, ...]:
    """Our columns that the clicks of an export have. Raises InputError where it holds no click."""
    found: dict[str, None] = {}
    n_clicks = 0
    with closing(lines):
        for row in islice(lines.rows(), LOOKED_AT):
            if row is not None and "not_a_click" not in row:
                found.update(dict.fromkeys(row))
                n_clicks += 1
                if n_clicks == ENOUGH:
                    break
    if not n_clicks:
        raise InputError(
            f"An export of {tool} holds clicks: none is among the first rows of {name}. Name another --format, or export clicks."
        )
    return tuple(found)


def csv_rows(file: IO[bytes], encoding: str, delimiter: str, name: str) -> Iterator[Row | str]:
    """The rows of a table; its header counts as a first, blank line."""
    yield ""
    try:
        text = io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="")
        yield from csv.DictReader(text, delimiter=delimiter, restkey=MORE)
    except csv.Error as error:
        raise InputError(f"{name} cannot be read as a table: {error}. Export it again.") from error


def json_rows(file: IO[bytes], encoding: str) -> Iterator[Row | str]:
    """One object a line; any other line as it is."""
    for line in io.TextIOWrapper(file, encoding=encoding, errors="replace"):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        yield value if isinstance(value, dict) else line.strip("\r\n")


def parquet_rows(path: Path) -> Iterator[Row | str]:
    """The rows of a Parquet file, nested columns as objects and lists."""
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(5_000):
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path.name} cannot be read to its end: {error}. Copy or export it again.") from error


class Lines(io.RawIOBase):
    """An export as UTF-8 text, one line a row."""

    def __init__(self, rows: Iterator[Row | str], tool: str) -> None:
        super().__init__()
        self._rows, self._reader = rows, FORMATS[tool]()

    def rows(self) -> Iterator[Row | None]:
        """What each row became; None for a line that is no row."""
        return (self._shaped(row) if isinstance(row, dict) else None for row in self._rows)

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At least one line, about `size` bytes; empty at the end."""
        out: list[bytes] = []
        n = 0
        for row in self._rows:
            text = _text(self._shaped(row)) if isinstance(row, dict) else str(row)
            out.append(text.encode("utf-8", "replace") + b"\n")
            n += len(out[-1])
            if n >= max(size, 1):
                break
        return b"".join(out)

    def _shaped(self, row: Row) -> Row:
        found = "more fields than the header names" if MORE in row else self._reader(row)
        return {"not_a_click": found} if isinstance(found, str) else {**found, ROW: row}


def _text(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> str:
    """Times of Parquet in ISO 8601; anything else that JSON does not know as text."""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
