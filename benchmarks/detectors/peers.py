"""PyOD's detectors beside ours, on the same synthetic banners: what the input is worth, and what the method.

    python -m benchmarks.detectors.peers [SEED …]                  default: demo seeds 0 1 2
    python -m benchmarks.detectors.peers 0 --grids 2 --size 300    on a log of 2 grids of 300 banners each, a twentieth of them broken

PyOD's sees the plain bins of a banner as shares (1,600 columns), or the features that our classical detectors see; every detector is
fitted without labels on all banners of a grid and scores these. Ours are those that look at every banner. The scores of all are
normalised alike, and ROC-AUC and average precision are over all grids, mean and spread over the seeds. Everything here is synthetic data.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyod.models.copod import COPOD
from pyod.models.ecod import ECOD
from pyod.models.hbos import HBOS
from pyod.models.iforest import IForest
from pyod.models.kde import KDE
from pyod.models.knn import KNN
from pyod.models.lof import LOF
from pyod.models.ocsvm import OCSVM
from pyod.models.pca import PCA
from rich.console import Console
from rich.table import Table
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.detectors.quality import names_of
from core.banners.fitting import fit_reference
from core.banners.heatmaps import Heatmaps, heatmaps_of
from core.banners.reference import Reference
from core.banners.synthetic import DEMO, GridPlan, make_clicks
from core.detectors import CATALOGUE
from core.features.click_features import ClickFeatures
from core.scoring.grid import score_grid
from core.scoring.judging import About, judge
from core.settings import FDR
from core.statistics.arrays import Vector

PEERS: dict[str, Callable[[], Any]] = {
    "KNN": KNN,
    "LOF": LOF,
    "OCSVM": OCSVM,
    "IForest": lambda: IForest(random_state=0),
    "PCA": lambda: PCA(random_state=0),
    "HBOS": HBOS,
    "COPOD": COPOD,
    "ECOD": ECOD,
    "KDE": KDE,
}
CLASSICAL = ["one_class_svm", "knn", "kmeans", "dbscan", "isolation_forest", "capstone_vote"]


def plain(heatmaps: Heatmaps, own: Reference) -> NDArray[np.float64]:
    """(n, 1600) shares."""
    counts = heatmaps.counts.toarray().astype(np.float64)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def featured(heatmaps: Heatmaps, own: Reference) -> NDArray[np.float64]:
    """(n, d) what our classical detectors see."""
    return ClickFeatures(own).fit(heatmaps).transform(heatmaps).astype(np.float64)


def measure(seed: int, plans: tuple[GridPlan, ...] = DEMO) -> dict[str, tuple[float, float, float]]:
    """ROC-AUC, average precision and milliseconds a banner of every detector."""
    log = make_clicks(seed, plans)
    heatmaps = heatmaps_of(log.banner, log.points, log.banner_id, log.grid_id, log.n_products, log.domain)
    reference = fit_reference(heatmaps)
    rows = [np.flatnonzero(log.grid_id == g) for g in np.unique(log.grid_id)]
    grids = [heatmaps.take(r) for r in rows]
    ours = list(dict.fromkeys([*names_of(False), *CLASSICAL]))
    parts = [score_grid(grid, reference, ours, lambda what: None) for grid in grids]
    scores = {name: np.concatenate([part.scores[name] for part in parts]) for name in ours}
    seconds = {name: sum(sum(part.seconds[name]) for part in parts) for name in ours}
    for what, read in (("plain bins", plain), ("our features", featured)):
        inputs = [read(grid, reference.of_grid(int(grid.grid_id[0]))[0]) for grid in grids]
        for name, make in PEERS.items():
            start = time.perf_counter()
            scores[f"PyOD {name}, {what}"] = np.concatenate([_fitted(make(), X) for X in inputs])
            seconds[f"PyOD {name}, {what}"] = time.perf_counter() - start
    order = np.concatenate(rows)
    broken = log.fault[order] != ""
    about = About(*(np.concatenate([getattr(part, name) for part in parts]) for name in About._fields))
    known = {name: "knn" if name not in CATALOGUE else name for name in scores}
    found = {}
    for name, values in scores.items():
        z = judge({known[name]: values}, about, FDR).normalised[known[name]]
        found[name] = (float(roc_auc_score(broken, z)), float(average_precision_score(broken, z)), 1000 * seconds[name] / len(broken))
    combined = judge({name: scores[name] for name in names_of(False)}, about, FDR).combined
    found["combined"] = (float(roc_auc_score(broken, combined)), float(average_precision_score(broken, combined)), float("nan"))
    return found


def _fitted(model: Any, X: NDArray[np.float64]) -> Vector:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constant columns: cells that nobody clicks
        model.fit(X)
    return np.nan_to_num(np.asarray(model.decision_scores_, dtype=np.float64), posinf=1e9, neginf=-1e9)


def main() -> None:
    """Prints the table, the best first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--grids", type=int, help="so many grids in place of the demo's")
    parser.add_argument("--size", type=int, default=600, help="banners of each of these")
    given = parser.parse_args()
    seeds = given.seeds
    plans = tuple(GridPlan(400_000 + k, given.size, given.size // 20) for k in range(given.grids)) if given.grids else DEMO
    runs = [measure(seed, plans) for seed in seeds]
    table = Table(title=f"Ours and PyOD's, synthetic demo logs, seeds {', '.join(map(str, seeds))}: mean (spread)")
    for name in ("detector", "ROC-AUC", "average precision", "ms a banner"):
        table.add_column(name, justify="left" if name == "detector" else "right")
    for name in sorted(runs[0], key=lambda name: -np.mean([run[name][0] for run in runs])):
        columns = np.array([run[name] for run in runs])
        cells = [f"{columns[:, k].mean():.3f} ({columns[:, k].std():.3f})" for k in (0, 1)]
        table.add_row(name, *cells, "–" if np.isnan(columns[:, 2]).any() else f"{columns[:, 2].mean():.2f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
