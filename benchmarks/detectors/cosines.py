"""How well the cosine to the anchor finds broken banners, feature by feature, on synthetic logs that nothing was trained on.

    python -m benchmarks.detectors.cosines [--features simclr,vit_small] [--seeds 30,31,32,33,34] [--unseen]

ROC-AUC over all banners, by grid and by fault, of scores as a run makes them: anchors a layout, normalised within the grid.
`plain` is the yardstick: the cosine of the image itself, the square root of the click density smoothed by one cell, without any
network. With `--unseen` the faults are six kinds that no template describes. Everything here is synthetic data.
"""

import argparse

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

from benchmarks.detectors.unseen import UNSEEN
from core.banners.heatmaps import Heatmaps, heatmaps_of
from core.banners.images import Images
from core.banners.synthetic import DEMO, Fault, GridPlan, make_clicks
from core.detectors.cosine import Cosine
from core.features import make_extractor
from core.features.count_sketch import extract_reduced
from core.statistics.normalise import Normaliser

PLAIN = "plain"
PLAIN_SD = 1 / 40


def features_of(name: str, counts: csr_matrix) -> NDArray[np.float32]:
    """(n, d) features of the extractor `name`, or the smoothed image itself."""
    if name == PLAIN:
        return Images(noise_sd=PLAIN_SD).make(counts).reshape(counts.shape[0], -1)
    return extract_reduced(make_extractor(name), counts)


def scores_of(features: NDArray[np.float32], heatmaps: Heatmaps) -> NDArray[np.float64]:
    """(n,) normalised cosine distances of the banners of all grids, grouped as a run groups them: anchors a grid and number of products."""
    out = np.empty(len(heatmaps))
    for grid in np.unique(heatmaps.grid_id):
        rows = np.flatnonzero(heatmaps.grid_id == grid)
        layouts = np.unique(heatmaps.n_products[rows], return_inverse=True)[1]
        raw = Cosine().fit(features[rows], layouts).score(features[rows], layouts)
        one = np.zeros(len(rows), dtype=np.int64)
        out[rows] = Normaliser().fit(raw, one, heatmaps.n_clicks[rows]).transform(raw, one, heatmaps.n_clicks[rows])
    return out


def measure(
    seed: int, names: list[str], faults: dict[str, Fault] | None = None, plans: tuple[GridPlan, ...] = DEMO
) -> dict[str, dict[str, float]]:
    """ROC-AUC by feature, over all grids (`all`), by grid and by fault, on the synthetic log of `seed`."""
    log = make_clicks(seed, plans, faults)
    heatmaps = heatmaps_of(log.banner, log.points, log.banner_id, log.grid_id, log.n_products, log.domain)
    broken = log.fault != ""
    among = {"all": np.ones(len(broken), dtype=bool)}
    among |= {str(grid): log.grid_id == grid for grid in np.unique(log.grid_id)}
    among |= {str(fault): ~broken | (log.fault == fault) for fault in np.unique(log.fault[broken])}
    out = {}
    for name in names:
        scores = scores_of(features_of(name, heatmaps.counts), heatmaps)
        out[name] = {what: float(roc_auc_score(broken[rows], scores[rows])) for what, rows in among.items()}
    return out


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--features", default="simclr,vit_small")
    parser.add_argument("--seeds", default="30,31,32,33,34")
    parser.add_argument("--unseen", action="store_true")
    given = parser.parse_args()
    names, seeds = [PLAIN, *given.features.split(",")], [int(s) for s in given.seeds.split(",")]
    runs = [measure(seed, names, UNSEEN if given.unseen else None) for seed in seeds]
    table = Table(title=f"ROC-AUC of cosine_<feature>, synthetic demo seeds {given.seeds}: mean (lowest)")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for what in runs[0][PLAIN]:
        values = [[run[name][what] for run in runs] for name in names]
        table.add_row(what, *[f"{np.mean(v):.4f} ({min(v):.4f})" for v in values])
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
