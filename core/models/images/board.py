"""Several detectors on one pair of sets: their ROC-AUC, and which one the selectors without labels would take."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.errors import InputError
from core.logs.progress import Display
from core.models.images import model as models
from core.models.images.methods import Training
from core.models.images.reading import Pictures
from core.models.images.truth import figures
from core.models.selection.candidates import Candidate
from core.models.selection.selectors import SELECTORS
from core.statistics.arrays import Codes, Vector

EMBEDDED = 512
"""Images of each set that selection compares."""


def leaderboard(
    names: Sequence[str], train: Pictures, test: Pictures, truth: Codes, training: Training, *, most: int, show: Display
) -> list[dict[str, Any]]:
    """A row a detector, the best ROC-AUC first; all are fitted on the same images."""
    rows = []
    for k, name in enumerate(names):
        show(k / len(names), f"{name} learns")
        model = models.fit(name, train, training, most=most)
        scores = models.score(model, test)
        rows.append({"detector": name, "parameters": model.n_parameters, **figures(scores, truth), "scores": scores, "model": model})
    return sorted(rows, key=lambda row: -row["roc_auc"])


def selected(rows: list[dict[str, Any]], train: Pictures, test: Pictures, assumed: float) -> dict[str, str]:
    """{selector: the detector that it takes without labels}, assuming the share `assumed` of anomalies: consensus of scores over all;
    those of embeddings over the self-supervised ones. Raises InputError for fewer than two detectors."""
    if len(rows) < 2:
        raise InputError(f"A selector chooses among two detectors or more: there are {len(rows)}. Name more with --detectors.")
    consensus = [_candidate(row["detector"], np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((len(test), 1)), row["scores"]) for row in rows]
    chosen = {name: consensus[SELECTORS[name].chosen(consensus, assumed)].name for name in ("mc", "select", "hits")}
    able = [row for row in rows if hasattr(row["model"].detector, "augmented")]
    if len(able) > 1:
        a, b = models.sample(len(train), EMBEDDED, 0), models.sample(len(test), EMBEDDED, 0)
        x, y = train.rows(a), test.rows(b)
        found = []
        for row in able:
            detector = row["model"].detector
            normal, odd, seen = (detector.codes(part, np.zeros(len(part), dtype=np.int64)) for part in (x, detector.augmented(x), y))
            found.append(_candidate(row["detector"], normal, odd, seen, row["scores"][b]))
        chosen |= {name: found[SELECTORS[name].chosen(found, assumed)].name for name in ("dsv", "matching", "base", "mmd", "std")}
    return chosen


def _candidate(name: str, train: Any, augmented: Any, test: Any, scores: Vector) -> Candidate:
    return Candidate(name, train, augmented, test, scores)
