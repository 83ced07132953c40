"""Features of heatmaps for classical detectors: the hand-made measures and the main directions in which banners leave their reference.

In: the heatmaps of one grid and its references. Out: float32 (n, d), every column freed from its trend with the number of clicks and
on a robust scale a layout. Learned from all banners that `fit` saw, of which some may be broken.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from core.banners.heatmaps import Heatmaps, pooling
from core.banners.reference import Reference
from core.features.click_metrics import NAMES, click_metrics
from core.settings import N_COLS, N_ROWS
from core.statistics.arrays import Matrix
from core.statistics.normalise import Normaliser

N_DIRECTIONS = 16
N_COARSE = 20
"""Cells a side that the directions are learned from."""
FARTHEST = 12.0
"""Robust scales beyond which a feature is cut off: one wild measure must not hide all others."""


@dataclass
class ClickFeatures:
    """Measures and principal directions of one grid's banners, relative to their references."""

    reference: Reference
    mean_: Matrix = field(default_factory=lambda: np.empty(0))
    directions_: Matrix = field(default_factory=lambda: np.empty((0, 0)))
    columns_: list[Normaliser] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """What the columns are."""
        return [*NAMES, *[f"direction_{k + 1}" for k in range(len(self.directions_))]]

    def fit(self, heatmaps: Heatmaps) -> Self:
        """Learns the directions and every column's trend and scale."""
        self.fit_transform(heatmaps)
        return self

    def fit_transform(self, heatmaps: Heatmaps) -> NDArray[np.float32]:
        """The same, and (n, d) features of these banners."""
        away = self._away(heatmaps)
        self.mean_ = np.median(away, axis=0)
        k = min(N_DIRECTIONS, *away.shape)
        centred = away - away.mean(axis=0)
        covariance = centred.T @ centred / max(len(centred) - 1, 1)  # all 0 for one banner alone
        self.directions_ = np.linalg.eigh(covariance)[1][:, ::-1][:, :k].T
        raw, layouts = self._raw(heatmaps, away), heatmaps.n_products.astype(np.int64)
        self.columns_ = [Normaliser().fit(column, layouts, heatmaps.n_clicks) for column in raw.T]
        return self._scaled(heatmaps, raw)

    def transform(self, heatmaps: Heatmaps) -> NDArray[np.float32]:
        """(n, d) features; each row depends on its own banner and on what was learned alone."""
        return self._scaled(heatmaps, self._raw(heatmaps, self._away(heatmaps)))

    def _scaled(self, heatmaps: Heatmaps, raw: Matrix) -> NDArray[np.float32]:
        layouts = heatmaps.n_products.astype(np.int64)
        columns = [n.transform(column, layouts, heatmaps.n_clicks) for n, column in zip(self.columns_, raw.T, strict=True)]
        return np.clip(np.column_stack(columns), -FARTHEST, FARTHEST).astype(np.float32)

    def _raw(self, heatmaps: Heatmaps, away: Matrix) -> Matrix:
        expected = self.reference.p[self.reference.rows(heatmaps)]
        return np.column_stack([click_metrics(heatmaps.counts, expected), (away - self.mean_) @ self.directions_.T])

    def _away(self, heatmaps: Heatmaps) -> Matrix:
        """(n, 400) square-root shares at 20 by 20 cells minus those of the reference: of equal noise everywhere."""
        n = np.maximum(np.asarray(heatmaps.counts.sum(axis=1), dtype=np.float64), 1)
        expected = np.sqrt(self.reference.p @ pooling(N_ROWS, N_COLS, N_COARSE).toarray())
        own = (heatmaps.counts @ pooling(N_ROWS, N_COLS, N_COARSE)).toarray()
        return np.asarray(np.sqrt(own / n) - expected[self.reference.rows(heatmaps)])
