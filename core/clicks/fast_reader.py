"""The query that reads one click log as rows of `f_<ours>` fields and `problem`, and on demand `line` and `parts`.

`parts` is what a row consists of; `raw_sql` makes the row's text from it, for the few rows that need it.
"""

from collections.abc import Sequence
from pathlib import Path

from core.clicks.checks import quoted
from core.clicks.columns import Match, inside
from core.clicks.reshape import NOT_A_CLICK
from core.clicks.slow_reader import MAX_RAW
from core.clicks.source import Source, literal


def rows_sql(source: Source, match: Match, repaired: Path | None, *, lines: bool) -> str:
    """SELECT over the file, or over its `repaired` twin. `lines` adds line and parts, and makes DuckDB read in order."""
    constants = "".join(f", {quoted(value)} AS f_{ours}" for ours, value in match.constants.items())
    read = _read_sql(source, match, repaired, lines)
    return f"SELECT *{constants} FROM ({read})" if constants else read


def _read_sql(source: Source, match: Match, repaired: Path | None, lines: bool) -> str:
    if source.kind == "parquet":
        return _parquet(source, match, lines)
    if source.kind == "csv":
        return _csv(source, match, repaired, lines)
    return _jsonl(source, match, repaired, lines)


def raw_sql(source: Source, repaired: Path | None) -> str:
    """Text of a row, at most 500 characters, from `parts`."""
    if source.kind == "parquet":
        return f"left(CAST(parts AS VARCHAR), {MAX_RAW})"
    if source.kind == "csv" and repaired is None:
        every = ", ".join(f"parts['c{i}']" for i in range(len(source.names) + 1))
        return f"left(array_to_string([{every}], {quoted(source.delimiter)}), {MAX_RAW})"
    return f"left(parts, {MAX_RAW})"


def _parquet(source: Source, match: Match, lines: bool) -> str:
    fields = ", ".join(f"{_column(source, theirs)} AS f_{ours}" for ours, theirs in match.fields.items())
    file = quoted(literal(source.path))
    if not lines:
        return f"SELECT {fields}, NULL::VARCHAR AS problem FROM read_parquet({file}, hive_partitioning = false)"
    every = ", ".join(name(theirs) for theirs in source.names)
    return (
        f"SELECT {fields}, NULL::VARCHAR AS problem, file_row_number + 1 AS line, row({every}) AS parts "
        f"FROM read_parquet({file}, hive_partitioning = false, file_row_number = true)"
    )


def _csv(source: Source, match: Match, repaired: Path | None, lines: bool) -> str:
    fields = ", ".join(f"c{source.names.index(theirs)} AS f_{ours}" for ours, theirs in match.fields.items())
    if repaired:
        return f"SELECT {fields}, problem{', line, raw AS parts' if lines else ''} FROM read_parquet({quoted(literal(repaired))})"
    width = len(source.names)
    problem = f"CASE WHEN c{width - 1} IS NULL THEN 'too few fields' WHEN c{width} IS NOT NULL THEN 'too many fields' END AS problem"
    every = ", ".join(f"'c{i}': c{i}" for i in range(width + 1))
    line = f", row_number() OVER () + 1 AS line, {{{every}}} AS parts"
    quote = "'\"'" if source.quoted else "''"
    table = _read_text(source, [f"c{i}" for i in range(width + 1)], f"delim = {quoted(source.delimiter)}, skip = 1", quote)
    return f"SELECT {fields}, {problem}{line if lines else ''} FROM {table}"


def _jsonl(source: Source, match: Match, repaired: Path | None, lines: bool) -> str:
    paths = ", ".join(quoted(_pointer(inside(theirs, source.names) or (theirs,))) for theirs in match.fields.values())
    fields = ", ".join(f"v[{i}] AS f_{ours}" for i, ours in enumerate(match.fields, start=1))
    if repaired:
        rows = f"SELECT c0 AS j, problem AS broken, line, raw AS parts FROM read_parquet({quoted(literal(repaired))})"
    else:
        line = ", row_number() OVER () AS line, j AS parts" if lines else ""
        rows = f"SELECT j, NULL AS broken{line} FROM {_read_text(source, ['j', 'more'], 'delim = chr(1)', chr(39) * 2)}"
    good = "json_valid(j) AND starts_with(ltrim(j, E' \\t\\r\\n'), '{')"
    objects = f"SELECT *, CASE WHEN {good} THEN j END AS object FROM ({rows})"
    other = f", CASE WHEN json_exists(object, '$.not_a_click') THEN {quoted(NOT_A_CLICK)} END" if source.inner else ""
    problem = f"coalesce(broken, CASE WHEN object IS NULL THEN 'not a JSON object' END{other}) AS problem"
    values = f"SELECT *, {problem}, json_extract_string(object, [{paths}]) AS v FROM ({objects})"
    return f"SELECT {fields}, problem{', line, parts' if lines else ''} FROM ({values})"


def _read_text(source: Source, columns: list[str], options: str, quote: str) -> str:
    """read_csv without any guessing; `null_padding` turns what a short row lacks into NULL, an empty field stays ''."""
    struct = ", ".join(f"{quoted(column)}: 'VARCHAR'" for column in columns)
    packed = "gzip" if source.gz else "none"
    return (
        f"read_csv({quoted(literal(source.path))}, auto_detect = false, header = false, columns = {{{struct}}}, {options}, "
        f"quote = {quote}, escape = {quote}, nullstr = chr(2), null_padding = true, strict_mode = true, "
        f"hive_partitioning = false, encoding = 'utf-8', compression = '{packed}')"
    )


def _pointer(keys: Sequence[str]) -> str:
    """JSON pointer of a key within a key, so that dots and quotes in them mean nothing."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def _column(source: Source, theirs: str) -> str:
    """A column, or what is inside a nested one as text."""
    steps = inside(theirs, source.names)
    return name(theirs) if steps is None else f"CAST({'.'.join(map(name, steps))} AS VARCHAR)"


def name(column: str) -> str:
    """A column name as an SQL identifier."""
    return '"' + column.replace('"', '""') + '"'
