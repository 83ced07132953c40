"""Cosine distances of a run: what the deep detectors say, where they were asked. A banner without a row was left out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.features.names import PREFIX
from core.store.queries.heatmaps import window_of
from core.store.queries.runs import Row, scored_by
from core.store.store import Store


@dataclass(frozen=True)
class Asked:
    """The n banners of a run, of all grids, that one detector was asked about, strongest first: their distances to their anchors."""

    banner_id: pa.ChunkedArray
    """(n,) strings, kept as Arrow has them: a run of many million banners may have asked about many."""
    grid_id: NDArray[np.int64]
    position: NDArray[np.int32]
    flagged: NDArray[np.bool_]
    p_broken: NDArray[np.float64]
    distance: NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """The n banners of a grid that at least one of two detectors was asked about, strongest first; distance (2, n), NaN where not."""

    banner_id: NDArray[Any]
    flagged: NDArray[np.bool_]
    distance: NDArray[np.float64]


def detectors(store: Store, run_id: str) -> list[str]:
    """Cosine detectors of a run by name."""
    sql = "SELECT DISTINCT detector FROM run_detector WHERE run_id = ? AND starts_with(detector, ?) ORDER BY detector"
    return [row["detector"] for row in store.rows(sql, [scored_by(store, run_id), PREFIX])]


def asked(store: Store, run_id: str, detector: str) -> Asked:
    """The banners that the detector scored."""
    with store.cursor() as cursor:
        found = cursor.execute(
            """SELECT banner_id, r.grid_id, r.position, r.flagged, r.p_broken, s.score AS distance
               FROM (SELECT banner_id, grid_id, position, flagged, p_broken FROM result WHERE run_id = ?) r
               JOIN (SELECT banner_id, score FROM score WHERE run_id = ? AND detector = ? AND isfinite(score)) s USING (banner_id)
               ORDER BY r.position""",
            [run_id, scored_by(store, run_id), detector],
        ).to_arrow_table()
    return Asked(found["banner_id"], *(found[name].to_numpy() for name in found.column_names[1:]))


def pair(first: Asked, second: Asked, grid_id: int) -> Pair:
    """What two detectors of a run say of the banners of a grid."""
    both = [(asked, np.flatnonzero(asked.grid_id == grid_id)) for asked in (first, second)]
    position = np.union1d(*(asked.position[rows] for asked, rows in both))
    banner_id, flagged = np.empty(len(position), dtype=object), np.zeros(len(position), dtype=bool)
    distance = np.full((2, len(position)), np.nan)
    for k, (asked, rows) in enumerate(both):
        at = np.searchsorted(position, asked.position[rows])
        banner_id[at] = asked.banner_id.take(pa.array(rows)).to_numpy()
        flagged[at] = asked.flagged[rows]
        distance[k, at] = asked.distance[rows]
    return Pair(banner_id, flagged, distance)


def known_ok(store: Store, run_id: str, grid_id: int) -> list[str]:
    """Banners of a grid that an analyst dismissed: known to be ok."""
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
