"""The tables that a run's worker wrote, taken into the store."""

from pathlib import Path

import duckdb

from core.errors import RunError

TABLES = ("result", "score", "heatmap", "evidence", "reference", "run_detector", "run_day", "stranger", "grid_change")
ORDER = {
    "result": "position",
    "score": "banner_id, detector",
    "heatmap": "position",
    "evidence": "banner_id, day",
    "reference": "reference_id",
    "stranger": "banner_id",
    "grid_change": "grid_id",
}


def import_tables(cursor: duckdb.DuckDBPyConnection, folder: Path, run_id: str, n_banners: int) -> None:
    """Inserts the worker's tables inside the caller's transaction. Raises RunError where they are not whole."""
    for table in TABLES:
        if not any((folder / "out" / table).glob("*.parquet")):
            raise RunError(f"A worker writes all of {', '.join(TABLES)}: {table} is missing. Nothing of the run is kept.")
        source = str(folder / "out" / table / "*.parquet").replace("'", "''")
        order = f"ORDER BY {ORDER[table]}" if table in ORDER else ""
        rows = f"SELECT $run_id::UUID AS run_id, * FROM read_parquet('{source}') {order}"
        cursor.execute(f"INSERT INTO {table} BY NAME {rows}", {"run_id": run_id})
    _import_cascade(cursor, folder / "out", run_id)
    n_results = cursor.execute("SELECT count(*) FROM result WHERE run_id = ?", [run_id]).fetchall()[0][0]
    if n_results != n_banners:
        raise RunError(f"A run has one result a banner: the worker names {n_banners} banners and wrote {n_results}.")


def _import_cascade(cursor: duckdb.DuckDBPyConnection, out: Path, run_id: str) -> None:
    """What a tiered run also leaves: its tiers, and the cleared banners, whose positions are behind all others."""
    if not (out / "tier").exists():
        return
    tiers, cleared = (str(out / table / "*.parquet").replace("'", "''") for table in ("tier", "cleared"))
    cursor.execute(f"INSERT INTO tier BY NAME SELECT $run_id::UUID AS run_id, * FROM read_parquet('{tiers}')", {"run_id": run_id})
    before = cursor.execute("SELECT count(*) FROM result WHERE run_id = ?", [run_id]).fetchall()[0][0]
    cursor.execute(
        f"""INSERT INTO result BY NAME SELECT $run_id::UUID AS run_id, *, $before + row_number() OVER () AS position
            FROM read_parquet('{cleared}')""",
        {"run_id": run_id, "before": before},
    )
