"""Choices among self-supervised detectors: what pages read of them, and which model runs take."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from core.store.queries.detectors import Labelled
from core.store.queries.heatmaps import window_of
from core.store.queries.runs import Row, scored_by
from core.store.store import Store

MOST = 1_500
"""Banners that are learned from, and that are judged."""


@dataclass(frozen=True)
class Selection:
    """A finished one: its row of `model_selection`, and its report: candidates, selectors, ensemble."""

    about: Row
    candidates: list[Row]
    selectors: list[Row]
    ensemble: list[float | None] | None

    @property
    def n_families(self) -> int:
        """Fault families of which enough banners are labelled."""
        return len(self.candidates[0]["by_family"]) if self.candidates else 0


@dataclass(frozen=True)
class Choice:
    """A model that runs take: the catalogue's `detector` with `fields`, named `candidate` where it was trained."""

    candidate: str
    detector: str
    fields: dict[str, Any]
    chosen_by: str
    happened_at: datetime


def latest(store: Store, run_id: str) -> Selection | None:
    """The newest of a run, as scored or as shown; None where there is none."""
    found = store.rows(
        """SELECT * REPLACE (selection_id::VARCHAR AS selection_id, run_id::VARCHAR AS run_id, report::VARCHAR AS report)
           FROM model_selection WHERE run_id = ? ORDER BY finished_at DESC, selection_id DESC LIMIT 1""",
        [scored_by(store, run_id)],
    )
    if not found:
        return None
    report = json.loads(found[0].pop("report"))
    return Selection(found[0], report["candidates"], report["selectors"], report["ensemble"])


def in_use(store: Store) -> Choice | None:
    """The model that runs take now; None where they take none."""
    found = store.rows(
        "SELECT candidate, detector, fields::VARCHAR AS fields, chosen_by, happened_at FROM model_choice "
        "ORDER BY happened_at DESC, choice_id DESC LIMIT 1"
    )
    if not found or found[0]["detector"] is None:
        return None
    row = found[0]
    return Choice(row["candidate"], row["detector"], json.loads(row["fields"]), row["chosen_by"], row["happened_at"])


def write_banners(store: Store, run: Row, found: Labelled, most: int, file: Path) -> None:
    """Banners of a run with their heatmaps, as Parquet: part, grid_id, n_products, broken and family (None: not labelled), bins, counts.

    Parts `train` and `test` are up to `most` banners of two halves of all, split by a hash of the id; `known` are all labelled banners
    that are not in `train`, which prefers those without a label. So nothing is measured on a banner that was learned from, and `test` is
    an honest draw, whatever was labelled.
    """
    window, values = window_of(store, run)
    target = str(file).replace("'", "''")
    labels = {"banner_id": pa.array(found.banner_id, pa.string()), "broken": found.broken, "family": pa.array(found.fault, pa.string())}
    sql = f"""COPY (WITH base AS (
              SELECT r.banner_id, r.grid_id, r.n_products, l.broken, l.family, hash(r.banner_id) AS place
              FROM result r LEFT JOIN selection_label l USING (banner_id) WHERE r.run_id = ?),
            train AS (FROM base WHERE place % 2 = 0 ORDER BY broken IS NOT NULL, place, banner_id LIMIT ?),
            test AS (FROM base WHERE place % 2 = 1 ORDER BY place, banner_id LIMIT ?),
            chosen AS (SELECT 'train' AS part, * FROM train UNION ALL SELECT 'test', * FROM test
              UNION ALL SELECT 'known', * FROM base ANTI JOIN train USING (banner_id) WHERE broken IS NOT NULL),
            cells AS (SELECT banner_id, unnest(bins) AS bin, unnest(counts) AS n FROM heatmap_day SEMI JOIN chosen USING (banner_id)
              WHERE TRUE {window}),
            summed AS (SELECT banner_id, bin, sum(n)::UINTEGER AS n FROM cells GROUP BY ALL),
            heatmaps AS (SELECT banner_id, list(bin ORDER BY bin) AS bins, list(n ORDER BY bin) AS counts FROM summed GROUP BY banner_id)
            SELECT part, grid_id, n_products, broken, family, bins, counts FROM chosen JOIN heatmaps USING (banner_id)
            ORDER BY part, place, banner_id) TO '{target}' (FORMAT parquet)"""
    with store.cursor() as cursor:
        cursor.register("selection_label", pa.table(labels))
        try:
            cursor.execute(sql, [run["run_id"], most, most, *values]).fetchall()
        finally:
            cursor.unregister("selection_label")
