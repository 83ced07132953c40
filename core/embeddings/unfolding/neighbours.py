"""Exact nearest neighbours by blocks, and the weights that rebuild a point from its neighbours.

Candidates come from float32 products, on a random projection where rows are wide; lengths are always the exact ones, in float64.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.embeddings.unfolding.problem import Floats, Ints

WIDE, PROJECTED = 4096, 256
"""Rows wider than the first are projected to the second for the search of candidates."""

SPARE, SPARE_PROJECTED = 6, 24
"""Candidates beyond the k asked for, ranked again by exact distance; of true 6 neighbours 0.999 are among 30 projected ones."""

BLOCK = 512
RIDGE = 1e-3
"""Share of the trace added to the local Gram matrix, which is singular with more neighbours than dimensions."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Search among rows X (n, d) of any float type. `max_columns` narrower rows are searched as they are."""

    X: NDArray[Any]
    seed: int = 0
    max_columns: int = WIDE

    @property
    def is_projected(self) -> bool:
        return self.X.shape[1] > self.max_columns

    @cached_property
    def _projection(self) -> Any:
        from sklearn.random_projection import SparseRandomProjection

        return SparseRandomProjection(PROJECTED, dense_output=True, random_state=self.seed).fit(self.X[:1].astype(np.float32))

    @cached_property
    def _mean(self) -> NDArray[np.float32]:
        return self.X.mean(axis=0, dtype=np.float64).astype(np.float32)

    def _narrow(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        centred = rows.astype(np.float32) - self._mean  # centred: float32 loses less to large norms
        return self._projection.transform(centred) if self.is_projected else centred

    @cached_property
    def _small(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        blocks = [self._narrow(self.X[a : a + BLOCK]) for a in range(0, len(self.X), BLOCK)]
        small = np.concatenate(blocks)
        return small, np.einsum("nd,nd->n", small, small)

    def nearest(self, queries: NDArray[Any], k: int, without: Ints | None = None) -> tuple[Ints, Floats]:
        """Rows (q, k) of the k nearest to queries (q, d), nearest first, and their squared distances; `without` (q,) rows left out."""
        found = [
            self._nearest(queries[a : a + BLOCK], k, None if without is None else without[a : a + BLOCK])
            for a in range(0, len(queries), BLOCK)
        ]
        return np.concatenate([rows for rows, _ in found]), np.concatenate([squared for _, squared in found])

    def _nearest(self, queries: NDArray[Any], k: int, without: Ints | None) -> tuple[Ints, Floats]:
        small, norms = self._small
        order = norms - 2 * (self._narrow(queries) @ small.T)  # (q, n)
        if without is not None:
            order[np.arange(len(queries)), without] = np.inf
        room = len(self.X) - (without is not None)
        n_candidates = min(k + (SPARE_PROJECTED if self.is_projected else SPARE), room)
        rows = np.argpartition(order, n_candidates - 1, axis=1)[:, :n_candidates]
        rows.sort(axis=1)  # equal distances: the first row wins, whatever the partition did
        squared = np.stack([exact_squared(q, self.X[r]) for q, r in zip(queries, rows, strict=True)])
        best = np.argsort(squared, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(rows, best, 1).astype(np.int64), np.take_along_axis(squared, best, 1)


def exact_squared(query: NDArray[Any], rows: NDArray[Any]) -> Floats:
    """(k,) squared distances of a row (d,) to rows (k, d), in float64; 0 for equal rows."""
    away = rows.astype(np.float64) - query.astype(np.float64)
    return np.einsum("kd,kd->k", away, away)


def rebuilding_weights(query: NDArray[Any], rows: NDArray[Any]) -> Floats:
    """(k,) weights of sum 1 that rebuild a row (d,) from rows (k, d) best, as in locally linear embedding (Roweis, Saul 2000)."""
    away = rows.astype(np.float64) - query.astype(np.float64)
    G = away @ away.T
    if not G.any():
        return np.full(len(rows), 1 / len(rows))
    weights = np.linalg.solve(G + RIDGE * np.trace(G) * np.eye(len(rows)), np.ones(len(rows)))
    return weights / weights.sum()
