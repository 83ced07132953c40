"""How well broken banners are found and named, on synthetic logs that nothing was tuned on.

    python -m benchmarks.detectors.quality [SEED …] [--deep none|candidates|all]          default: demo seeds 0 1 2 3 4, none

Two tables: the demo's ten fault families, and six kinds of fault that no template describes. ROC-AUC and average precision are
over the two new grids together, a detector's after normalising; "flagged - true" is in points of a grid's banners. Everything here
is synthetic data.
"""

import argparse
import time
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.detectors.unseen import UNSEEN
from core.banners.fitting import fit_reference
from core.banners.heatmaps import Heatmaps, heatmaps_of
from core.banners.synthetic import DEMO, Fault, GridPlan, make_clicks
from core.detectors import CATALOGUE, default_names
from core.features import EXTRACTORS
from core.scoring.grid import Scored, score_deep, score_grid
from core.scoring.judging import About, Judged, candidates, control_sample, judge
from core.scoring.task import Deep
from core.settings import FDR
from core.statistics.arrays import Mask

NEW_GRIDS = (333519, 333346)


@dataclass(frozen=True)
class Quality:
    """One seed: `roc_auc` and `average_precision` over the new grids by detector and for `combined`; shares by grid."""

    roc_auc: dict[str, float]
    average_precision: dict[str, float]
    true_share: dict[int, float]
    flagged_share: dict[int, float]
    false_share: float
    """Share of the flagged banners of all grids that are ok."""
    expected_false_share: float
    """The same as the run itself expects it, and the pages state it."""
    f1: float
    """Of the flags, over all grids."""
    family_accuracy: float
    """Share of all broken banners whose family is named right."""
    found: dict[str, float]
    """Share of the broken banners flagged, by fault."""
    seconds: float

    @property
    def share_off(self) -> float:
        """Largest difference of flagged and true share over the grids."""
        return max(abs(self.flagged_share[g] - self.true_share[g]) for g in self.true_share)


def names_of(deep: bool) -> list[str]:
    """Detectors of the default run: those that look at some banners only, or the others."""
    return [name for name in default_names() if CATALOGUE[name].deep == deep]


def scored_and_judged(heatmaps: Heatmaps, deep: Deep = "none") -> tuple[list[Scored], Judged, Mask]:
    """What a run does between heatmaps and flags, and its control sample; the banners stand sorted by grid."""
    reference = fit_reference(heatmaps)
    grids = [heatmaps.take(np.flatnonzero(heatmaps.grid_id == g)) for g in np.unique(heatmaps.grid_id)]
    scored = [score_grid(grid, reference, names_of(False), lambda what: None) for grid in grids]
    about = About(*(np.concatenate([getattr(part, name) for part in scored]) for name in About._fields))
    grid_id, n_products = about.grid_id, np.concatenate([part.n_products for part in scored])

    def judged(control: Mask | None) -> Judged:
        scores = {name: np.concatenate([part.scores[name] for part in scored]) for name in scored[0].scores}
        return judge(scores, about, FDR, control)

    first, everybody = judged(None), np.ones(len(grid_id), dtype=bool)
    if deep == "none":
        return scored, first, everybody
    control = everybody if deep == "all" else control_sample(grid_id, n_products, seed=0)
    looked = everybody if deep == "all" else candidates(first, grid_id, control)
    usable = control & ~first.flagged
    for name in names_of(True):
        for part, grid in zip(scored, grids, strict=True):
            own = grid_id == part.grid_id[0]
            score_deep(part, grid, name, looked[own], usable[own], EXTRACTORS[name.removeprefix("cosine_")])
    return scored, judged(control), control


def measure(seed: int, faults: dict[str, Fault] | None = None, plans: tuple[GridPlan, ...] = DEMO, deep: Deep = "none") -> Quality:
    """Makes the synthetic log of `seed`, scores it and holds the result against the truth."""
    start = time.perf_counter()
    log = make_clicks(seed, plans, faults)
    heatmaps = heatmaps_of(log.banner, log.points, log.banner_id, log.grid_id, log.n_products, log.domain)
    scored, judged, _ = scored_and_judged(heatmaps, deep)
    order = np.concatenate([np.flatnonzero(log.grid_id == g) for g in np.unique(log.grid_id)])
    grid_id, fault = log.grid_id[order], log.fault[order]
    broken, new = fault != "", np.isin(log.grid_id[order], NEW_GRIDS)
    named = np.array([d.fault or "" for part in scored for d in part.diagnoses], dtype=object)
    rankings: dict[str, NDArray[np.float64]] = {
        "combined": judged.combined,
        **{n: s for n, s in judged.normalised.items() if np.isfinite(s).all()},
    }
    return Quality(
        roc_auc={k: float(roc_auc_score(broken[new], s[new])) for k, s in rankings.items()},
        average_precision={k: float(average_precision_score(broken[new], s[new])) for k, s in rankings.items()},
        true_share={int(g): float(broken[grid_id == g].mean()) for g in np.unique(grid_id)},
        flagged_share={int(g): float(judged.flagged[grid_id == g].mean()) for g in np.unique(grid_id)},
        false_share=float((~broken)[judged.flagged].mean()) if judged.flagged.any() else 0.0,
        expected_false_share=float((1 - judged.p_broken)[judged.flagged].mean()) if judged.flagged.any() else 0.0,
        f1=float(2 * (broken & judged.flagged).sum() / (broken.sum() + judged.flagged.sum())),
        family_accuracy=float((named == fault)[broken].mean()),
        found={str(f): float(judged.flagged[fault == f].mean()) for f in np.unique(fault[broken])},
        seconds=time.perf_counter() - start,
    )


def _table(title: str, seeds: list[int], runs: list[Quality], named: bool) -> Table:
    table = Table(title=title)
    table.add_column("")
    for name in [*map(str, seeds), "mean", "spread"]:
        table.add_column(name, justify="right")

    def row(label: str, values: list[float], digits: int = 4) -> None:
        cells = [*values, float(np.mean(values)), float(np.std(values))]
        table.add_row(label, *[f"{v:.{digits}f}" for v in cells])

    for name in runs[0].roc_auc:
        row(f"{name} ROC-AUC", [r.roc_auc[name] for r in runs])
    table.add_section()
    for name in runs[0].average_precision:
        row(f"{name} AP", [r.average_precision[name] for r in runs])
    table.add_section()
    for grid in runs[0].true_share:
        row(f"{grid} flagged - true %", [100 * (r.flagged_share[grid] - r.true_share[grid]) for r in runs], 2)
    row("F1 of the flags", [r.f1 for r in runs])
    row("false among flagged %", [100 * r.false_share for r in runs], 1)
    row("… as expected by the run %", [100 * r.expected_false_share for r in runs], 1)
    if named:
        row("family named right %", [100 * r.family_accuracy for r in runs], 1)
    table.add_section()
    for fault in runs[0].found:
        row(f"{fault} flagged %", [100 * r.found[fault] for r in runs], 1)
    row("seconds", [r.seconds for r in runs], 1)
    return table


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--deep", choices=get_args(Deep), default="none")
    given = parser.parse_args()
    seeds, console = given.seeds, Console(width=max(100, 44 + 10 * len(given.seeds)))
    known = [measure(s, deep=given.deep) for s in seeds]
    console.print(_table("Synthetic demo, ten fault families", seeds, known, True))
    unknown = [measure(s, UNSEEN, deep=given.deep) for s in seeds]
    console.print(_table("Synthetic demo, fault kinds without a template", seeds, unknown, False))


if __name__ == "__main__":
    main()
