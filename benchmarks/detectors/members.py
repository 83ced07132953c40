"""Every detector that looks at all banners: how good alone, and what `combined` loses without it or gains with it.

    python -m benchmarks.detectors.members [SEED …] [--only a,b] [--logs families|unseen]   default: demo seeds 0 1, all that need no hub,
    both python -m benchmarks.detectors.members --grids 10 --size 600 [--only a,b]                 how good alone, and cost, on 10 grids of
                                                                                                   600

Two logs a seed: the demo's fault families, and kinds of fault that no template describes. "shuffled" is the same score dealt out again,
mean and largest of 20 times. The last column is the difference of `combined`'s average precision with and without the detector, its
interval by 200 bootstrap resamples of the banners of every seed, `helps` and `harms` where it does not contain 0. No label is used.
Costs are processor time, which does not depend on what else the machine does: of one core where OMP_NUM_THREADS=1, at most twice the
wall time of two cores that do nothing else. Everything here is synthetic data.
"""

import argparse
import time
from unittest import mock

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from benchmarks.detectors.ablation import Case, differences, metrics
from benchmarks.detectors.unseen import UNSEEN
from core.banners.fitting import fit_reference
from core.banners.heatmaps import heatmaps_of
from core.banners.synthetic import DEMO, Fault, GridPlan, make_clicks
from core.detectors import CATALOGUE, default_names
from core.scoring.all_grids import score_across
from core.scoring.grid import Scored, score_grid
from core.scoring.judging import About, Judged

LOGS: dict[str, tuple[str, dict[str, Fault] | None]] = {
    "families": ("the ten fault families", None),
    "unseen": ("kinds of fault without a template", UNSEEN),
}


def candidates() -> list[str]:
    """Names of the detectors that look at every banner."""
    return [name for name, detector in CATALOGUE.items() if not detector.deep and not detector.needs_labels]


def make_case(
    seed: int, faults: dict[str, Fault] | None, names: list[str], plans: tuple[GridPlan, ...] = DEMO
) -> tuple[Case, list[Scored]]:
    """Scores one synthetic log by the detectors `names`; the seconds in what is scored are processor time."""
    log = make_clicks(seed, plans, faults)
    heatmaps = heatmaps_of(log.banner, log.points, log.banner_id, log.grid_id, log.n_products, log.domain)
    reference = fit_reference(heatmaps)
    rows = [np.flatnonzero(log.grid_id == g) for g in np.unique(log.grid_id)]
    within, together = ([name for name in names if CATALOGUE[name].across == across] for across in (False, True))
    of_grid = {int(heatmaps.grid_id[r[0]]): heatmaps.take(r) for r in rows}
    with mock.patch.object(time, "perf_counter", time.process_time):
        parts = [score_grid(grid, reference, within, lambda what: None) for grid in of_grid.values()]
        score_across(parts, lambda part: of_grid[int(part.grid_id[0])], together, lambda what: None)
    scores = {name: np.concatenate([part.scores[name] for part in parts]) for name in names}
    about = About(*(np.concatenate([getattr(part, name) for part in parts]) for name in About._fields))
    broken = log.fault[np.concatenate(rows)] != ""
    return Case(scores, about, broken, np.ones(len(broken), dtype=bool)), parts


def _alone(cases: list[Case], name: str) -> list[str]:
    """ROC-AUC and average precision of one detector, and the ROC-AUC of its score shuffled."""
    rng = np.random.default_rng(0)
    judged = [case.judged([name]).normalised[name] for case in cases]
    auc, ap = np.mean([metrics(case.broken, z) for case, z in zip(cases, judged, strict=True)], axis=0)
    dealt = [float(roc_auc_score(c.broken, rng.permutation(z))) for c, z in zip(cases, judged, strict=True) for _ in range(20)]
    return [f"{auc:.3f}", f"{ap:.3f}", f"{np.mean(dealt):.3f}, {np.max(dealt):.3f}"]


def _worth(cases: list[Case], base: list[Judged], name: str, default: list[str]) -> str:
    """What `combined`'s average precision owes to a detector of the default run, or would to another one."""
    names = [n for n in default if n != name] if name in default else [*default, name]
    other = [case.judged(names).combined for case in cases]
    own = [j.combined for j in base]
    with_it, without = (own, other) if name in default else (other, own)
    found = differences(cases, with_it, without)[:, 1]
    low, high = np.quantile(found, [0.025, 0.975])
    verdict = " helps" if low > 0 else " harms" if high < 0 else ""
    return f"{found.mean():+.4f} ({low:+.4f} to {high:+.4f}){verdict}"


def _cost(parts: list[Scored], names: list[str]) -> tuple[float, float]:
    """Seconds of fit, and milliseconds of scoring a banner, of the detectors `names` together."""
    fit, score = np.sum([part.seconds[name] for part in parts for name in names], axis=0).tolist()
    return fit, 1000 * score / sum(len(part.banner_id) for part in parts)


def show(seeds: list[int], title: str, faults: dict[str, Fault] | None, names: list[str], default: list[str]) -> Table:
    """The table of one kind of log."""
    found = [make_case(seed, faults, names) for seed in seeds]
    cases, parts = [case for case, _ in found], [part for _, parts in found for part in parts]
    base = [case.judged(default) for case in cases]
    n = sum(len(case.broken) for case in cases)
    table = Table(title=f"Synthetic demo, {title}, seeds {seeds}; n = {n:,}")
    for column in (
        "detector",
        "default run",
        "ROC-AUC",
        "AP",
        "shuffled",
        "fit s",
        "score ms a banner",
        "AP of combined with it - without",
    ):
        table.add_column(column, justify="left" if column == "detector" else "right")
    for name in names:
        fit, score = _cost(parts, [name])
        cells = [*_alone(cases, name), f"{fit / len(cases):.1f}", f"{score:.2f}", _worth(cases, base, name, default)]
        table.add_row(name, "yes" if name in default else "", *cells)
    table.add_section()
    for what, own in (("default run together", default), ("all together", names)):
        fit, score = _cost(parts, own)
        table.add_row(what, "", "", "", "", f"{fit / len(cases):.1f}", f"{score:.2f}", "")
    return table


def show_cost(n_grids: int, size: int, names: list[str], default: list[str]) -> Table:
    """How good the detectors `names` are alone, and what they cost, on a synthetic log of `n_grids` grids of `size` banners each."""
    plans = tuple(GridPlan(400_000 + k, size, size // 20) for k in range(n_grids))
    start = time.process_time()
    case, parts = make_case(0, None, names, plans)
    whole = time.process_time() - start
    table = Table(
        title=f"Synthetic log, {n_grids} grids of {size} banners; {whole:.1f} s of processor time with the log itself and diagnoses"
    )
    for column in ("detector", "ROC-AUC", "AP", "shuffled", "fit s", "score ms a banner"):
        table.add_column(column, justify="left" if column == "detector" else "right")
    for what, own in {**{name: [name] for name in names}, "default run": default, "all": names}.items():
        fit, score = _cost(parts, own)
        table.add_row(what, *(_alone([case], what) if what in own else ["", "", ""]), f"{fit:.2f}", f"{score:.3f}")
    return table


def main() -> None:
    """Prints a table a kind of log, or what small grids cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--only", help="detectors beside the default run's, separated by commas")
    parser.add_argument("--logs", choices=list(LOGS), action="append")
    parser.add_argument("--grids", type=int, help="only so many grids, each detector alone")
    parser.add_argument("--size", type=int, default=600, help="banners of each of these")
    given = parser.parse_args()
    default = [name for name in default_names() if not CATALOGUE[name].deep]
    console = Console(width=160)
    names = [*default, *[n for n in (given.only.split(",") if given.only else candidates()) if n not in default]]
    if given.grids:
        console.print(show_cost(given.grids, given.size, names if given.only else default, default))
        return
    for kind in given.logs or LOGS:
        title, faults = LOGS[kind]
        console.print(show(given.seeds, title, faults, names, default))


if __name__ == "__main__":
    main()
