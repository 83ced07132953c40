"""What a run shall score, checked against the store; what a finished run found."""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from core import settings
from core.errors import InputError
from core.scoring.task import Deep, EngineName
from core.store import Store, days, grids


@dataclass(frozen=True)
class Request:
    """What a run shall score. None = every detector of the default run, every grid, from the first or to the last day."""

    detectors: list[str] | None = None
    grids: list[int] | None = None
    first_day: date | None = None
    last_day: date | None = None
    deep: Deep = "candidates"
    fdr: float = settings.FDR
    seed: int = 0
    cascade: bool = False
    """Score in tiers: see `core.scoring.tiers`."""
    budget: float | None = None
    """Share of the banners that all detectors may look at in a cascade, 0..1; None = as many as the control sample asks for."""
    budget_s: float | None = None
    """Seconds of processor time that they may take for that; None = no bound."""
    engine: EngineName = "local"
    ray_address: str | None = None
    """HOST:PORT of a Ray cluster; None = one on this machine, for this run."""

    @property
    def window(self) -> dict[str, Any]:
        """Parameters of WINDOW, which ends by default with the last day that can be: a click of the future is not the newest."""
        return {"first_day": self.first_day, "last_day": self.last_day or days.last_possible(), "grids": self.grids}


WINDOW = """FROM heatmap_day h JOIN banner b USING (banner_id)
    WHERE ($first_day::DATE IS NULL OR h.day >= $first_day) AND h.day <= $last_day
    AND ($grids::BIGINT[] IS NULL OR b.grid_id IN (SELECT unnest($grids::BIGINT[])))"""
BEFORE = "AND h.ingest_id NOT IN (SELECT ingest_id FROM ingest WHERE finished_at > $before::TIMESTAMP)"
"""Leaves out what finished after a moment: pages show a run what was there when it began, so it must not see more."""


def check_request(store: Store, request: Request) -> None:
    """Raises InputError where the store holds nothing that the request asks for."""
    if request.detectors == []:
        raise InputError("A run takes at least one detector: none was named. Name some, or leave the choice to the default run.")
    if (request.budget is not None or request.budget_s is not None) and not request.cascade:
        raise InputError("A budget limits the last tier of a cascade: the run has no tiers. Say --cascade too.")
    if request.budget is not None and not 0 < request.budget <= 1:
        raise InputError(f"A budget is more than 0 and at most 100 percent, not {100 * request.budget:g}. Give another.")
    if request.ray_address is not None and request.engine != "ray":
        raise InputError(f"An address is that of a Ray cluster: the engine is {request.engine}. Say --engine ray too.")
    if request.engine == "ray":
        from core.jobs import ray_executor

        ray_executor.check(request.ray_address)
    if request.budget_s is not None and not request.budget_s > 0:
        raise InputError(f"A budget is more than 0 seconds, not {request.budget_s:g}. Give another.")
    for grid_id in request.grids or []:
        if not store.rows("SELECT 1 FROM banner WHERE grid_id = ? LIMIT 1", [grid_id]):
            names = grids.names(store)
            found = store.rows("SELECT DISTINCT grid_id FROM banner ORDER BY grid_id LIMIT 20")
            known = ", ".join(names.get(row["grid_id"], str(row["grid_id"])) for row in found)
            of = f"the name given (number {grid_id})" if grid_id >= grids.FIRST_NAMED and grid_id not in names else f"grid {grid_id}"
            raise InputError(f"A run takes grids that have clicks: {of} has none. In the store: {known or 'no grid'}.")
    if request.first_day and request.last_day and request.first_day > request.last_day:
        raise InputError(f"A window starts before it ends: {request.first_day} is after {request.last_day}. Swap the two.")
    with store.cursor() as cursor:
        n_rows = cursor.execute(f"SELECT count(*) {WINDOW}", request.window).fetchall()[0][0]
        first, last = cursor.execute("SELECT min(day), max(day) FROM heatmap_day").fetchall()[0]
    if not n_rows:
        held = f"its clicks are of {first} to {last}" if first else "it holds no click at all"
        late = days.future_words(days.n_future(store)) if request.last_day is None else ""
        raise InputError(f"A run needs clicks in its window; {store.path} has none there: {held}. Ingest a log or widen it. {late}".strip())


@dataclass(frozen=True)
class GridCount:
    """Banners and flags of one grid in a run."""

    grid_id: int
    n_banners: int
    n_flagged: int
    name: str | None = None
    """What logs call the grid, where they name it by a text."""


@dataclass(frozen=True)
class RunSummary:
    """What a finished run found."""

    run_id: str
    first_day: date
    last_day: date
    n_banners: int
    n_clicks: int
    n_flagged: int
    n_false_expected: float
    fdr: float
    seconds: float
    by_grid: list[GridCount]
    version: int | None = None
    """Threshold version that the flags follow; None = the threshold without labels."""
    note: str | None = None
    """Why the active version could not judge this run."""

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {**asdict(self), "first_day": str(self.first_day), "last_day": str(self.last_day)}
