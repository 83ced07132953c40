"""Looking at one part of a grid in tiers: the unit of work of a cascade, the same in this process and in any other.

In: a part's clicks and what was learned from samples of all grids. Out: what the detectors say of the banners that no tier cleared, and
a file with a row for each that one did.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import ndtri

from core.banners.diagnosis import Diagnosis
from core.banners.heatmaps import Heatmaps
from core.banners.reference import Reference
from core.banners.views import View, Views, views_of
from core.banners.whole_grid import totals_of
from core.detectors import CATALOGUE
from core.scoring.fault_families import TEMPLATE
from core.scoring.grid import GridScorer, Scored, quiet
from core.scoring.judging import CANDIDATE, About, Heard, Judge
from core.scoring.parts import Grid, Part, read_part, rows_of, table_of
from core.scoring.result_tables import write
from core.scoring.tables import table
from core.scoring.tables import write as write_table
from core.scoring.tiers import Cleared, Gates, gate_scores
from core.statistics.arrays import Mask, Vector

UNDIAGNOSED = Diagnosis(None, None, None, 0.0, "", 0.0, "Nothing about it is so odd that its likeliest fault was looked for.")


@dataclass
class Learned:
    """All it takes to look at a part."""

    reference: Reference
    scorers: dict[int, GridScorer]
    judge: Judge
    gates: Gates
    cleared: list[Cleared]
    """What is said of the banners that each tier clears."""
    control: dict[int, NDArray[Any]]
    """banner_ids of each grid's control sample: no tier clears these."""
    whole: set[int]
    """Grids so small that no banner of theirs is cleared."""
    quick: list[str]
    views: list[View] = field(default_factory=list)
    """Views in which faults are looked for beside all clicks."""
    segments: dict[int, dict[str, Reference]] = field(default_factory=dict)
    """What is expected in each segment of a grid."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Scorers travel without the references of all grids, which are here once."""
        self.__dict__.update(state)
        for scorer in self.scorers.values():
            scorer.with_reference(self.reference)


@dataclass
class Looked:
    """What looking at a part found of the banners that were not cleared; rows stay aligned. `kept` holds their clicks."""

    grid_id: int
    scored: Scored
    heard: Heard
    control: Mask
    spared: Mask
    """Control banners whose like is cleared: they stand for these."""
    n_cleared: tuple[int, int]
    """Banners that the tiers cleared, and seconds that each tier and all other detectors took."""
    seconds: tuple[float, float, float]
    n_clicks: float
    """Of all banners of the part."""
    days: pa.Table
    """day, n_banners: cleared banners with clicks on each day."""
    kept: Path


def look(part: Part, learned: Learned, job: Path) -> Looked:
    """Looks at every banner of a part as closely as the tiers let it."""
    grid = read_part(part)
    heatmaps, scorer, cuts = grid.heatmaps, learned.scorers[part.grid_id], learned.gates.cuts
    control = np.isin(heatmaps.banner_id, learned.control[part.grid_id])
    must = control | (part.grid_id in learned.whole)
    must[0] |= not must.any()  # a part without any row to look at would be a case of its own in all that follows
    clock = [time.perf_counter()]
    first = _heard(heatmaps, learned, scorer, [name for name in learned.quick if CATALOGUE[name].is_statistic])
    statistics = gate_scores(first)[0]
    clock.append(time.perf_counter())
    templates = np.full(len(heatmaps), -np.inf)
    alive = np.flatnonzero((statistics >= cuts[0]) | must)
    some = heatmaps.take(alive)
    scorer.carry(heatmaps, alive, some)
    templates[alive] = np.maximum(statistics[alive], _heard(some, learned, scorer, [TEMPLATE])[TEMPLATE])
    clock.append(time.perf_counter())
    looked = np.flatnonzero(must | (templates >= cuts[1]))
    closely = heatmaps.take(looked)
    scorer.carry(some, np.searchsorted(alive, looked), closely)
    near = rows_of(grid, looked)
    views = Views(views_of(near.heatmaps, near.days, learned.views), learned.segments[part.grid_id])
    scored, heard = _look_closely(closely, views, learned, scorer)
    scored.totals = totals_of(grid.days)
    clock.append(time.perf_counter())
    fates = [~must & (statistics < cuts[0]), ~must & (statistics >= cuts[0]) & (templates < cuts[1])]
    name = f"{part.grid_id}-{part.folder.name}"
    write(job / "out", "cleared", name, _cleared_table(heatmaps, fates, [statistics, templates], learned, scorer))
    seconds = np.diff(clock).tolist()
    return Looked(
        grid_id=part.grid_id,
        scored=scored,
        heard=heard,
        control=must[looked],
        spared=np.any(learned.gates.cleared(gate_scores(heard.normalised)), axis=0) & must[looked],
        n_cleared=(int(fates[0].sum()), int(fates[1].sum())),
        seconds=(seconds[0], seconds[1], seconds[2]),
        n_clicks=float(heatmaps.n_clicks.sum()),
        days=_days(rows_of(grid, np.flatnonzero(fates[0] | fates[1]))),
        kept=_keep(job / "kept" / f"{name}.parquet", near),
    )


def _heard(heatmaps: Heatmaps, learned: Learned, scorer: GridScorer, names: list[str]) -> dict[str, Vector]:
    """Normalised scores (n,) of some detectors."""
    found = scorer.raw(heatmaps, names, quiet)
    about = About(found.grid_id, found.n_clicks, found.limit)
    return {name: learned.judge.normalised(name, found.scores[name], about) for name in names}


def _look_closely(heatmaps: Heatmaps, views: Views, learned: Learned, scorer: GridScorer) -> tuple[Scored, Heard]:
    """What every quick detector says; diagnoses of those who could be flagged."""
    scored = scorer.raw(heatmaps, learned.quick, quiet, views)
    about = About(scored.grid_id, scored.n_clicks, scored.limit, scored.evidence)
    heard = learned.judge.hear(scored.scores, about)
    scored.diagnoses = [UNDIAGNOSED] * len(heatmaps)
    odd = np.flatnonzero(learned.judge.p_values(heard, about) <= CANDIDATE)
    if len(odd):
        few = heatmaps.take(odd)
        scorer.carry(heatmaps, odd, few)
        for i, diagnosis in zip(odd.tolist(), scorer.diagnose(few), strict=True):
            scored.diagnoses[i] = diagnosis
    return scored, heard


def _cleared_table(heatmaps: Heatmaps, fates: list[Mask], scores: list[Vector], learned: Learned, scorer: GridScorer) -> pa.Table:
    """A row a cleared banner, the oddest first: those that the second tier cleared, then those of the first. `tier`: 0 or 1."""
    rows, p_value, p_broken, tier = [], [], [], []
    for k in (1, 0):
        own = np.flatnonzero(fates[k])
        own = own[np.argsort(-scores[k][own], kind="stable")]
        rows.append(own)
        p_value.append(learned.cleared[k].p_values(scores[k][own]))
        p_broken.append(learned.cleared[k].p_broken(scores[k][own]))
        tier.append(np.full(len(own), k, dtype=np.int16))
    at, p = np.concatenate(rows), np.concatenate(p_value)
    n_statistics = sum(CATALOGUE[name].is_statistic for name in learned.quick)
    return table(
        "cleared",
        {
            "banner_id": heatmaps.banner_id[at],
            "grid_id": heatmaps.grid_id[at],
            "n_products": heatmaps.n_products[at],
            "domain": heatmaps.domain[at],
            "n_clicks": heatmaps.n_clicks[at].astype(np.int64),
            "reference_id": scorer.ids_[scorer.own_.group_rows(heatmaps.take(at))],
            "combined": -ndtri(np.clip(p, 1e-12, 1 - 1e-12)),
            "p_value": p,
            "p_broken": np.concatenate(p_broken),
            "flagged": np.zeros(len(at), dtype=bool),
            "n_agree": np.zeros(len(at), dtype=np.int64),
            "n_detectors": n_statistics + np.concatenate(tier),
            "n_left_out": len(learned.quick) - n_statistics - np.concatenate(tier),
            "cleared_by": np.concatenate(tier),
        },
    )


def _days(grid: Grid) -> pa.Table:
    at, inverse = np.unique(grid.days.day, return_inverse=True)
    pairs = np.unique(inverse * max(len(grid.heatmaps), 1) + grid.days.codes)  # a banner counts once a day, however many rows it has
    of_day = pairs // max(len(grid.heatmaps), 1)
    return table("day", {"day": at, "n_banners": np.bincount(of_day, minlength=len(at))})


def _keep(path: Path, grid: Grid) -> Path:
    return write_table(table_of(grid), "kept", path)
