"""How well the cluster networks count and locate, on drawn images that no training saw, how fast their features come, and what
their cosines find.

    python -m benchmarks.detectors.clusters [SEED …] [--images N]          default: seed 1, 10,000 images

Images as `core.models.training.cluster_images` draws them: 0 to 20 clusters to count, 0 to 6 to locate. ± is the standard error over the
images of a seed. Distances are in shares of the image's side. The weights are the shipped ones, in float32. Everything here is synthetic
data.
"""

import argparse
import time

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

from core import settings
from core.banners.heatmaps import heatmaps_of
from core.banners.synthetic import GridPlan, make_clicks
from core.detectors.cosine import Cosine
from core.features import make_extractor
from core.features.cluster_count import ExpectedClicks
from core.features.networks.clusters import MOST_CENTRES, MOST_CLUSTERS, ClusterCountNet, ClusterLocationNet, encoder_of
from core.features.networks.weight_files import find_weights, load_network, read_about
from core.features.running import features_of
from core.models.training.cluster_measures import count_errors, location_errors
from core.models.training.clusters import held_out
from core.settings import N_COLS
from core.statistics.normalise import Normaliser

PLANS = (GridPlan(1, 250, 20), GridPlan(2, 250, 20), GridPlan(3, 400, 30))
GROUPS = ((0, 5), (6, 10), (11, 15), (16, 20))
Rows = dict[str, str]


def load(name: str) -> torch.nn.Module:
    """The shipped network."""
    path = find_weights(name)
    encoder = encoder_of(read_about(path).get("encoder"))
    return load_network(ClusterCountNet(encoder) if name == "cluster_count" else ClusterLocationNet(encoder), path)


def share(right: NDArray[np.bool_]) -> str:
    """Percent and its standard error."""
    return f"{100 * right.mean():.1f} ± {100 * right.std() / np.sqrt(len(right)):.1f}"


def count_rows(network: torch.nn.Module, seed: int, n: int) -> Rows:
    """Share right and within one, by what the network sees and by the true number."""
    images = held_out(seed, MOST_CLUSTERS, n)
    one, eight = (np.abs(count_errors(network, images, turns).numpy()) for turns in (False, True))
    rows = {"top-1 of 21 classes, %": share(one == 0), "within one, %": share(one <= 1)}
    rows |= {"top-1, mean of 8 symmetries, %": share(eight == 0), "within one, mean of 8 symmetries, %": share(eight <= 1)}
    for low, high in GROUPS:
        of = (images.n_clusters >= low) & (images.n_clusters <= high)
        rows[f"top-1, {low} to {high} clusters, %"] = share(one[of] == 0)
    return rows


def location_rows(network: torch.nn.Module, seed: int, n: int) -> Rows:
    """Distance from a true centre to the nearest of six, in all and by their number; share rightly told to have any."""
    images = held_out(seed, MOST_CENTRES, n)
    found, right = location_errors(network, images)
    distance, of = found.numpy(), np.repeat(images.n_clusters, images.n_clusters)
    rows = {"mean distance to the nearest of six": f"{distance.mean():.4f} ± {distance.std() / np.sqrt(len(distance)):.4f}"}
    rows["median, 90 %, 99 %"] = " ".join(f"{q:.4f}" for q in np.quantile(distance, (0.5, 0.9, 0.99)))
    for k in range(1, MOST_CENTRES + 1):
        rows[f"mean distance, {k} centres"] = f"{distance[of == k].mean():.4f}"
    rows["any centre or none told right, %"] = share(right.numpy())
    return rows


def speed(name: str, n: int = 4096) -> str:
    """Banners/s of the extractor on images of up to six clusters, after one batch to warm up."""
    extractor, counts = make_extractor(name), csr_matrix(held_out(0, MOST_CENTRES, n).counts)
    features_of(extractor, counts[: extractor.batch])
    start = time.perf_counter()
    features_of(extractor, counts)
    return f"{n / (time.perf_counter() - start):,.0f}"


def cosine_rows(name: str, seed: int) -> Rows:
    """ROC-AUC of the normalised cosine on three synthetic grids, by how the network sees a banner."""
    log = make_clicks(10_000 + seed, PLANS)
    heatmaps = heatmaps_of(log.banner, log.points, log.banner_id, log.grid_id, log.n_products, log.domain)
    groups = np.unique(heatmaps.grid_id * 100 + heatmaps.n_products, return_inverse=True)[1]
    rows = {}
    for n_clicks, cells in ((500, 1.0), (500, 0.5), (2000, 1.0), (2000, 0.5)):
        features = features_of(make_extractor(name, images=ExpectedClicks(n_clicks=n_clicks, noise_sd=cells / N_COLS)), heatmaps.counts)
        scores = Cosine(feature=name).fit(features, groups).score(features, groups)
        scores = Normaliser().fit(scores, groups, heatmaps.n_clicks).transform(scores, groups, heatmaps.n_clicks)
        rows[f"ROC-AUC, {n_clicks:,} clicks, noise of {cells} cells"] = f"{roc_auc_score(log.fault != '', scores):.3f}"
    return rows


def show(title: str, runs: dict[int, Rows]) -> Table:
    """A column a seed."""
    table = Table(title=title)
    table.add_column("")
    for seed in runs:
        table.add_column(f"seed {seed}", justify="right")
    for label in next(iter(runs.values())):
        table.add_row(label, *[rows[label] for rows in runs.values()])
    return table


def main() -> None:
    """Prints a table a network, and the speed of both extractors."""
    parser = argparse.ArgumentParser(description="How well the cluster networks count and locate.")
    parser.add_argument("seeds", nargs="*", type=int, default=[1])
    parser.add_argument("--images", type=int, default=10_000)
    asked = parser.parse_args()
    torch.set_num_threads(settings.n_threads())
    console = Console(width=110)
    for name, rows in (("cluster_count", count_rows), ("cluster_location", location_rows)):
        network = load(name)
        console.print(
            show(f"{name}, {asked.images:,} drawn images a seed", {seed: rows(network, seed, asked.images) for seed in asked.seeds})
        )
        console.print(show(f"cosine_{name} on synthetic grids", {seed: cosine_rows(name, seed) for seed in asked.seeds}))
        console.print(f"{name}: {speed(name)} banners/s on {torch.get_num_threads()} cores, {make_extractor(name).weights}")


if __name__ == "__main__":
    main()
