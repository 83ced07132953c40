"""Everything between heatmaps and flags, as arrays: scores of one grid, then normalising, p-values, combining and flagging over all.

In: Heatmaps a grid and the references of all grids. Out: columns for the store's tables. Knows no files and no database.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.combine import combine_families
from core.detectors import CATALOGUE, make
from core.detectors.base import Detector
from core.detectors.cosine import Cosine
from core.detectors.likelihood_ratio import LikelihoodRatio
from core.diagnosis import Diagnosis, diagnose
from core.features import make_extractor
from core.features.reduced import extract_reduced
from core.heatmaps import Heatmaps
from core.normalise import Normaliser
from core.null import EmpiricalNull, benjamini_hochberg, few_clicks_limit
from core.onset import Days, late_heatmaps
from core.reference import Reference
from core.templates import Detail

Vector = NDArray[np.float64]

FeatureSource = Callable[[str, csr_matrix], NDArray[np.float32]]
"""(name of an extractor, counts (n, 1600)) -> features (n, d)."""

AGREE = 0.05
"""A detector agrees that a banner is odd where its own p-value is at most this."""


@dataclass
class Scored:
    """n banners with a raw score a detector, their reference's id and their diagnosis; rows stay aligned."""

    banner_id: NDArray[Any]
    grid_id: NDArray[np.int64]
    n_products: NDArray[np.int16]
    domain: NDArray[Any]
    n_clicks: Vector
    reference_id: NDArray[np.int64]
    scores: dict[str, Vector]
    diagnoses: list[Diagnosis]
    limit: Vector
    """Highest normalised score that its clicks allow; infinite where they are not few."""
    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Fit and score seconds a detector."""
    weights: dict[str, str | None] = field(default_factory=dict)
    """Which trained weights a detector used; None = it has none."""


@dataclass
class Judged:
    """What all banners together say: normalised scores and p-values a detector, and the combined verdict; (n,) each."""

    normalised: dict[str, Vector]
    p_values: dict[str, Vector]
    combined: Vector
    p_value: Vector
    p_broken: Vector
    flagged: NDArray[np.bool_]
    position: NDArray[np.int64]
    n_agree: NDArray[np.int64]


def extracted(name: str, counts: csr_matrix) -> NDArray[np.float32]:
    """Features computed here and now, and kept nowhere. Raises InputError where the extractor cannot run."""
    return extract_reduced(make_extractor(name), counts)


def score_grid(
    heatmaps: Heatmaps,
    reference: Reference,
    names: list[str],
    step: Callable[[str], None],
    features: FeatureSource = extracted,
    own_weights: Path | None = None,
) -> Scored:
    """Scores and diagnoses the banners of one grid. `reference` holds the groups of every grid; a group's row is its id.

    Detectors that read features get them from `features`; networks take weights from the folder `own_weights` where it has them.
    """
    grid_id = int(heatmaps.grid_id[0])
    own, ids = reference.of_grid(grid_id)
    others = _other_layouts(reference, grid_id)
    scores: dict[str, Vector] = {}
    seconds: dict[str, tuple[float, float]] = {}
    weights: dict[str, str | None] = {}
    given = {"reference": own, "others": others, "own_weights": own_weights}
    for name in names:
        step(name)
        detector = make(name, **{f.name: given[f.name] for f in fields(CATALOGUE[name]) if f.name in given})
        start = time.perf_counter()
        X, groups = _as_read(detector, heatmaps, features)
        detector.fit(X, groups)
        middle = time.perf_counter()
        scores[name] = detector.score(X, groups)
        seconds[name] = (middle - start, time.perf_counter() - middle)
        weights[name] = getattr(detector, "weights", None)
    step("diagnosis")
    diagnoses, rows = _diagnoses(heatmaps, own, others, reference)
    what = (heatmaps.banner_id, heatmaps.grid_id, heatmaps.n_products, heatmaps.domain, heatmaps.n_clicks)
    return Scored(*what, ids[rows], scores, diagnoses, few_clicks_limit(heatmaps.counts, own.p, rows), seconds, weights)


def _as_read(detector: Detector, heatmaps: Heatmaps, features: FeatureSource) -> tuple[Any, NDArray[np.int64]]:
    """What a detector reads of the banners of one grid, and their groups: layouts, by number of products, where it reads features."""
    if isinstance(detector, Cosine):
        return features(detector.feature, heatmaps.counts), np.unique(heatmaps.n_products, return_inverse=True)[1]
    return heatmaps, np.zeros(len(heatmaps), dtype=np.int64)


def diagnose_late(part: Scored, heatmaps: Heatmaps, days: Days, flagged: NDArray[np.int64], reference: Reference) -> None:
    """Puts a new diagnosis, from the first day on, in the place of the old for those of `flagged` whose fault began late."""
    rows, late = late_heatmaps(heatmaps, days, flagged, part.diagnoses, part.reference_id, reference)
    if not len(rows):
        return
    grid_id = int(heatmaps.grid_id[0])
    again, _ = _diagnoses(late, reference.of_grid(grid_id)[0], _other_layouts(reference, grid_id), reference)
    for i, diagnosis in zip(rows.tolist(), again, strict=True):
        if diagnosis.fault is not None:
            part.diagnoses[i] = diagnosis


def _other_layouts(reference: Reference, grid_id: int) -> dict[int, Vector]:
    return {k: reference.p[k] for k, g in enumerate(reference.groups) if g.grid_id != grid_id and g.domain is None}


def _diagnoses(
    heatmaps: Heatmaps, own: Reference, others: dict[int, Vector], reference: Reference
) -> tuple[list[Diagnosis], NDArray[np.int64]]:
    ratio: LikelihoodRatio = make("likelihood_ratio", reference=own, others=others)
    ratio.fit(heatmaps, np.zeros(len(heatmaps), dtype=np.int64))
    evidence = ratio.evidence(heatmaps)
    details: dict[int, list[Detail]] = {int(row): ratio.bank(int(row)).details for row in np.unique(evidence.rows)}
    return diagnose(evidence, details, {k: g.grid_id for k, g in enumerate(reference.groups)}), evidence.rows


def judge(scores: dict[str, Vector], grid_id: NDArray[np.int64], n_clicks: Vector, limit: Vector, fdr: float) -> Judged:
    """Normalises every detector's scores, combines them, and flags banners by Benjamini-Hochberg at `fdr`.

    No normalised score passes `limit` (n,).
    """
    _, groups = np.unique(grid_id, return_inverse=True)
    normalised = {name: np.minimum(_normalised(s, groups, n_clicks), limit) for name, s in scores.items()}
    combined = combine_families(normalised, {name: CATALOGUE[name].family for name in scores})
    combined = np.minimum(_normalised(combined, groups, n_clicks), limit)
    null = EmpiricalNull().fit(combined)
    p_value = null.p_values(combined)
    p_values = {name: EmpiricalNull().fit(z).p_values(z) for name, z in normalised.items()}
    position = np.empty(len(combined), dtype=np.int64)
    position[np.lexsort((-combined, p_value))] = np.arange(1, len(combined) + 1)
    return Judged(
        normalised=normalised,
        p_values=p_values,
        combined=combined,
        p_value=p_value,
        p_broken=null.p_broken(combined, groups),
        flagged=benjamini_hochberg(p_value, fdr),
        position=position,
        n_agree=np.sum([p <= AGREE for p in p_values.values()], axis=0),
    )


def _normalised(scores: Vector, groups: NDArray[np.int64], n_clicks: Vector) -> Vector:
    return Normaliser().fit(scores, groups, n_clicks).transform(scores, groups, n_clicks)
