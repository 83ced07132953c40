"""Raw scores and diagnoses of the banners of one grid. What they mean among all banners is judged in `judging.py`.

In: Heatmaps of a grid and the references of all grids. Out: arrays, a row a banner. Knows no files and no database.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.click_features import ClickFeatures
from core.detectors import CATALOGUE, make
from core.detectors.likelihood_ratio import LikelihoodRatio
from core.diagnosis import Diagnosis, diagnose
from core.features.base import Extractor
from core.features.reduced import extract_reduced
from core.heatmaps import Heatmaps
from core.images import Images
from core.null import few_clicks_limit
from core.onset import Days, late_heatmaps
from core.reference import Reference
from core.templates import Detail

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]

IMAGES = Images(noise_sd=0.03)
"""What networks that train on one grid see: some hundred clicks in 1,600 cells say more when a click counts for the cells around it."""

FeatureSource = Callable[[Extractor, csr_matrix], NDArray[np.float32]]
"""(extractor, counts (n, 1600)) -> features (n, d)."""


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
    """NaN where a detector left a banner out."""
    diagnoses: list[Diagnosis]
    limit: Vector
    """Highest normalised score that its clicks allow; infinite where they are not few."""
    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Seconds a detector: fit and score, or features and score where it is a deep one."""
    weights: dict[str, str | None] = field(default_factory=dict)
    """Which trained weights a detector used; None = it has none."""


def score_grid(
    heatmaps: Heatmaps,
    reference: Reference,
    names: list[str],
    step: Callable[[str], None],
    own_weights: Path | None = None,
    chosen: dict[str, Any] | None = None,
) -> Scored:
    """Scores and diagnoses the banners of one grid. `reference` holds the groups of every grid; a group's row is its id.

    `names` are detectors that are not deep; networks take weights from the folder `own_weights` where it has them, and the detector that
    `chosen` names (detector, fields, and candidate, which is what they are called) has these fields. Heatmaps go to a detector as they
    are, as images of one channel, or as the features of `click_features`, which are made once for all that read them.
    """
    grid_id = int(heatmaps.grid_id[0])
    own, ids = reference.of_grid(grid_id)
    others = _other_layouts(reference, grid_id)
    scores: dict[str, Vector] = {}
    seconds: dict[str, tuple[float, float]] = {}
    weights: dict[str, str | None] = {}
    one_group = np.zeros(len(heatmaps), dtype=np.int64)
    layouts = np.unique(heatmaps.n_products, return_inverse=True)[1].astype(np.int64)
    read: dict[str, Any] = {"heatmaps": heatmaps}
    given = {"reference": own, "others": others, "own_weights": own_weights}
    for name in names:
        step(name)
        detector = make(name, **{f.name: given[f.name] for f in fields(CATALOGUE[name]) if f.name in given}, **_chosen_fields(name, chosen))
        if detector.reads not in read:
            read[detector.reads] = _as_read(detector.reads, heatmaps, own)
        X, groups = read[detector.reads], one_group if detector.reads == "heatmaps" else layouts
        start = time.perf_counter()
        detector.fit(X, groups)
        middle = time.perf_counter()
        scores[name] = detector.score(X, groups)
        seconds[name] = (middle - start, time.perf_counter() - middle)
        weights[name] = chosen["candidate"] if chosen and chosen["detector"] == name else getattr(detector, "weights", None)
    step("diagnosis")
    diagnoses, rows = _diagnoses(heatmaps, own, others, reference)
    what = (heatmaps.banner_id, heatmaps.grid_id, heatmaps.n_products, heatmaps.domain, heatmaps.n_clicks)
    return Scored(*what, ids[rows], scores, diagnoses, few_clicks_limit(heatmaps.counts, own.p, rows), seconds, weights)


def _chosen_fields(name: str, chosen: dict[str, Any] | None) -> dict[str, Any]:
    """What a detector's fields are where it is the chosen one; JSON has no tuples."""
    if chosen is None or chosen["detector"] != name:
        return {}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in chosen["fields"].items()}


def _as_read(reads: str, heatmaps: Heatmaps, own: Reference) -> NDArray[np.float32]:
    """The heatmaps of one grid as images (n, 1, 40, 40), or as features (n, d)."""
    if reads == "images":
        return IMAGES.make(heatmaps.counts)
    return ClickFeatures(own).fit(heatmaps).transform(heatmaps)


def score_deep(
    part: Scored, heatmaps: Heatmaps, name: str, looked: Mask, usable: Mask, extractor: Extractor, source: FeatureSource = extract_reduced
) -> None:
    """Scores the banners `looked` (n,) of one grid by a deep detector, and puts NaN for the others, which are left out.

    Its anchors rest on the banners `usable`, one layout, which is a number of products, apart from the others.
    """
    part.scores[name] = np.full(len(heatmaps), np.nan)
    part.seconds[name], part.weights[name] = (0.0, 0.0), extractor.weights
    rows = np.flatnonzero(looked)
    if not len(rows):
        return
    groups = np.unique(heatmaps.n_products[rows], return_inverse=True)[1]
    detector = make(name, usable=usable[rows] | ~np.isin(groups, groups[usable[rows]]))  # a layout without any rests on all it has
    start = time.perf_counter()
    X = source(extractor, heatmaps.counts[rows])
    middle = time.perf_counter()
    part.scores[name][rows] = detector.fit(X, groups).score(X, groups)
    part.seconds[name] = (middle - start, time.perf_counter() - middle)


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
