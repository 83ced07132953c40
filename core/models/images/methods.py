"""Detectors of the catalogue as they are for images: which read them, at the published sizes, on features where they read features."""

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.detectors import CATALOGUE
from core.detectors.cosine import Cosine
from core.errors import InputError
from core.features import EXTRACTORS, make_extractor
from core.features.base import Extractor
from core.logs.progress import Progress
from core.statistics.arrays import Image

PIXELS = "pixels"
"""The feature of an image that needs no network: its pixels."""
NAMES = [name for name, detector in CATALOGUE.items() if detector.reads in ("images", "features")]
"""Detectors that read images, or features of images."""

PUBLISHED: dict[str, dict[str, Any]] = {
    "cnn_autoencoder": {"code": None},
    "cnn_bn_autoencoder": {"code": None},
    "noise_classifier": {"code": None, "dim": 64},
}
"""Fields that give the course decks' networks; the fully connected one has its size by default."""


@dataclass(frozen=True)
class Training:
    """How a detector is fitted: `steps` batches at most (None = its own), seed, the feature that those of features read, a checkpoint, and
    images that may hold anomalies, for detectors that learn from unlabelled ones."""

    steps: int | None = None
    seed: int = 0
    feature: str = PIXELS
    checkpoint: Path | None = None
    progress: Progress | None = None
    unlabelled: Image | None = None


def prepared(name: str, training: Training) -> Any:
    """An unfitted detector for images. A training set holds normal images only, so that none is left out (`trim` 0), and images keep
    their brightness (`unit_length` false). Raises InputError for a detector that reads neither images nor features."""
    if name not in NAMES:
        raise InputError(f"A detector of images is one of {', '.join(NAMES)}: {name!r} is none. Choose one of these.")
    prototype = CATALOGUE[name]
    wanted: dict[str, Any] = {"trim": 0.0, "unit_length": False, "seed": training.seed, "on_content": False}
    wanted |= {"checkpoint": training.checkpoint, "progress": training.progress} | PUBLISHED.get(name, {})
    if training.steps is not None:
        wanted |= {"max_steps": training.steps, "epochs": 10**6}
    if training.unlabelled is not None:
        wanted["unlabelled"] = (training.unlabelled, np.zeros(len(training.unlabelled), dtype=np.int64))
    known = {each.name for each in fields(prototype)}
    return replace(prototype, **{key: value for key, value in wanted.items() if key in known})


def feature_of(name: str, feature: str) -> str:
    """The feature that a detector reads, empty for images themselves. Raises InputError for an unknown one."""
    detector = CATALOGUE[name]
    if detector.reads == "images":
        return ""
    wanted = detector.feature if isinstance(detector, Cosine) else feature
    images = [key for key, extractor in EXTRACTORS.items() if type(extractor)._load is not Extractor._load]
    if wanted != PIXELS and wanted not in images:
        raise InputError(f"A feature of images is one of {', '.join([PIXELS, *images])}: {wanted!r} is none. Choose one of these.")
    return wanted


def features(images: Image, feature: str) -> NDArray[np.float32]:
    """(n, d) features of images (n, c, side, side): their pixels, or what an extractor's network makes of them at its own size."""
    if feature == PIXELS:
        return images.reshape(len(images), -1)
    import torch
    from torch.nn.functional import interpolate

    extractor, network = _loaded(feature)
    mean, std = (torch.tensor(each).view(1, -1, 1, 1) for each in (extractor.images.mean, extractor.images.std))
    out = np.empty((len(images), extractor.n_dims), dtype=np.float32)
    with torch.inference_mode():
        for a in range(0, len(images), extractor.batch):
            part = torch.from_numpy(images[a : a + extractor.batch])
            sized = interpolate(part, (extractor.images.side,) * 2, mode="bilinear", antialias=True)
            if mean.shape[1] != sized.shape[1]:
                sized = sized.mean(dim=1, keepdim=True).expand(-1, mean.shape[1], -1, -1)
            whole = torch.zeros((extractor.batch, *sized.shape[1:]))
            whole[: len(part)] = (sized - mean) / std
            out[a : a + len(part)] = extractor._forward(network, whole).float().numpy()[: len(part)]
    return out


@lru_cache(maxsize=2)
def _loaded(feature: str) -> tuple[Any, Any]:
    extractor = make_extractor(feature, precision="float32", engine="torch")
    if reason := extractor.why_not():
        raise InputError(reason)
    return extractor, extractor._load().eval().requires_grad_(False)
