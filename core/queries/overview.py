"""Rates of a run per grid, day, product count and domain."""

from typing import Any

from core.queries.runs import Row
from core.store import Store


def _where(run_id: str, min_clicks: int, grid: int | None, domain: str | None) -> tuple[str, list[Any]]:
    parts, values = ["run_id = ?", "n_clicks >= ?"], [run_id, min_clicks]
    if grid is not None:
        parts.append("grid_id = ?")
        values.append(grid)
    if domain is not None:
        parts.append("domain = ?")
        values.append(domain)
    return " AND ".join(parts), values


def grids(store: Store, run_id: str, min_clicks: int, grid: int | None = None, domain: str | None = None) -> list[Row]:
    """A row a grid: n scored, flagged, new on the run's last day, expected false alarms, its most frequent fault and that one's share."""
    where, values = _where(run_id, min_clicks, grid, domain)
    return store.rows(
        f"""WITH kept AS (SELECT grid_id, flagged, p_broken, since, fault FROM result WHERE {where}),
            fault_n AS (SELECT grid_id, fault, count(*) AS n FROM kept WHERE flagged AND fault IS NOT NULL GROUP BY ALL),
            main AS (SELECT grid_id, arg_max(fault, (n, fault)) AS fault, max(n) AS fault_n FROM fault_n GROUP BY grid_id)
            SELECT k.grid_id, count(*) AS n, count(*) FILTER (k.flagged) AS flagged,
                   count(*) FILTER (k.flagged AND k.since = (SELECT last_day FROM run_info WHERE run_id = ?)) AS new,
                   coalesce(sum(1 - k.p_broken) FILTER (k.flagged), 0) AS false_expected,
                   any_value(m.fault) AS fault, any_value(m.fault_n) AS fault_n
            FROM kept k LEFT JOIN main m USING (grid_id) GROUP BY k.grid_id ORDER BY k.grid_id""",
        [*values, run_id],
    )


def days(store: Store, run_id: str) -> list[Row]:
    """A row a grid and day: banners seen, of these broken by then, newly broken. Ordered by grid and day."""
    return store.rows(
        "SELECT grid_id, day, n_banners, n_broken, n_new FROM run_day WHERE run_id = ? ORDER BY grid_id, day",
        [run_id],
    )


def cells(store: Store, run_id: str, grid: int, min_clicks: int, domain: str | None = None) -> list[Row]:
    """Scored and flagged banners of one grid by product count and domain."""
    where, values = _where(run_id, min_clicks, grid, domain)
    return store.rows(
        f"""SELECT n_products, domain, count(*) AS n, count(*) FILTER (flagged) AS flagged
            FROM result WHERE {where} GROUP BY ALL ORDER BY n_products, domain""",
        values,
    )


def reviewed(store: Store, run_id: str, min_clicks: int, grid: int | None = None, domain: str | None = None) -> Row:
    """Of the flagged banners of the filter: how many are confirmed, dismissed, snoozed and open."""
    where, values = _where(run_id, min_clicks, grid, domain)
    return store.rows(
        f"""SELECT count(*) FILTER (t.state = 'confirmed') AS confirmed, count(*) FILTER (t.state = 'dismissed') AS dismissed,
                   count(*) FILTER (t.state = 'snoozed') AS snoozed, count(*) FILTER (coalesce(t.state, 'open') = 'open') AS open
            FROM (SELECT banner_id FROM result WHERE {where} AND flagged) r LEFT JOIN triage_current t USING (banner_id)""",
        values,
    )[0]
