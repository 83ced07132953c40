"""What a run in tiers loses and saves against one in which every detector looks at every banner, on a synthetic log.

    python -m benchmarks.size.cascade [--banners 100000] [--seed 0] [--share 2] [--deep]

Both runs go through `core.scoring.worker` from the same heatmaps. With `--deep` the slow networks look at every banner, and in tiers at
those who could still be flagged and at their control sample; without, they do not run. Seconds are of processor time of the worker and
what it starts, so they hold on a busy machine too. A banner is lost where it is broken by the truth, the run without tiers flags it and the
one in tiers does not; "by the control sample" is the run's own estimate of the same for its tiers, with the 95 % interval that pages show.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from core.banners.heatmaps import Heatmaps, heatmaps_of
from core.banners.onset import Days
from core.banners.synthetic import DEMO, GridPlan, make_clicks
from core.scoring.parts import Grid, table_of
from core.statistics.intervals import wilson


class Outcome(NamedTuple):
    """One run: its flagged banners, seconds of processor time and wall time, and peak memory in MB of its largest process."""

    flagged: set[str]
    processor_s: float
    wall_s: float
    peak_mb: float


def plans(n_banners: int, percent: float) -> tuple[GridPlan, ...]:
    """The demo's grids with `n_banners` in all, of which `percent` are broken; 0 = as many as in the demo."""
    total = sum(plan.n_banners for plan in DEMO)
    out = []
    for plan in DEMO:
        n = round(plan.n_banners * n_banners / total)
        out.append(GridPlan(plan.grid_id, n, round(n * (percent / 100 if percent else plan.n_broken / plan.n_banners))))
    return tuple(out)


def write_job(job: Path, heatmaps: Heatmaps, **asked: Any) -> Path:
    """A job folder with every banner on one day."""
    for grid_id in np.unique(heatmaps.grid_id):
        own = heatmaps.take(np.flatnonzero(heatmaps.grid_id == grid_id))
        own = own.take(np.argsort(own.banner_id))
        folder = job / "heatmaps" / f"grid_id={grid_id}"
        folder.mkdir(parents=True)
        day = np.full(len(own), np.datetime64("2026-11-01"))
        pq.write_table(table_of(Grid(own, Days(np.arange(len(own)), day, own.counts))), folder / "0.parquet")
    (job / "request.json").write_text(json.dumps({"detectors": None, "deep": "none", "fdr": 0.1, "seed": 0, **asked}))
    return job


def run(job: Path) -> Outcome:
    """Runs the worker over a job folder."""
    start = time.perf_counter()
    worker = subprocess.Popen([sys.executable, "-m", "core.scoring.worker", str(job)], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(worker.pid, 0)  # of this worker and what it waited for, not of all that ran before it
    wall_s, worker.returncode = time.perf_counter() - start, os.waitstatus_to_exitcode(status)
    if worker.returncode:
        raise RuntimeError(f"The worker over {job} ended with status {worker.returncode}.")
    found = pq.read_table(job / "out" / "result" / "0.parquet", columns=["banner_id", "flagged"])
    flagged = set(found.filter(found["flagged"])["banner_id"].to_pylist())
    return Outcome(flagged, used.ru_utime + used.ru_stime, wall_s, used.ru_maxrss / 1e3)


def main() -> None:
    """Runs both ways and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--banners", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.0, help="percent of the banners that are broken; 0 = as in the demo, 5.6")
    parser.add_argument("--deep", action="store_true", help="ask the slow networks too")
    asked = parser.parse_args()
    log = make_clicks(asked.seed, plans(asked.banners, asked.share))
    heatmaps = heatmaps_of(log.banner, log.points, log.banner_id, log.grid_id, log.n_products, log.domain)
    broken = set(log.banner_id[log.fault != ""].tolist())
    with tempfile.TemporaryDirectory() as folder:
        tiered_job = write_job(Path(folder) / "tiers", heatmaps, cascade=True, deep="candidates" if asked.deep else "none")
        tiered = run(tiered_job)
        tiers = pq.read_table(tiered_job / "out" / "tier").to_pylist()
        everybody = run(write_job(Path(folder) / "all", heatmaps, deep="all" if asked.deep else "none"))
    show(tiers, tiered, everybody, broken, len(heatmaps))


def show(tiers: list[dict[str, Any]], tiered: Outcome, everybody: Outcome, broken: set[str], n: int) -> None:
    """Two tables: the tiers, and both runs against the truth."""
    console = Console()
    table = Table("tier", "looks at", "clears", "seconds", "found by all in the control sample", "lost of these", "95 % interval")
    for tier in tiers:
        known = tier["n_found"] is not None
        loss = wilson(tier["n_lost"], tier["n_found"]) if known else None
        cells = [f"{tier['n_found']}", f"{tier['n_lost']}", f"{loss.low:.1%} to {loss.high:.1%}"] if loss else ["", "", ""]
        table.add_row(tier["name"], f"{tier['n_in']:,}", f"{tier['n_cleared'] / tier['n_in']:.1%}", f"{tier['seconds']:.1f}", *cells)
    console.print(table)
    table = Table(f"{n:,} banners", "all detectors on all", "in tiers")
    for label, number in (("processor seconds", "processor_s"), ("wall seconds", "wall_s"), ("peak memory MB", "peak_mb")):
        table.add_row(label, *[f"{getattr(o, number):,.1f}" for o in (everybody, tiered)])
    table.add_row("flagged", *[f"{len(o.flagged):,}" for o in (everybody, tiered)])
    table.add_row("broken among the flagged", *[f"{len(o.flagged & broken):,}" for o in (everybody, tiered)])
    console.print(table)
    found = everybody.flagged & broken
    lost = found - tiered.flagged
    console.print(
        f"Of {len(found):,} broken banners flagged without tiers, {len(lost):,} ({len(lost) / max(len(found), 1):.2%}) are lost in tiers; "
        f"{len(tiered.flagged & broken - everybody.flagged):,} others are flagged in tiers only. "
        f"In tiers it costs {everybody.processor_s / tiered.processor_s:.1f} times less."
    )


if __name__ == "__main__":
    main()
