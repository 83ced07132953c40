"""Raw scores of detectors that learn from all grids at once; grids are read one at a time, never all together.

In: scored grids, and a way to read the heatmaps of one. Out: a column a detector in each grid's scores.
"""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from core.banners.heatmaps import Heatmaps
from core.detectors import CATALOGUE, make
from core.detectors.base import Detector
from core.detectors.classifier import Classifier
from core.scoring.grid import IMAGES, Scored
from core.statistics.arrays import Codes

MOST = 20_000
"""Images that are learned from, at most: 128 MB."""
BLOCK = 4096


def score_across(scored: list[Scored], read: Callable[[Scored], Heatmaps], names: list[str], step: Callable[[str], None]) -> None:
    """Puts the scores of detectors `names`, all of which learn across grids, into `scored`; some share one classifier.

    A group is a layout: a grid and a number of products. Of every grid an even share is learned from, small grids whole.
    """
    if not names:
        return
    codes = _layouts(scored)
    step("drawing images to learn from")
    X, groups = _sample(scored, read, codes)
    detectors, fit_s = _fitted(names, X, groups, step)
    for part, own in zip(scored, codes, strict=True):
        step(f"grid {int(part.grid_id[0])}")
        counts = read(part).counts
        for name in names:
            part.scores[name], part.seconds[name], part.weights[name] = np.empty(len(own)), (fit_s[name] / len(scored), 0.0), None
        for a in range(0, len(own), BLOCK):
            images = IMAGES.make(counts[a : a + BLOCK])
            for name, detector in detectors.items():
                began = time.perf_counter()
                part.scores[name][a : a + BLOCK] = detector.score(images, own[a : a + BLOCK])
                part.seconds[name] = (part.seconds[name][0], part.seconds[name][1] + time.perf_counter() - began)


def _fitted(
    names: list[str], X: NDArray[np.float32], groups: Codes, step: Callable[[str], None]
) -> tuple[dict[str, Detector], dict[str, float]]:
    """The detectors, fitted, and the seconds of each; those of the shared classifier are divided among them."""
    sharing = [name for name in names if getattr(CATALOGUE[name], "shared", False)]
    classifier, shared_s = None, 0.0
    if sharing:
        step("learning to tell the layouts apart")
        began = time.perf_counter()
        classifier = Classifier().fit(X, groups)
        shared_s = (time.perf_counter() - began) / len(sharing)
    detectors, seconds = {}, {}
    for name in names:
        step(f"fitting {name} on {len(X):,} banners" + (", which takes minutes" if CATALOGUE[name].slow_fit else ""))
        began = time.perf_counter()
        fresh = make(name, classifier=classifier) if name in sharing else make(name)
        detectors[name] = fresh.fit(X, groups)
        seconds[name] = time.perf_counter() - began + (shared_s if name in sharing else 0.0)
    return detectors, seconds


def _layouts(scored: list[Scored]) -> list[Codes]:
    """A code a banner: its grid's number among the grids, and its number of products."""
    wide = 1 + max(int(part.n_products.max()) for part in scored)
    return [k * wide + part.n_products.astype(np.int64) for k, part in enumerate(scored)]


def _sample(scored: list[Scored], read: Callable[[Scored], Heatmaps], codes: list[Codes]) -> tuple[NDArray[np.float32], Codes]:
    sizes = np.array([len(part.banner_id) for part in scored])
    allowed = _even(sizes)
    rows = [np.linspace(0, n - 1, m).astype(np.int64) for n, m in zip(sizes, allowed, strict=True)]
    images = [IMAGES.make(read(part).counts[at]) for part, at in zip(scored, rows, strict=True)]
    return np.concatenate(images), np.concatenate([own[at] for own, at in zip(codes, rows, strict=True)])


def _even(sizes: Codes) -> Codes:
    """(k,) how many of each: all where MOST allows it, else the same number of each grid that has so many."""
    cap = np.sort(sizes)
    for k, size in enumerate(cap):
        if size * (len(cap) - k) + cap[:k].sum() > MOST:
            return np.minimum(sizes, max(1, (MOST - cap[:k].sum()) // (len(cap) - k)))
    return sizes
