"""Banner layouts of synthetic logs: where clicks go, as a mixture of Gaussians, some of them belonging to a product."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(n, 2) relative positions x, y; what lies outside 0..1 was never seen."""


@dataclass(frozen=True)
class Layout:
    """A mixture of Gaussians: spots (k, 4) as x, y, sd_x, sd_y, weights (k,) of sum 1, and each spot's product (-1 = none)."""

    spots: NDArray[np.float64]
    weights: NDArray[np.float64]
    product: NDArray[np.int64]
    noise: float = 0.03

    def draw(self, rng: np.random.Generator, n: int) -> Points:
        """n clicks inside the banner."""
        return inside(rng, n, lambda m: self._draw(rng, m))

    def _draw(self, rng: np.random.Generator, n: int) -> Points:
        spot = self.spots[rng.choice(len(self.spots), n, p=self.weights)]
        points = spot[:, :2] + rng.normal(size=(n, 2)) * spot[:, 2:]
        return np.where(rng.random((n, 1)) < self.noise, rng.random((n, 2)), points)

    def weighted(self, weights: NDArray[np.float64]) -> "Layout":
        """The same spots with other weights."""
        return replace(self, weights=weights / weights.sum())


def inside(rng: np.random.Generator, n: int, draw: Callable[[int], Points]) -> Points:
    """n points of `draw` that lie inside the banner; uniform ones fill up where hardly any do."""
    kept = np.empty((0, 2))
    for _ in range(30):
        if len(kept) >= n:
            break
        points = draw(max(2 * (n - len(kept)), 16))
        kept = np.concatenate([kept, points[((points >= 0) & (points <= 1)).all(axis=1)]])
    return np.concatenate([kept, rng.random((max(0, n - len(kept)), 2))])[:n]


def make_layout(rng: np.random.Generator, n_products: int) -> Layout:
    """A random layout: a hero tile and rows of tiles, or plain rows, or a column; positions count more at the front."""
    tiles = _tiles(rng, n_products)
    spots, weights, product = [], [], []
    picture_y, button_y, button_x = rng.uniform(0.3, 0.45), rng.uniform(0.72, 0.88), rng.uniform(0.2, 0.8)
    share = rng.dirichlet([6, 2, 4])
    rank = (1 + np.arange(len(tiles))) ** -rng.uniform(0.3, 0.9)
    for k, (x, y, w, h) in enumerate(tiles):
        parts = [(0.5, picture_y, 0.2, 0.14), (rng.uniform(0.3, 0.6), 0.6, 0.16, 0.05), (button_x, button_y, 0.1, 0.04)]
        for (px, py, sx, sy), s in zip(parts, share, strict=True):
            spots.append((x + px * w, y + py * h, sx * w, sy * h))
            weights.append(rank[k] * s)
            product.append(k)
    total = float(sum(weights))
    spots += [(0.96, 0.04, 0.012, 0.012), (rng.uniform(0.08, 0.3), 0.06, 0.04, 0.02)]
    weights += [rng.uniform(0.005, 0.03) * total, rng.uniform(0.01, 0.06) * total]
    shares = np.array(weights) / sum(weights)
    return Layout(np.array(spots), shares, np.array([*product, -1, -1]), rng.uniform(0.02, 0.06))


def make_scatter(rng: np.random.Generator) -> Layout:
    """A layout without tiles: a hundred to nine hundred small spots spread evenly, in clumps, or along a curve."""
    n, kind = int(rng.integers(100, 900)), rng.integers(3)
    points = rng.random((n, 2))
    if kind == 1:
        clumps = rng.random((rng.integers(3, 12), 2))
        points = clumps[rng.integers(0, len(clumps), n)] + rng.normal(0, rng.uniform(0.03, 0.1), (n, 2))
    elif kind == 2:
        t, r, turns = rng.random(n), rng.uniform(0.05, 0.45), rng.uniform(0.5, 2)
        curve = np.stack([np.cos(2 * np.pi * t * turns), np.sin(2 * np.pi * t)], axis=1)
        points = 0.5 + r * curve + rng.normal(0, [0.05, 0.1], (n, 2))
    points = points[((points > 0) & (points < 1)).all(axis=1)]
    weights = rng.gamma(2, 1, len(points))
    product = (points[:, 0] * 2).astype(np.int64) + 2 * (points[:, 1] * 2).astype(np.int64)
    spots = np.concatenate([points, np.full((len(points), 2), rng.uniform(0.006, 0.02))], axis=1)
    return Layout(spots, weights / weights.sum(), product, rng.uniform(0, 0.05))


def _tiles(rng: np.random.Generator, n: int) -> list[tuple[float, float, float, float]]:
    """Rectangles x, y, width, height of n products under a header."""
    top = rng.uniform(0.08, 0.2)
    kind = rng.choice(["row", "column", "hero", "block"])
    if kind == "row" or n == 1:
        left = rng.uniform(0, 0.15)
        return [(left + (1 - left) * k / n, top, (1 - left) / n, 1 - top) for k in range(n)]
    if kind == "column":
        return [(0.05, top + (1 - top) * k / n, rng.uniform(0.6, 0.95), (1 - top) / n) for k in range(n)]
    if kind == "hero":
        w = rng.uniform(0.45, 0.6)
        return [(0.0, top, w, 1 - top)] + [(w, top + (1 - top) * k / (n - 1), 1 - w, (1 - top) / (n - 1)) for k in range(n - 1)]
    cols = int(np.ceil(np.sqrt(n)))
    rows = int(np.ceil(n / cols))
    return [(k % cols / cols, top + (1 - top) * (k // cols) / rows, 1 / cols, (1 - top) / rows) for k in range(n)]
