"""How well the shipped `ssad_clicks` does alone, by its raw logit, on synthetic grids and layouts it was not trained on.

    python -m benchmarks.ssad.clicks [SEED …] [--speed]          default: demo seeds 0 1 2 3 4; --speed: banners a second alone

ROC-AUC and average precision over the two new grids together: for the demo's ten fault families, whose like are among its corruptions,
and for five kinds of faults that are neither among them nor like them. Then banners a second. Everything here is synthetic data.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.detectors.quality import NEW_GRIDS
from benchmarks.detectors.unseen import UNSEEN
from core import settings
from core.banners.fitting import fit_reference
from core.banners.heatmaps import Heatmaps, heatmaps_of
from core.banners.synthetic import DEMO, Fault, make_clicks
from core.detectors import make

OTHER = {name: fault for name, fault in UNSEEN.items() if name != "transposed"}
"""Faults without a like among the corruptions, of which one transposes."""


def measure(seed: int, faults: dict[str, Fault] | None) -> tuple[float, float]:
    """ROC-AUC and average precision of the raw logit over the new grids."""
    log = make_clicks(seed, DEMO, faults)
    heatmaps = heatmaps_of(log.banner, log.points, log.banner_id, log.grid_id, log.n_products, log.domain)
    new = np.isin(log.grid_id, NEW_GRIDS)
    detector = make("ssad_clicks", reference=fit_reference(heatmaps))
    found, groups = heatmaps.take(np.flatnonzero(new)), np.zeros(int(new.sum()), dtype=np.int64)
    scores = detector.fit(found, groups).score(found, groups)
    broken = log.fault[new] != ""
    return float(roc_auc_score(broken, scores)), float(average_precision_score(broken, scores))


def banners_per_second(heatmaps: Heatmaps, clock: Callable[[], float]) -> float:
    """Best of three over the whole log, by a clock in seconds."""
    detector, groups = make("ssad_clicks", reference=fit_reference(heatmaps)), np.zeros(len(heatmaps), dtype=np.int64)
    detector.fit(heatmaps, groups)
    seconds = []
    for _ in range(3):
        start = clock()
        detector.score(heatmaps, groups)
        seconds.append(clock() - start)
    return len(heatmaps) / min(seconds)


def main(seeds: list[int]) -> None:
    """Prints the table of these seeds."""
    table = Table(title="ssad_clicks, raw logit, new grids of synthetic demo logs")
    for name in ("", *map(str, seeds), "mean", "lowest"):
        table.add_column(name, justify="right")
    for what, faults in (("ten families", None), ("five other kinds", OTHER)):
        found = np.array([measure(seed, faults) for seed in seeds]).T
        for name, values in zip(("ROC-AUC", "AP"), found, strict=True):
            table.add_row(f"{what}: {name}", *[f"{v:.4f}" for v in [*values, values.mean(), values.min()]])
    Console(width=120).print(table)


def speed() -> None:
    """Prints how many banners a second are scored: by the clock, as fast as other work lets them, and of one core's time."""
    import torch

    log = make_clicks(0, DEMO)
    heatmaps = heatmaps_of(log.banner, log.points, log.banner_id, log.grid_id, log.n_products, log.domain)
    print(f"{banners_per_second(heatmaps, time.perf_counter):,.0f} of {len(heatmaps):,} banners a second on {settings.n_threads()} threads")
    torch.set_num_threads(1)
    print(f"{banners_per_second(heatmaps, time.process_time):,.0f} a second of one core's time")


if __name__ == "__main__":
    import torch

    parser = argparse.ArgumentParser(description="The network of ssad_clicks alone, by its raw logit.")
    parser.add_argument("seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4], help="seeds of the demo logs")
    parser.add_argument("--speed", action="store_true", help="measure the speed only")
    asked = parser.parse_args()
    torch.set_num_threads(settings.n_threads())
    if not asked.speed:
        main(asked.seeds)
    speed()
