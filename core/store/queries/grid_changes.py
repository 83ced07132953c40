"""Grids that changed as a whole, as a run saw them."""

from core.store.queries.runs import Row, scored_by
from core.store.store import Store


def of_run(store: Store, run_id: str) -> list[Row]:
    """grid_id, since, is_within, moved (0..1), n_before, n_after, fault, sentence; the largest change first."""
    return store.rows(
        """SELECT grid_id, since, is_within, moved, n_before, n_after, fault, sentence FROM grid_change WHERE run_id = ?
           ORDER BY moved DESC, grid_id""",
        [scored_by(store, run_id)],
    )
