"""Open-set scores on Fashion-MNIST, which are real images: how much do they find, and how much do the representations hold?

    apt-get install dataset-fashion-mnist            the images: Debian puts them under /usr/share/datasets/fashion-mnist
    python -m benchmarks.detectors.open_set [--splits 0 1 2 3 4] [--seeds 0 1 2] [--images 15000] [--trees 1000] [--parts …] [--keep FOLDER]

Six classes are nominal, four anomalous, five fixed splits. The images are divided 60/20/20 into training, validation and test; what is
trained sees the nominal training images by their classes and no anomaly, the oracle representation all ten classes. ROC-AUC of nominal
against anomalous test images, mean of the seeds:

- max logit, entropy, max probability, energy: scores of one classifier. Ensemble: `deep_ensemble` of the seeds' classifiers, by the same
  max logit, entropy and max probability of what they say together.
- G-ODIN: `generalized_odin`, a classifier with cosine logits. Hybrid: `hybrid`, one that also draws its images again, by its max logit;
  the weight of the drawing is chosen by nominal images alone.
- oracle detector: a random forest on the classifier's last layer z, fitted on the validation images with their labels "anomalous": what
  z holds and the scores do not extract. Oracle representation: the same forest on z of a classifier trained with all ten classes: what
  the representation lost. Both use labels of the very anomalies, and are limits, not detectors.

Source: Garrepalli 2022, "Oracle analysis of representations for deep open set detection". Splits are those of MNIST that open-set papers
use. All classifiers have the same strided trunk. Images and epochs are so few that all of it takes 15 minutes of one core; they were chosen
beforehand, by time alone. What is trained is kept in FOLDER part by part, so that a stopped run goes on, and two may share the work.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from benchmarks.detectors.one_class import read_part
from core.detectors import make
from core.detectors.classifier import Classifier
from core.detectors.generalized_odin import CosineClassifier
from core.detectors.hybrid import DrawingClassifier
from core.statistics.arrays import Image, Vector

SPLITS = ((2, 4, 5, 9, 8, 3), (3, 2, 6, 9, 4, 0), (5, 8, 3, 2, 4, 6), (3, 7, 8, 4, 0, 5), (6, 3, 4, 9, 8, 2))
"""Nominal classes."""
SCORES = ("max_logit", "entropy", "max_probability", "energy")
TOGETHER = ("max_logit", "entropy", "max_probability")
EPOCHS = 6
KEPT = Path("data/open_set")

Labels = NDArray[np.int64]
Arrays = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Split:
    """Images (n, 1, 28, 28) in 0..1 with their classes, and which classes are nominal."""

    X: Image
    y: Labels
    nominal: tuple[int, ...]

    @property
    def odd(self) -> NDArray[np.bool_]:
        """(n,) which are anomalous."""
        return ~np.isin(self.y, self.nominal)

    @property
    def thirds(self) -> list[Labels]:
        """Rows to train on, to validate on, to test on."""
        n = len(self.y)
        return np.split(np.arange(n), [int(0.6 * n), int(0.8 * n)])


def read_all(n: int) -> tuple[Image, Labels]:
    """The first n of all 70,000 images in one seeded order, and their classes."""
    (X, y), (more, labels) = read_part("train"), read_part("t10k")
    order = np.random.default_rng(0).permutation(len(y) + len(labels))[:n]
    return np.concatenate([X, more])[order], np.concatenate([y, labels])[order]


def train(X: Image, y: Labels, seed: int, kind: type[Classifier] = Classifier) -> Any:
    """A classifier of images, all of which are what their class says."""
    steps = math.ceil(len(y) * EPOCHS / kind.batch)
    return kind(epochs=EPOCHS, max_steps=steps, trim=0.0, seed=seed, strided=True).fit(X, y)


def accuracy(trunk: Classifier, logits: Vector, split: Split) -> Vector:
    """(1,) share of the nominal test images whose class is found."""
    test = split.thirds[2]
    right = (logits.argmax(axis=1) == trunk.places(split.y[test]))[~split.odd[test]]
    return np.asarray(right.mean(keepdims=True))


def oracle(trunk: Classifier, split: Split, n_trees: int) -> Vector:
    """(n test,) chance of being anomalous, by a forest on z that was fitted with labels on the validation images."""
    _, held, test = split.thirds
    forest = RandomForestClassifier(n_trees, random_state=0, n_jobs=1).fit(trunk.codes(split.X[held]), split.odd[held])
    return np.asarray(forest.predict_proba(trunk.codes(split.X[test]))[:, 1])


def part_classifier(split: Split, seed: int, n_trees: int) -> Arrays:
    """Logits and the oracle of a classifier that saw no anomaly."""
    trunk = nominal(split, seed, Classifier)
    logits = trunk.logits(split.X[split.thirds[2]])
    return {"logits": logits, "oracle detector": oracle(trunk, split, n_trees), "accuracy": accuracy(trunk, logits, split)}


def nominal(split: Split, seed: int, kind: type[Classifier]) -> Any:
    """A classifier of that kind, of the nominal training images."""
    fit = split.thirds[0]
    fit = fit[~split.odd[fit]]
    return train(split.X[fit], split.y[fit], seed, kind)


def part_all_classes(split: Split, seed: int, n_trees: int) -> Arrays:
    """The oracle of a classifier that saw all classes."""
    fit = split.thirds[0]
    return {"oracle representation": oracle(train(split.X[fit], split.y[fit], seed), split, n_trees)}


def part_godin(split: Split, seed: int, n_trees: int) -> Arrays:
    """The score of a classifier with cosine logits."""
    trunk = nominal(split, seed, CosineClassifier)
    X = split.X[split.thirds[2]]
    return {"G-ODIN": _score("generalized_odin", trunk.cosines(X)), "accuracy of G-ODIN": accuracy(trunk, trunk.logits(X), split)}


def part_hybrid(split: Split, seed: int, n_trees: int) -> Arrays:
    """The score of a classifier that draws its images again."""
    trunk = nominal(split, seed, DrawingClassifier)
    logits = trunk.logits(split.X[split.thirds[2]])
    found = {"hybrid": _score("hybrid", logits), "accuracy of hybrid": accuracy(trunk, logits, split)}
    return found | {"oracle on hybrid": oracle(trunk, split, n_trees)}


def _score(name: str, said: Vector, **fields: Any) -> Vector:
    """The score of a detector of the catalogue from what its classifier says (n, k), for any class of an image."""
    n = said.shape[-2]
    return np.asarray(make(name, **fields)._of(said, np.full(n, -1)))


PARTS: dict[str, Callable[[Split, int, int], Arrays]] = {
    "classifier": part_classifier,
    "all_classes": part_all_classes,
    "godin": part_godin,
    "hybrid": part_hybrid,
}
"""What is trained, each by itself."""


def kept(folder: Path, name: str, measure: Callable[[], Arrays]) -> Arrays:
    """What the file of that name holds; measured and written where it is not there."""
    path = folder / f"{name}.npz"
    if not path.exists():
        found = measure()
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        np.savez(part, **found)  # type: ignore[arg-type]
        part.replace(path)
    with np.load(path) as file:
        return dict(file)


def measures(split: Split, members: list[Arrays]) -> dict[str, list[float]]:
    """ROC-AUC by column, a value a seed, of what the parts say of the test images of a split; one value for the ensemble."""
    odd = split.odd[split.thirds[2]]

    def auc(score: Vector) -> float:
        return float(roc_auc_score(odd, score))

    out: dict[str, list[float]] = {}
    if "logits" in members[0]:
        every = np.stack([one["logits"] for one in members])
        out = {name: [auc(_score(name, one)) for one in every] for name in SCORES}
        out |= {f"ensemble {by}": [auc(_score("deep_ensemble", every, by=by))] for by in TOGETHER}
    for name, values in members[0].items():
        if name != "logits":
            out[name] = [float(one[name][0]) if len(values) == 1 else auc(one[name]) for one in members]
    return out


def show(found: dict[int, dict[str, list[float]]], title: str) -> None:
    """A row a score: mean of the seeds on each split, then the mean and standard deviation of the splits, and that of the seeds."""
    table = Table(title=title, title_justify="left")
    table.add_column("ROC-AUC")
    for column in (*(f"split {k}" for k in found), "mean", "± splits", "± seeds"):
        table.add_column(column, justify="right")
    names = sorted(next(iter(found.values())), key=lambda name: name.startswith("accuracy"))
    for name in names:
        values = [row[name] for row in found.values()]
        means = [float(np.mean(value)) for value in values]
        apart = f"{np.mean([np.std(value) for value in values]):.3f}" if len(values[0]) > 1 else "–"
        figures = [f"{x:.3f}" for x in (*means, float(np.mean(means)), float(np.std(means)))]
        table.add_row(name.replace("_", " "), *figures, apart)
    Console(width=120).print(table)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--images", type=int, default=15_000)
    parser.add_argument("--trees", type=int, default=1000)
    parser.add_argument("--parts", nargs="*", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--keep", type=Path, default=KEPT)
    given = parser.parse_args()
    X, y = read_all(given.images)
    folder = given.keep / f"{given.images}-{EPOCHS}-{given.trees}"
    found = {}
    for k in given.splits:
        split, members = Split(X, y, SPLITS[k]), []
        for seed in given.seeds:
            parts = [kept(folder, f"{k}-{seed}-{name}", partial(PARTS[name], split, seed, given.trees)) for name in given.parts]
            members.append({name: values for part in parts for name, values in part.items()})
        found[k] = measures(split, members)
    show(found, f"Fashion-MNIST, {given.images:,} images, {len(given.seeds)} seeds, six nominal classes against four")


if __name__ == "__main__":
    main()
