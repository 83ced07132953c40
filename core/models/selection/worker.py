"""One choice among self-supervised detectors, from a job folder to its report: Parquet in, JSON out, no database.

    python -m core.models.selection.worker JOBDIR

Reads request.json (a SelectionRequest) and banners.parquet (part: train, test or known, which are labelled; grid_id, n_products, broken,
family, bins, counts). `core.jobs.worker` does the rest.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.banners.heatmaps import counts_of_lists
from core.errors import InputError
from core.jobs import worker
from core.logs.progress import Progress
from core.models.selection.report import report
from core.models.selection.request import SelectionRequest
from core.models.selection.variants import MAX_STEPS, Sets, contenders, trained
from core.scoring.grid import IMAGES

LEAST = 30
"""Banners to learn from that it takes, and as many to judge."""


def select(job: Path, task: SelectionRequest, progress: Progress) -> dict[str, Any]:
    """Trains all contenders; returns the report of which one each selector takes."""
    rows = pq.read_table(job / "banners.parquet")
    sets = read(rows)
    labelled = rows.filter(pc.field("part") == "known")
    broken, family = labelled["broken"].to_numpy().astype(bool), labelled["family"].to_numpy()
    candidates, known = [], []
    every = contenders(task.ratio)
    for k, contender in enumerate(every):
        progress(k / len(every), f"training {contender.name} ({k + 1} of {len(every)})")
        candidate, scores = trained(contender, sets, task.max_steps or MAX_STEPS, task.seed)
        candidates.append(candidate)
        known.append(scores)
    progress(1.0, "comparing them")
    summary = report(candidates, task.ratio, known, broken, family)
    for row, contender in zip(summary["candidates"], every, strict=True):
        row |= {"detector": contender.detector, "fields": contender.fields}
    return summary | {"n_train": len(sets.train), "n_test": len(sets.test), "n_broken": int(broken.sum()), "n_ok": int((~broken).sum())}


def read(rows: pa.Table) -> Sets:
    """The three sets. Raises InputError for too few banners."""
    part = rows["part"].to_numpy()
    n_train, n_test = (int((part == name).sum()) for name in ("train", "test"))
    if min(n_train, n_test) < LEAST:
        raise InputError(
            f"Model selection learns from {LEAST} banners and judges {LEAST} others; there are {n_train} and {n_test}. "
            "Take a run with more banners."
        )
    images = IMAGES.make(counts_of_lists(rows["bins"], rows["counts"]))
    grid, n_products = (rows[name].to_numpy().astype(np.int64) for name in ("grid_id", "n_products"))
    layout = np.unique(grid * (n_products.max() + 1) + n_products, return_inverse=True)[1].astype(np.int64)
    return Sets(*[array[part == name] for name in ("train", "test", "known") for array in (images, layout)])


if __name__ == "__main__":
    worker.main(SelectionRequest)(select)
