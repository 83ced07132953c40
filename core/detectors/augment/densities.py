"""Image-domain augmentations of click counts, so that a network of banners can learn from them as it learns from corrupted clicks."""

import numpy as np
import torch
from scipy.sparse import csr_matrix, vstack

from core.detectors.augment import Ranges
from core.detectors.augment.patches import placed, scaled_to_peak
from core.settings import N_BINS, N_COLS, N_ROWS

RANGES = Ranges((0.02, 0.4), (0.3, 1 / 0.3))
TURNED = Ranges(angle=(15, 345))


def augmented_counts(rng: np.random.Generator, counts: csr_matrix, names: tuple[str, ...]) -> csr_matrix:
    """Banners (b, 1600), each augmented in one of the ways `names`: the root of its shares is the image, and the result has as many clicks
    as before, in fractions, since an image knows no whole ones."""
    kind, order = rng.integers(0, len(names), counts.shape[0]), []
    parts = []
    for k, name in enumerate(names):
        rows = np.flatnonzero(kind == k)
        if len(rows):
            parts.append(_one_way(rng, counts[rows], name))
            order.append(rows)
    return vstack(parts).tocsr()[np.argsort(np.concatenate(order))]


def _one_way(rng: np.random.Generator, counts: csr_matrix, name: str) -> csr_matrix:
    n = counts.toarray().astype(np.float32)
    total = n.sum(axis=1, keepdims=True)
    x = torch.from_numpy(np.sqrt(n / np.maximum(total, 1)).reshape(-1, 1, N_ROWS, N_COLS))
    torch_rng = torch.Generator().manual_seed(int(rng.integers(2**62)))
    parts = [
        scaled_to_peak(part, (TURNED if name == "rotation" else RANGES).draw(torch_rng), placed(part, torch_rng, True), name, True)
        for part in (x[a : a + 8] for a in range(0, len(x), 8))  # a size for every eight
    ]
    return csr_matrix(torch.cat(parts).square().numpy().reshape(-1, N_BINS) * total)
