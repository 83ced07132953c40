"""Runs as pages see them."""

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from core.errors import RunError
from core.store.store import Store

Row = dict[str, Any]
ID_LENGTH = 36
"""Characters of a whole id."""


class Results(NamedTuple):
    """What never changes about results: the run whose scores stand behind them, and how many banners they flag."""

    scored_id: str
    n_flagged: int


_known: WeakKeyDictionary[Store, dict[str, Results]] = WeakKeyDictionary()


def finished_runs(store: Store, limit: int = 50) -> list[Row]:
    """Finished runs, newest first, as they are shown: `run_id` is that of their results, `scored_id` that of the run itself.

    The two differ where a threshold version judged the run again; `version` is its number, None for the threshold without labels.
    """
    return store.rows(
        """SELECT result_id::VARCHAR AS run_id, s.run_id::VARCHAR AS scored_id, started_at, finished_at, first_day, last_day, n_banners,
                  n_clicks, n_flagged, n_false_expected, fdr, seconds, grids, settings, v.number AS version
           FROM shown_run s LEFT JOIN (SELECT version_id, number FROM threshold_version) v USING (version_id)
           ORDER BY finished_at DESC LIMIT ?""",
        [limit],
    )


def n_flagged(store: Store, run_id: str) -> int:
    """Flagged banners of a run. They have its first positions, in whose order it stands: so far one needs to look for one of them."""
    return _results(store, run_id).n_flagged


def scored_by(store: Store, run_id: str) -> str:
    """The run whose scores stand behind results: itself, unless a threshold version judged it again."""
    return _results(store, run_id).scored_id


def behind(store: Store, run_id: str | None) -> str:
    """The id of a finished run: the latest for None, else by its id or the beginning, or by that of results that a version judged again.

    Raises RunError where there is none.
    """
    if run_id is not None and len(run_id) == ID_LENGTH:
        run_id = scored_by(store, run_id)
    return str(last_finished(store, run_id)["run_id"])


def _results(store: Store, run_id: str) -> Results:
    """Of a run or a verdict, looked up once; an id that no finished run has flags none."""
    kept = _known.setdefault(store, {})
    if run_id not in kept:
        sql = """SELECT run_id::VARCHAR AS scored_id, n_flagged FROM run_info WHERE run_id = ?
                 UNION ALL SELECT run_id::VARCHAR, n_flagged FROM verdict WHERE result_id = ? LIMIT 1"""
        found = store.rows(sql, [run_id, run_id])
        if not found:
            return Results(run_id, 0)
        kept[run_id] = Results(**found[0])
    return kept[run_id]


def shown_of(store: Store, run_id: str) -> str:
    """The id of the results that are shown of a run."""
    found = store.rows("SELECT result_id::VARCHAR AS id FROM shown_run WHERE run_id = ?", [run_id])
    return str(found[0]["id"]) if found else run_id


def run_states(store: Store, limit: int = 50) -> list[Row]:
    """Every run with its last state, newest first; what only finished runs have is None for the others."""
    return store.rows(
        """SELECT run_id::VARCHAR AS run_id, state, state_at, detail::VARCHAR AS detail, started_at, finished_at, first_day, last_day,
                  n_banners, n_clicks, coalesce(s.n_flagged, run.n_flagged) AS n_flagged,
                  coalesce(s.n_false_expected, run.n_false_expected) AS n_false_expected, fdr, seconds,
                  (SELECT count(*) FROM run_detector d WHERE d.run_id = run.run_id) AS n_detectors
           FROM run LEFT JOIN (SELECT run_id, n_flagged, n_false_expected FROM shown_run) s USING (run_id)
           ORDER BY state_at DESC LIMIT ?""",
        [limit],
    )


def detectors(store: Store, run_id: str) -> list[Row]:
    """What a run knows of its detectors without any label. A row a detector: family, reads, n_scored, share of the run's banners,
    fit and score seconds, ms a banner, weights.

    agree: share of the flagged banners it looked at whose own p-value is at most 0.05; alone: banners it gives 0.001 or less that are not
    flagged. Ordered by family and name.
    """
    return store.rows(
        """WITH said AS (
               SELECT detector, p_value, banner_id IN (SELECT banner_id FROM result WHERE run_id = ? AND position <= ?) AS flagged
               FROM score WHERE run_id = ?),
           judged AS (
               SELECT detector, avg((p_value <= 0.05)::INTEGER) FILTER (WHERE flagged) AS agree,
                      count(*) FILTER (WHERE NOT flagged AND p_value <= 0.001) AS alone
               FROM said GROUP BY detector)
           SELECT d.detector, d.family, d.reads, d.n_scored, d.n_scored / i.n_banners AS share, d.fit_s, d.score_s,
                  1000 * (d.fit_s + d.score_s) / nullif(d.n_scored, 0) AS ms, d.weights, j.agree, j.alone
           FROM run_detector d JOIN run_info i USING (run_id) LEFT JOIN judged j USING (detector)
           WHERE d.run_id = ? ORDER BY d.family, d.detector""",
        [run_id, n_flagged(store, run_id), scored_by(store, run_id), scored_by(store, run_id)],
    )


def decisions_token(store: Store) -> str:
    """Changes with every decision of any user: a cheap cache key for what depends on decisions."""
    row = store.rows("SELECT count(*) AS n, max(event_id)::VARCHAR AS last FROM triage_event")[0]
    return f"{row['n']}-{row['last']}"


def ingests_token(store: Store) -> str:
    """Changes with every ingest, and with every one that is taken back."""
    row = store.rows("SELECT count(*) AS n, max(finished_at)::VARCHAR AS last, (SELECT count(*) FROM ingest_undo) AS undone FROM ingest")[0]
    return f"{row['n']}-{row['last']}-{row['undone']}"


def has_banners(store: Store) -> bool:
    """Whether anything was ever ingested."""
    return bool(store.rows("SELECT EXISTS (FROM banner) AS yes")[0]["yes"])


def facets(store: Store, run_id: str) -> dict[str, list[Any]]:
    """What the filters of a run can be set to: grids, domains, products, and of the flagged banners faults and segments, each sorted."""
    names = {"grids": "grid_id", "domains": "domain", "products": "n_products"}
    found = {
        key: [r["v"] for r in store.rows(f"SELECT DISTINCT {column} AS v FROM result WHERE run_id = ? ORDER BY v", [run_id])]
        for key, column in names.items()
    }
    for key, column in {"faults": "fault", "segments": "segment"}.items():
        sql = f"SELECT DISTINCT {column} AS v FROM result WHERE run_id = ? AND position <= ? AND {column} IS NOT NULL ORDER BY v"
        found[key] = [r["v"] for r in store.rows(sql, [run_id, n_flagged(store, run_id)])]
    return found


def last_finished(store: Store, run_id: str | None = None) -> dict[str, Any]:
    """The finished run with this id (its beginning is enough), or the latest one, as its row of `run` with run_id as text.

    Raises RunError where there is none or where the beginning fits several.
    """
    sql = """SELECT * REPLACE (run_id::VARCHAR AS run_id) FROM run
        WHERE state = 'finished' AND starts_with(run_id::VARCHAR, ?) ORDER BY finished_at DESC, run_id DESC"""
    found = store.rows(sql, [(run_id or "").lower()])
    if not found and run_id:
        raise RunError(f"A run is named by its id: {store.path} has no finished run {run_id!r}. `info` lists the latest.")
    if not found:
        raise RunError(f"This needs a finished run: {store.path} has none. Run `python -m core score` first.")
    if run_id and len(found) > 1:
        raise RunError(f"A run is named by its id: {run_id!r} begins {len(found)} of them. Give more of it.")
    return found[0]
