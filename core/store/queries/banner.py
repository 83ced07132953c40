"""Everything about one banner."""

import numpy as np
from numpy.typing import NDArray

from core.store import spelling
from core.store.queries.runs import Row, n_flagged, scored_by
from core.store.store import Store


def known(store: Store, banner_id: str) -> Row | None:
    """What a banner is, scored or not, also one whose ingest was taken back after a run; None where the store never saw it.

    An id in another spelling finds its banner too.
    """
    for name in (banner_id, spelling.banner_id(banner_id)):
        for table in ("banner", "result"):
            found = store.rows(f"SELECT banner_id, grid_id, n_products, domain FROM {table} WHERE banner_id = ? LIMIT 1", [name])
            if found:
                return found[0]
    return None


def similar_ids(store: Store, text: str, limit: int = 8) -> list[str]:
    """Banner ids that contain the text, for a mistyped id."""
    rows = store.rows(
        "SELECT banner_id FROM banner WHERE contains(lower(banner_id), lower(?)) ORDER BY length(banner_id), banner_id LIMIT ?",
        [text, limit],
    )
    return [row["banner_id"] for row in rows]


def result(store: Store, run_id: str, banner_id: str) -> Row | None:
    """The run's row of a banner with its triage state; None where the run did not score it."""
    for among in (f"AND r.position <= {n_flagged(store, run_id)}", ""):  # others than the flagged cost a pass over the run
        found = store.rows(
            f"""SELECT r.* EXCLUDE (run_id, fault_detail), r.fault_detail::VARCHAR AS fault_detail
                FROM result r WHERE r.run_id = ? {among} AND r.banner_id = ?""",
            [run_id, banner_id],
        )
        if found:
            known = "state, until, author, happened_at AS state_at, event_id::VARCHAR AS event_id"
            sql = f"SELECT {known} FROM triage_current WHERE banner_id = ?"
            decided = store.rows(sql, [banner_id]) or [{"state": "open", "until": None, "author": None, "state_at": None, "event_id": None}]
            return found[0] | decided[0]
    return None


def reference(store: Store, run_id: str, reference_id: int) -> tuple[Row, NDArray[np.float64]] | None:
    """A reference's description and its (1600,) shares."""
    sql = "SELECT grid_id, n_products, domain, n_banners, n_clicks, p FROM reference WHERE run_id = ? AND reference_id = ?"
    found = store.rows(sql, [scored_by(store, run_id), reference_id])
    if not found:
        return None
    return found[0], np.asarray(found[0].pop("p"), dtype=np.float64)


def scores(store: Store, run_id: str, banner_id: str) -> list[Row]:
    """A row a detector: family, raw score, normalised score, p-value. Ordered by family and detector."""
    return store.rows(
        """SELECT s.detector, coalesce(d.family, '') AS family, s.score, s.normalised, s.p_value
           FROM score s LEFT JOIN (SELECT detector, family FROM run_detector WHERE run_id = ?) d USING (detector)
           WHERE s.run_id = ? AND s.banner_id = ? ORDER BY family, detector""",
        [scored_by(store, run_id)] * 2 + [banner_id],
    )


def score_sample(store: Store, run_id: str, n: int = 20_000) -> dict[str, NDArray[np.float64]]:
    """Per detector the sorted normalised scores of about n banners of the run (all where there are fewer), for percentiles."""
    run_id = scored_by(store, run_id)
    n_banners = store.rows("SELECT max(n_banners) AS n FROM run_info WHERE run_id = ?", [run_id])[0]["n"] or 0
    with store.cursor() as cursor:  # the divisor as a literal: a parameter would make DuckDB divide in another type, 40 times slower
        cursor.execute(f"SELECT detector, normalised FROM score WHERE run_id = ? AND hash(banner_id) % {1 + n_banners // n} = 0", [run_id])
        found = cursor.fetchnumpy()
    names = found["detector"].astype(str)
    return {str(name): np.sort(found["normalised"][names == name]) for name in np.unique(names)}


def evidence(store: Store, run_id: str, banner_id: str) -> list[Row]:
    """Per day of a flagged banner: clicks and log odds for the diagnosed fault."""
    return store.rows("SELECT day, n_clicks, log_odds FROM evidence WHERE run_id = ? AND banner_id = ? ORDER BY day", [run_id, banner_id])


def history(store: Store, banner_id: str) -> list[Row]:
    """Decisions about a banner, newest first; `undone` where a later event took one back."""
    return store.rows(
        """SELECT e.happened_at, e.op, e.author, e.note, e.until, e.run_id::VARCHAR AS run_id,
                  e.op <> 'undo' AND EXISTS (FROM triage_event u WHERE u.op = 'undo' AND u.undo_of = e.batch_id
                                                                   AND u.banner_id = e.banner_id) AS undone
           FROM triage_event e WHERE e.banner_id = ? ORDER BY e.event_id DESC""",
        [banner_id],
    )


def flagged_in(store: Store, banner_id: str) -> dict[str, int]:
    """The banner's clicks by the id of the results that flag it. Asks `evidence`, which stands sorted by banner."""
    sql = "SELECT run_id::VARCHAR AS run_id, sum(n_clicks)::BIGINT AS n_clicks FROM evidence WHERE banner_id = ? GROUP BY ALL"
    return {row["run_id"]: row["n_clicks"] for row in store.rows(sql, [banner_id])}
