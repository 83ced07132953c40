"""Heatmaps for tests: from dense counts, from one plain layout, and broken on purpose."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.banners.heatmaps import Heatmaps
from core.banners.reference import Group, Reference
from core.settings import N_BINS


def heatmaps(counts: Any, grid_id: Any = 1, n_products: Any = 1, domain: Any = "a") -> Heatmaps:
    """Heatmaps of dense counts (n, 1600); grid, products and domain may be one for all."""
    counts = np.asarray(counts)
    n = len(counts)
    ids = np.array([f"b{i:05d}" for i in range(n)], dtype=object)
    domains = np.array([domain] * n if isinstance(domain, str) else list(domain), dtype=object)
    grids, products = np.broadcast_to(grid_id, n).astype(np.int64), np.broadcast_to(n_products, n).astype(np.int16)
    return Heatmaps(ids, grids, products, domains, csr_matrix(counts.astype(np.float32)))


def cells(**clicks: int) -> NDArray[np.float64]:
    """(1600,) counts: cells(c0=3, c41=2) has 3 clicks in bin 0 and 2 in bin 41."""
    out = np.zeros(N_BINS)
    for name, n in clicks.items():
        out[int(name[1:])] = n
    return out


def reference_of(p: Any, grid_id: int = 1) -> Reference:
    """A reference of one grid."""
    p = np.asarray(p, dtype=np.float64)
    return Reference([Group(grid_id, None, None, 1, 1)], p[None] / p.sum())


def layout(where: int = 0) -> NDArray[np.float64]:
    """(1600,) shares: two unlike blocks on a little noise; `where` gives other layouts."""
    p = np.full((40, 40), 0.02)
    p[5:15, 5 + where : 15 + where] = 1
    p[25:35, 20:36] = 2
    return np.asarray(p.ravel() / p.sum())


def drawn(seed: int, sizes: Any, p: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """(n, 1600) multinomial counts, one row a size."""
    rng = np.random.default_rng(seed)
    return np.array([rng.multinomial(int(n), layout() if p is None else p) for n in sizes], dtype=np.float64)


def sizes(seed: int, n: int) -> NDArray[np.int64]:
    """(n,) click counts, log-normal with median 180, at least 15."""
    return np.maximum(np.random.default_rng(seed).lognormal(np.log(180), 0.7, n), 15).astype(np.int64)


def mirrored(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same clicks left to right."""
    return counts.reshape(-1, 40, 40)[:, :, ::-1].reshape(len(counts), N_BINS)
