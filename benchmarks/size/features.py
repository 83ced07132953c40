"""Speed and agreement of the networks' two fast ways beside the plain one, on equal weights, and the memory that ViT features take.

    python -m benchmarks.size.features [--rounds 5] [--plain 12] [--fast 96] [--memory 10000] [--quick] [--processor]

The stack: ViT-base with all 151,296 features and three ResNet-50 at 224 pixels. No hub is needed: random weights of the right shapes.
Speed does not depend on what was learned, and agreement is measured on these very weights; their features mean nothing.
The ways from counts to features, images included, take turns in one process on all its cores:

plain     float32, eager, one image at a time, the network as transformers loads it
torch     bfloat16 where the machine is fast at it, channels last, batches of 32
openvino  the same precision, graph compiled, some images a request, a request a core; left out where it is not installed

The stack's banners/s are 1 / (sum of the seconds an image takes in each network). A ratio is taken within a round; printed are the
median and the range over the rounds. Agreement, with plain, of the features (cosine) and of the cosine to the anchor, each way with an
anchor of its own. Memory is the peak of a whole child process that fills a feature store. Limits: the stack at least 6 times as fast as
plain, cosines within 0.01, 4 GB. On a machine that is
busy otherwise, wall time says little: HEATPROOF_THREADS=1 and `--processor` compare what the ways cost a core.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_matrix, load_npz, save_npz, vstack

from core import settings
from core.banners.heatmaps import heatmaps_of
from core.banners.images import content_keys
from core.banners.synthetic import DEMO, make_clicks
from core.features.base import Extractor, Features, has_openvino
from core.features.cache import FeatureStore
from core.features.resnet50 import ResNet50
from core.features.running import loaded, stream
from core.features.vit_base import ViTBase

RESNETS = ("resnet50", "resnet50 (count)", "resnet50 (location)")
Extract = Callable[[csr_matrix], Iterator[Features]]
Clock = Callable[[], float]
Floats = NDArray[np.float64]


@dataclass
class Measured:
    """One network: seconds an image by way and round; least cosine and largest shift of the cosine to the anchor by way, against plain.

    spread: largest less smallest cosine to the anchor, the plain way: what a shift is to be held against.
    """

    seconds: dict[str, list[float]]
    cosine: dict[str, float]
    shift: dict[str, float]
    spread: float


def banners(n: int) -> csr_matrix:
    """(n, 1600) counts of banners of synthetic logs, all different, grids mixed."""
    found = csr_matrix((0, settings.N_BINS), dtype=np.float32)
    seed = 0
    while found.shape[0] < n:
        log = make_clicks(seed, DEMO)
        counts = heatmaps_of(log.banner, log.points, log.banner_id, log.grid_id, log.n_products, log.domain).counts
        found, seed = vstack([found, counts]).tocsr(), seed + 1
        found = found[np.sort(np.unique(content_keys(found), return_index=True)[1])]
    return found[np.random.default_rng(0).permutation(found.shape[0])[:n]]


def make_checkpoints(folder: Path, some: csr_matrix) -> dict[str, Extractor]:
    """The four networks with seeded random weights. Batch norms know the statistics of `some` banners, without which features die out."""
    import torch
    from transformers import ResNetConfig, ResNetModel, ViTConfig, ViTModel

    torch.manual_seed(0)
    ViTModel(ViTConfig(), add_pooling_layer=False).save_pretrained(folder / "vit")
    out: dict[str, Extractor] = {"vit_base": ViTBase(source=str(folder / "vit"), revision=None)}
    images = torch.from_numpy(ResNet50().images.make(some))
    for seed, name in enumerate(RESNETS, start=1):
        torch.manual_seed(seed)
        network = ResNetModel(ResNetConfig()).train()
        for norm in (m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)):
            norm.momentum = None  # the plain mean over all batches
        with torch.no_grad():
            for part in torch.tensor_split(images, 4):
                network(pixel_values=part)
        network.eval().save_pretrained(folder / f"resnet{seed}")
        out[name] = ResNet50(source=str(folder / f"resnet{seed}"), revision=None)
    return out


def plainly(extractor: Extractor) -> Extract:
    """The network as transformers loads it, image by image."""
    import torch

    network = extractor._load().eval()

    def extract(counts: csr_matrix) -> Iterator[Features]:
        with torch.inference_mode():
            for row in range(counts.shape[0]):
                yield extractor._forward(network, torch.from_numpy(extractor.images.make(counts[row]))).numpy()

    return extract


def ways_of(extractor: Extractor) -> dict[str, Extract]:
    """By name; each has its network loaded and warm."""
    ways: dict[str, Extract] = {"plain": plainly(extractor), "torch": partial(stream, replace(extractor, engine="torch"))}
    if has_openvino():
        ways["openvino"] = partial(stream, replace(extractor, engine="openvino"))
    return ways


def measure(extractor: Extractor, counts: csr_matrix, rounds: int, n_plain: int, n_fast: int, clock: Clock) -> Measured:
    """All ways of one network, in turns; other banners each round."""
    ways = ways_of(extractor)
    sample = counts[: max(n_plain, 24)]
    features = {way: np.concatenate(list(extract(sample))) for way, extract in ways.items()}  # warms up, too
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds):
        for way, extract in ways.items():
            n = n_plain if way == "plain" else n_fast
            rows = counts[np.arange(turn * n, (turn + 1) * n) % counts.shape[0]]
            start = clock()
            for _ in extract(rows):
                pass
            seconds[way].append((clock() - start) / n)
    plain = to_anchor(features["plain"])
    fast = [way for way in ways if way != "plain"]
    return Measured(
        seconds,
        {way: float(cosines(features[way], features["plain"]).min()) for way in fast},
        {way: float(np.abs(to_anchor(features[way]) - plain).max()) for way in fast},
        float(np.ptp(plain)),
    )


def cosines(a: Features, b: Features) -> Floats:
    """(n,) row by row."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return np.asarray((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))


def to_anchor(features: Features) -> Floats:
    """(n,) cosines to the mean direction."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    return cosines(unit, np.broadcast_to(unit.mean(axis=0), unit.shape))


def told(values: list[float], digits: int = 1) -> str:
    """Median and range."""
    return f"{np.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def show(found: dict[str, Measured], title: str) -> Table:
    """A row a network and way, then the stack."""
    table = Table("network", "way", "banners/s", "times plain", "least cosine", "cosine to anchor off by", "of a spread of", title=title)
    for name, one in found.items():
        for way, seconds in one.seconds.items():
            speed, ratio = told([1 / s for s in seconds]), ratios(one.seconds["plain"], seconds)
            agreement = [] if way == "plain" else [f"{one.cosine[way]:.5f}", f"{one.shift[way]:.5f}", f"{one.spread:.4f}"]
            table.add_row(name, way, speed, "" if way == "plain" else told(ratio, 2), *agreement)
        table.add_section()
    stack = stacked(found)
    for way, seconds in stack.items():
        times = "" if way == "plain" else told(ratios(stack["plain"], seconds), 2)
        table.add_row("all four", way, told([1 / s for s in seconds], 2), times)
    return table


def stacked(found: dict[str, Measured]) -> dict[str, list[float]]:
    """Seconds that a banner takes in all networks, by way and round."""
    ways = next(iter(found.values())).seconds
    return {way: [sum(turn) for turn in zip(*(one.seconds[way] for one in found.values()), strict=True)] for way in ways}


def ratios(plain: list[float], seconds: list[float]) -> list[float]:
    return [a / b for a, b in zip(plain, seconds, strict=True)]


def fill_here(folder: Path) -> None:
    """Prints what it takes to fill a feature store with ViT features of the folder's banners. The whole work of a child process."""
    counts, extractor = load_npz(folder / "counts.npz"), ViTBase(source=str(folder / "vit"), revision=None)
    start = time.perf_counter()
    n = FeatureStore(folder / "features", extractor).fill(counts)
    took = time.perf_counter() - start
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) / 2**20  # of this process alone: getrusage would inherit the parent's
    print(json.dumps({"n": n, "seconds": took, "peak_gb": peak, "run_by": extractor.run_by}))


def measure_memory(folder: Path, n: int) -> str:
    """One line on a child process that extracts n banners."""
    save_npz(folder / "counts.npz", banners(n))
    command = [sys.executable, "-m", "benchmarks.size.features", "--fill-in", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    got = json.loads(done.stdout.splitlines()[-1])
    return (
        f"ViT features of {got['n']:,} banners into a feature store, {got['run_by']}: peak {got['peak_gb']:.2f} GB, "
        f"{got['seconds']:.0f} s, {got['n'] / got['seconds']:.1f} banners/s with loading"
    )


def main() -> None:
    """Prints the table and the line on memory."""
    parser = argparse.ArgumentParser(description="Speed, agreement and memory of the large networks.")
    parser.add_argument("--rounds", type=int, default=5, help="0 = memory only")
    parser.add_argument("--plain", type=int, default=12, help="images a round, the plain way")
    parser.add_argument("--fast", type=int, default=96, help="images a round, the fast ways; a multiple of 96 fills the last batch of each")
    parser.add_argument("--memory", type=int, default=10_000, help="banners whose ViT features are stored; 0 = none")
    parser.add_argument("--processor", action="store_true", help="seconds of processor time instead of wall time")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 4 and 32 images, 500 banners")
    parser.add_argument("--fill-in", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.fill_in:
        fill_here(asked.fill_in)
        return
    if asked.quick:
        asked.rounds, asked.plain, asked.fast, asked.memory = 2, 4, 32, 500
    run(asked.rounds, asked.plain, asked.fast, asked.memory, asked.processor)


def run(rounds: int, n_plain: int, n_fast: int, n_memory: int, by_processor: bool) -> None:
    """The whole benchmark."""
    import torch

    torch.set_num_threads(settings.n_threads())
    console = Console(width=130)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder, counts = Path(name), banners(rounds * n_fast + 32)
        networks = make_checkpoints(folder, counts[-32:])
        found = {}
        for network, extractor in networks.items() if rounds else ():
            found[network] = measure(
                extractor, counts[:-32], rounds, n_plain, n_fast, time.process_time if by_processor else time.perf_counter
            )
            loaded.cache_clear()
        unit = "processor" if by_processor else "wall"
        title = (
            f"{rounds} rounds of {n_plain} banners plain and {n_fast} fast, {unit} time, threads {settings.n_threads()}, load {load:.1f}"
        )
        if rounds:
            console.print(show(found, title + ", random weights of the right shapes, synthetic banners"))
        if n_memory:
            console.print(measure_memory(folder, n_memory))


if __name__ == "__main__":
    main()
