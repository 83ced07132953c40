"""Cosine distances of a run: what the deep detectors say, where they were asked. A banner without a row was left out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.queries.heatmaps import window_of
from core.queries.runs import Row, scored_by
from core.store import Store

PREFIX = "cosine_"


@dataclass(frozen=True)
class Distances:
    """n banners of a grid with their distances to the anchors of their layouts by one detector, NaN where left out."""

    banner_id: NDArray[Any]
    flagged: NDArray[np.bool_]
    distance: NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """The n banners of a run, of all grids, that one detector was asked about: their distances, and how likely each is broken."""

    grid_id: NDArray[np.int64]
    p_broken: NDArray[np.float64]
    distance: NDArray[np.float64]


def detectors(store: Store, run_id: str) -> list[str]:
    """Cosine detectors of a run by name."""
    sql = "SELECT DISTINCT detector FROM run_detector WHERE run_id = ? AND starts_with(detector, ?) ORDER BY detector"
    return [row["detector"] for row in store.rows(sql, [scored_by(store, run_id), PREFIX])]


def distances(store: Store, run_id: str, detector: str, grid_id: int) -> Distances:
    """All banners of a grid, strongest first."""
    with store.cursor() as cursor:
        found = cursor.execute(
            """SELECT r.banner_id, r.flagged, s.score AS distance FROM (FROM result WHERE run_id = ? AND grid_id = ?) r
               LEFT JOIN (SELECT banner_id, score FROM score WHERE run_id = ? AND detector = ?) s USING (banner_id) ORDER BY r.position""",
            [run_id, grid_id, scored_by(store, run_id), detector],
        ).fetchnumpy()
    distance = np.ma.filled(np.ma.asarray(found["distance"], dtype=np.float64), np.nan)
    return Distances(np.asarray(found["banner_id"]), np.asarray(found["flagged"]), distance)


def asked(store: Store, run_id: str, detector: str) -> Asked:
    """Whoever the detector was asked about; without names, which would not fit into memory for a run of many million banners."""
    with store.cursor() as cursor:
        found = cursor.execute(
            """SELECT r.grid_id, r.p_broken, s.score FROM (SELECT banner_id, grid_id, p_broken FROM result WHERE run_id = ?) r
               JOIN (SELECT banner_id, score FROM score WHERE run_id = ? AND detector = ? AND isfinite(score)) s USING (banner_id)""",
            [run_id, scored_by(store, run_id), detector],
        ).fetchnumpy()
    return Asked(*(np.asarray(found[name]) for name in ("grid_id", "p_broken", "score")))


def of_banner(store: Store, run_id: str, banner_id: str) -> dict[str, float]:
    """Distance by detector of one banner, of those detectors that scored it."""
    sql = "SELECT detector, score FROM score WHERE run_id = ? AND banner_id = ? AND starts_with(detector, ?) ORDER BY detector"
    return {row["detector"]: row["score"] for row in store.rows(sql, [scored_by(store, run_id), banner_id, PREFIX])}


def known_ok(store: Store, run_id: str, grid_id: int) -> list[str]:
    """Banners of a grid that an analyst dismissed: known to be in order."""
    rows = store.rows(
        """SELECT banner_id FROM triage_current SEMI JOIN (SELECT banner_id FROM result WHERE run_id = ? AND grid_id = ?) USING (banner_id)
           WHERE state = 'dismissed' ORDER BY banner_id""",
        [run_id, grid_id],
    )
    return [row["banner_id"] for row in rows]


def heatmaps(store: Store, run: Row, banner_ids: list[str]) -> pa.Table:
    """banner_id, bins, counts of banners as the run saw them, one row a banner with clicks."""
    window, values = window_of(store, run)
    sql = f"""WITH cells AS (SELECT banner_id, unnest(bins) AS bin, unnest(counts) AS n FROM heatmap_day
              WHERE banner_id IN (SELECT unnest(?::VARCHAR[])) {window}),
            summed AS (SELECT banner_id, bin, sum(n)::UINTEGER AS n FROM cells GROUP BY ALL)
        SELECT banner_id, list(bin ORDER BY bin) AS bins, list(n ORDER BY bin) AS counts
        FROM summed GROUP BY banner_id ORDER BY banner_id"""
    with store.cursor() as cursor:
        return cursor.execute(sql, [banner_ids, *values]).to_arrow_table()
