"""Tiers of a run: whom each cleared, at what cost, and what the control sample says it loses."""

from core.store.queries.runs import Row, scored_by
from core.store.store import Store


def of_run(store: Store, run_id: str) -> list[Row]:
    """A row a tier, in order: name, n_in, n_cleared, seconds, n_found, n_lost (both None for the last); empty where the run had none."""
    sql = "SELECT name, n_in, n_cleared, seconds, n_found, n_lost FROM tier WHERE run_id = ? ORDER BY tier"
    return store.rows(sql, [scored_by(store, run_id)])
