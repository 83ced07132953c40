"""Counts to what is drawn of them: smoothed, expected, signed difference. Arrays in, arrays out; a map is (40, 40), row 0 at the top."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.settings import N_COLS, N_ROWS

Map = NDArray[np.float64]

SIGMA = 1.2
"""Width of the smoothing kernel in cells."""


def as_map(values: NDArray[np.generic]) -> Map:
    """(1600,) values as a (40, 40) map."""
    return np.asarray(values, dtype=np.float64).reshape(N_ROWS, N_COLS)


@lru_cache(maxsize=8)
def kernel(n: int, sigma: float = SIGMA) -> Map:
    """(n, n) Gaussian weights, each column of sum 1: no click is lost at an edge."""
    at = np.arange(n)
    weights = np.exp(-((at[:, None] - at[None, :]) ** 2) / (2 * sigma * sigma))
    return np.asarray(weights / weights.sum(axis=0), dtype=np.float64)


def smooth(image: Map, sigma: float = SIGMA) -> Map:
    """The map spread by a Gaussian; its total stays."""
    return kernel(N_ROWS, sigma) @ image @ kernel(N_COLS, sigma).T


def difference_z(observed: Map, expected: Map, sigma: float = SIGMA) -> Map:
    """Signed standardised difference: smoothed (observed - expected) over its standard deviation under Poisson counts.

    Linear in the counts, so its variance is the squared kernel applied to what is expected: near standard normal in every
    cell of a banner that follows its reference, sparse or not. Positive = more clicks than expected.
    """
    variance = (kernel(N_ROWS, sigma) ** 2) @ expected @ (kernel(N_COLS, sigma) ** 2).T
    floor = expected.sum() * 1e-7 + 1e-9  # cells where nothing is expected have no scale of their own
    return smooth(observed - expected, sigma) / np.sqrt(np.maximum(variance, floor))


def brushed(observed: Map, expected: Map, bins: NDArray[np.int64]) -> tuple[int, float, float]:
    """Clicks, expected clicks and z = (clicks - expected) / sqrt(expected) of a set of cells; z is NaN where nothing is expected."""
    clicks, hoped = int(observed.ravel()[bins].sum()), float(expected.ravel()[bins].sum())
    return clicks, hoped, (clicks - hoped) / hoped**0.5 if hoped > 0 else float("nan")


def limit(*images: Map) -> float:
    """A common top of the scale: the fullest cell of all images, at least 1. Nothing is cut off: a cell of 55 never looks like one of 2."""
    return max(1.0, *(float(np.ceil(image.max() - 1e-6)) for image in images))
