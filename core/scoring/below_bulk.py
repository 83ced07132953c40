"""What detectors say of ok banners with fewer clicks than nearly all others of their grid: no others show it, so it is simulated.

In: a fitted way to score heatmaps, and a reference. Out: the highest normalised score that such a banner may have. Trends with clicks are
flat outside the bulk of click counts (`normalise.py`); statistics of few clicks are high there for no other reason than being few.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import csr_matrix

from core.banners.heatmaps import Heatmaps
from core.banners.reference import Reference
from core.detectors import CATALOGUE
from core.statistics.arrays import Vector
from core.statistics.combine import combine_families
from core.statistics.normalise import bulk, location_scale

LEAST = 8
"""Banners of a grid below which the usual number of clicks is unknown."""
N_SIZES, N_DRAWS = 6, 40
"""Click counts, from one click to the lowest usual count, and banners of each, that are simulated."""


@dataclass
class BelowBulk:
    """Score limits of the banners of a grid with unusually few clicks: what its detectors say beyond what they say of simulated ones.

    `lowest` is the least usual click count, `simulated` holds N_DRAWS banners of each of `sizes`. State: `expected`, what every detector
    says of them, by its name and the place of the size; they are scored when first asked for.
    """

    lowest: float
    simulated: Heatmaps | None
    sizes: Vector
    expected: dict[str, dict[int, tuple[float, float]]] = field(default_factory=dict)

    def limit(self, n_clicks: Vector, scores: dict[str, Vector], score: Callable[[str, Heatmaps], Vector]) -> Vector:
        """(n,) highest normalised scores, infinite for banners of usual size, from their raw scores (n,) by detector; `score` scores."""
        out = np.full(len(n_clicks), np.inf)
        low = np.flatnonzero(n_clicks < self.lowest)
        if not len(low) or self.simulated is None:
            return out
        x, at = np.log(np.maximum(n_clicks[low], 1)), np.log(self.sizes)
        above = np.minimum(np.searchsorted(at, x), len(at) - 1)
        needed = np.unique([np.maximum(above - 1, 0), above])  # sizes that lie around those of the banners: others need no simulating
        z = {}
        for name, found in scores.items():
            known = self._simulate(name, needed.tolist(), score)
            middle, spread = np.array([known[k] for k in needed.tolist()]).T
            z[name] = (found[low] - np.interp(x, at[needed], middle)) / np.exp(np.interp(x, at[needed], np.log(spread)))
        out[low] = combine_families(z, {name: CATALOGUE[name].family for name in z})
        return out

    def _simulate(self, name: str, needed: list[int], score: Callable[[str, Heatmaps], Vector]) -> dict[int, tuple[float, float]]:
        """Median and lower spread of a detector's scores by the place in `sizes`, at those `needed` and all simulated before."""
        assert self.simulated is not None
        known = self.expected.setdefault(name, {})
        missing = [k for k in needed if k not in known]
        if missing:
            rows = np.concatenate([np.arange(k * N_DRAWS, (k + 1) * N_DRAWS) for k in missing])
            drawn = score(name, self.simulated.take(rows)).reshape(len(missing), N_DRAWS)
            known.update({k: location_scale(of_size) for k, of_size in zip(missing, drawn, strict=True)})
        return known


def below_bulk(heatmaps: Heatmaps, reference: Reference) -> BelowBulk:
    """Of the banners of one grid, and its references: draws from the one that most banners have."""
    if len(heatmaps) < LEAST:
        return BelowBulk(0.0, None, np.empty(0))
    x = np.log(np.maximum(heatmaps.n_clicks, 1))
    lowest = float(np.maximum(heatmaps.n_clicks, 1)[x >= bulk(x)[0]].min())  # not by way of its logarithm, which rounds
    sizes = np.unique(np.round(np.geomspace(1, max(lowest, 1), N_SIZES)))
    rows = reference.group_rows(heatmaps)
    row = int(np.bincount(rows).argmax())
    like = heatmaps.take(np.full(len(sizes) * N_DRAWS, np.flatnonzero(rows == row)[0]))
    rng = np.random.default_rng(int(heatmaps.grid_id[0]) % 2**63)
    counts = rng.multinomial(np.repeat(sizes, N_DRAWS).astype(np.int64), reference.p[row])
    return BelowBulk(lowest, replace(like, counts=csr_matrix(counts.astype(np.float32))), sizes)
