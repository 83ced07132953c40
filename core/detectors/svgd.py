"""Stein variational gradient descent: particles that together stand for a distribution, each driven uphill and away from the others.

Arrays only. In: particles (n, d) and the gradient of the log density. Not to be confused with SGLD, whose chains know nothing of each other
and are driven by noise: there is none here.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from core.statistics.arrays import Matrix

Slope = Callable[[Matrix, int], Matrix]
"""(particles (n, d), move) -> gradient (n, d) of the log density at each."""

MEMORY = 0.9
"""Share of a coordinate's mean squared direction that a move keeps."""
BATCH = 512


def kernel(particles: Matrix) -> tuple[Matrix, Matrix]:
    """k_ij = exp(-|a_i - a_j|² / (2 h²)) (n, n) with h² = median |a_i - a_j|² / (2 log(n + 1)), and (n, d) sums over j of dk_ij / da_j."""
    n = len(particles)
    squares = np.square(particles).sum(axis=1)
    apart = np.maximum(squares[:, None] + squares - 2 * particles @ particles.T, 0)
    width = 0.5 * np.median(apart) / np.log(n + 1) or 1.0
    k = np.exp(-apart / (2 * width))
    return k, (particles * k.sum(axis=1, keepdims=True) - k @ particles) / width


def direction(particles: Matrix, slopes: Matrix) -> Matrix:
    """(n, d) mean over j of k_ij slope_j + dk_ij / da_j: where every particle goes."""
    k, away = kernel(particles)
    return np.asarray((k @ slopes + away) / len(particles))


def descend(particles: Matrix, slope: Slope, n_moves: int, rate: float) -> Matrix:
    """(n, d) particles after n_moves, every coordinate by `rate` over the root of its mean squared direction, `rate` falling to 0."""
    size = np.zeros_like(particles)
    for move in range(n_moves):
        step = direction(particles, slope(particles, move))
        size = np.square(step) if move == 0 else MEMORY * size + (1 - MEMORY) * np.square(step)
        falling = rate * 0.5 * (1 + np.cos(np.pi * move / n_moves))
        particles = particles + falling * step / (1e-6 + np.sqrt(size))
    return particles


def last_layers(z: Matrix, labels: NDArray[np.int64], n_classes: int, size: int, n_moves: int, seed: int, rate: float = 0.05) -> Matrix:
    """(size, d + 1, n_classes) weights and, last, biases of softmax layers on codes z (n, d), drawn from their posterior.

    Weights are normal with variance 1 / d beforehand; images count as they are, BATCH of them a move standing for all.
    """
    n, d = z.shape
    rng = np.random.default_rng(seed)
    own, whole = np.eye(n_classes)[labels], np.concatenate([z, np.ones((n, 1))], axis=1)
    shape = (size, d + 1, n_classes)

    def slope(flat: Matrix, move: int) -> Matrix:
        at = rng.integers(0, n, BATCH)
        logits = whole[at] @ flat.reshape(shape)
        p = np.exp(logits - logits.max(axis=2, keepdims=True))
        left = own[at] - p / p.sum(axis=2, keepdims=True)
        return np.asarray((n / BATCH * (whole[at].T @ left)).reshape(size, -1) - d * flat)

    start = rng.normal(0, d**-0.5, (size, (d + 1) * n_classes))
    return descend(start, slope, n_moves, rate).reshape(shape)
