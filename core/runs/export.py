"""A run's scores as a file for others: CSV, CSV.gz or Parquet, by the file's ending; DuckDB writes it.

In CSV, text that a spreadsheet would run as a formula gets an apostrophe in front, as OWASP's page on CSV injection asks.
Parquet holds the text as it is.
"""

from pathlib import Path
from typing import Literal

from core.errors import InputError
from core.store import Store, grids
from core.store.files import copy_options, write_rows
from core.store.queries.runs import last_finished, shown_of
from core.store.spelling import UNKNOWN_PRODUCTS

Format = Literal["wide", "long", "submission"]
FORMATS: tuple[Format, ...] = ("wide", "long", "submission")
TEXT = {"wide": ("banner_id", "domain", "fault"), "long": ("banner_id", "detector"), "submission": ("ID",)}


def export_scores(store: Store, target: Path, *, run_id: str | None = None, format: Format = "wide") -> int:
    """Writes one run (default: the latest finished one), sorted by banner; returns the number of rows.

    wide: a row a banner, a column a detector (its normalised score), combined, p_value, flagged, fault.
    long: a row a banner and detector: score, normalised, p_value; `combined` is one of them. submission: ID, score (combined).
    A file of this name is replaced, at once and whole. Raises InputError for another ending or format, RunError without a run.
    """
    copy_options(target)
    if format not in FORMATS:
        raise InputError(f"An export's format is one of {', '.join(FORMATS)}, not {format}. Choose one.")
    run = last_finished(store, run_id)
    sql = {"wide": _wide, "long": _long, "submission": _submission}[format](store, run["run_id"], shown_of(store, run["run_id"]))
    return write_rows(store, target, sql, TEXT[format])


def _wide(store: Store, run_id: str, shown: str) -> str:
    names = [row["detector"] for row in store.rows("SELECT DISTINCT detector FROM score WHERE run_id = ? ORDER BY 1", [run_id])]
    columns = "".join(f", max(normalised) FILTER (detector = {_text(name)}) AS {_name(name)}" for name in names)
    chosen = "".join(f", s.{_name(name)}" for name in names)
    # a grid that logs name by a text goes out as it came in, and what no log said is empty
    grid = "coalesce(g.name, r.grid_id::VARCHAR) AS grid_id" if grids.names(store) else "r.grid_id"
    products = f"nullif(r.n_products, {UNKNOWN_PRODUCTS}) AS n_products"
    return f"""SELECT r.banner_id, {grid}, {products}, r.domain, r.n_clicks{chosen}, r.combined, r.p_value, r.flagged, r.fault,
            r.segment
        FROM result r LEFT JOIN grid_name g USING (grid_id)
        LEFT JOIN (SELECT banner_id{columns} FROM score WHERE run_id = '{run_id}' GROUP BY banner_id) s USING (banner_id)
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
