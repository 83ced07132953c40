"""Rates of a run per grid, day, product count and domain."""

from typing import Any

from core.settings import MIN_JUDGED
from core.store.days import last_possible
from core.store.queries.runs import Row, n_flagged, scored_by
from core.store.store import Store


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
    """A row a grid: n scored, flagged, new on the run's last day, expected false alarms, its most frequent fault and that one's count."""
    where, values = _where(run_id, min_clicks, grid, domain)
    scored = store.rows(f"SELECT grid_id, count(*) AS n FROM result WHERE {where} GROUP BY grid_id ORDER BY grid_id", values)
    flagged = store.rows(
        f"""SELECT grid_id, fault, count(*) AS n, sum(1 - p_broken) AS false_expected,
                   count(*) FILTER (since = (SELECT last_day FROM run_info WHERE run_id = ?)) AS new
            FROM result WHERE {where} AND position <= ? GROUP BY ALL ORDER BY n DESC, fault""",
        [scored_by(store, run_id), *values, n_flagged(store, run_id)],
    )
    return [row | _of_flagged([f for f in flagged if f["grid_id"] == row["grid_id"]]) for row in scored]


def not_judged(store: Store, run_id: str, grid: int | None = None, domain: str | None = None) -> Row:
    """Banners of so few clicks that hardly any fault can show, flagged ones left out: n, and n_all in the run."""
    where, values = _where(run_id, 0, grid, domain)
    sql = f"SELECT count(*) FILTER (n_clicks < ? AND NOT flagged) AS n, count(*) AS n_all FROM result WHERE {where}"
    return store.rows(sql, [MIN_JUDGED, *values])[0]


def _of_flagged(by_fault: list[Row]) -> Row:
    """Sums over a grid's faults, most frequent first."""
    named = [f for f in by_fault if f["fault"] is not None]
    return {
        "flagged": sum(f["n"] for f in by_fault),
        "new": sum(f["new"] for f in by_fault),
        "false_expected": float(sum(f["false_expected"] for f in by_fault)),
        "fault": named[0]["fault"] if named else None,
        "fault_n": named[0]["n"] if named else None,
    }


def days(store: Store, run_id: str) -> list[Row]:
    """A row a grid and day: banners seen, of these broken by then, newly broken. Ordered by grid and day, none in the future."""
    return store.rows(
        "SELECT grid_id, day, n_banners, n_broken, n_new FROM run_day WHERE run_id = ? AND day <= ? ORDER BY grid_id, day",
        [run_id, last_possible()],
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
            FROM (SELECT banner_id FROM result WHERE {where} AND position <= ?) r LEFT JOIN triage_current t USING (banner_id)""",
        [*values, n_flagged(store, run_id)],
    )[0]
