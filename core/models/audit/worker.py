"""One audit of representations, from a job folder to its figures: Parquet in, JSON out, no database.

    python -m core.models.audit.worker JOBDIR

Reads job.json (seed, n_trees, max_steps or null, extractors with stored features, folders of features and weights), banners.parquet
(banner_id, grid_id, n_products, domain, flagged, broken, family, bins, counts; the labelled ones first) and scores.parquet (combined, then
a column a detector; a row a labelled banner). Writes out/summary.json. Prints one JSON object a line: {"done": 0..1, "what": …}, or
{"error": …} and exit code 2 for what the user can mend.
"""

import json
import math
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core import settings
from core.banners.heatmaps import Heatmaps, counts_of_lists
from core.features.base import Extractor
from core.features.cache import FeatureStore
from core.jobs.worker import asked_of, end_with, run, say
from core.models.audit.figures import FIGURES, Each, Finding, Plan, advice, audit, plan
from core.models.audit.representations import Banners, in_use, represent

NICENESS = 10
"""The dashboard and its scoring runs go first."""
REPRESENTED_SHARE = 0.4


def main(job: Path) -> None:
    """Audits what the job in `job` names."""
    asked = asked_of(job)
    os.nice(NICENESS)
    start = time.perf_counter()
    rows = pq.read_table(job / "banners.parquet")
    seed = int(asked["seed"])
    planned, banners = read(rows, seed)
    scores = pq.read_table(job / "scores.parquet")
    evidence = np.column_stack([scores[name].to_numpy() for name in scores.column_names[1:]]).astype(np.float32)
    extractors, left_out = in_use(Path(asked["weights"]), set(asked["stored"]))
    done = [0]
    n_steps = 4 + len(extractors)

    def step(what: str) -> None:
        say(REPRESENTED_SHARE * done[0] / n_steps, what)
        done[0] += 1

    def source(extractor: Extractor, counts: csr_matrix) -> NDArray[np.float32]:
        begun = REPRESENTED_SHARE * (done[0] - 1) / n_steps
        return FeatureStore(Path(asked["features"]), extractor).of(
            counts, lambda k, n: say(begun + REPRESENTED_SHARE / n_steps * k / n, f"features of {extractor.name}: {k:,} of {n:,} new ones")
        )

    found = represent(banners, evidence, scores["combined"].to_numpy(), extractors, source, step, seed, asked.get("max_steps"))
    represented = time.perf_counter()
    share = 1 - REPRESENTED_SHARE

    def tell(done: float, what: str) -> None:
        say(REPRESENTED_SHARE + share * done, what)

    with forests() as each:
        findings = audit(found, banners.broken, planned, tell, int(asked["n_trees"]), seed, each)
    summary = {
        "findings": [as_row(one) for one in findings],
        "advice": advice(findings),
        "missing": planned.missing,
        "left_out": left_out,
        "n_families": len(set(banners.family[banners.broken].tolist())),
        "weights": {one.name: one.weights for one in extractors},
        "seconds_represented": round(represented - start, 1),
        "seconds": round(time.perf_counter() - start, 1),
    }
    (job / "out").mkdir(exist_ok=True)
    (job / "out" / "summary.json").write_text(json.dumps(summary))
    say(1.0, "finished")


@contextmanager
def forests() -> Iterator[Each]:
    """A way to run forests on every core, in processes that end with this one, however it ends."""
    n = settings.n_threads()
    if n == 1:
        yield map
        return
    with ProcessPoolExecutor(n, get_context("spawn"), end_with, (os.getpid(),)) as pool:
        yield pool.map


def read(rows: pa.Table, seed: int) -> tuple[Plan, Banners]:
    """The plan of the audit and its banners. Raises InputError where there are too few labels."""
    n_labelled = len(rows) - rows["broken"].null_count
    broken = rows["broken"][:n_labelled].to_numpy().astype(bool)
    family = rows["family"][:n_labelled].to_numpy()
    planned = plan(broken, family, seed)
    heatmaps = Heatmaps(
        banner_id=rows["banner_id"].to_numpy(),
        grid_id=rows["grid_id"].to_numpy().astype(np.int64),
        n_products=rows["n_products"].to_numpy().astype(np.int16),
        domain=rows["domain"].to_numpy(),
        counts=counts_of_lists(rows["bins"], rows["counts"]),
    )
    return planned, Banners(heatmaps, broken, family, planned.half, rows["flagged"].to_numpy().astype(bool))


def as_row(finding: Finding) -> dict[str, Any]:
    """A finding in plain types: figures as [value, low, high], None where not known."""
    about = {"name": finding.name, "score_by": finding.score_by, "n_dims": finding.n_dims}
    return about | {name: [v if math.isfinite(v) else None for v in getattr(finding, name)] for name in FIGURES}


if __name__ == "__main__":
    run(main)
