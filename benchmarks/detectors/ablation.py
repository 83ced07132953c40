"""What every family and every feature adds to `combined`, on synthetic demo logs, without any label.

    python -m benchmarks.detectors.ablation [SEED …] [--deep all|candidates]   default: demo seeds 0 1 2, candidates as in a default run

ROC-AUC and average precision over all banners, mean over the seeds; the interval is that of the difference to the row `all that score
every banner`, by 200 bootstrap resamples of the banners of every seed. `helps` and `harms` where it does not contain 0. The features come
from networks that never saw these logs. Everything here is synthetic data.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.detectors.quality import names_of, scored_and_judged
from core.banners.heatmaps import heatmaps_of
from core.banners.synthetic import DEMO, make_clicks
from core.detectors import CATALOGUE
from core.scoring.judging import About, Judged, judge
from core.scoring.task import Deep
from core.settings import FDR
from core.statistics.arrays import Vector

N_BOOTSTRAP = 200


@dataclass(frozen=True)
class Case:
    """One log, scored by every detector of the default run."""

    scores: dict[str, Vector]
    about: About
    broken: NDArray[np.bool_]
    control: NDArray[np.bool_]

    def judged(self, names: list[str]) -> Judged:
        """What a run with these detectors says."""
        return judge({n: self.scores[n] for n in names}, self.about, FDR, self.control)


def make_case(seed: int, deep: Deep) -> Case:
    """Scores the synthetic demo log of `seed` as a run does."""
    log = make_clicks(seed, DEMO)
    heatmaps = heatmaps_of(log.banner, log.points, log.banner_id, log.grid_id, log.n_products, log.domain)
    parts, _, control = scored_and_judged(heatmaps, deep)
    order = np.concatenate([np.flatnonzero(log.grid_id == g) for g in np.unique(log.grid_id)])
    scores = {name: np.concatenate([part.scores[name] for part in parts]) for name in parts[0].scores}
    about = About(*(np.concatenate([getattr(part, c) for part in parts]) for c in About._fields))
    return Case(scores, about, log.fault[order] != "", control)


def variants() -> dict[str, list[str]]:
    """Sets of detectors by what the table calls them."""
    quick = names_of(False)
    statistics = [name for name in quick if CATALOGUE[name].family == "statistical"]
    found = {"statistics": statistics}
    found |= {f"statistics + {name}": [*statistics, name] for name in quick if name not in statistics}
    found["all that score every banner"] = quick
    found |= {f"… + {name}": [*quick, name] for name in names_of(True)}
    return found | {"… + all features": [*quick, *names_of(True)]}


def metrics(broken: NDArray[np.bool_], combined: Vector) -> tuple[float, float]:
    """ROC-AUC and average precision."""
    return float(roc_auc_score(broken, combined)), float(average_precision_score(broken, combined))


def differences(cases: list[Case], one: list[Vector], other: list[Vector]) -> NDArray[np.float64]:
    """(N_BOOTSTRAP, 2) mean differences of both metrics over the seeds, banners resampled."""
    rng = np.random.default_rng(0)
    out = np.empty((N_BOOTSTRAP, 2))
    for k in range(N_BOOTSTRAP):
        found = []
        for case, a, b in zip(cases, one, other, strict=True):
            rows = rng.integers(0, len(a), len(a))
            found.append(np.subtract(metrics(case.broken[rows], a[rows]), metrics(case.broken[rows], b[rows])))
        out[k] = np.mean(found, axis=0)
    return out


def _cell(value: float, spread: NDArray[np.float64] | None) -> str:
    if spread is None:
        return f"{value:.4f}"
    low, high = np.quantile(spread, [0.025, 0.975])
    verdict = " helps" if low > 0 else " harms" if high < 0 else ""
    return f"{value:.4f} ({low:+.4f} to {high:+.4f}){verdict}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--deep", choices=["all", "candidates"], default="candidates")
    given = parser.parse_args()
    cases = [make_case(seed, given.deep) for seed in given.seeds]
    judged = {what: [case.judged(names) for case in cases] for what, names in variants().items()}
    base = [j.combined for j in judged["all that score every banner"]]
    table = Table(title=f"Synthetic demo, seeds {given.seeds}, deep detectors on {given.deep}; n = {sum(len(c.broken) for c in cases):,}")
    for column in ("combined of", "ROC-AUC (difference)", "average precision (difference)", "weight"):
        table.add_column(column, justify="left" if column == "combined of" else "right")
    for what, runs in judged.items():
        combined = [j.combined for j in runs]
        spread = None if what == "all that score every banner" else differences(cases, combined, base)
        mean = np.mean([metrics(case.broken, c) for case, c in zip(cases, combined, strict=True)], axis=0)
        cells = [_cell(float(mean[k]), None if spread is None else spread[:, k]) for k in (0, 1)]
        table.add_row(what, *cells, f"{np.mean([j.deep_weight for j in runs]):.2f}")
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
