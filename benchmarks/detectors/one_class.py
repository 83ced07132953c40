"""One-vs-rest on Fashion-MNIST, which are real images: our detectors beside published figures.

    apt-get install dataset-fashion-mnist            the images: Debian puts them under /usr/share/datasets/fashion-mnist
    python -m benchmarks.detectors.one_class [DETECTOR …] [--classes 0-9] [--seeds 0 1 2] [--quick] [--held-out] [--keep FILE]

Each class in turn is normal: a detector is fitted on its 6,000 training images, without any other, and scores the 10,000 test images, of
which 1,000 are of the class. ROC-AUC in percent; the mean over classes, and its standard deviation over classes and over seeds. Detectors
that read features get the pixels, those that read images the images. SETTINGS were chosen with `--held-out` alone: fitted on the first
5,000 training images of a class and measured on the last 1,000 of every class, no test image read. Anything above 97 is marked as a
suspected leak. Every result is kept in FILE as it comes, so that a stopped run goes on. `--quick`: three classes, one seed, 1,000 images.
"""

import argparse
import gzip
import json
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from core.detectors import CATALOGUE, make
from core.errors import ContractError, InputError

FOLDER = Path("/usr/share/datasets/fashion-mnist")
KEPT = Path("data/one_class.jsonl")
N_CLASSES, N_PIXELS = 10, 28
N_FITTED = 5000
LEAK = 0.97
PIXELS: dict[str, Any] = {"trim": 0.0, "unit_length": False, "batch": 64, "patience": 0, "max_steps": 300}
SETTINGS: dict[str, dict[str, Any]] = {
    "fcn_autoencoder": PIXELS | {"widths": (256, 128, 32), "max_steps": 2000, "epochs": 100},
    "cnn_autoencoder": PIXELS | {"code": 32},
    "cnn_bn_autoencoder": PIXELS | {"code": 32},
    "multi_encoder": PIXELS | {"code": (16, 16)},
    "vae": PIXELS | {"code": 32},
    "noise_classifier": PIXELS | {"code": 32},
    "ocgan": PIXELS | {"code": 32},
    "deep_svdd": PIXELS | {"widths": (16, 32), "dense": (128, 64), "max_steps": 600, "pretrained_steps": 300},
}
"""What differs here from the defaults, which are for hundreds of heatmaps. All images to fit on are good ones, so nothing is trimmed."""
PUBLISHED = [
    ("deep_svdd", "Deep SVDD, re-run in Deep SAD", 89.2, "± 6.2 over classes"),
    ("one_class_svm", "one-class SVM on pixels, width tuned with labels", 92.8, "from memory, not read again"),
    ("one_class_svm", "one-class SVM on an autoencoder's code", 91.2, "± 4.7 over classes"),
    ("ocgan", "OCGAN, another protocol: 80/20 split, half outliers", 92.4, "from memory, not read again"),
    ("", "GEOM, 72 transformations", 93.5, "as quoted by AGAD"),
    ("", "kNN on ImageNet features (DN2)", 94.4, "from memory, not read again"),
]
"""(ours, method, mean ROC-AUC in percent, remark)."""


@dataclass(frozen=True)
class Split:
    """Images float32 (n, 1, 28, 28) in 0..1 and their classes, to fit on and to measure on."""

    X: NDArray[np.float32]
    y: NDArray[np.int64]
    X_measured: NDArray[np.float32]
    y_measured: NDArray[np.int64]


def read_idx(name: str, header: int) -> NDArray[np.uint8]:
    """The bytes of an IDX file after its header. Raises InputError where the package is not installed."""
    if not (FOLDER / name).exists():
        raise InputError(f"Fashion-MNIST lies in {FOLDER}: {name} is missing. Run `apt-get install dataset-fashion-mnist`.")
    with gzip.open(FOLDER / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def read_part(part: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images and classes of `train` or `t10k`."""
    images = read_idx(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 1, N_PIXELS, N_PIXELS)
    return (images / np.float32(255)).astype(np.float32), read_idx(f"{part}-labels-idx1-ubyte.gz", 8).astype(np.int64)


def read_split(held_out: bool, quick: bool) -> Split:
    """Training and test images, or `held_out`, two parts of the training images."""
    X, y = read_part("train")
    if held_out:
        first = np.zeros(len(y), dtype=bool)
        for k in range(N_CLASSES):
            first[np.flatnonzero(y == k)[:N_FITTED]] = True
        split = Split(X[first], y[first], X[~first], y[~first])
    else:
        split = Split(X, y, *read_part("t10k"))
    if not quick:
        return split
    some = np.concatenate([np.flatnonzero(split.y == k)[:1000] for k in range(N_CLASSES)])
    return Split(split.X[some], split.y[some], split.X_measured[:2000], split.y_measured[:2000])


def measure(name: str, k: int, seed: int, split: Split) -> dict[str, Any]:
    """ROC-AUC of the detector where class k is normal, with the seconds that it took."""
    settings = SETTINGS.get(name, {})
    seeded = {"seed": seed} if "seed" in {f.name for f in fields(CATALOGUE[name])} else {}
    detector = make(name, **settings, **seeded)

    def read(X: NDArray[np.float32]) -> NDArray[np.float32]:
        return X.reshape(len(X), -1) if detector.reads == "features" else X

    fitted = read(split.X[split.y == k])
    start = time.perf_counter()
    detector.fit(fitted, np.zeros(len(fitted), dtype=np.int64))
    middle = time.perf_counter()
    scores = detector.score(read(split.X_measured), np.zeros(len(split.y_measured), dtype=np.int64))
    auc = float(roc_auc_score(split.y_measured != k, scores))
    spent = {"fit_s": middle - start, "score_ms": 1000 * (time.perf_counter() - middle) / len(scores)}
    return {"name": name, "class": k, "seed": seed, "auc": auc, **spent}


def collect(names: list[str], classes: list[int], seeds: list[int], mode: str, keep: Path) -> list[dict[str, Any]]:
    """All results, those in `keep` taken as they are where the settings are the same."""
    split = read_split(mode == "held-out", mode == "quick")
    known = [json.loads(line) for line in keep.read_text().splitlines()] if keep.exists() else []
    out = []
    for name, seed, k in ((n, s, k) for n in names for s in seeds for k in classes):
        key = {"name": name, "class": k, "seed": seed, "mode": mode, "settings": repr(SETTINGS.get(name, {}))}
        found = [row for row in known if key.items() <= row.items()]
        if not found:
            found = [key | measure(name, k, seed, split)]
            keep.parent.mkdir(parents=True, exist_ok=True)
            with keep.open("a") as file:
                file.write(json.dumps(found[0]) + "\n")
        out.append(found[-1])
    return out


def show(rows: list[dict[str, Any]], names: list[str], classes: list[int], mode: str) -> Table:
    """A row a detector: ROC-AUC of every class, and their mean with both spreads."""
    table = Table(title=f"Fashion-MNIST one-vs-rest, {mode}: ROC-AUC in percent, mean over seeds")
    for column in ("detector", *map(str, classes), "mean", "± classes", "± seeds", "fit, s", "ms an image", ""):
        table.add_column(column, justify="left" if column == "detector" else "right")
    for name in names:
        own = [row for row in rows if row["name"] == name]
        seeds = sorted({row["seed"] for row in own})
        auc = np.array([[next(r["auc"] for r in own if (r["class"], r["seed"]) == (k, s)) for k in classes] for s in seeds])
        by_class, by_seed = auc.mean(axis=0), auc.mean(axis=1)
        spread = f"{100 * by_seed.std(ddof=1):.1f}" if len(seeds) > 1 else ""
        cost = [np.median([row[column] for row in own]) for column in ("fit_s", "score_ms")]
        told = f"{100 * by_class.mean():.1f}", f"{100 * by_class.std():.1f}", spread, f"{cost[0]:.1f}", f"{cost[1]:.2f}"
        table.add_row(name, *[f"{100 * v:.1f}" for v in by_class], *told, "leak?" if by_class.mean() > LEAK else "")
    return table


def published() -> Table:
    """Figures that others have published, ROC-AUC in percent."""
    table = Table("peer of", "published", "mean", "remark", title="Published, ten classes")
    for ours, what, mean, remark in PUBLISHED:
        table.add_row(ours, what, f"{mean:.1f}", remark)
    return table


def readable() -> list[str]:
    """Detectors that can read pixels: not those of heatmaps, and not those over another network's features."""
    return [name for name, d in CATALOGUE.items() if d.reads != "heatmaps" and d.family != "features" and not d.needs_labels]


def main() -> None:
    """Measures what is asked for and prints the tables."""
    import torch

    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("detectors", nargs="*", help="names of the catalogue; all that can read pixels")
    parser.add_argument("--classes", type=int, nargs="+", default=list(range(N_CLASSES)))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--keep", type=Path, default=KEPT)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--held-out", action="store_true")
    asked = parser.parse_args()
    names = asked.detectors or readable()
    if set(names) - set(readable()):
        raise ContractError(f"Detectors here read pixels: {', '.join(readable())}: {', '.join(names)} were asked for.")
    mode = "quick" if asked.quick else "held-out" if asked.held_out else "test"
    classes, seeds = ([0, 4, 8], [0]) if asked.quick else (asked.classes, asked.seeds)
    console = Console(width=160)
    console.print(show(collect(names, classes, seeds, mode, asked.keep), names, classes, mode))
    console.print(published())


if __name__ == "__main__":
    main()
