"""The job folder of one run: what goes to the worker, the worker's process, and what comes back.

    request.json                     a RunTask
    heatmaps/grid_id=<id>/*.parquet  banner_id, n_products, domain, day, bins, counts, and segment where the store has
                                     any; one or more rows a banner and day;
                                     in a cascade heatmaps/grid_id=<id>/part=<k>/*.parquet, all rows of a banner in one part
    known/references.parquet         grid_id, p (1600): references of the grids that earlier finished runs knew; absent in a first run
    worker.log                       what the worker wrote on stderr
    out/<table>/*.parquet            rows for the tables in import_results.TABLES, without run_id; a cascade has tier and cleared, for
                                     result, too
    out/summary.json                 totals of the run

The child never opens the store.
"""

import shutil
from dataclasses import fields
from datetime import datetime
from pathlib import Path

import duckdb

from core import settings
from core.features.networks.weight_files import weights_folder
from core.runs.request import BEFORE, WINDOW, Request
from core.scoring.task import Chosen, RunTask
from core.store import Store
from core.store.queries import segments, selections

PER_PART = 200_000
"""Banners of a part of a grid in a cascade, about."""


def write_job(store: Store, folder: Path, request: Request, before: datetime) -> RunTask:
    """Writes the heatmaps of all ingests that had finished `before`; returns what the child shall do with them.

    DuckDB streams the rows: memory stays under its limit however many there are.
    """
    from core.features.cache import folder_of  # here: whoever only shows scores does without it

    target = str(folder / "heatmaps").replace("'", "''")
    found = segments.names(store)
    columns, by = "b.grid_id, h.banner_id, b.n_products, b.domain, h.day, h.bins, h.counts", "grid_id"
    columns += ", h.segment" if found else ""
    source = f"SELECT {columns} {WINDOW} {BEFORE}"
    if request.cascade:  # a worker holds a part at a time, however many banners a grid has
        parts = f"SELECT grid_id, ceil(count(*) / {PER_PART})::BIGINT AS n_parts FROM banner GROUP BY grid_id"
        source, by = f"SELECT s.*, hash(banner_id) % n_parts AS part FROM ({source}) s JOIN ({parts}) USING (grid_id)", "grid_id, part"
    with store.cursor() as cursor:
        cursor.execute(f"COPY ({source}) TO '{target}' (FORMAT parquet, PARTITION_BY ({by}))", {**request.window, "before": before})
        cursor.fetchall()
        _write_known(cursor, folder)
    shared = {field.name: getattr(request, field.name) for field in fields(RunTask) if hasattr(request, field.name)}
    features, weights = str(folder_of(store.path.resolve())), str(_weights(store, folder, request))
    return RunTask(**shared, features=features, weights=weights, chosen=chosen(store), segments=tuple(found))


def _weights(store: Store, folder: Path, request: Request) -> Path:
    """The folder of the store's own networks: a copy in the job where the work goes to machines that do not see the store."""
    own = weights_folder(store.path.resolve())
    if request.engine == "local" or not own.exists():
        return own
    return Path(shutil.copytree(own, folder / "weights", ignore=shutil.ignore_patterns("*.checkpoint")))


def chosen(store: Store) -> Chosen | None:
    """The model that was chosen for runs: its detector, fields and name; None where there is none."""
    choice = selections.in_use(store)
    return None if choice is None else Chosen(choice.detector, choice.fields, choice.candidate)


KNOWN = """FROM reference r JOIN (SELECT run_id, finished_at, min(finished_at) OVER () AS first_at FROM run_info) i USING (run_id)
    WHERE r.domain IS NULL
    QUALIFY max(r.n_banners) OVER (PARTITION BY r.run_id, r.grid_id) >= $enough OR i.finished_at = i.first_at"""
"""A grid is known from the store's first finished run, or from a later one in which it had enough banners for a reference of its own."""


def _write_known(cursor: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Writes the newest references of every known grid; nothing where no run has finished yet, since no grid is new then."""
    if not cursor.execute(f"SELECT count(*) FROM (SELECT 1 {KNOWN})", {"enough": settings.MIN_BANNERS}).fetchall()[0][0]:
        return
    (folder / "known").mkdir()
    target = str(folder / "known" / "references.parquet").replace("'", "''")
    cursor.execute(
        f"""COPY (SELECT grid_id, p FROM (SELECT r.grid_id, r.p, r.reference_id, i.finished_at {KNOWN})
            QUALIFY finished_at = max(finished_at) OVER (PARTITION BY grid_id) ORDER BY grid_id, reference_id)
            TO '{target}' (FORMAT parquet)""",
        {"enough": settings.MIN_BANNERS},
    )
    cursor.fetchall()
