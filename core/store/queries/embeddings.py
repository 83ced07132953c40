"""Maps of banners: what goes into one, and what pages read of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.store.queries.heatmaps import window_of
from core.store.queries.runs import Row, scored_by, shown_of
from core.store.store import Store

HEATMAP = "heatmap"
"""The feature that needs no network: the smoothed heatmap itself."""

COLUMNS = """embedding_id::VARCHAR AS embedding_id, run_id::VARCHAR AS run_id, feature, method, weights, n_points, n_banners, n_fitted,
    n_clusters, shares, near_share, certificate::VARCHAR AS certificate, aligned_to::VARCHAR AS aligned_to, seconds, finished_at"""


@dataclass(frozen=True)
class Points:
    """n banners on a map, rows aligned: places flat (n, 2) and deep (n, 3), near (n, 32) for distances, cluster, what the run says."""

    banner_id: NDArray[Any]
    flat: NDArray[np.float32]
    deep: NDArray[np.float32]
    near: NDArray[np.float32]
    cluster: NDArray[np.int64]
    grid_id: NDArray[np.int64]
    n_products: NDArray[np.int64]
    n_clicks: NDArray[np.int64]
    position: NDArray[np.int64]
    combined: NDArray[np.float64]
    p_broken: NDArray[np.float64]
    flagged: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.banner_id)

    def row_of(self, banner_id: str) -> int | None:
        """Its row; None where it is not on the map."""
        found = np.flatnonzero(self.banner_id == banner_id)
        return int(found[0]) if len(found) else None

    def facts(self, row: int, states: dict[str, str]) -> Row:
        """What is known of one banner, as plain values."""
        name = str(self.banner_id[row])
        known = {
            "banner_id": name,
            "state": states.get(name, "open"),
            "grid_id": int(self.grid_id[row]),
            "flagged": bool(self.flagged[row]),
            "position": int(self.position[row]),
        }
        return known | {"p_broken": float(self.p_broken[row])}

    def nearest(self, row: int, states: dict[str, str], *, state: str | None = None, limit: int = 8) -> list[Row]:
        """Facts of the banners whose features are most like one's, nearest first, with their `distance`: Euclidean between unit features
        over their strongest directions, 0..2. `state`: only those that were `confirmed` or `dismissed`."""
        distance = np.sqrt(np.square(self.near - self.near[row]).sum(axis=1, dtype=np.float64))
        distance[row] = np.inf
        if state is not None:
            distance[[states.get(str(name)) != state for name in self.banner_id]] = np.inf
        order = np.argsort(distance, kind="stable")[:limit]
        return [self.facts(int(k), states) | {"distance": float(distance[k])} for k in order if np.isfinite(distance[k])]


def listed(store: Store, run_id: str) -> list[Row]:
    """Maps of a run, newest first, one a feature and method."""
    sql = f"""SELECT {COLUMNS} FROM embedding WHERE run_id = ?
        QUALIFY row_number() OVER (PARTITION BY feature, method ORDER BY finished_at DESC, embedding_id DESC) = 1
        ORDER BY finished_at DESC, embedding_id DESC"""
    return store.rows(sql, [scored_by(store, run_id)])


def about(store: Store, embedding_id: str) -> Row:
    """What is known of one map."""
    return store.rows(f"SELECT {COLUMNS} FROM embedding WHERE embedding_id = ?", [embedding_id])[0]


def latest_of_any_run(store: Store, feature: str, method: str) -> str | None:
    """The newest map of a feature and method, of whichever run."""
    sql = "SELECT embedding_id::VARCHAR AS id FROM embedding WHERE feature = ? AND method = ? ORDER BY finished_at DESC, id DESC LIMIT 1"
    found = store.rows(sql, [feature, method])
    return found[0]["id"] if found else None


def write_points(store: Store, run: Row, n: int, file: Path) -> None:
    """Up to n banners of a run with their heatmaps as Parquet: flagged first, then decided ones, then a seeded sample of every grid.

    The sample takes the same share of every grid, by a hash of the banner's id: the next run draws the same banners.
    """
    window, values = window_of(store, run)
    target = str(file).replace("'", "''")
    sql = f"""COPY (WITH chosen AS (
              SELECT r.banner_id, r.grid_id, r.n_products, r.flagged, coalesce(t.state, 'open') AS state,
                CASE WHEN r.flagged THEN 0 WHEN t.state IN ('confirmed', 'dismissed') THEN 1 ELSE 2 END AS turn,
                CASE WHEN r.flagged THEN r.position ELSE row_number() OVER (PARTITION BY r.grid_id, turn ORDER BY hash(r.banner_id))
                  / count(*) OVER (PARTITION BY r.grid_id, turn) END AS place
              FROM result r LEFT JOIN triage_current t USING (banner_id) WHERE r.run_id = ? ORDER BY turn, place, banner_id LIMIT ?),
            cells AS (SELECT banner_id, unnest(bins) AS bin, unnest(counts) AS n FROM heatmap_day SEMI JOIN chosen USING (banner_id)
              WHERE TRUE {window}),
            summed AS (SELECT banner_id, bin, sum(n)::UINTEGER AS n FROM cells GROUP BY ALL),
            heatmaps AS (SELECT banner_id, list(bin ORDER BY bin) AS bins, list(n ORDER BY bin) AS counts FROM summed GROUP BY banner_id)
            SELECT banner_id, grid_id, n_products, NOT flagged AND state <> 'confirmed' AS usable, bins, counts
            FROM chosen JOIN heatmaps USING (banner_id) ORDER BY turn, place, banner_id) TO '{target}' (FORMAT parquet)"""
    store.rows(sql, [shown_of(store, run["run_id"]), n, *values])


def write_places(store: Store, embedding_id: str, file: Path) -> None:
    """The places of a map as Parquet."""
    target = str(file).replace("'", "''")
    sql = (
        f"COPY (SELECT banner_id, x, y, u, v, w FROM embedding_point WHERE embedding_id = ? ORDER BY point) TO '{target}' (FORMAT parquet)"
    )
    store.rows(sql, [embedding_id])


def points(store: Store, embedding_id: str, run_id: str) -> Points:
    """Every banner of a map, in the map's order."""
    with store.cursor() as cursor:
        table = cursor.execute(
            """SELECT p.banner_id, x, y, u, v, w, near, cluster, grid_id, n_products, n_clicks, position, combined, p_broken, flagged
               FROM (FROM embedding_point WHERE embedding_id = ?) p JOIN (FROM result WHERE run_id = ?) r USING (banner_id)
               ORDER BY point""",
            [embedding_id, run_id],
        ).to_arrow_table()
    near = table["near"].combine_chunks().flatten().to_numpy()
    column = {name: table[name].to_numpy() for name in table.column_names if name != "near"}
    return Points(
        banner_id=column["banner_id"],
        flat=np.stack([column[k] for k in "xy"], axis=1),
        deep=np.stack([column[k] for k in "uvw"], axis=1),
        near=near.reshape(len(table), -1),
        cluster=column["cluster"].astype(np.int64),
        grid_id=column["grid_id"].astype(np.int64),
        n_products=column["n_products"].astype(np.int64),
        n_clicks=column["n_clicks"].astype(np.int64),
        position=column["position"].astype(np.int64),
        combined=column["combined"],
        p_broken=column["p_broken"],
        flagged=column["flagged"],
    )


def anchors(store: Store, embedding_id: str) -> list[Row]:
    """Anchors of a map: grid_id, n_products and places."""
    sql = "SELECT grid_id, n_products, x, y, u, v, w FROM embedding_anchor WHERE embedding_id = ? ORDER BY grid_id, n_products"
    return store.rows(sql, [embedding_id])


def decided(store: Store) -> dict[str, str]:
    """State by banner_id of everything that was decided and holds."""
    return {row["banner_id"]: row["state"] for row in store.rows("SELECT banner_id, state FROM triage_current WHERE state <> 'open'")}


def chosen(store: Store, run_id: str, banner_ids: list[str], positions: list[int] | None = None) -> list[Row]:
    """What the run and the analysts say of these banners, strongest first. `positions` of them, where known, find them at once."""
    named = "banner_id", "VARCHAR", banner_ids
    column, kind, values = named if positions is None else ("position", "INTEGER", positions)
    return store.rows(
        f"""SELECT r.banner_id, r.grid_id, r.n_products, r.domain, r.n_clicks, r.p_value, r.p_broken, r.flagged, r.position,
                  r.fault, r.sentence, coalesce(t.state, 'open') AS state, t.event_id::VARCHAR AS event_id
           FROM result r LEFT JOIN triage_current t USING (banner_id)
           WHERE r.run_id = ? AND r.{column} IN (SELECT unnest(?::{kind}[])) AND r.position BETWEEN ? AND ? ORDER BY r.position""",
        [run_id, values, *((min(positions), max(positions)) if positions else (0, 2**31 - 1))],
    )
