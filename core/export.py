"""A run's scores as a file for others: CSV, CSV.gz or Parquet, by the file's ending; DuckDB writes it.

In CSV, text that a spreadsheet would run as a formula gets an apostrophe in front, as OWASP's page on CSV injection asks.
Parquet holds the text as it is.
"""

from pathlib import Path
from typing import Literal

from core.clicks.spelling import ESCAPED_SQL
from core.errors import InputError
from core.queries.runs import shown_of
from core.run import last_finished
from core.store import Store

Format = Literal["wide", "long", "submission"]
FORMATS: tuple[Format, ...] = ("wide", "long", "submission")
ENDINGS = {".csv": "FORMAT csv, HEADER", ".csv.gz": "FORMAT csv, HEADER, COMPRESSION gzip", ".parquet": "FORMAT parquet, COMPRESSION zstd"}
TEXT = {"wide": ("banner_id", "domain", "fault"), "long": ("banner_id", "detector"), "submission": ("ID",)}


def export_scores(store: Store, target: Path, *, run_id: str | None = None, format: Format = "wide") -> int:
    """Writes one run (default: the latest finished one), sorted by banner; returns the number of rows.

    wide: a row a banner, a column a detector (its normalised score), combined, p_value, flagged, fault.
    long: a row a banner and detector: score, normalised, p_value; `combined` is one of them. submission: ID, score (combined).
    A file of this name is replaced, at once and whole. Raises InputError for another ending or format, RunError without a run.
    """
    _options(target)
    if format not in FORMATS:
        raise InputError(f"An export's format is one of {', '.join(FORMATS)}, however it is {format}. Choose one.")
    run = last_finished(store, run_id)
    sql = {"wide": _wide, "long": _long, "submission": _submission}[format](store, run["run_id"], shown_of(store, run["run_id"]))
    return write_rows(store, target, sql, TEXT[format])


def write_rows(store: Store, target: Path, sql: str, text: tuple[str, ...]) -> int:
    """Writes the rows of a query, in its order; returns their number. `text` names the columns that spreadsheets could run.

    A file of this name is replaced, at once and whole. Raises InputError for an ending that is not in ENDINGS.
    """
    options = _options(target)
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


def _options(target: Path) -> str:
    """How DuckDB writes a file of this ending."""
    options = next((value for ending, value in ENDINGS.items() if target.name.lower().endswith(ending)), None)
    if options is None:
        raise InputError(f"An export's name ends in {', '.join(ENDINGS)}, however it is {target.name}. Rename it.")
    return options


def neutral(column: str) -> str:
    """SQL of a text column that no spreadsheet takes for a formula."""
    return f"CASE WHEN regexp_matches({column}, '{ESCAPED_SQL}') THEN '''' || {column} ELSE {column} END"


def _wide(store: Store, run_id: str, shown: str) -> str:
    names = [row["detector"] for row in store.rows("SELECT DISTINCT detector FROM score WHERE run_id = ? ORDER BY 1", [run_id])]
    columns = "".join(f", max(normalised) FILTER (detector = {_text(name)}) AS {_name(name)}" for name in names)
    chosen = "".join(f", s.{_name(name)}" for name in names)
    return f"""SELECT r.banner_id, r.grid_id, r.n_products, r.domain, r.n_clicks{chosen}, r.combined, r.p_value, r.flagged, r.fault
        FROM result r LEFT JOIN (SELECT banner_id{columns} FROM score WHERE run_id = '{run_id}' GROUP BY banner_id) s USING (banner_id)
        WHERE r.run_id = '{shown}' ORDER BY r.banner_id"""


def _long(store: Store, run_id: str, shown: str) -> str:
    return f"""SELECT banner_id, detector, score, normalised, p_value FROM score WHERE run_id = '{run_id}'
        UNION ALL SELECT banner_id, 'combined', combined, combined, p_value FROM result WHERE run_id = '{shown}'
        ORDER BY banner_id, detector"""


def _submission(store: Store, run_id: str, shown: str) -> str:
    return f"SELECT banner_id AS ID, combined AS score FROM result WHERE run_id = '{shown}' ORDER BY banner_id"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
