"""Columns and types of every table that a worker writes, declared once, for any number of rows.

A column's type never follows from its values: an array of no strings has none. So every writer makes its tables by `table`, and `write`
refuses others. Types are those of the store's columns; `run_id` and `embedding_id` are added when a table is imported.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import ContractError

TEXT, FLAG, DAY, REAL, WHOLE, SMALL, ID = pa.string(), pa.bool_(), pa.date32(), pa.float64(), pa.int64(), pa.int16(), pa.int32()
CELLS = {"bins": pa.list_(pa.uint16()), "counts": pa.list_(pa.uint32())}
LAYOUT = {"grid_id": WHOLE, "n_products": SMALL}
PLACE = dict.fromkeys("xyuvw", pa.float32())
N_NEAR = 32
"""Directions kept of every banner's features, for distances between banners."""
VERDICT = {
    "banner_id": TEXT,
    **LAYOUT,
    "domain": TEXT,
    "n_clicks": WHOLE,
    "reference_id": ID,
    **dict.fromkeys(("combined", "p_value", "p_broken"), REAL),
    "flagged": FLAG,
    **dict.fromkeys(("n_agree", "n_detectors", "n_left_out", "cleared_by"), SMALL),
}
"""What is said of every banner, whether a tier cleared it or not."""
DIAGNOSED = {
    "fault": TEXT,
    "fault_size": REAL,
    "fault_detail": TEXT,
    "log_odds": REAL,
    "runner_up": TEXT,
    "margin": REAL,
    "sentence": TEXT,
    "since": DAY,
    "segment": TEXT,
}

SCHEMAS: dict[str, pa.Schema] = {
    name: pa.schema(list(columns.items()))
    for name, columns in {
        "result": {**VERDICT, "position": ID, **DIAGNOSED},
        "cleared": VERDICT,
        "score": {"banner_id": TEXT, "detector": TEXT, "score": REAL, "normalised": REAL, "p_value": REAL},
        "heatmap": {"banner_id": TEXT, "position": ID, **CELLS},
        "evidence": {"banner_id": TEXT, "day": DAY, "n_clicks": WHOLE, "log_odds": REAL},
        "run_day": {"grid_id": WHOLE, "day": DAY, "n_banners": WHOLE, "n_broken": WHOLE, "n_new": WHOLE},
        "reference": {
            "reference_id": ID,
            **LAYOUT,
            "domain": TEXT,
            "n_banners": WHOLE,
            "n_clicks": WHOLE,
            "p": pa.list_(pa.float32()),
        },
        "run_detector": {
            **dict.fromkeys(("detector", "family", "reads"), TEXT),
            **dict.fromkeys(("fit_s", "score_s"), REAL),
            "n_scored": WHOLE,
            "weights": TEXT,
        },
        "grid_change": {
            "grid_id": WHOLE,
            "since": DAY,
            "is_within": FLAG,
            "moved": REAL,
            "n_before": REAL,
            "n_after": REAL,
            **dict.fromkeys(("fault", "sentence"), TEXT),
        },
        "stranger": {"banner_id": TEXT, "grid_id": WHOLE, "score": REAL, "nearest_grid_id": WHOLE, "fits_none": FLAG, "held_back": FLAG},
        "tier": {
            "tier": SMALL,
            "name": TEXT,
            "n_in": WHOLE,
            "n_cleared": WHOLE,
            "seconds": REAL,
            "cut": REAL,
            "n_found": WHOLE,
            "n_lost": WHOLE,
        },
        "kept": {"banner_id": TEXT, "n_products": SMALL, "domain": TEXT, "day": DAY, "segment": TEXT, **CELLS},
        "day": {"day": DAY, "n_banners": WHOLE},
        "since": {"banner_id": TEXT, "since": DAY},
        "point": {"point": ID, "banner_id": TEXT, **PLACE, "cluster": SMALL, "near": pa.list_(pa.float32(), N_NEAR)},
        "anchor": {**LAYOUT, **PLACE},
    }.items()
}
"""The tables of a run, those it keeps for itself (`kept`, `day`), newly flagged banners' `since`, and the tables of a map."""


def table(name: str, columns: Mapping[str, Any]) -> pa.Table:
    """A table of SCHEMAS from its columns, in any order: arrays or lists, which may be empty.

    Raises ContractError for columns other than the declared ones, and for values that do not fit a column's type.
    """
    schema = SCHEMAS[name]
    if set(columns) != set(schema.names):
        wrong = ", ".join(sorted(set(columns) ^ set(schema.names)))
        raise ContractError(f"Table {name} has the columns {', '.join(schema.names)}. Missing or not among them: {wrong}.")
    try:
        return pa.table([_column(columns[field.name], field.type) for field in schema], schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ContractError(f"Table {name} holds {', '.join(map(str, schema))}. A value does not fit: {error}") from error


def table_of_rows(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    """The same from rows, of which there may be none."""
    return table(name, {column: [row[column] for row in rows] for column in SCHEMAS[name].names})


def write(rows: pa.Table, name: str, path: Path) -> Path:
    """Writes a table of SCHEMAS as a Parquet file, and makes its folder. Raises ContractError for rows of another schema."""
    if not rows.schema.equals(SCHEMAS[name]):
        raise ContractError(
            f"Table {name} is written with the types that core/scoring/tables.py declares. Make it by tables.table: {rows.schema}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path)
    return path


def _column(values: Any, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    return values.cast(kind) if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, kind)
