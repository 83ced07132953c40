"""The test bed of `benchmarks.ssad.augmentations`: normal images, anomalies made of them in a known way, and trained candidates, kept as
they come."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.detectors.one_class import read_part
from benchmarks.detectors.quality import NEW_GRIDS
from core.banners.heatmaps import heatmaps_of
from core.banners.synthetic import DEMO, make_clicks
from core.detectors import make
from core.detectors.augment import Ranges
from core.detectors.augment.patches import placed, scaled_to_peak
from core.models.selection.candidates import Candidate
from core.models.training.corruptions import pairs
from core.scoring.grid import IMAGES
from core.statistics.arrays import Image, Vector

CLASSES = (1, 6, 8)
N_TRAIN, N_TEST = 500, 150
"""Normal images that are learned from; and of each kind, in order and anomalous, that are judged."""
STEPS = 120
SETTINGS: dict[str, Any] = {"max_steps": STEPS, "epochs": 20, "trim": 0.0, "measure": "logit"}
AREAS, ANGLES = (0.03, 0.1, 0.3), (30.0, 90.0, 180.0)
MADE_AREAS, MADE_ANGLES = (0.05, 0.2), (45.0, 135.0)
PATCHES = ("cutout", "cutavg", "cutpaste", "cutdiff")
CLICKED = ("moved", "scaled", "turned", "cut")


@dataclass(frozen=True)
class Normal:
    """Normal images, (n, 1, side, side): to learn from, to judge, and others that become anomalies."""

    name: str
    train: Image
    test: Image
    rest: Image
    wild: dict[str, Image]
    """Anomalies that no augmentation of images made."""
    unit_length: bool


@lru_cache(maxsize=1)
def _fashion() -> tuple[Any, Any]:
    return read_part("train"), read_part("t10k")


def fashion(k: int) -> Normal:
    """A class of Fashion-MNIST; wild anomalies are images of the nine others."""
    (X, y), (T, t) = _fashion()
    own = T[t == k]
    others = T[t != k][:: len(T) // (2 * N_TEST)][:N_TEST]
    return Normal(f"fashion {k}", X[y == k][:N_TRAIN], own[:N_TEST], own[N_TEST : 2 * N_TEST], {"other classes": others}, False)


def grid(grid_id: int) -> Normal:
    """A grid of the synthetic demo, ok banners; wild anomalies are the same banners with corrupted clicks."""
    log = make_clicks(0, DEMO)
    heatmaps = heatmaps_of(log.banner, log.points, log.banner_id, log.grid_id, log.n_products, log.domain)
    good = np.flatnonzero((log.grid_id == grid_id) & (log.fault == ""))
    good = np.random.default_rng(0).permutation(good)[: N_TRAIN + 2 * N_TEST]
    X, rest = IMAGES.make(heatmaps.counts[good]), heatmaps.counts[good[-N_TEST:]]
    others = heatmaps.counts[np.flatnonzero((log.grid_id != grid_id) & (log.fault == ""))[:N_TEST]]
    wild = {name: IMAGES.make(pairs(np.random.default_rng(1), rest, others, (name,))[1]) for name in CLICKED}
    return Normal(f"grid {grid_id}", X[:N_TRAIN], X[N_TRAIN:-N_TEST], X[-N_TEST:], wild, True)


NORMALS: dict[str, Callable[[], Normal]] = {
    **{f"fashion {k}": partial(fashion, k) for k in CLASSES},
    **{f"grid {g}": partial(grid, g) for g in NEW_GRIDS},
}


def made() -> dict[str, tuple[str, Ranges]]:
    """How anomalies are made, by name: augmentation and fixed sizes."""
    found = {f"{name} {area}": (name, Ranges((area, area), (1, 1))) for name in PATCHES for area in MADE_AREAS}
    return found | {f"rotation {angle:.0f}": ("rotation", Ranges(angle=(angle, angle))) for angle in MADE_ANGLES}


def tasks(normal: Normal) -> dict[str, Image]:
    """(2 N_TEST, 1, side, side) by how the second half was made, which is anomalous."""
    found = {}
    for name, (augmentation, ranges) in made().items():
        rng, x = torch.Generator().manual_seed(7), torch.from_numpy(normal.rest.copy())
        odd = scaled_to_peak(x, ranges.draw(rng), placed(x, rng, True), augmentation, normal.unit_length).numpy()
        found[name] = np.concatenate([normal.test, odd])
    return found | {f"wild: {name}": np.concatenate([normal.test, odd]) for name, odd in normal.wild.items()}


def candidates() -> dict[str, dict[str, Any]]:
    """Fields of what is trained, by name: sizes fixed over their range, which stand for RS, and drawn for each batch, RD."""
    found: dict[str, dict[str, Any]] = {}
    for name in PATCHES:
        fixed = {f"{name} {area}": {"area": (area, area), "aspect": (1, 1), "dynamic": False} for area in AREAS}
        found |= {key: {"augmentation": name, **fields} for key, fields in fixed.items()} | {f"{name} RD": {"augmentation": name}}
    turns = {f"rotation {a:.0f}": {"augmentation": "rotation", "angle": (a, a)} for a in ANGLES}
    return found | turns | {"rotation RD": {"augmentation": "rotation", "angle": (15.0, 345.0)}}


def zeros(X: Image) -> NDArray[np.int64]:
    return np.zeros(len(X), dtype=np.int64)


def trained(what: str, normal: Normal, keep: Path) -> dict[str, Any]:
    """Embeddings train and augmented, and of every task embeddings and scores, of the candidate `what`; from `keep` where it is there."""
    path = keep / f"{normal.name}-{what}.npz".replace(" ", "_")
    if not path.exists():
        detector = make("ssad_cutout", **{**SETTINGS, **candidates()[what]}, unit_length=normal.unit_length)
        detector.fit(normal.train, zeros(normal.train))
        some = normal.train[:N_TEST]
        found = {"train": detector.codes(some, zeros(some))}
        found["augmented"] = detector.codes(detector.augmented(some, seed=1), zeros(some))
        for task, X in tasks(normal).items():
            found |= {f"z {task}": detector.codes(X, zeros(X)), f"s {task}": detector.score(X, zeros(X))}
        np.savez(path, **{k: v.astype(np.float16 if k[0] != "s" else np.float64) for k, v in found.items()})
    with np.load(path) as kept:
        return dict(kept)


def candidate(what: str, kept: dict[str, Any], task: str) -> Candidate:
    """What selectors are told of a trained candidate on one task."""
    train, augmented, test = (kept[key].astype(np.float64) for key in ("train", "augmented", f"z {task}"))
    return Candidate(what, train, augmented, test, kept[f"s {task}"], mixed=what.endswith("RD"))


def learned(normal: Normal, task: str, X: Image, variant: str, keep: Path) -> dict[str, Any]:
    """Scores of ST-SSAD on a task, what it learned, and the seconds it took; from `keep` where it is there."""
    path = keep / f"{normal.name}-{task}-{variant}.json".replace(" ", "_").replace(":", "")
    if not path.exists():
        ways: dict[str, dict[str, Any]] = {
            "matching": {},
            "published": {"validation": "published"},
            "second order": {"second_order": True},
        }
        given = {**SETTINGS, "unit_length": normal.unit_length, "suspected": 0.5, "unlabelled": (X, zeros(X))}
        start = time.process_time()
        detector = make("st_ssad", **given, **ways[variant]).fit(normal.train, zeros(normal.train))
        spent = time.process_time() - start
        found = {"scores": detector.score(X, zeros(X)).tolist(), "starts": detector.starts_.tolist(), "seconds": spent}
        path.write_text(json.dumps(found | {"sizes": detector.learned_[-1].tolist()}))
    return dict(json.loads(path.read_text()))


def peer(name: str, normal: Normal, keep: Path) -> dict[str, Vector]:
    """Scores of a detector of another family on every task."""
    path = keep / f"{normal.name}-{name}.npz".replace(" ", "_")
    if not path.exists():
        detector = make(name, trim=0.0, unit_length=normal.unit_length).fit(normal.train, zeros(normal.train))
        np.savez(path, **{task: detector.score(X, zeros(X)) for task, X in tasks(normal).items()})
    with np.load(path) as kept:
        return dict(kept)
