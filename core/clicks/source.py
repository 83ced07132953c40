"""One click log as it lies on the disk: its format, its columns, and what its bytes are like.

The bytes are read once before anything else, unpacked, for their hash and to learn whether they are plain: UTF-8, one row a
line, no line too long. A plain log is read by DuckDB as it is; any other goes through `repair` first.
"""

import codecs
import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal, cast

import duckdb

from core.clicks import json_list, reshape
from core.clicks.columns import match
from core.clicks.profile import CHUNK, MAX_LINE, Seen, Tick, profile
from core.errors import InputError

Kind = Literal["csv", "jsonl", "parquet"]

UNFINISHED = "The file may still be being written, or was copied in part: ingest it once it is finished."

SUFFIXES: dict[str, Kind] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_DELIMITERS = (",", "\t", ";", "|")
_ROTATED = re.compile(r"[.-]\d{1,14}$")
"""What log rotation puts behind a name: click.csv.1, click.csv-20261120."""


_GZIP_RATIO = 5
"""How many bytes of text a packed byte stands for, roughly: progress only."""


@dataclass(frozen=True)
class Source:
    """A click log. `types` are DuckDB's (Parquet only); `n_lines` counts physical lines of a text file, `ended`: its last one is whole."""

    path: Path
    kind: Kind
    gz: bool
    n_bytes: int
    names: tuple[str, ...]
    types: tuple[str, ...] = ()
    delimiter: str = ","
    encoding: str = "utf-8"
    n_lines: int = 0
    quoted: bool = False
    plain: bool = True
    ended: bool = True
    inner: "Source | None" = None
    """The export of a web tool, `tool`, that this log is made from row by row."""
    tool: str = ""
    list_at: str | None = None
    """Where the rows of a JSON document stand, in the words of `json_list`; None where each line is a row."""


def find_files(paths: list[Path]) -> list[Path]:
    """The click logs among `paths`, folders walked in order of name. Raises InputError where there are none."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [p for p in sorted(path.rglob("*")) if p.is_file() and form(p)[0] and not _hidden(p.relative_to(path))]
            if not inside:
                raise InputError(f"A folder holds click logs ({', '.join(SUFFIXES)}, also .gz): {path} holds none.")
            files += inside
        elif path.exists():
            files.append(path)
        else:
            raise InputError(f"A click log is a file or a folder: {path} does not exist. Check the path.")
    if not files:
        raise InputError("Ingesting needs at least one click log: none was named. Name a file or a folder.")
    return list(dict.fromkeys(files))


def open_source(
    con: duckdb.DuckDBPyConnection, path: Path, tick: Tick = lambda share: None, seen: Seen = lambda chunk: None, tool: str = "auto"
) -> Source:
    """Looks at one file; `seen` gets all of its bytes, unpacked, in order. `tool` names whose export it is; auto: as its columns say.

    Raises InputError where it is empty, of no known format, damaged, or not text.
    """
    kind, packed = form(path)
    if kind is None:
        raise InputError(f"A click log ends in {', '.join(SUFFIXES)}, also with .gz: {path.name} does not. Rename it.")
    with undamaged(path):
        n_bytes = path.stat().st_size
        if n_bytes == 0:
            raise InputError(f"A click log has a header and rows; {path.name} is empty (0 bytes). Export it again.")
        source = Source(path, kind, packed, n_bytes, ())
        if kind != "parquet":
            return _profiled(_as_clicks(_open_text(source), tool), tick, seen)
        source = _as_clicks(_open_parquet(con, source), tool)
        if source.inner is not None:
            return _profiled(source, tick, seen)
        read_bytes(path, tick, seen)
        return source


@contextmanager
def undamaged(path: Path) -> Iterator[None]:
    """Turns what goes wrong while a file's bytes are read into an InputError."""
    try:
        yield
    except EOFError as error:
        raise InputError(f"{path.name} is cut off: its gzip data have no end. {UNFINISHED}") from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path.name} should be whole gzip data and is damaged: {error}. Copy it again.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}. Check its rights.") from error


def read_bytes(path: Path, tick: Tick, seen: Seen) -> None:
    """Passes the file's bytes to `seen` as they lie on the disk."""
    done, size = 0, max(path.stat().st_size, 1)
    with undamaged(path), path.open("rb") as file:
        while chunk := file.read(CHUNK):
            seen(chunk)
            done += len(chunk)
            tick(done / size)


def open_bytes(source: Source) -> BinaryIO:
    """The text of a source as bytes, unpacked; a JSON list as one object a line."""
    if source.inner is not None:
        return cast(BinaryIO, _reshaped(source))
    file = cast(BinaryIO, gzip.open(source.path)) if source.gz else source.path.open("rb")  # noqa: SIM115
    return file if source.list_at is None else cast(BinaryIO, json_list.Lines(file, source.list_at, source.path.name))


def split_header(line: str, delimiter: str) -> list[str]:
    """Column names of a header line."""
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter, strict=True), [])]
    except csv.Error as error:
        raise InputError(f"The first line of a CSV names its columns: it cannot be read ({error}): {line[:200]!r}.") from error


def form(path: Path) -> tuple[Kind | None, bool]:
    """Format by the name's ending, None where it is unknown, and whether it is packed. Numbers and dates of rotation are left out."""
    name = _ROTATED.sub("", path.name.lower())
    packed = name.endswith(".gz")
    if packed:
        name = _ROTATED.sub("", name.removesuffix(".gz"))
    kind = SUFFIXES.get(Path(name).suffix)
    return None if kind == "parquet" and packed else kind, packed


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _open_parquet(con: duckdb.DuckDBPyConnection, source: Source) -> Source:
    try:
        columns = con.execute("DESCRIBE SELECT * FROM read_parquet(?, hive_partitioning = false)", [literal(source.path)]).fetchall()
    except duckdb.Error as error:
        if _cut_parquet(source.path):
            raise InputError(f"{source.path.name} is cut off: it begins as Parquet and has no end. {UNFINISHED}") from error
        raise InputError(f"{source.path.name} should be Parquet: DuckDB cannot open it: {str(error).splitlines()[0]}") from error
    return replace(source, names=tuple(c[0] for c in columns), types=tuple(c[1] for c in columns))


def _cut_parquet(path: Path) -> bool:
    """Parquet begins and ends with the same four bytes; the last ones are written last."""
    with undamaged(path), path.open("rb") as file:
        begins = file.read(4) == b"PAR1"
        file.seek(-min(4, path.stat().st_size), 2)
        return begins and file.read() != b"PAR1"


def literal(path: Path) -> str:
    """The path with its own wildcards escaped: DuckDB would read `[1]` in a name as a pattern."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path))


def _open_text(source: Source) -> Source:
    head, encoding, lines = beginning(source)
    if not lines:
        raise InputError(f"A click log has rows: {source.path.name} holds none. Export it again.")
    source = replace(source, encoding=encoding)
    if source.kind == "jsonl" and encoding != "utf-16" and (prefix := list_in(source, lines)):
        with open_bytes(source) as file:
            names = tuple(json_list.keys_of(file, prefix))
        return replace(source, list_at=prefix, plain=False, names=names)
    if "\x00" in lines[0] or "\ufffd" in lines[0] or len(lines[0]) > MAX_LINE:
        raise InputError(
            f"A click log begins with a line of UTF-8 text: {source.path.name} begins with {head[:40]!r}. Export it as UTF-8 text."
        )
    if source.kind == "csv":
        delimiter = max(_DELIMITERS, key=lines[0].count)
        source = replace(source, delimiter=delimiter, names=tuple(split_header(lines[0], delimiter)))
    else:
        source = replace(source, names=tuple(_keys(lines[:1000])))
    return source


def _profiled(source: Source, tick: Tick, seen: Seen) -> Source:
    size = source.n_bytes * (_GZIP_RATIO if source.gz else 1)
    plain = source.plain and source.encoding == "utf-8"
    found = profile(lambda: open_bytes(source), plain, source.delimiter, size, tick, seen)
    return replace(source, n_lines=found.n_lines, quoted=found.quoted, plain=found.plain, ended=found.ended)


def _as_clicks(source: Source, tool: str) -> Source:
    """The export of a web tool as a log with our columns; any other log as it is. A log that has our columns is no export."""
    if tool == "auto":
        found = reshape.recognised(source.names)
        if found is None or _has_columns(source.names):
            return source
        tool = found
    elif tool == "plain":
        return source
    shaped = replace(source, inner=source, tool=tool, kind="jsonl", plain=False, encoding="utf-8", types=(), list_at=None, gz=False)
    return replace(shaped, names=reshape.columns(_reshaped(shaped), tool, source.path.name))


def _reshaped(source: Source) -> reshape.Lines:
    """The lines of the export of a web tool, from its beginning."""
    inner = source.inner or source
    if inner.kind == "parquet":
        return reshape.Lines(reshape.parquet_rows(inner.path), source.tool)
    encoding = "utf-8-sig" if inner.encoding == "utf-8" else inner.encoding
    file = open_bytes(inner)
    if inner.kind == "csv":
        return reshape.Lines(reshape.csv_rows(file, encoding, inner.delimiter, inner.path.name), source.tool)
    return reshape.Lines(reshape.json_rows(file, encoding), source.tool)


def beginning(source: Source) -> tuple[bytes, str, list[str]]:
    """The first bytes of a text, its encoding, and the lines among these that are not blank."""
    with open_bytes(source) as file:
        head = file.read(1 << 18)
    encoding = _encoding(head)
    return head, encoding, [line for line in re.split(r"\r\n|\n|\r", head.decode(encoding, "replace")) if line.strip()]


def _encoding(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if head.startswith(codecs.BOM_UTF8) else "utf-8"


def list_in(source: Source, lines: list[str]) -> str | None:
    """Where the rows of a JSON text that begins with these lines stand in a list; None where each line is a row.

    Raises InputError for a list of anything but objects.
    """
    first = lines[0].strip()
    if not (first.startswith("[") or len(lines) == 1 or first == "{" or first.endswith(("{", "[", ":", ","))):
        return None
    if len(lines) == 1 and _is_a_click(first):
        return None
    with open_bytes(source) as file:
        prefix = json_list.prefix_of(file)
    if prefix is None and first.startswith("["):
        raise InputError(f"A JSON list of clicks holds objects: {source.path.name} begins with {first[:40]!r}. Export it again.")
    return prefix


def _is_a_click(line: str) -> bool:
    """Whether a line is an object that has the columns of a click."""
    return _has_columns(_keys([line]))


def _has_columns(names: Sequence[str]) -> bool:
    """Whether these are the columns of a log of clicks."""
    try:
        match(names)
    except InputError:
        return False
    return True


def _keys(lines: list[str]) -> list[str]:
    """Keys of the first objects, in order of appearance."""
    keys: dict[str, None] = {}
    for line in lines:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            keys.update(dict.fromkeys(value))
    return list(keys)
