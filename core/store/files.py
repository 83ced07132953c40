"""Rows of a query as CSV or Parquet files."""

from pathlib import Path

from core.errors import InputError
from core.store.spelling import ESCAPED_SQL
from core.store.store import Store

ENDINGS = {".csv": "FORMAT csv, HEADER", ".csv.gz": "FORMAT csv, HEADER, COMPRESSION gzip", ".parquet": "FORMAT parquet, COMPRESSION zstd"}


def write_rows(store: Store, target: Path, sql: str, text: tuple[str, ...]) -> int:
    """Writes the rows of a query, in its order; returns their number. `text` names the columns that spreadsheets could run.

    A file of this name is replaced, at once and whole. Raises InputError for an ending that is not in ENDINGS.
    """
    options = copy_options(target)
    if "csv" in options:
        sql = f"SELECT * REPLACE ({', '.join(f'{neutral(name)} AS {name}' for name in text)}) FROM ({sql})"
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    quoted = str(part).replace("'", "''")
    try:
        with store.cursor() as cursor:
            n_rows: int = cursor.execute(f"COPY ({sql}) TO '{quoted}' ({options})").fetchall()[0][0]
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return n_rows


def copy_options(target: Path) -> str:
    """How DuckDB writes a file of this ending."""
    options = next((value for ending, value in ENDINGS.items() if target.name.lower().endswith(ending)), None)
    if options is None:
        raise InputError(f"An export's name ends in {', '.join(ENDINGS)}, not {target.name}. Rename it.")
    return options


def neutral(column: str) -> str:
    """SQL of a text column that no spreadsheet takes for a formula."""
    return f"CASE WHEN regexp_matches({column}, '{ESCAPED_SQL}') THEN '''' || {column} ELSE {column} END"
