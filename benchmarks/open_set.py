"""Open-set scores on Fashion-MNIST, which are real images: how much do they find, and how much do the representations hold?

    apt-get install dataset-fashion-mnist            the images: Debian puts them under /usr/share/datasets/fashion-mnist
    python -m benchmarks.open_set [--splits 0 1 2 3 4] [--seeds 0 1 2] [--images 70000] [--trees 1000] [--keep FILE]

Six classes are nominal, four anomalous, five fixed splits. All images are divided 60/20/20 into training, validation and test; the
classifier learns the nominal training images by their classes and sees no anomaly. ROC-AUC of nominal against anomalous test images:

- max logit, entropy, max probability, energy: scores of that classifier alone; mean of the members.
- ensemble: max logit of the mean logits of the members, one a seed.
- oracle detector: a random forest on the classifier's last layer z, fitted on the validation images with their labels "anomalous": what
  z holds and the scores do not extract. Oracle representation: the same forest on z of a classifier trained with all ten classes: what
  the representation lost. Both use labels of the very anomalies, and are limits, not detectors. Of the first seed.

Source: Garrepalli 2022, "Oracle analysis of representations for deep open set detection". Splits are those of MNIST that open-set papers
use. Classifiers train 6 epochs, chosen beforehand. Results are kept in FILE as they come, so that a stopped run goes on.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from benchmarks.one_class import read_part
from core.detectors import make
from core.detectors.classifier import Classifier

SPLITS = ((2, 4, 5, 9, 8, 3), (3, 2, 6, 9, 4, 0), (5, 8, 3, 2, 4, 6), (3, 7, 8, 4, 0, 5), (6, 3, 4, 9, 8, 2))
"""Nominal classes."""
SCORES = ("max_logit", "entropy", "max_probability", "energy")
COLUMNS = (*SCORES, "ensemble", "oracle detector", "oracle representation")
EPOCHS = 6
KEPT = Path("data/open_set.jsonl")

Images = NDArray[np.float32]
Labels = NDArray[np.int64]


def read_all(n: int) -> tuple[Images, Labels]:
    """The first n of all 70,000 images in one seeded order, (n, 1, 28, 28) in 0..1, and their classes."""
    (X, y), (more, labels) = read_part("train"), read_part("t10k")
    order = np.random.default_rng(0).permutation(len(y) + len(labels))[:n]
    return np.concatenate([X, more])[order], np.concatenate([y, labels])[order]


def train(X: Images, y: Labels, seed: int) -> Classifier:
    """A classifier of images, all of which are what their class says."""
    return Classifier(epochs=EPOCHS, max_steps=100_000, trim=0.0, seed=seed).fit(X, y)


def oracle(z: NDArray[np.float64], broken: Labels, z_test: NDArray[np.float64], n_trees: int) -> NDArray[np.float64]:
    """(n,) chance of being anomalous, by a forest fitted with labels."""
    forest = RandomForestClassifier(n_trees, random_state=0, n_jobs=1).fit(z, broken)
    return np.asarray(forest.predict_proba(z_test)[:, 1])


def measure(X: Images, y: Labels, nominal: tuple[int, ...], seeds: list[int], n_trees: int) -> dict[str, Any]:
    """ROC-AUC by column for one split; scores of single members as a list."""
    n = len(y)
    fit, held, test = np.split(np.arange(n), [int(0.6 * n), int(0.8 * n)])
    odd = ~np.isin(y, nominal)
    known = fit[~odd[fit]]
    members = [train(X[known], y[known], seed) for seed in seeds]
    logits = [m.logits(X[test]) for m in members]
    nobody = np.full(len(test), -1)

    def auc(score: NDArray[np.float64]) -> float:
        return float(roc_auc_score(odd[test], score))

    out: dict[str, Any] = {name: [auc(make(name)._of(one, nobody)) for one in logits] for name in SCORES}
    out["accuracy"] = [float((one.argmax(axis=1) == m.places(y[test]))[~odd[test]].mean()) for one, m in zip(logits, members, strict=True)]
    out["ensemble"] = auc(make("max_logit")._of(np.mean(logits, axis=0), nobody))
    for name, trunk in (("oracle detector", members[0]), ("oracle representation", train(X[fit], y[fit], seeds[0]))):
        out[name] = auc(oracle(trunk.codes(X[held]), odd[held].astype(np.int64), trunk.codes(X[test]), n_trees))
    return out


def _kept(path: Path, key: dict[str, Any]) -> dict[str, Any] | None:
    lines = path.read_text().splitlines() if path.exists() else []
    found: list[dict[str, Any]] = [row["found"] for row in map(json.loads, lines) if row["key"] == key]
    return found[0] if found else None


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--images", type=int, default=70_000)
    parser.add_argument("--trees", type=int, default=1000)
    parser.add_argument("--keep", type=Path, default=KEPT)
    given = parser.parse_args()
    X, y = read_all(given.images)
    rows = []
    for split in given.splits:
        key = {"split": split, "seeds": given.seeds, "images": given.images, "trees": given.trees, "epochs": EPOCHS}
        found = _kept(given.keep, key)
        if found is None:
            found = measure(X, y, SPLITS[split], given.seeds, given.trees)
            given.keep.parent.mkdir(parents=True, exist_ok=True)
            with given.keep.open("a") as file:
                file.write(json.dumps({"key": key, "found": found}) + "\n")
        rows.append(found)
    table = Table(title=f"Fashion-MNIST, {given.images:,} images, {len(given.seeds)} members: ROC-AUC, six nominal against four classes")
    for column in ("split", *COLUMNS, "accuracy"):
        table.add_column(column, justify="right")
    values = np.array([[np.mean(row[c]) for c in (*COLUMNS, "accuracy")] for row in rows])
    for split, line in zip(given.splits, values, strict=True):
        table.add_row(str(split), *[f"{x:.3f}" for x in line])
    table.add_section()
    table.add_row("mean", *[f"{m:.3f} ± {s:.3f}" for m, s in zip(values.mean(axis=0), values.std(axis=0), strict=True)])
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
