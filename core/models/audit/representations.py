"""The representations that are audited: features of labelled banners, and of each the score that a detector draws from them unlabelled.

In: heatmaps of labelled banners, then of others of the same run; whose labels are known, in which half of the audit they are. Out:
Representations. Nothing here learns from a label, but the network that is trained with all classes, each half's with the other's labels.

Scores hold a banner against its layout, so z is what its features are relative to those of its layout, and the score is one of its
columns: both are made of the features without a label, and a forest with few labels would not find them by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.banners.fitting import fit_reference
from core.banners.heatmaps import Heatmaps
from core.banners.images import Images, smoothed
from core.detectors import make
from core.detectors.classifier import MIN_CLASS, Classifier
from core.features import EXTRACTORS
from core.features.anchors import unit
from core.features.base import Extractor
from core.features.click_features import ClickFeatures
from core.features.click_metrics import NAMES
from core.features.names import cosine_of
from core.features.trained_here import OwnExtractor
from core.models.audit.figures import EVIDENCE, Matrix, Representation
from core.statistics.arrays import Codes, Mask, Vector

Step = Callable[[str], None]
Source = Callable[[Extractor, csr_matrix], NDArray[np.float32]]
"""(extractor, counts (n, 1600)) -> features (n, d)."""

MOST_DIMS = 64
"""Wider features are seen in their main directions, found without labels: so many a forest of 1,000 trees learns in seconds."""
NOISE = 1.2 / 40
"""Smoothing, in sides of the banner, of the heatmaps whose main directions are taken: that of maps."""
LEAST_OF_LAYOUT = 5
BROKEN_SHARE = 0.25
"""Of what a network that is trained with all classes sees, about so much is broken: labels of it are repeated until it is."""
METRICS, DIRECTIONS, TRUNK = "click_metrics", "pca", "classifier"


@dataclass(frozen=True)
class Banners:
    """n banners, the first m labelled: broken (m,), family (m,) of the broken ones, half (m,) 0 or 1; flagged (n,) by the run."""

    heatmaps: Heatmaps
    broken: Mask
    family: NDArray[Any]
    half: Codes
    flagged: Mask

    @property
    def m(self) -> int:
        """How many are labelled."""
        return len(self.broken)

    @property
    def usable(self) -> Mask:
        """(n,) which banners say what is normal: those the run did not flag, or all of a layout that it flagged whole."""
        return ~self.flagged | ~np.isin(self.layouts, self.layouts[~self.flagged])

    @property
    def layouts(self) -> Codes:
        """(n,) a code a grid and number of products."""
        both = np.stack([self.heatmaps.grid_id, self.heatmaps.n_products.astype(np.int64)])
        return np.unique(both, axis=1, return_inverse=True)[1].ravel().astype(np.int64)


def narrowed(features: NDArray[Any], n_dims: int = MOST_DIMS) -> Matrix:
    """(n, at most n_dims) features, in the directions of largest variance of all n rows where they are wider."""
    if features.shape[1] <= n_dims:
        return np.asarray(features, dtype=np.float32)
    from sklearn.decomposition import PCA

    found = PCA(min(n_dims, *features.shape), svd_solver="randomized", random_state=0).fit_transform(features)
    return np.asarray(found, dtype=np.float32)


def relative(features: NDArray[Any], banners: Banners) -> NDArray[np.float32]:
    """(n, d) features less the mean of the usable banners of their layout, or of their grid where these are fewer than LEAST_OF_LAYOUT."""
    out = np.array(features, dtype=np.float32)
    grids, layouts, usable = banners.heatmaps.grid_id, banners.layouts, banners.usable
    for code in np.unique(layouts):
        rows = layouts == code
        known = usable & rows
        known = known if known.sum() >= LEAST_OF_LAYOUT else usable & (grids == grids[rows][0])
        out[rows] -= np.asarray(features[known], dtype=np.float64).mean(axis=0).astype(np.float32)
    return out


def represent(
    banners: Banners,
    evidence: Matrix,
    combined: Vector,
    extractors: list[Extractor],
    source: Source,
    step: Step,
    seed: int = 0,
    max_steps: int | None = None,
) -> list[Representation]:
    """All representations of the m labelled banners. evidence (m, k): what k detectors of the run say; combined (m,) their sum.

    max_steps: of a network's training, None = as the detectors'.
    """
    m, layouts = banners.m, banners.layouts
    step("drawing the banners as networks see them")
    images = Images().make(banners.heatmaps.counts)
    step("a network learns to tell the layouts apart")
    trunk = _classifier(seed, max_steps, trim=0.1).fit(images, layouts)
    step("a network learns all classes, broken ones too")
    wide = all_classes(banners, images, seed, max_steps)
    score = make("max_logit", classifier=trunk).fit(images[:1], layouts[:1]).score(images[:m], layouts[:m])
    codes = relative(trunk.codes(images), banners)[:m]
    out = [Representation(TRUNK, "max_logit", codes.shape[1], _with(codes, score), score, _with(wide, score))]

    def beside(name: str, score_by: str, features: NDArray[Any], own: Vector, n_dims: int) -> None:
        z = _with(features[:m], own)
        out.append(Representation(name, score_by, n_dims, z, own, np.column_stack([z, wide])))

    beside(EVIDENCE, "combined", evidence, combined, evidence.shape[1])
    step("measures and main directions of the clicks")
    metrics = measured(banners.heatmaps)
    flat = narrowed(np.sqrt(smoothed(banners.heatmaps.counts, NOISE)), 32)
    for name, features in ((METRICS, metrics), (DIRECTIONS, flat)):
        score = make("knn").fit(features, layouts).score(features[:m], layouts[:m])
        beside(name, "knn", relative(features, banners), score, features.shape[1])
    for extractor in extractors:
        step(f"features of {extractor.name}")
        features = source(extractor, banners.heatmaps.counts)
        detector = make(cosine_of(extractor.name), usable=banners.usable).fit(features, layouts)
        score = detector.score(features[:m], layouts[:m])
        beside(extractor.name, detector.name, narrowed(relative(unit(features), banners)), score, features.shape[1])
    order = [EVIDENCE, TRUNK, METRICS, DIRECTIONS]
    return sorted(out, key=lambda one: order.index(one.name) if one.name in order else len(order))


def _with(z: NDArray[Any], score: Vector) -> Matrix:
    """(n, d + 1) features with the score beside them."""
    return np.column_stack([z, score]).astype(np.float32)


def measured(heatmaps: Heatmaps) -> Matrix:
    """(n, 14) measures of `click_metrics`, freed from clicks and layout grid by grid."""
    out = np.zeros((len(heatmaps), len(NAMES)), dtype=np.float32)
    for grid_id in np.unique(heatmaps.grid_id):
        rows = np.flatnonzero(heatmaps.grid_id == grid_id)
        own = heatmaps.take(rows)
        out[rows] = ClickFeatures(fit_reference(own)).fit(own).transform(own)[:, : len(NAMES)]
    return out


def _classifier(seed: int, max_steps: int | None, trim: float) -> Classifier:
    usual = Classifier(trim=trim, seed=seed, strided=True)
    return usual if max_steps is None else replace(usual, max_steps=max_steps)


def all_classes(banners: Banners, images: NDArray[np.float32], seed: int, max_steps: int | None) -> Matrix:
    """(m, 64) last layer, relative to the layout, of networks trained with all classes: layouts, and fault families of broken banners.

    Either half of the labelled banners is seen by a network that learned from the other half's labels, and from banners without a label
    that the run did not flag. Codes of the two halves are of different networks: they are never to be compared.
    """
    out = np.empty((banners.m, 64), dtype=np.float32)
    for half in (0, 1):
        learned = np.flatnonzero(banners.half != half)
        rows, classes = taught(banners, learned, np.random.default_rng([seed, half]))
        network = _classifier(seed, max_steps, trim=0.0).fit(images[rows], classes)
        asked = np.flatnonzero(banners.half == half)
        out[asked] = relative(network.codes(images), banners)[asked]
    return out


def taught(banners: Banners, learned: Codes, rng: np.random.Generator) -> tuple[Codes, Codes]:
    """Rows of all banners to learn from and their classes, given the labelled rows `learned`; broken ones come again and again.

    A family of fewer than MIN_CLASS banners shares a class with the other such families.
    """
    broken, layouts = banners.broken[learned], banners.layouts
    bad = learned[broken]
    rest = np.arange(banners.m, len(layouts))
    good = np.concatenate([learned[~broken], rest[~banners.flagged[rest]]])
    families, own = np.unique(banners.family[bad].astype(str), return_inverse=True)
    large = np.bincount(own, minlength=len(families)) >= MIN_CLASS
    kind = np.where(large[own], own, len(families))
    wanted = max(MIN_CLASS, int(BROKEN_SHARE / (1 - BROKEN_SHARE) * len(good)))
    again = np.concatenate([np.arange(len(bad)), rng.integers(0, len(bad), max(0, wanted - len(bad)))])
    return np.concatenate([good, bad[again]]), np.concatenate([layouts[good], layouts.max() + 1 + kind[again]])


def in_use(own_weights: Path | None, stored: set[str]) -> tuple[list[Extractor], list[str]]:
    """Extractors whose features can be had cheaply: of weights that come with the installation, or `stored` by a run; and why not the
    others."""
    found, reasons = [], []
    for name, extractor in EXTRACTORS.items():
        if not (extractor.bundled or name in stored):
            reasons.append(name)
            continue
        one = replace(extractor, own_weights=own_weights) if isinstance(extractor, OwnExtractor) else extractor
        reason = one.why_not()
        if reason is None:
            found.append(one)
        else:
            reasons.append(f"{name} ({reason})")
    return found, reasons
