"""One choice among self-supervised detectors, from a job folder to its report: Parquet in, JSON out, no database.

    python -m core.models.selection.worker JOBDIR

Reads job.json (seed, ratio, max_steps or null) and banners.parquet (part: train, test or known, which are labelled; grid_id, n_products,
broken, family, bins, counts). Writes out/summary.json. Prints one JSON object a line: {"done": 0..1, "what": …}, or {"error": …} and
exit code 2 for what the user can mend.
"""

import json
import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.banners.heatmaps import counts_of_lists
from core.errors import InputError
from core.jobs.worker import asked_of, run, say
from core.models.selection.report import report
from core.models.selection.variants import MAX_STEPS, Sets, contenders, trained
from core.scoring.grid import IMAGES

NICENESS = 10
"""The dashboard and its scoring runs go first."""
LEAST = 30
"""Banners to learn from that it takes, and as many to judge."""


def main(job: Path) -> None:
    """Trains all contenders and says which one each selector takes."""
    asked = asked_of(job)
    os.nice(NICENESS)
    start = time.perf_counter()
    rows = pq.read_table(job / "banners.parquet")
    sets = read(rows)
    labelled = rows.filter(pc.field("part") == "known")
    broken, family = labelled["broken"].to_numpy().astype(bool), labelled["family"].to_numpy()
    candidates, known = [], []
    every = contenders(float(asked["ratio"]))
    for k, contender in enumerate(every):
        say(k / len(every), f"training {contender.name} ({k + 1} of {len(every)})")
        candidate, scores = trained(contender, sets, asked.get("max_steps") or MAX_STEPS, int(asked["seed"]))
        candidates.append(candidate)
        known.append(scores)
    say(1.0, "comparing them")
    summary = report(candidates, float(asked["ratio"]), known, broken, family)
    for row, contender in zip(summary["candidates"], every, strict=True):
        row |= {"detector": contender.detector, "fields": contender.fields}
    counts = {"n_train": len(sets.train), "n_test": len(sets.test), "n_broken": int(broken.sum()), "n_ok": int((~broken).sum())}
    (job / "out").mkdir(exist_ok=True)
    (job / "out" / "summary.json").write_text(json.dumps(summary | counts | {"seconds": time.perf_counter() - start}))


def read(rows: pa.Table) -> Sets:
    """The three sets. Raises InputError for too few banners."""
    part = rows["part"].to_numpy()
    n_train, n_test = (int((part == name).sum()) for name in ("train", "test"))
    if min(n_train, n_test) < LEAST:
        raise InputError(
            f"Model selection learns from {LEAST} banners and judges {LEAST} others, however there are {n_train} and {n_test}. "
            "Take a run with more banners."
        )
    images = IMAGES.make(counts_of_lists(rows["bins"], rows["counts"]))
    grid, n_products = (rows[name].to_numpy().astype(np.int64) for name in ("grid_id", "n_products"))
    layout = np.unique(grid * (n_products.max() + 1) + n_products, return_inverse=True)[1].astype(np.int64)
    return Sets(*[array[part == name] for name in ("train", "test", "known") for array in (images, layout)])


if __name__ == "__main__":
    run(main)
