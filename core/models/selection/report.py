"""What selectors say of candidates, and what labels say of both, in plain types."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from core.models.audit.figures import area
from core.models.selection.alignment import alignment
from core.models.selection.candidates import Candidate
from core.models.selection.selectors import SELECTORS
from core.statistics.arrays import Mask, Vector
from core.statistics.leaderboard import interval_of, resampled

LEAST_OF_A_KIND = 8
"""Labels of either kind below which a ROC-AUC says nothing."""
LEAST_OF_A_FAMILY = 3


def report(candidates: Sequence[Candidate], ratio: float, known: Sequence[Vector], broken: Mask, family: NDArray[Any]) -> dict[str, Any]:
    """A row a candidate and a row a selector; known: each candidate's scores of labelled banners, broken (n,) of fault family (n,).

    auc is [value, low, high] with a 95 % interval by bootstrap, None where labels are too few; by_family the ROC-AUC of each fault
    family's banners against all ok ones. `ensemble`: of the mean of all scores.
    """
    enough = min(int(broken.sum()), int((~broken).sum())) >= LEAST_OF_A_KIND
    times = resampled(broken) if enough else None

    def auc(scores: Vector) -> list[float | None] | None:
        if times is None:
            return None
        found = interval_of(area(scores, broken, np.zeros(len(broken), dtype=np.int64), times), enough=True)
        return [v if math.isfinite(v) else None for v in found]

    rows = []
    for candidate, scores in zip(candidates, known, strict=True):
        aligned = alignment(candidate, ratio)._asdict()
        rows.append({"name": candidate.name, "mixed": candidate.mixed, **aligned, "auc": auc(scores)})
        rows[-1]["by_family"] = by_family(scores, broken, family) if enough else {}
    return {
        "candidates": rows,
        "selectors": [_row(name, candidates, ratio) for name in SELECTORS if name != "rand" or any(c.mixed for c in candidates)],
        "ensemble": auc(np.mean(known, axis=0)) if len(known) else None,
    }


def _row(name: str, candidates: Sequence[Candidate], ratio: float) -> dict[str, Any]:
    selector = SELECTORS[name]
    values = selector.values(candidates, ratio)
    return {
        "name": name,
        "says": selector.says,
        "chosen": int(values.argmin() if selector.lowest else values.argmax()),
        "values": values.tolist(),
    }


def by_family(scores: Vector, broken: Mask, family: NDArray[Any]) -> dict[str, float]:
    """ROC-AUC of the broken banners of every fault family with LEAST_OF_A_FAMILY or more against all ok ones; largest family first."""
    names, sizes = np.unique(family[broken].astype(str), return_counts=True)
    out = {}
    for name, size in sorted(zip(names.tolist(), sizes.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0])):
        rows = ~broken | (broken & (family == name))
        if size >= LEAST_OF_A_FAMILY:
            out[name] = float(roc_auc_score(broken[rows], scores[rows]))
    return out
