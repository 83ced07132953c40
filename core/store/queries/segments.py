"""Segments of the store's clicks, such as devices: which there are, a banner's clicks in each, flags that only one of them shows."""

import numpy as np
from numpy.typing import NDArray

from core.settings import N_BINS
from core.store.queries.heatmaps import window_of
from core.store.queries.runs import Row, n_flagged
from core.store.store import Store


def names(store: Store) -> list[str]:
    """Segments that clicks of the store have, the most frequent first; none where no log named any."""
    rows = store.rows("SELECT segment, sum(n_clicks) AS n FROM ingest_segment GROUP BY segment ORDER BY n DESC, segment")
    return [row["segment"] for row in rows]


def counts_of(store: Store, banner_id: str, run: Row) -> dict[str, NDArray[np.int64]]:
    """(1600,) counts of a banner in the run's window by segment, the most clicks first; clicks of no known segment are left out."""
    window, values = window_of(store, run)
    with store.cursor() as cursor:
        cursor.execute(
            f"""SELECT segment, bin, sum(n)::BIGINT AS n FROM (
                  SELECT segment, unnest(bins) AS bin, unnest(counts) AS n FROM heatmap_day
                  WHERE banner_id = ? AND segment IS NOT NULL {window}) GROUP BY ALL""",
            [banner_id, *values],
        )
        found = cursor.fetchnumpy()
    out: dict[str, NDArray[np.int64]] = {}
    for segment, bin_, n in zip(found["segment"].tolist(), found["bin"].tolist(), found["n"].tolist(), strict=True):
        out.setdefault(segment, np.zeros(N_BINS, dtype=np.int64))[bin_] += n
    return dict(sorted(out.items(), key=lambda item: (-item[1].sum(), item[0])))


def flagged(store: Store, run_id: str, min_clicks: int = 0, grid: int | None = None, domain: str | None = None) -> list[Row]:
    """Flagged banners whose fault one segment alone shows: segment, n; the most first."""
    return store.rows(
        """SELECT segment, count(*) AS n FROM result WHERE run_id = $run AND position <= $last AND segment IS NOT NULL
           AND n_clicks >= $least AND ($grid::BIGINT IS NULL OR grid_id = $grid) AND ($domain::VARCHAR IS NULL OR domain = $domain)
           GROUP BY segment ORDER BY n DESC, segment""",
        {"run": run_id, "last": n_flagged(store, run_id), "least": min_clicks, "grid": grid, "domain": domain},
    )
