"""The catalogue: one line a detector. `make` gives a fresh one by name.

**Statistical**, counts against the reference, at 40x40, 20x20 and 10x10 cells: multinomial, chi_squared, kl_divergence,
jensen_shannon. **Template**, counts against what faults would make of the reference: likelihood_ratio.
**Self-supervised**, a network that sees a banner beside its reference: ssad_clicks; one that tells images from the same with a
patch changed: ssad_cutout, ssad_cutavg, ssad_cutpaste, ssad_cutdiff, and st_ssad, which learns the patch's size;
one that was to learn how images were moved, turned or
counted, or where their edges are: geom, geom_rotation, geom_scale, geom_edges; one that holds a banner against itself turned: csi.
**Classical**, scikit-learn over the measures of `click_metrics` and the main directions: one_class_svm, knn, kmeans, dbscan,
isolation_forest, and capstone_vote, all five together.
**Reconstruction**, networks that learn to draw good banners again: fcn_autoencoder, cnn_autoencoder, cnn_bn_autoencoder, multi_encoder,
vae, noise_classifier, ocgan. **One class**, a network that maps them close to one point: deep_svdd.
**Open set**, how sure a classifier of
all layouts is of an image: max_probability, entropy, max_logit, energy; with networks of their own generalized_odin, hybrid, jem; by
several at once deep_ensemble, svgd_ensemble.
**Features**, an extractor's features against the anchors of the group: cosine_<extractor>.
"""

from dataclasses import replace
from importlib import import_module
from typing import Any

from core.detectors.autoencoders import CnnAutoencoder, FcnAutoencoder, MultiEncoderAutoencoder
from core.detectors.base import Detector
from core.detectors.capstone_vote import CapstoneVote
from core.detectors.chi_squared import ChiSquared
from core.detectors.cosine import Cosine
from core.detectors.csi import Csi
from core.detectors.dbscan import DBSCAN
from core.detectors.deep_svdd import DeepSvdd
from core.detectors.ensembles import DeepEnsemble, SvgdEnsemble
from core.detectors.generalized_odin import GeneralizedOdin
from core.detectors.geom import Geom, SobelEdges
from core.detectors.hybrid import Hybrid
from core.detectors.isolation_forest import IsolationForest
from core.detectors.jem import Jem
from core.detectors.kl_divergence import JensenShannon, KLDivergence
from core.detectors.kmeans import KMeans
from core.detectors.knn import KNN
from core.detectors.likelihood_ratio import LikelihoodRatio
from core.detectors.multinomial import Multinomial
from core.detectors.noise_classifier import NoiseClassifier
from core.detectors.ocgan import Ocgan
from core.detectors.one_class_svm import OneClassSVM
from core.detectors.open_set import Energy, Entropy, MaxLogit, MaxProbability
from core.detectors.ssad import Ssad
from core.detectors.ssad_clicks import SsadClicks
from core.detectors.st_ssad import StSsad
from core.detectors.vae import Vae
from core.errors import InputError
from core.features import EXTRACTORS

_ALL: list[Detector] = [
    *[Multinomial(size=size) for size in (40, 20, 10)],
    *[ChiSquared(size=size) for size in (40, 20, 10)],
    *[KLDivergence(size=size) for size in (40, 20, 10)],
    *[JensenShannon(size=size) for size in (40, 20, 10)],
    LikelihoodRatio(),
    SsadClicks(),
    *[Ssad(augmentation=name) for name in ("cutout", "cutavg", "cutpaste", "cutdiff")],
    StSsad(),
    *[OneClassSVM(), KNN(), KMeans(), DBSCAN(), IsolationForest(), CapstoneVote()],
    *[FcnAutoencoder(), CnnAutoencoder(), CnnAutoencoder(batch_norm=True), MultiEncoderAutoencoder(), Vae(), NoiseClassifier(), Ocgan()],
    DeepSvdd(),
    *[Geom(), Geom(pretext="rotation"), Geom(pretext="scale"), SobelEdges(), Csi()],
    *[MaxProbability(), Entropy(), MaxLogit(), Energy()],
    *[GeneralizedOdin(), Hybrid(), DeepEnsemble(), SvgdEnsemble(), Jem()],
    *[Cosine(feature=name) for name in EXTRACTORS],
]

CATALOGUE: dict[str, Detector] = {detector.name: detector for detector in _ALL}
"""Unfitted prototypes by name."""


def default_names() -> list[str]:
    """Names of the detectors in the default run, in the catalogue's order."""
    return [name for name, detector in CATALOGUE.items() if detector.default_run]


def load_libraries(names: list[str]) -> None:
    """Loads what these detectors would load late: before processes are forked, which then share it and need not each."""
    for library in {CATALOGUE[name].library for name in names} - {""}:
        import_module(library)


def make(name: str, **fields: Any) -> Any:
    """A fresh detector of the catalogue, with `fields` replaced. Raises InputError for an unknown name."""
    if name not in CATALOGUE:
        raise InputError(f"A detector is one of {', '.join(CATALOGUE)}: {name!r} is none. Check the spelling.")
    return replace(CATALOGUE[name], **fields)
