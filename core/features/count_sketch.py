"""Wide features -> narrow ones that keep inner products: a count sketch, seeded, the same on every machine.

Every dimension is added, with a random sign, to one of `n_kept` sums. The inner product of two sketches has the true one as its mean and
a standard error of about 1 / sqrt(n_kept) of the product of their lengths: 1.6 % at 4,096. **Source** Charikar, Chen and Farach-Colton
2002; Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning".
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.features.base import Extractor
from core.features.running import stream

KEPT_DIMS = 4096
"""Wider features, the flattened ViT's, are kept as a sketch of this many dimensions unless all are asked for."""


@lru_cache(maxsize=4)
def sketch(n_dims: int, n_kept: int, seed: int = 0) -> csr_matrix:
    """(n_dims, n_kept) matrix with one +1 or -1 a row."""
    rng = np.random.default_rng([seed, n_dims, n_kept])
    to, sign = rng.integers(0, n_kept, n_dims), rng.choice(np.array([-1, 1], dtype=np.float32), n_dims)
    return csr_matrix((sign, to, np.arange(n_dims + 1)), shape=(n_dims, n_kept))


def reduce(features: NDArray[np.float32], n_kept: int | None) -> NDArray[np.float32]:
    """(n, n_kept) sketch of features (n, d); the features themselves where n_kept is None or not below d."""
    if n_kept is None or n_kept >= features.shape[1]:
        return features
    return np.ascontiguousarray((sketch(features.shape[1], n_kept).T @ features.T).T, dtype=np.float32)


def extract_reduced(extractor: Extractor, counts: csr_matrix, n_kept: int | None = KEPT_DIMS) -> NDArray[np.float32]:
    """(n, min(d, n_kept)) features of n heatmaps; wide ones are never in memory for more than a batch."""
    parts = [reduce(part, n_kept) for part in stream(extractor, counts)]
    return np.concatenate(parts) if parts else np.empty((0, min(extractor.n_dims, n_kept or extractor.n_dims)), dtype=np.float32)
