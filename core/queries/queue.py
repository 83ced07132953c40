"""The triage queue: flagged banners of a run, filtered, sorted and paged in SQL."""

from dataclasses import dataclass
from typing import Any

from core.errors import InputError
from core.queries.runs import Row, n_flagged
from core.store import Store

PAGE_SIZE = 50

STATUSES = ("open", "confirmed", "dismissed", "snoozed", "all")

SORTS = {
    "strongest": "r.position",
    "smallest p": "r.p_value, r.position",
    "newest": "r.since DESC NULLS LAST, r.position",
    "most clicks": "r.n_clicks DESC, r.position",
    "fewest clicks": "r.n_clicks, r.position",
}


@dataclass(frozen=True)
class QueueFilter:
    """Which flagged banners, in which order; None and 0 mean no limit. Raises InputError for an unknown status or sort."""

    grid: int | None = None
    domain: str | None = None
    products: int | None = None
    fault: str | None = None
    min_clicks: int = 0
    max_p: float | None = None
    status: str = "open"
    sort: str = "strongest"

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise InputError(f"A queue's status is one of {', '.join(STATUSES)}, however it is {self.status!r}. Choose one of them.")
        if self.sort not in SORTS:
            raise InputError(f"A queue is sorted by one of {', '.join(SORTS)}, however by {self.sort!r}. Choose one of them.")

    def where(self, store: Store, run_id: str) -> tuple[str, list[Any]]:
        """Condition over result `r` and triage_current `t`, and its parameters."""
        limits = {
            "r.grid_id = ?": self.grid,
            "r.domain = ?": self.domain,
            "r.n_products = ?": self.products,
            "r.fault = ?": self.fault,
            "r.n_clicks >= ?": self.min_clicks or None,
            "r.p_value <= ?": self.max_p,
            "coalesce(t.state, 'open') = ?": None if self.status == "all" else self.status,
        }
        kept = {text: value for text, value in limits.items() if value is not None}
        return " AND ".join(["r.run_id = ?", "r.position <= ?", *kept]), [run_id, n_flagged(store, run_id), *kept.values()]


FROM = "FROM result r LEFT JOIN triage_current t USING (banner_id)"


def page(store: Store, run_id: str, queue: QueueFilter, number: int = 1, size: int = PAGE_SIZE) -> list[Row]:
    """Page `number` (1-based) of the queue. Places are found first, then dressed: a run stands sorted by position."""
    where, values = queue.where(store, run_id)
    cut = store.rows(
        f"SELECT r.position, coalesce(t.state, 'open') AS state {FROM} WHERE {where} ORDER BY {SORTS[queue.sort]} LIMIT ? OFFSET ?",
        [*values, size, (number - 1) * size],
    )
    if not cut:
        return []
    places = [row["position"] for row in cut]
    dressed = store.rows(
        f"""SELECT banner_id, grid_id, n_products, domain, n_clicks, p_value, p_broken, position, n_agree, n_detectors, reference_id, fault,
                   fault_size, sentence, since
            FROM result WHERE run_id = ? AND position BETWEEN ? AND ? AND position IN ({", ".join("?" for _ in places)})""",
        [run_id, min(places), max(places), *places],
    )
    by_place = {row["position"]: row for row in dressed}
    return [by_place[c["position"]] | {"state": c["state"], "place": (number - 1) * size + k} for k, c in enumerate(cut, 1)]


def totals(store: Store, run_id: str, queue: QueueFilter) -> Row:
    """Banners in the filtered queue, expected false alarms among them, and flagged banners of the run in all."""
    where, values = queue.where(store, run_id)
    sums = f"SELECT count(*) AS n, coalesce(sum(1 - r.p_broken), 0) AS false_expected {FROM} WHERE {where}"
    return store.rows(sums, values)[0] | {"flagged": n_flagged(store, run_id)}


def neighbours(store: Store, run_id: str, queue: QueueFilter, position: int) -> Row | None:
    """Where the banner at a position of the run stands in the queue: previous and next banner_id, its place (1-based) and n.

    None where it is not flagged. A banner that left the queue by its status keeps its old place, so that one can go on from there.
    """
    if position > n_flagged(store, run_id):
        return None
    where, values = queue.where(store, run_id)
    if queue.sort == "strongest":  # the order of positions: nothing needs to be sorted
        return store.rows(
            f"""SELECT max_by(r.banner_id, r.position) FILTER (r.position < {position:d}) AS previous,
                       min_by(r.banner_id, r.position) FILTER (r.position > {position:d}) AS next,
                       count(*) FILTER (r.position < {position:d}) + 1 AS place, count(*) FILTER (r.position <> {position:d}) + 1 AS n
                {FROM} WHERE {where}""",
            values,
        )[0]
    return store.rows(
        f"""SELECT previous, next, place, n FROM (
              SELECT r.position, lag(r.banner_id) OVER w AS previous, lead(r.banner_id) OVER w AS next,
                     row_number() OVER w AS place, count(*) OVER () AS n
              {FROM} WHERE ({where}) OR (r.run_id = ? AND r.position = ?) WINDOW w AS (ORDER BY {SORTS[queue.sort]}))
            WHERE position = ?""",
        [*values, run_id, position, position],
    )[0]


def export(store: Store, run_id: str, queue: QueueFilter) -> list[Row]:
    """The whole filtered queue, for a file."""
    where, values = queue.where(store, run_id)
    return store.rows(
        f"""SELECT r.banner_id, r.grid_id, r.n_products, r.domain, r.n_clicks, r.p_value, r.p_broken, r.combined, r.fault, r.fault_size,
                   r.sentence, r.since, r.n_agree, r.n_detectors, coalesce(t.state, 'open') AS state, t.author, t.note
            {FROM} WHERE {where} ORDER BY {SORTS[queue.sort]}""",
        values,
    )
