"""What an operator watches: a few numbers over the whole store, each from a small table."""

from typing import Any

from core.store.store import Store

Row = dict[str, Any]


def runs_by_state(store: Store) -> dict[str, int]:
    """Number of runs by their last state: started, finished, failed, cancelled."""
    return _counts(
        store,
        """SELECT state AS name, count(*) AS n
        FROM (SELECT arg_max(state, (happened_at, state <> 'started')) AS state FROM run_event GROUP BY run_id) GROUP BY state""",
    )


def newest_run(store: Store) -> Row | None:
    """The newest finished run: finished_at (naive UTC), seconds, n_banners, n_flagged as it is shown; None where none has finished."""
    found = store.rows("SELECT finished_at, seconds, n_banners, n_flagged FROM shown_run ORDER BY finished_at DESC LIMIT 1")
    return found[0] if found else None


def labels_by_value(store: Store) -> dict[str, int]:
    """Number of reviewers' newest labels by value: broken, ok, unsure."""
    return _counts(store, "SELECT label AS name, count(*) AS n FROM label_current GROUP BY label")


def labels_token(store: Store) -> str:
    """Changes with everything that reviewers say: events are only ever added."""
    return str(store.rows("SELECT count(*) AS n FROM label_event")[0]["n"])


def ingest_totals(store: Store) -> Row:
    """n files, rows accepted and rejected, finished_at of the newest (naive UTC), None where there is none; banners ever seen."""
    return store.rows(
        """SELECT count(*) AS n, coalesce(sum(n_accepted), 0)::BIGINT AS accepted, coalesce(sum(n_rejected), 0)::BIGINT AS rejected,
                  max(finished_at) AS finished_at, (SELECT count(*) FROM banner) AS banners FROM ingest"""
    )[0]


def _counts(store: Store, sql: str) -> dict[str, int]:
    return {row["name"]: row["n"] for row in store.rows(f"{sql} ORDER BY name")}
