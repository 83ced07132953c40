"""Wall time of one cascade over the local engine and over Ray on the same cores, on synthetic banners of about 20 clicks.

    python -m benchmarks.size.engines [--banners 1000000] [--grids 10] [--repeat 3]
    python -m benchmarks.size.engines --small

Every run is a worker of its own from the same heatmaps, without slow networks; starting Ray, and ending it, counts. The ratio is that of
the medians; scores must be the same to the last digit, or this fails. `--small`: whole runs of few banners in one process and over all
cores, which says from which size on (`core.jobs.executors.SMALL`) spreading pays.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from core import settings
from core.banners.fitting import smoothed
from core.banners.heatmaps import heatmaps_of
from core.banners.synthetic import GridPlan, make_clicks

PER_PART = 200_000
LIMIT = 1.3
WORKER = """
import sys
from core.jobs import executors
executors.SMALL = int(sys.argv[2])
from core.jobs.worker import run
from core.scoring.worker import main
run(main)
"""


def densities(n_grids: int, seed: int) -> NDArray[np.float64]:
    """(n_grids, 1600) where the clicks of synthetic layouts fall."""
    log = make_clicks(seed, tuple(GridPlan(k + 1, 60, 0) for k in range(n_grids)))
    found = heatmaps_of(log.banner, log.points, log.banner_id, log.grid_id, log.n_products, log.domain)
    return np.array([smoothed(np.asarray(found.counts[found.grid_id == k + 1].sum(axis=0)).ravel(), 0.8) for k in range(n_grids)])


def rows(rng: np.random.Generator, n: int, p: NDArray[np.float64], name: str) -> pa.Table:
    """Rows of `n` banners on one day; every twentieth is mirrored left to right."""
    clicks = np.maximum(rng.lognormal(np.log(17), 0.6, n), 3).astype(np.int64)
    bins = rng.choice(len(p), clicks.sum(), p=p)
    banner = np.repeat(np.arange(n), clicks)
    bins = np.where(banner % 20 == 0, bins // 40 * 40 + 39 - bins % 40, bins)
    cells, counts = np.unique(banner * len(p) + bins, return_counts=True)
    offsets = np.searchsorted(cells // len(p), np.arange(n + 1)).astype(np.int32)
    return pa.table(
        {
            "banner_id": [f"{name}-{i:07d}" for i in range(n)],
            "n_products": np.full(n, 2, dtype=np.int16),
            "domain": pa.array(["a.example"] * n),
            "day": pa.array(np.full(n, np.datetime64("2026-11-01"))),
            "bins": pa.ListArray.from_arrays(offsets, pa.array((cells % len(p)).astype(np.uint16))),
            "counts": pa.ListArray.from_arrays(offsets, pa.array(counts.astype(np.uint32))),
        }
    )


def write_job(job: Path, n_banners: int, n_grids: int, seed: int, cascade: bool) -> Path:
    """A job folder with so many banners, in parts where it is a cascade."""
    rng = np.random.default_rng(seed)
    for k, p in enumerate(densities(n_grids, seed)):
        n = n_banners // n_grids
        n_parts = -(-n // PER_PART) if cascade else 1
        for part in range(n_parts):
            folder = job / "heatmaps" / f"grid_id={k + 1}" / (f"part={part}" if cascade else "")
            folder.mkdir(parents=True)
            pq.write_table(rows(rng, n // n_parts, p, f"g{k + 1}-{part}"), folder / "0.parquet")
    return job


def run(job: Path, engine: str, cascade: bool, small: int) -> float:
    """Seconds of a worker over the job folder; what an earlier one left there goes."""
    for left in ("out", "kept"):
        shutil.rmtree(job / left, ignore_errors=True)
    asked = {"detectors": None, "deep": "none", "fdr": 0.1, "seed": 0, "cascade": cascade, "engine": engine, "ray_address": None}
    (job / "request.json").write_text(json.dumps(asked))
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", WORKER, str(job), str(small)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def scores(job: Path) -> pa.Table:
    """What a run said of every banner."""
    columns = ["banner_id", "combined", "p_value", "p_broken", "flagged"]
    return pa.concat_tables([pq.ParquetDataset(job / "out" / name).read(columns).sort_by("banner_id") for name in ("result", "cleared")])


def compare(job: Path, repeat: int) -> dict[str, list[float]]:
    """Seconds by engine, in turns. Raises ValueError where their scores differ."""
    seconds: dict[str, list[float]] = {"local": [], "ray": []}
    first: pa.Table | None = None
    for _ in range(repeat):
        for engine, taken in seconds.items():
            taken.append(run(job, engine, True, 0))
            first = scores(job) if first is None else first
            if not first.equals(scores(job)):
                raise ValueError(f"Engines give the same scores: those of {engine} differ. One of them is wrong.")
    return seconds


def small_runs(folder: Path) -> Table:
    """Whole runs over three grids in one process, and over all cores."""
    table = Table("banners", "one process, s", f"{settings.n_threads()} processes, s")
    for n in (300, 1_000, 2_000, 4_000, 8_000):
        job = write_job(folder / str(n), n, 3, 0, False)
        table.add_row(f"{n:,}", *[f"{statistics.median(run(job, 'local', False, small) for _ in range(3)):.1f}" for small in (10**9, 0)])
    return table


def main() -> None:
    """Runs, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--banners", type=int, default=1_000_000)
    parser.add_argument("--grids", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--small", action="store_true")
    asked = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        if asked.small:
            Console().print(small_runs(Path(folder)))
            return
        seconds = compare(write_job(Path(folder) / "job", asked.banners, asked.grids, asked.seed, True), asked.repeat)
    medians = {engine: statistics.median(taken) for engine, taken in seconds.items()}
    table = Table(f"{asked.banners:,} synthetic banners, {settings.n_threads()} processes", "median seconds", "all runs")
    for engine, taken in seconds.items():
        table.add_row(engine, f"{medians[engine]:.1f}", ", ".join(f"{s:.1f}" for s in taken))
    Console().print(table)
    Console().print(f"Ray takes {medians['ray'] / medians['local']:.2f} times as long; the limit is {LIMIT}. All scores are the same.")


if __name__ == "__main__":
    main()
