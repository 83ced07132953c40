"""Synthetic click images with a known number of clusters, drawn afresh for every training step.

Of the capstone's kind: the number of clusters is uniform, their centres uniform over the image; each is a normal distribution with two
standard deviations, log-uniform, in a random direction; some clicks a cluster, and clicks also all over the image. Clicks that leave
the image are lost. Everything is binned as heatmaps are. Lengths are in shares of the image's side.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.settings import N_BINS, N_COLS, N_ROWS

SD = (0.012, 0.06)
CLICKS = (30, 300)
NOISE = (20, 400)


@dataclass(frozen=True)
class ClusterImages:
    """n images: counts float32 (n, 1600), n_clusters (n,), centres (n, most, 2) as (x, y) with NaN past an image's own."""

    counts: NDArray[np.float32]
    n_clusters: NDArray[np.int64]
    centres: NDArray[np.float32]


def draw_images(rng: np.random.Generator, n: int, most: int) -> ClusterImages:
    """n images with 0..`most` clusters each; deterministic in `rng`."""
    n_clusters = rng.integers(0, most + 1, n)
    image = np.repeat(np.arange(n), n_clusters)
    centre = rng.random((len(image), 2), dtype=np.float32)
    clicks = rng.integers(CLICKS[0], CLICKS[1] + 1, len(image))
    clustered = _of_clusters(rng, centre, clicks)
    noise = rng.integers(NOISE[0], NOISE[1] + 1, n)
    points = np.concatenate([clustered, rng.random((2, int(noise.sum())), dtype=np.float32)], axis=1)
    owner = np.concatenate([np.repeat(image, clicks), np.repeat(np.arange(n), noise)])
    centres = np.full((n, most, 2), np.nan, dtype=np.float32)
    rank = np.arange(len(image)) - np.repeat(np.cumsum(n_clusters) - n_clusters, n_clusters)
    centres[image, rank] = centre
    return ClusterImages(binned(points, owner, n), n_clusters, centres)


def _of_clusters(rng: np.random.Generator, centre: NDArray[np.float32], clicks: NDArray[np.int64]) -> NDArray[np.float32]:
    """(2, sum of clicks) x and y of the clusters' clicks, one cluster after the other."""
    sd = np.exp(rng.uniform(np.log(SD[0]), np.log(SD[1]), (2, len(centre)))).astype(np.float32)
    angle = rng.uniform(0, np.pi, len(centre)).astype(np.float32)
    cos, sin = np.cos(angle), np.sin(angle)
    of = np.repeat(np.arange(len(centre), dtype=np.int32), clicks)
    along, across = rng.standard_normal((2, len(of)), dtype=np.float32)
    x = centre[:, 0][of] + along * (sd[0] * cos)[of] - across * (sd[1] * sin)[of]
    y = centre[:, 1][of] + along * (sd[0] * sin)[of] + across * (sd[1] * cos)[of]
    return np.stack([x, y])


def binned(points: NDArray[np.float32], owner: NDArray[np.int64], n: int) -> NDArray[np.float32]:
    """(n, 1600) counts of the clicks `points` (2, m), x and y, of image `owner`; those outside of the image are lost."""
    x, y = points
    inside = (x >= 0) & (x < 1) & (y >= 0) & (y < 1)
    column = np.minimum((x * N_COLS).astype(np.int32), N_COLS - 1)  # a float32 just below 1 may round up to N_COLS
    row = np.minimum((y * N_ROWS).astype(np.int32), N_ROWS - 1)
    at = (owner * N_BINS + row * N_COLS + column)[inside]
    return np.bincount(at, minlength=n * N_BINS).reshape(n, N_BINS).astype(np.float32)
