"""Banners of a run that are worth a reviewer's look, by reason, best first. A finished run never changes: found once, then kept."""

import threading
from dataclasses import dataclass
from typing import NamedTuple
from weakref import WeakKeyDictionary

from core.store import Store

DEPTH = 200
"""Banners of a grid that are found at first for a reason; four times as many whenever these are used up."""
CONTROL_DEPTH = 5000
DOUBTFUL = (0.05, 0.95)
"""p_broken of banners that count as near the threshold; nearest to 0.5 first."""
CLEAR = (0.1, 0.9)
"""p_broken up to which, and from which, a banner counts as a clear case."""
SPLIT = (0.2, 0.8)
"""Share of detectors that find a banner unlikely, p <= 0.05, within which they count as disagreeing; nearest to one half first."""
KEPT_RUNS = 4


class Candidate(NamedTuple):
    """A banner of a run, and where it stands in it."""

    banner_id: str
    grid_id: int
    position: int


@dataclass(frozen=True)
class Pools:
    """Candidates by pool and grid, at most `depth` each: uncertain, disagreement, clear_broken, clear_ok.

    control: at most `control_depth` banners of the whole run in the order of a seeded lottery, which no score has a part in.
    """

    by_grid: dict[tuple[str, int], list[Candidate]]
    control: list[Candidate]
    grids: list[int]
    depth: int
    control_depth: int


_kept: WeakKeyDictionary[Store, dict[tuple[str, int], Pools]] = WeakKeyDictionary()
_building = threading.Lock()


def pools_of(store: Store, run_id: str, seed: int = 0, deeper_than: Pools | None = None) -> Pools:
    """The pools of a run; with `deeper_than`, pools that reach further than those."""
    with _building:
        runs = _kept.setdefault(store, {})
        found = runs.get((run_id, seed))
        if found is None or (deeper_than is not None and found.depth <= deeper_than.depth):
            factor = 1 if found is None else 4
            depths = (found.depth, found.control_depth) if found is not None else (DEPTH, CONTROL_DEPTH)
            runs.pop((run_id, seed), None)
            runs[run_id, seed] = found = _find(store, run_id, seed, depths[0] * factor, depths[1] * factor)
            while len(runs) > KEPT_RUNS:
                runs.pop(next(iter(runs)))
        return found


def _find(store: Store, run_id: str, seed: int, depth: int, control_depth: int) -> Pools:
    """Two passes over the run. Ties are broken by the lottery, so that the same store gives the same pools."""
    one = "{'banner_id': banner_id, 'grid_id': grid_id, 'position': position}"
    drawn = f"(SELECT *, md5_number_lower('{int(seed)} ' || banner_id) AS lot FROM result WHERE run_id = ?)"
    doubt = "{'far': abs(p_broken - 0.5), 'lot': lot}"
    split = "{'far': abs(n_agree / greatest(n_detectors, 1) - 0.5), 'lot': lot}"
    rows = store.rows(
        f"""SELECT grid_id,
              arg_min({one}, {doubt}, {depth}) FILTER (p_broken BETWEEN {DOUBTFUL[0]} AND {DOUBTFUL[1]}) AS uncertain,
              arg_min({one}, {split}, {depth}) FILTER (n_agree / n_detectors BETWEEN {SPLIT[0]} AND {SPLIT[1]}) AS disagreement,
              arg_min({one}, lot, {depth}) FILTER (p_broken >= {CLEAR[1]}) AS clear_broken,
              arg_min({one}, lot, {depth}) FILTER (p_broken <= {CLEAR[0]}) AS clear_ok
            FROM {drawn} GROUP BY grid_id ORDER BY grid_id""",
        [run_id],
    )
    control = store.rows(f"SELECT arg_min({one}, lot, {control_depth}) AS control FROM {drawn}", [run_id])[0]["control"]
    names = ("uncertain", "disagreement", "clear_broken", "clear_ok")
    by_grid = {(name, row["grid_id"]): [Candidate(**found) for found in row[name] or []] for row in rows for name in names}
    return Pools(by_grid, [Candidate(**found) for found in control or []], [row["grid_id"] for row in rows], depth, control_depth)
