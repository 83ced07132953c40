"""One audit of representations, from a job folder to its figures: Parquet in, JSON out, no database.

    python -m core.models.audit.worker JOBDIR

Reads request.json (an AuditTask), banners.parquet (banner_id, grid_id, n_products, domain, flagged, broken, family, bins, counts; the
labelled ones first) and scores.parquet (combined, then a column a detector; a row a labelled banner). `core.jobs.worker` does the rest.
"""

import math
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
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
from core.jobs import worker
from core.logs.progress import Progress
from core.models.audit.figures import FIGURES, Each, Finding, Plan, advice, audit, plan
from core.models.audit.representations import Banners, in_use, represent
from core.models.audit.request import AuditTask

REPRESENTED_SHARE = 0.4


def run_audit(job: Path, task: AuditTask, progress: Progress) -> dict[str, Any]:
    """Audits the banners in the folder `job`; returns the figures and what they rest on."""
    start = time.perf_counter()
    planned, banners = read(pq.read_table(job / "banners.parquet"), task.seed)
    scores = pq.read_table(job / "scores.parquet")
    evidence = np.column_stack([scores[name].to_numpy() for name in scores.column_names[1:]]).astype(np.float32)
    extractors, left_out = in_use(Path(task.weights), set(task.stored))
    steps = Steps(progress, 4 + len(extractors), Path(task.features))
    combined = scores["combined"].to_numpy()
    found = represent(banners, evidence, combined, extractors, steps.features_of, steps.next, task.seed, task.max_steps)
    represented = time.perf_counter()

    def report(done: float, what: str) -> None:
        progress(REPRESENTED_SHARE + (1 - REPRESENTED_SHARE) * done, what)

    with forests() as each:
        findings = audit(found, banners.broken, planned, report, task.n_trees, task.seed, each)
    return {
        "findings": [as_row(one) for one in findings],
        "advice": advice(findings),
        "missing": planned.missing,
        "left_out": left_out,
        "n_families": len(set(banners.family[banners.broken].tolist())),
        "weights": {one.name: one.weights for one in extractors},
        "seconds_represented": round(represented - start, 1),
    }


@dataclass
class Steps:
    """Progress of the representations, one step each, within the first REPRESENTED_SHARE."""

    progress: Progress
    n: int
    features: Path
    done: int = 0

    def next(self, what: str) -> None:
        """A step begins."""
        self.progress(self._share(self.done), what)
        self.done += 1

    def features_of(self, extractor: Extractor, counts: csr_matrix) -> NDArray[np.float32]:
        """Features that are kept, the others computed within the current step."""
        begun, width = self._share(self.done - 1), self._share(1)

        def report(k: int, n: int) -> None:
            self.progress(begun + width * k / n, f"features of {extractor.name}: {k:,} of {n:,} new ones")

        return FeatureStore(self.features, extractor).of(counts, report)

    def _share(self, n_steps: int) -> float:
        return REPRESENTED_SHARE * n_steps / self.n


@contextmanager
def forests() -> Iterator[Each]:
    """A way to run forests on every core, in processes that end with this one."""
    n = settings.n_threads()
    if n == 1:
        yield map
        return
    with ProcessPoolExecutor(n, get_context("spawn"), worker.end_with, (os.getpid(),)) as pool:
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
    worker.main(AuditTask)(run_audit)
