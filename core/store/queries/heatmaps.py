"""Dense counts of a few banners, as the window of a run saw them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.settings import N_BINS
from core.store.queries.runs import Row, n_flagged
from core.store.store import Store

MAX_LOOKUPS = 120
"""Single look-ups, ids times ingests, up to which they are faster than one pass over all rows."""


def counts_of(
    store: Store, banner_ids: Sequence[str], run: Row | None = None, places: Mapping[str, int] | None = None
) -> dict[str, NDArray[np.int64]]:
    """(1600,) counts by banner_id, zeros where there is no click. `run` limits to its window and to what was ingested before it.

    `places`: positions in the run by banner_id, of all of them; what the run kept is found at once by these.
    """
    dense = {banner_id: np.zeros(N_BINS, dtype=np.int64) for banner_id in banner_ids}
    kept = _kept(store, dense, run, places) if run is not None else set()
    ids = [banner_id for banner_id in dense if banner_id not in kept]
    if not ids:
        return dense
    window, values = window_of(store, run)
    # equality skips what a sorted ingest cannot hold, a list of ids reads every name: better only where ids meet many ingests
    n_ingests = store.rows("SELECT count(*) AS n FROM ingest")[0]["n"]
    groups = [[name] for name in ids] if len(ids) * n_ingests <= MAX_LOOKUPS else [ids]
    sql = f"SELECT banner_id, unnest(bins) AS bin, unnest(counts) AS n FROM heatmap_day WHERE {{}} {window}"
    with store.cursor() as cursor:
        for group in groups:
            named = "banner_id = ?" if len(group) == 1 else f"banner_id IN ({', '.join('?' for _ in group)})"
            found = cursor.execute(sql.format(named), [*group, *values]).fetchnumpy()
            _add(dense, found, group)
    return dense


def _kept(store: Store, dense: dict[str, NDArray[np.int64]], run: Row, places: Mapping[str, int] | None) -> set[str]:
    """Fills in the banners whose heatmap the run kept, those it flagged; returns their ids."""
    column, values = "banner_id", list[Any](dense)
    if places is not None:
        last = n_flagged(store, run["run_id"])
        column, values = "position", [places[name] for name in dense if places[name] <= last]
        if not values:
            return set()
    sql = f"""SELECT banner_id, unnest(bins) AS bin, unnest(counts) AS n FROM heatmap
        WHERE run_id = ? AND {column} IN ({", ".join("?" for _ in values) or "NULL"})"""
    with store.cursor() as cursor:
        found = cursor.execute(sql, [run["run_id"], *values]).fetchnumpy()
    kept = set(found["banner_id"].astype(str).tolist())
    _add(dense, found, sorted(kept))
    return kept


def _add(dense: dict[str, NDArray[np.int64]], found: dict[str, Any], group: list[str]) -> None:
    """Adds unnested cells to the banners they belong to."""
    if len(group) == 1:
        np.add.at(dense[group[0]], found["bin"], found["n"].astype(np.int64))
        return
    names, codes = np.unique(found["banner_id"].astype(str), return_inverse=True)
    for k, name in enumerate(names):
        mine = codes == k
        np.add.at(dense[str(name)], found["bin"][mine], found["n"][mine].astype(np.int64))


def days_of(store: Store, banner_id: str, run: Row | None = None) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Days (n_days,) datetime64[D] in order, and counts (n_days, 1600) of one banner."""
    window, values = window_of(store, run)
    with store.cursor() as cursor:
        cursor.execute(
            f"""SELECT day, bin, sum(n)::BIGINT AS n FROM (
                  SELECT day, unnest(bins) AS bin, unnest(counts) AS n FROM heatmap_day WHERE banner_id = ? {window})
                GROUP BY ALL""",
            [banner_id, *values],
        )
        found = cursor.fetchnumpy()
    days, row = np.unique(found["day"].astype("datetime64[D]"), return_inverse=True)
    counts = np.zeros((len(days), N_BINS), dtype=np.int64)
    counts[row, found["bin"].astype(np.int64)] = found["n"]
    return days, counts


def window_of(store: Store, run: Row | None) -> tuple[str, list[Any]]:
    """Condition over `heatmap_day` that keeps what a run saw, to be put after another one, and its parameters."""
    if run is None:
        return "", []
    later = store.rows("SELECT ingest_id FROM ingest WHERE finished_at > ?", [run["started_at"]])
    text, values = "", []
    if run["first_day"] is not None:
        text, values = "AND day BETWEEN ? AND ?", [run["first_day"], run["last_day"]]
    if later:
        text += f" AND ingest_id NOT IN ({', '.join('?' for _ in later)})"
        values += [row["ingest_id"] for row in later]
    return text, values
