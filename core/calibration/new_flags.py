"""Since when the banners are broken that a version flags and the run did not: their daily evidence, beside what the run found.

Reads the clicks of those few banners from the store; what was computed for a banner once is copied.
"""

import json
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from core.banners.diagnosis import Diagnosis
from core.banners.heatmaps import counts_of_lists
from core.banners.onset import Days, daily_log_odds, onset
from core.banners.reference import Reference
from core.scoring.tables import table_of_rows

WINDOW = """h.day BETWEEN i.first_day AND i.last_day
    AND NOT EXISTS (FROM ingest g WHERE g.ingest_id = h.ingest_id AND g.finished_at > i.started_at)"""
"""What a run saw of the clicks: its days, and nothing that came in after it began."""


def add_evidence(cursor: duckdb.DuckDBPyConnection, run_id: str, result_id: str) -> None:
    """Writes evidence, heatmap and run_day of the flagged of `fresh` under result_id, and temp table fresh_since (banner_id, since)."""
    cursor.execute(
        """CREATE OR REPLACE TEMP TABLE fresh_since AS
           SELECT banner_id, since FROM result SEMI JOIN (FROM fresh WHERE flagged) USING (banner_id) WHERE run_id = ? AND flagged""",
        [run_id],
    )
    for table in ("evidence", "heatmap"):
        columns = "h.banner_id, f.position, h.bins, h.counts" if table == "heatmap" else "h.banner_id, h.day, h.n_clicks, h.log_odds"
        cursor.execute(
            f"""INSERT INTO {table} SELECT ?::UUID, {columns} FROM {table} h JOIN fresh f USING (banner_id)
                WHERE h.run_id = ? AND f.flagged ORDER BY {"f.position" if table == "heatmap" else "banner_id, day"}""",
            [result_id, run_id],
        )
    _add_new(cursor, run_id, result_id)
    cursor.execute(
        """INSERT INTO run_day SELECT ?::UUID, d.grid_id, d.day, d.n_banners, coalesce(n.n_broken, 0), coalesce(s.n_new, 0)
           FROM (FROM run_day WHERE run_id = ?) d
           LEFT JOIN (SELECT b.grid_id, e.day, count(*) AS n_broken FROM (FROM evidence WHERE run_id = ?) e
                      JOIN fresh_since s USING (banner_id) JOIN banner b USING (banner_id) WHERE s.since <= e.day GROUP BY ALL) n
             ON n.grid_id = d.grid_id AND n.day = d.day
           LEFT JOIN (SELECT b.grid_id, s.since AS day, count(*) AS n_new FROM fresh_since s JOIN banner b USING (banner_id)
                      GROUP BY ALL) s
             ON s.grid_id = d.grid_id AND s.day = d.day""",
        [result_id, run_id, result_id],
    )


def _add_new(cursor: duckdb.DuckDBPyConnection, run_id: str, result_id: str) -> None:
    """The same for banners that the run did not flag, from their clicks."""
    rows = cursor.execute(
        """SELECT banner_id, reference_id, fault, fault_size, fault_detail::VARCHAR AS detail, f.position
           FROM result r JOIN fresh f USING (banner_id) WHERE r.run_id = ? AND f.flagged AND NOT r.flagged ORDER BY banner_id""",
        [run_id],
    ).fetchall()
    if not rows:
        return
    days, reference = _days(cursor, run_id), _reference(cursor, run_id)
    evidence: list[dict[str, Any]] = []
    heatmaps: list[dict[str, Any]] = []
    since: list[dict[str, Any]] = []
    for k, (banner_id, reference_id, fault, size, detail, position) in enumerate(rows):
        at, counts = days.of(k)
        if not len(at):
            continue  # its bins were pruned: flagged by its scores, without daily evidence
        diagnosis = Diagnosis(fault, size, json.loads(detail) if detail else None, 0.0, "", 0.0, "")
        odds = daily_log_odds(counts, reference.p[reference_id], diagnosis, reference)
        n_clicks = np.asarray(counts.sum(axis=1)).ravel().astype(int)
        day_rows = zip(at.tolist(), n_clicks.tolist(), odds.tolist(), strict=True)
        evidence += [{"banner_id": banner_id, "day": day, "n_clicks": n, "log_odds": x} for day, n, x in day_rows]
        whole = csr_matrix(counts.sum(axis=0))
        heatmaps.append(
            {"banner_id": banner_id, "position": position, "bins": whole.indices.tolist(), "counts": whole.data.astype(int).tolist()}
        )
        since.append({"banner_id": banner_id, "since": _date(at[onset(odds)])})
    for table, found in (("evidence", evidence), ("heatmap", heatmaps)):
        rows_sql = f"INSERT INTO {table} BY NAME SELECT ?::UUID AS run_id, * FROM found"
        _insert(cursor, rows_sql, table_of_rows(table, found), [result_id])
    _insert(cursor, "INSERT INTO fresh_since BY NAME FROM found", table_of_rows("since", since), [])


def _insert(cursor: duckdb.DuckDBPyConnection, sql: str, found: pa.Table, parameters: list[Any]) -> None:
    cursor.register("found", found)
    cursor.execute(sql, parameters)
    cursor.unregister("found")


def _days(cursor: duckdb.DuckDBPyConnection, run_id: str) -> Days:
    """Clicks by day of the newly flagged banners, coded 0, 1, … by their sorted ids."""
    found = cursor.execute(
        f"""SELECT n.code, h.day, h.bins, h.counts FROM heatmap_day h, (FROM run_info WHERE run_id = $run_id) i,
              (SELECT banner_id, row_number() OVER (ORDER BY banner_id) - 1 AS code FROM result r JOIN fresh f USING (banner_id)
               WHERE r.run_id = $run_id AND f.flagged AND NOT r.flagged) n
            WHERE n.banner_id = h.banner_id AND {WINDOW} ORDER BY n.code, h.day""",
        {"run_id": run_id},
    ).to_arrow_table()
    counts = counts_of_lists(found["bins"], found["counts"])
    return Days(found["code"].to_numpy().astype(np.int64), found["day"].to_numpy().astype("datetime64[D]"), counts)


def _reference(cursor: duckdb.DuckDBPyConnection, run_id: str) -> Reference:
    """The run's expected distributions; a row is its id."""
    p = cursor.execute("SELECT p FROM reference WHERE run_id = ? ORDER BY reference_id", [run_id]).to_arrow_table()["p"].combine_chunks()
    return Reference([], p.values.to_numpy(zero_copy_only=False).astype(np.float64).reshape(len(p), -1))


def _date(day: Any) -> date:
    value: date = day.item()
    return value
