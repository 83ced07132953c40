"""The banners that a network learns from to draw one of them."""

from pathlib import Path

from core.store import Store
from core.store.queries.heatmaps import window_of
from core.store.queries.runs import Row, shown_of


def write_grid(store: Store, run: Row, banner_id: str, n: int, file: Path) -> int:
    """A banner and up to n others of its grid in a run, with their heatmaps, as Parquet: banner_id, n_products, bins, counts; returns
    how many. The banner is the first row; the sample is by a hash of the id, the same every time. Nothing where the run lacks the banner.
    """
    window, values = window_of(store, run)
    shown = shown_of(store, run["run_id"])
    target = str(file).replace("'", "''")
    sql = f"""COPY (WITH chosen AS (
              SELECT banner_id, n_products, banner_id <> ? AS is_other FROM result
              WHERE run_id = ? AND grid_id = (SELECT grid_id FROM result WHERE run_id = ? AND banner_id = ?)
              ORDER BY is_other, hash(banner_id), banner_id LIMIT ?),
            cells AS (SELECT banner_id, unnest(bins) AS bin, unnest(counts) AS n FROM heatmap_day SEMI JOIN chosen USING (banner_id)
              WHERE TRUE {window}),
            summed AS (SELECT banner_id, bin, sum(n)::UINTEGER AS n FROM cells GROUP BY ALL),
            heatmaps AS (SELECT banner_id, list(bin ORDER BY bin) AS bins, list(n ORDER BY bin) AS counts FROM summed GROUP BY banner_id)
            SELECT banner_id, n_products, bins, counts FROM chosen JOIN heatmaps USING (banner_id)
            ORDER BY is_other, hash(banner_id), banner_id) TO '{target}' (FORMAT parquet)"""
    return int(store.rows(sql, [banner_id, shown, shown, banner_id, n + 1, *values])[0]["Count"])
