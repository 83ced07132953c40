"""New grids of a run: banners of grids that no earlier run knew."""

from core.store.queries.runs import Row, scored_by
from core.store.store import Store

FIRST = """NOT EXISTS (FROM reference r JOIN run_info i USING (run_id)
    WHERE r.grid_id = s.grid_id AND i.finished_at < (SELECT finished_at FROM run_info WHERE run_id = ?))"""


def by_grid(store: Store, run_id: str) -> dict[int, Row]:
    """A row a new grid: n banners, `none` of them fit no known layout (None: not known), nearest grid, held_back, first_seen.

    A grid held back has too few banners to say what is normal there, so none is flagged; it stays so in later runs until it has enough.
    """
    rows = store.rows(
        f"""SELECT s.grid_id, count(*) AS n, count_if(s.fits_none) + any_value(0) FILTER (s.fits_none IS NOT NULL) AS none,
                   mode(s.nearest_grid_id) AS nearest, bool_or(s.held_back) AS held_back, {FIRST} AS first_seen
            FROM stranger s WHERE s.run_id = ? GROUP BY s.grid_id ORDER BY s.grid_id""",
        [scored_by(store, run_id)] * 2,
    )
    return {row["grid_id"]: row for row in rows}


def of_banner(store: Store, run_id: str, banner_id: str) -> Row | None:
    """What the run says of a banner of a new grid: fits_none, nearest_grid_id, held_back; None where its grid is known."""
    sql = "SELECT grid_id, fits_none, nearest_grid_id, held_back FROM stranger WHERE run_id = ? AND banner_id = ?"
    found = store.rows(sql, [scored_by(store, run_id), banner_id])
    return found[0] if found else None
