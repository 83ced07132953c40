"""Everything between heatmaps and flags, as arrays: scores of one grid, then normalising, p-values, combining and flagging over all.

In: Heatmaps a grid and the references of all grids. Out: columns for the store's tables. Knows no files and no database.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.combine import combine_families
from core.detectors import CATALOGUE, make
from core.detectors.likelihood_ratio import LikelihoodRatio
from core.diagnosis import Diagnosis, diagnose
from core.heatmaps import Heatmaps
from core.normalise import Normaliser
from core.null import EmpiricalNull, benjamini_hochberg
from core.reference import Reference
from core.templates import Detail, template_of

Vector = NDArray[np.float64]

ONSET_GAIN = 3.0
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
    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Fit and score seconds a detector."""


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


def score_grid(heatmaps: Heatmaps, reference: Reference, names: list[str], step: Callable[[str], None]) -> Scored:
    """Scores and diagnoses the banners of one grid. `reference` holds the groups of every grid; a group's row is its id."""
    grid_id = int(heatmaps.grid_id[0])
    own, ids = reference.of_grid(grid_id)
    others = {k: reference.p[k] for k, g in enumerate(reference.groups) if g.grid_id != grid_id and g.domain is None}
    groups = np.zeros(len(heatmaps), dtype=np.int64)
    scores: dict[str, Vector] = {}
    seconds: dict[str, tuple[float, float]] = {}
    for name in names:
        step(name)
        detector = make(name, reference=own, **({"others": others} if name == "likelihood_ratio" else {}))
        start = time.perf_counter()
        detector.fit(heatmaps, groups)
        middle = time.perf_counter()
        scores[name] = detector.score(heatmaps, groups)
        seconds[name] = (middle - start, time.perf_counter() - middle)
    step("diagnosis")
    diagnoses, rows = _diagnoses(heatmaps, own, others, reference)
    return Scored(
        heatmaps.banner_id, heatmaps.grid_id, heatmaps.n_products, heatmaps.domain, heatmaps.n_clicks, ids[rows], scores, diagnoses, seconds
    )


def _diagnoses(
    heatmaps: Heatmaps, own: Reference, others: dict[int, Vector], reference: Reference
) -> tuple[list[Diagnosis], NDArray[np.int64]]:
    ratio: LikelihoodRatio = make("likelihood_ratio", reference=own, others=others)
    ratio.fit(heatmaps, np.zeros(len(heatmaps), dtype=np.int64))
    evidence = ratio.evidence(heatmaps)
    details: dict[int, list[Detail]] = {int(row): ratio.bank(int(row)).details for row in np.unique(evidence.rows)}
    return diagnose(evidence, details, {k: g.grid_id for k, g in enumerate(reference.groups)}), evidence.rows


def judge(scores: dict[str, Vector], grid_id: NDArray[np.int64], n_clicks: Vector, fdr: float) -> Judged:
    """Normalises every detector's scores, combines them, and flags banners by Benjamini-Hochberg at `fdr`."""
    _, groups = np.unique(grid_id, return_inverse=True)
    normalised = {name: _normalised(s, groups, n_clicks) for name, s in scores.items()}
    combined = _normalised(combine_families(normalised, {name: CATALOGUE[name].family for name in scores}), groups, n_clicks)
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


def daily_log_odds(counts: csr_matrix, reference: Vector, diagnosis: Diagnosis, other: Vector | None) -> Vector:
    """(d,) log-likelihood of each day's counts (d, 1600) under the diagnosed template against the reference."""
    if diagnosis.fault is None or diagnosis.detail is None:
        return np.zeros(counts.shape[0])
    template = template_of(reference, diagnosis.fault, diagnosis.detail, other)
    return np.asarray(counts @ np.log(template / reference), dtype=np.float64)


def onset(log_odds: Vector) -> int:
    """Index of the first day of the fault: from there to the end the days' evidence is largest (a CUSUM read backwards).

    The first day of all, unless leaving earlier days out is worth ONSET_GAIN nats: noise alone would often drop a day.
    """
    from_here = np.cumsum(log_odds[::-1])[::-1]
    best = int(np.argmax(from_here)) if len(log_odds) else 0
    return best if best and from_here[best] - from_here[0] > ONSET_GAIN else 0
