"""A fitted detector of images as one .npz file of plain arrays: fit, save, load, score in batches, go on where it stopped."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.detectors import CATALOGUE
from core.errors import InputError
from core.logs.progress import Display, no_progress
from core.models.images.methods import Training, feature_of, features, prepared
from core.models.images.reading import BATCH, Pictures
from core.statistics.arrays import Codes, Vector

VERSION = 1
MOST = 20_000
"""Images learned from, unless told otherwise: 1 GB of memory at 64x64x3."""
MOST_FEATURES = 4000
"""Rows that a detector of features learns from, which are kept in its file and which it is fitted on again when it is loaded."""


@dataclass
class Model:
    """A fitted detector and the images it reads. `about` holds its name, feature, seed, steps and shape; `learned_from` the rows (m, d) of
    a detector of features with their groups (m,), None where its state is arrays by itself."""

    detector: Any
    about: dict[str, Any]
    learned_from: tuple[NDArray[np.float32], Codes] | None = None

    def score(self, images: NDArray[np.float32]) -> Vector:
        """(n,) scores of images (n, c, side, side), higher = more anomalous. Raises InputError for images of another shape."""
        if list(images.shape[1:]) != self.about["shape"]:
            shape = "x".join(map(str, self.about["shape"]))
            raise InputError(f"A model reads images of the shape it was fitted on, {shape}: these have {images.shape[1:]}. Resize them.")
        X = features(images, self.about["feature"]) if self.about["feature"] else images
        return np.asarray(self.detector.score(X, np.zeros(len(X), dtype=np.int64) - bool(self.about["classes"])))

    @property
    def n_parameters(self) -> int:
        """Trainable numbers of its network; 0 where it has none."""
        network = getattr(self.detector, "_network", None)
        return sum(p.numel() for p in network.parameters()) if network is not None else 0


def fit(name: str, pictures: Pictures, training: Training, *, most: int = MOST, classes: Codes | None = None) -> Model:
    """Fits a detector on at most `most` seeded images. `classes` (n,) for those that learn a classifier of known classes. Raises InputError
    for one image, and for a detector of classes without them."""
    if len(pictures) < 2:
        raise InputError(f"A detector learns from 2 images or more: {pictures.path} holds {len(pictures)}. Choose a larger set.")
    if CATALOGUE[name].across if name in CATALOGUE else False:
        if classes is None or len(np.unique(classes)) < 2:
            raise InputError(f"{name} learns to tell known classes apart: none were given, or only one. Pass --classes FILE with ID,class.")
    else:
        classes = None
    detector = prepared(name, training)
    feature = feature_of(name, training.feature)
    some = sample(len(pictures), min(most, MOST_FEATURES) if feature else most, training.seed)
    X = pictures.rows(some)
    groups = np.zeros(len(some), dtype=np.int64) if classes is None else classes[some]
    about = {"version": VERSION, "detector": name, "feature": feature, "seed": training.seed, "steps": training.steps}
    about |= {
        "shape": list(X.shape[1:]),
        "n_images": len(some),
        "n_in_set": len(pictures),
        "classes": classes is not None,
        "range": pictures.span,
    }
    if feature:
        Z = features(X, feature)
        return Model(detector.fit(Z, groups), about, (Z, groups))
    return Model(detector.fit(X, groups), about)


def sample(n: int, most: int, seed: int) -> Codes:
    """Rows of n in order, at most `most`, seeded."""
    return np.arange(n) if n <= most else np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def save(model: Model, path: Path) -> None:
    """Writes a model, whole or not at all."""
    if model.learned_from is not None:
        state: dict[str, Any] = {"rows": model.learned_from[0], "groups": model.learned_from[1]}
    else:
        state = {key: np.asarray(value) for key, value in vars(model.detector).items() if key.endswith("_") and not key.startswith("_")}
    half = path.with_name(f".{path.name}.part")
    try:
        with half.open("wb") as file:
            np.savez(file, allow_pickle=False, about=np.array(json.dumps(model.about)), **state)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def load(path: Path) -> Model:
    """The model of a file. Raises InputError for another file; never reads a pickle."""
    wrong = f"A model is a file that `images fit` wrote: {path} is none. Fit one, or check the path."
    try:
        with np.load(path, allow_pickle=False) as file:
            state = {key: file[key] for key in file.files}
        about = json.loads(str(state.pop("about")))
        name = about["detector"]
        detector = prepared(name, Training(about["steps"], about["seed"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        raise InputError(wrong) from error
    if about.get("version") != VERSION:
        raise InputError(f"This release reads models of version {VERSION}: {path} has {about.get('version')}. Fit it again.")
    if about["feature"]:
        return Model(detector.fit(state["rows"], state["groups"]), about, (state["rows"], state["groups"]))
    vars(detector).update({key: value if value.ndim else value.item() for key, value in state.items()})
    return Model(detector, about)


def score(model: Model, pictures: Pictures, progress: Display = no_progress, kept: Path | None = None) -> Vector:
    """(n,) scores of a set, a batch at a time. With `kept`, what was scored is appended there, so that the same call after a stop goes on
    from it; the file is removed at the end."""
    pictures = _alike(model, pictures)
    key = _key(model, pictures)
    parts = _resumed(kept, key) if kept else []
    at = sum(map(len, parts))
    if kept and not at:
        kept.write_text(key + "\n")
    for images in pictures.batches(at):
        parts.append(model.score(images))
        at += len(images)
        if kept:
            with kept.open("a") as file:
                file.write(" ".join(map(repr, parts[-1].tolist())) + "\n")
        progress(at / len(pictures), f"{at:,} of {len(pictures):,} images scored")
    if kept:
        kept.unlink(missing_ok=True)
    return np.concatenate(parts)


def _alike(model: Model, pictures: Pictures) -> Pictures:
    """The set read as the model's was: floats without a value below 0 may still be of -1..1. Raises InputError for the reverse."""
    fitted, found = model.about["range"], pictures.span
    if fitted == "-1..1" and found == "0..1":
        return replace(pictures, signed=True)
    if fitted == "0..1" and found == "-1..1":
        raise InputError(f"A set is stored as the one fitted on, in 0..1: {pictures.path} has values below 0. Store both alike.")
    return pictures


def _key(model: Model, pictures: Pictures) -> str:
    """What a half-done scoring belongs to: the model's numbers and the set."""
    digest = hashlib.sha256(json.dumps(model.about, sort_keys=True).encode())
    digest.update(repr((str(pictures.path.resolve()), len(pictures), pictures.path.stat().st_mtime_ns)).encode())
    state = model.learned_from[0] if model.learned_from else getattr(model.detector, "weights_", np.zeros(0))
    digest.update(np.ascontiguousarray(state).tobytes())
    return digest.hexdigest()


def _resumed(kept: Path, key: str) -> list[Vector]:
    """Whole batches that were scored before by the same model of the same set."""
    if not kept.exists():
        return []
    lines = kept.read_text().split("\n")
    if lines[0] != key:
        return []
    found = []
    for line in lines[1:-1]:  # after a kill the last line may be half; only those with their end count
        part = np.array(line.split(), dtype=np.float64)
        if len(part) != BATCH:
            break
        found.append(part)
    kept.write_text("\n".join([key, *lines[1 : 1 + len(found)]]) + "\n")
    return found


def continued(training: Training, path: Path) -> Training:
    """The training with a checkpoint beside the model's file."""
    return replace(training, checkpoint=path.with_name(f".{path.name}.checkpoint"))
