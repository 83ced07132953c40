"""Banners to hold another one against: known to be ok, or the most ordinary ones."""

from core.store.queries.runs import Row
from core.store.store import Store

ENOUGH_CLICKS = 100
"""Ordinary banners with fewer clicks are taken only where there are no others: their maps would show chance."""


def known_ok(store: Store, run_id: str, grid_id: int, n_products: int, n: int = 5) -> list[Row]:
    """Up to n banners of a grid that reviewers agree are ok, those with as many products and most readers first.

    Keys: banner_id, n_products, n_clicks, n_reviewers. Several agree, or one said so and none differed, or it was adjudicated.
    """
    return store.rows(
        """SELECT r.banner_id, r.n_products, r.n_clicks, s.n_reviewers FROM result r JOIN label_state s USING (banner_id)
           WHERE r.run_id = ? AND r.grid_id = ? AND s.label = 'ok'
           ORDER BY r.n_products <> ?, r.n_clicks < ?, s.n_reviewers DESC, md5(r.banner_id) LIMIT ?""",
        [run_id, grid_id, n_products, ENOUGH_CLICKS, n],
    )


def ordinary(store: Store, run_id: str, grid_id: int, n_products: int, n: int = 5) -> list[Row]:
    """Up to n banners of a grid that the detectors find least suspicious, without a label; with n_products and enough clicks first."""
    return store.rows(
        """SELECT banner_id, n_products, n_clicks, NULL AS n_reviewers FROM result ANTI JOIN label_kept USING (banner_id)
           WHERE run_id = ? AND grid_id = ? AND NOT flagged ORDER BY n_products <> ?, n_clicks < ?, position DESC LIMIT ?""",
        [run_id, grid_id, n_products, ENOUGH_CLICKS, n],
    )
