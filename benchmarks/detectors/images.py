"""The course decks' baselines and other detectors on sets of images: another class, made defects, and colour windows.

    python -m benchmarks.detectors.images SET [--detectors a,b] [--normal CLASS] [--n N] [--steps N] [--seeds 0 1]
    python -m benchmarks.detectors.images time [--steps N]

SET `fashion` or `digits`: one class, 0 unless said otherwise, is normal, and the other classes are the anomalies (fashion:
apt-get install dataset-fashion-mnist; digits: scikit-learn's, four times enlarged). `fashion_defects`: it with a scratch, a blob or a
missing part. `colour`: windows of 64x64x3 of scikit-learn's two photographs: the left half of the temple is learned from, its right half is
normal, the flower is the anomaly. `colour_defects`: the right half with defects. `time`: an epoch of cnn_autoencoder at 64x64x3 beside a
plain PyTorch loop.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from benchmarks.detectors.one_class import FOLDER
from core.models.images.methods import NAMES, Training, features, prepared
from core.statistics.arrays import Image

BASELINES = ("fcn_autoencoder", "cnn_autoencoder", "cnn_bn_autoencoder", "noise_classifier", "ocgan")
ROWS = {"fcn_autoencoder": "0.640", "cnn_autoencoder": "0.757", "cnn_bn_autoencoder": "0.813", "noise_classifier": "0.866"}
"""The deck's public ROC-AUC on faces, the row to hold each against; other images, another number."""
Sets = tuple[Image, Image, NDArray[np.int64]]


def one_class(X: Image, y: NDArray[np.int64], normal: int, n: int, rng: np.random.Generator) -> Sets:
    """Half of class `normal` at most n to learn from; as many of it as of all others to judge."""
    own, other = rng.permutation(np.flatnonzero(y == normal)), rng.permutation(np.flatnonzero(y != normal))
    k = min(n, len(own) // 2)
    return X[own[:k]], np.concatenate([X[own[k : 2 * k]], X[other[:k]]]), np.repeat([0, 1], k)


def defective(X: Image, rng: np.random.Generator) -> Image:
    """(n, c, h, w) images with one defect each: a scratch, a blob, or a part that is missing, by turns."""
    out, side = X.copy(), X.shape[2]
    y, x = np.mgrid[0:side, 0:side] / side
    for k, image in enumerate(out):
        (cx, cy), turn, tone = rng.uniform(0.3, 0.7, 2), rng.uniform(0, np.pi), rng.uniform(0.6, 1.0)
        along, across = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn), (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        at = [(abs(along) < 0.2) & (abs(across) < 0.03), along**2 + across**2 < 0.01, (abs(along) < 0.15) & (abs(across) < 0.12)][k % 3]
        image[:, at] = [tone, tone, 0.0][k % 3]
    return out


def windows(picture: NDArray[np.uint8], n: int, rng: np.random.Generator) -> Image:
    """(n, 3, 64, 64) windows of a picture at random places."""
    h, w = picture.shape[:2]
    at = zip(rng.integers(0, h - 63, n), rng.integers(0, w - 63, n), strict=True)
    return np.stack([picture[a : a + 64, b : b + 64] for a, b in at]).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)


def fashion(part: str) -> tuple[Image, NDArray[np.int64]]:
    """Images and classes of a split of Fashion-MNIST."""
    import gzip

    raw = [gzip.decompress((FOLDER / f"{part}-{kind}.gz").read_bytes()) for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    X = np.frombuffer(raw[0], np.uint8, offset=16).reshape(-1, 1, 28, 28).astype(np.float32) / np.float32(255)
    return X, np.frombuffer(raw[1], np.uint8, offset=8).astype(np.int64)


def sets(name: str, n: int, seed: int, normal: int = 0) -> Sets:
    """Images to learn from, images to judge, and which of those are anomalies."""
    from sklearn.datasets import load_digits, load_sample_images

    rng = np.random.default_rng(seed)
    if name == "digits":
        digits = load_digits()
        return one_class(np.kron(digits.images / 16, np.ones((1, 4, 4)))[:, None].astype(np.float32), digits.target, normal, n, rng)
    if name.startswith("fashion"):
        learned, judged, odd = one_class(*fashion("train"), normal, n, rng)
    else:
        temple, flower = load_sample_images().images
        half = temple.shape[1] // 2
        parts = windows(temple[:, half:], n, rng), windows(flower, n, rng)
        learned, judged, odd = windows(temple[:, :half], n, rng), np.concatenate(parts), np.repeat([0, 1], n)
    if name.endswith("_defects"):
        good = judged[odd == 0]
        judged = np.concatenate([good[: len(good) // 2], defective(good[len(good) // 2 :], rng)])
        odd = (np.arange(len(judged)) >= len(good) // 2).astype(np.int64)
    return learned, judged, odd


def area(name: str, given: Sets, steps: int, seed: int) -> float:
    """ROC-AUC of a detector that is fitted on the first and judged on the second set."""
    learned, judged, odd = given
    detector = prepared(name, Training(steps, seed))
    if detector.reads == "features":
        learned, judged = features(learned, "pixels"), features(judged, "pixels")
    groups = np.zeros(len(learned), dtype=np.int64)
    return float(roc_auc_score(odd, detector.fit(learned, groups).score(judged, np.zeros(len(judged), dtype=np.int64))))


def epoch_times(steps: int) -> dict[str, float]:
    """Seconds that `steps` batches of 32 take: cnn_autoencoder's fit, and the same network in a plain loop, the faster of three each."""
    import torch
    from torch.nn.functional import mse_loss

    X = np.random.default_rng(0).random((32 * steps, 3, 64, 64), dtype=np.float32)
    groups = np.zeros(len(X), dtype=np.int64)

    def ours() -> None:
        detector = prepared("cnn_autoencoder", Training(steps))
        detector.patience = 0
        detector.fit(X, groups)

    def plain() -> None:
        network, x = prepared("cnn_autoencoder", Training())._make_network(3, 64), torch.from_numpy(X)
        adam = torch.optim.Adam(network.parameters(), lr=1e-3)
        for at in torch.randperm(len(x)).view(-1, 32):
            loss = mse_loss(network(x[at]), x[at])
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()

    return {"cnn_autoencoder": timed(ours), "plain loop": timed(plain)}


def timed(work: Callable[[], Any]) -> float:
    """Seconds, the least of three."""
    found = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def main() -> None:
    """Measures what is asked for and prints a table."""
    known = ("fashion", "fashion_defects", "digits", "colour", "colour_defects", "time")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=known)
    parser.add_argument("--detectors", default=",".join(BASELINES), help=f"of {', '.join(NAMES)}")
    parser.add_argument("--normal", type=int, default=0, help="class that is normal")
    parser.add_argument("--n", type=int, default=500, help="images to learn from, at most")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    asked = parser.parse_args()
    console = Console()
    if asked.set == "time":
        console.print({key: round(value, 2) for key, value in epoch_times(asked.steps).items()})
        return
    table = Table("detector", f"ROC-AUC, {asked.set}", "the deck's, faces", "seconds")
    for name in asked.detectors.split(","):
        start = time.perf_counter()
        found = [area(name, sets(asked.set, asked.n, seed, asked.normal), asked.steps, seed) for seed in asked.seeds]
        spent = f"{time.perf_counter() - start:.0f}"
        table.add_row(name, f"{np.mean(found):.3f} ({min(found):.3f} to {max(found):.3f})", ROWS.get(name, ""), spent)
        print(name, [round(each, 3) for each in found], spent, flush=True)
    console.print(table)


if __name__ == "__main__":
    main()
