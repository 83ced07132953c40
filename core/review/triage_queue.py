"""The triage queue: flagged banners of a run, filtered, sorted and paged in SQL."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.store import Store
from core.store.queries import selected
from core.store.queries.runs import Row, n_flagged

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
    """Which banners, in which order: the flagged ones, or with `selected`, a word of `selected.encode`, exactly those, flagged or not.

    None, 0 and "" mean no limit. Raises InputError for an unknown status or sort.
    """

    grid: int | None = None
    domain: str | None = None
    products: int | None = None
    fault: str | None = None
    min_clicks: int = 0
    max_p: float | None = None
    status: str = "open"
    sort: str = "strongest"
    selected: str = ""
    segment: str | None = None
    """Banners whose fault this segment alone shows."""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise InputError(f"A queue's status is one of {', '.join(STATUSES)}, not {self.status!r}. Choose one of them.")
        if self.sort not in SORTS:
            raise InputError(f"A queue is sorted by one of {', '.join(SORTS)}, not by {self.sort!r}. Choose one of them.")

    def where(self, store: Store, run_id: str) -> tuple[str, list[Any]]:
        """Condition over result `r` and triage_current `t`, and its parameters. Raises InputError for a selection of another run."""
        who = "r.position IN (SELECT unnest(?::INTEGER[]))" if self.selected else "r.position <= ?"
        among = selected.decode(run_id, self.selected) if self.selected else n_flagged(store, run_id)
        limits = {
            "r.grid_id = ?": self.grid,
            "r.domain = ?": self.domain,
            "r.n_products = ?": self.products,
            "r.fault = ?": self.fault,
            "r.segment = ?": self.segment,
            "r.n_clicks >= ?": self.min_clicks or None,
            "r.p_value <= ?": self.max_p,
            "coalesce(t.state, 'open') = ?": None if self.status == "all" else self.status,
        }
        kept = {text: value for text, value in limits.items() if value is not None}
        return " AND ".join(["r.run_id = ?", who, *kept]), [run_id, among, *kept.values()]


FROM = "FROM result r LEFT JOIN triage_current t USING (banner_id)"


@dataclass(frozen=True)
class Standing:
    """Who stands in a queue: positions (n,) in the run, in the queue's order, and how many of them are expected to be false alarms."""

    queue: QueueFilter
    position: NDArray[np.int32]
    false_expected: float
    event: tuple[str | None, ...] = ()
    """What each one's state rests on: the event_id of the decision that holds, None where there is none."""

    def __len__(self) -> int:
        return len(self.position)


def standing(store: Store, run_id: str, queue: QueueFilter, also: int | None = None) -> Standing:
    """The whole filtered queue as it stands now; with `also`, as if the banner at that position belonged to it."""
    where, values = queue.where(store, run_id)
    if also is not None:
        where, values = f"({where}) OR (r.run_id = ? AND r.position = ?)", [*values, run_id, also]
    with store.cursor() as cursor:
        sql = (
            f"SELECT r.position, 1 - r.p_broken AS doubt, t.event_id::VARCHAR AS event_id {FROM} WHERE {where} ORDER BY {SORTS[queue.sort]}"
        )
        found = cursor.execute(sql, values).fetchnumpy()
    events = np.ma.asarray(found["event_id"]).tolist()  # None where masked
    return Standing(queue, np.asarray(found["position"]), float(np.asarray(found["doubt"]).sum()), tuple(events))


def seen(store: Store, run_id: str, whole: Standing) -> dict[str, str | None]:
    """By banner_id what the state of each banner of a queue rested on when the queue was read."""
    events = dict(zip(whole.position.tolist(), whole.event, strict=True))
    sql = "SELECT position, banner_id FROM result WHERE run_id = ? AND position <= ?"
    rows = store.rows(sql, [run_id, n_flagged(store, run_id)])
    return {row["banner_id"]: events[row["position"]] for row in rows if row["position"] in events}


def page(store: Store, run_id: str, whole: Standing, number: int = 1, size: int = PAGE_SIZE) -> list[Row]:
    """Page `number` (1-based) of a queue: what the run and the analysts say of its banners, and their `place` in it."""
    start = (number - 1) * size
    places = {position: start + k for k, position in enumerate(whole.position[start : start + size].tolist(), 1)}
    if not places:
        return []
    rows = store.rows(
        f"""SELECT banner_id, grid_id, n_products, domain, n_clicks, p_value, p_broken, position, n_agree, n_detectors, reference_id, fault,
                   fault_size, sentence, since, coalesce(t.state, 'open') AS state, t.event_id
            FROM (FROM result WHERE run_id = ? AND position BETWEEN ? AND ? AND position IN ({", ".join("?" for _ in places)})) r
            LEFT JOIN (
                SELECT banner_id, state, event_id::VARCHAR AS event_id FROM triage_current) t USING (banner_id)""",
        [run_id, min(places), max(places), *places],
    )
    return sorted((row | {"place": places[row["position"]]} for row in rows), key=lambda row: row["place"])


def neighbours(store: Store, run_id: str, whole: Standing, position: int) -> Row | None:
    """Where the banner at a position of the run stands in a queue: previous and next banner_id, its place (1-based) and n.

    None where it is neither flagged nor selected. A banner that left the queue by its status keeps its old place, so that one can go on
    from there.
    """
    if position not in whole.position:
        if position > n_flagged(store, run_id) and position not in members(run_id, whole.queue):
            return None
        whole = standing(store, run_id, whole.queue, also=position)
    at = int(np.flatnonzero(whole.position == position)[0])
    before, after = (whole.position[k : k + 1].tolist() if k >= 0 else [] for k in (at - 1, at + 1))
    sql = f"SELECT position, banner_id FROM result WHERE run_id = ? AND position IN ({', '.join('?' for _ in before + after) or 'NULL'})"
    name = {row["position"]: row["banner_id"] for row in store.rows(sql, [run_id, *before, *after])}
    beside = {key: name[places[0]] if places else None for key, places in (("previous", before), ("next", after))}
    return beside | {"place": at + 1, "n": len(whole)}


def members(run_id: str, queue: QueueFilter) -> list[int]:
    """Positions of the selection that a queue is limited to, whatever its other filters are; empty where it has none."""
    return selected.decode(run_id, queue.selected) if queue.selected else []


def export(store: Store, run_id: str, queue: QueueFilter) -> list[Row]:
    """The whole filtered queue, for a file."""
    where, values = queue.where(store, run_id)
    return store.rows(
        f"""SELECT r.banner_id, r.grid_id, r.n_products, r.domain, r.n_clicks, r.p_value, r.p_broken, r.combined, r.fault, r.fault_size,
                   r.sentence, r.since, r.n_agree, r.n_detectors, coalesce(t.state, 'open') AS state, t.author, t.note
            {FROM} WHERE {where} ORDER BY {SORTS[queue.sort]}""",
        values,
    )
