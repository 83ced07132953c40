"""Every detector that looks at all banners: how good alone, and what `combined` loses without it or gains with it.

    python -m benchmarks.members [SEED …] [--only a,b]          default: demo seeds 0 1, all of the catalogue that need no hub

Two logs a seed: the demo's fault families, and kinds of fault that no template describes. "shuffled" is the same score dealt out anew,
mean and largest of 20 times. The last column is the difference of `combined`'s average precision with and without the detector, its
interval by 200 bootstrap resamples of the banners of every seed, `helps` and `harms` where it does not contain 0. No label is used.
Everything here is synthetic data.
"""

import argparse

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from benchmarks.ablation import Case, differences, metrics
from benchmarks.unseen import UNSEEN
from core.across import score_across
from core.detectors import CATALOGUE, default_names
from core.heatmaps import heatmaps_of
from core.judging import Judged
from core.reference import fit_reference
from core.scoring import Scored, score_grid
from core.synthetic import DEMO, Fault, make_clicks


def candidates() -> list[str]:
    """Names of the detectors that look at every banner."""
    return [name for name, detector in CATALOGUE.items() if not detector.deep and not detector.needs_labels]


def make_case(seed: int, faults: dict[str, Fault] | None, names: list[str]) -> tuple[Case, list[Scored]]:
    """Scores one synthetic log by the detectors `names`."""
    log = make_clicks(seed, DEMO, faults)
    heatmaps = heatmaps_of(log.banner, log.points, log.banner_id, log.grid_id, log.n_products, log.domain)
    reference = fit_reference(heatmaps)
    rows = [np.flatnonzero(log.grid_id == g) for g in np.unique(log.grid_id)]
    within, together = ([name for name in names if CATALOGUE[name].across == across] for across in (False, True))
    parts = [score_grid(heatmaps.take(r), reference, within, lambda what: None) for r in rows]
    of_grid = {int(heatmaps.grid_id[r[0]]): heatmaps.take(r) for r in rows}
    score_across(parts, lambda part: of_grid[int(part.grid_id[0])], together, lambda what: None)
    scores = {name: np.concatenate([part.scores[name] for part in parts]) for name in names}
    grid_id, n_clicks, limit = (np.concatenate([getattr(part, c) for part in parts]) for c in ("grid_id", "n_clicks", "limit"))
    broken = log.fault[np.concatenate(rows)] != ""
    return Case(scores, grid_id, n_clicks, limit, broken, np.ones(len(broken), dtype=bool)), parts


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


def main() -> None:
    """Prints a table a kind of log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--only", help="detectors beside the default run's, parted by commas")
    given = parser.parse_args()
    default = [name for name in default_names() if not CATALOGUE[name].deep]
    names = [*default, *[n for n in (given.only.split(",") if given.only else candidates()) if n not in default]]
    for faults, title in ((None, "the ten fault families"), (UNSEEN, "kinds of fault without a template")):
        found = [make_case(seed, faults, names) for seed in given.seeds]
        cases = [case for case, _ in found]
        n = sum(len(case.broken) for case in cases)
        base = [case.judged(default) for case in cases]
        table = Table(title=f"Synthetic demo, {title}, seeds {given.seeds}; n = {n:,}")
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
            fit, score = np.sum([part.seconds[name] for _, parts in found for part in parts], axis=0).tolist()
            cells = [*_alone(cases, name), f"{fit / len(cases):.1f}", f"{1000 * score / n:.2f}", _worth(cases, base, name, default)]
            table.add_row(name, "yes" if name in default else "", *cells)
        Console(width=160).print(table)


if __name__ == "__main__":
    main()
