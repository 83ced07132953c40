"""Data with a known shape for the benchmark of maximum variance unfolding."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from sklearn.datasets import make_swiss_roll

Floats = NDArray[np.float64]


def swiss(n: int, seed: int = 0) -> Floats:
    """(n, 3) points on a rolled-up sheet."""
    return make_swiss_roll(n, random_state=seed)[0]


def heat(n: int, seed: int = 0, n_layouts: int = 4) -> NDArray[np.float32]:
    """(n, 1600) square roots of lightly blurred click shares: `n_layouts` layouts, each moved and stretched; 300 to 3,000 clicks.

    Distances between rows are Hellinger distances, up to a constant.
    """
    rng = np.random.default_rng(seed)
    layouts = np.random.default_rng(7).uniform(0.2, 0.8, (n_layouts, 5, 2))
    weights = np.random.default_rng(8).dirichlet(np.full(5, 3.0), n_layouts)
    grid = (np.arange(40) + 0.5) / 40
    rows = np.empty((n, 1600), np.float32)
    for at in range(n):
        which = rng.integers(n_layouts)
        move, stretch = rng.uniform(-0.1, 0.1), rng.uniform(0.75, 1.25)
        x = 0.5 + (layouts[which, :, 0] - 0.5) * stretch + move
        shape = np.zeros((40, 40))
        for cx, cy, w in zip(x, layouts[which, :, 1], weights[which], strict=True):
            shape += w * np.exp(-((grid - cy) ** 2) / 0.0072)[:, None] * np.exp(-((grid - cx) ** 2) / 0.0072)[None, :]
        counts = rng.poisson(shape / shape.sum() * np.exp(rng.uniform(np.log(300), np.log(3000))))
        blurred = gaussian_filter(counts.astype(np.float64), 1.5, mode="constant")
        rows[at] = np.sqrt(blurred / blurred.sum()).ravel()
    return rows
