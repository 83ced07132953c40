"""The optimisation problem of maximum variance unfolding: edges, and how long each may become.

    max tr K   subject to   K psd, K1 = 0, lower <= K_ii + K_jj - 2 K_ij <= upper   for every edge (i, j)

With K = YY' the left sides are squared distances of places Y (n, r). Knows nothing of how the edges were found or how it is solved.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.errors import ContractError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHORTEST = 1e-6
"""Squared lengths are raised to this share of their median: an edge of length zero leaves no strictly feasible point."""


@dataclass(frozen=True, eq=False)
class Problem:
    """m edges between `n_points` points: ends i < j (m,), bounds on the squared distance lower < upper (m,), lower all 0 or all above."""

    n_points: int
    i: Ints
    j: Ints
    lower: Floats
    upper: Floats

    @property
    def n_edges(self) -> int:
        return len(self.i)

    @property
    def is_two_sided(self) -> bool:
        """Whether edges also have a shortest length."""
        return bool(self.lower.any())

    @cached_property
    def bounds(self) -> Floats:
        """Upper bounds (m,), then minus the lower ones where there are any (2m,)."""
        return np.concatenate([self.upper, -self.lower]) if self.is_two_sided else self.upper

    def fold(self, v: Floats) -> Floats:
        """Per bound to per edge: upper minus lower."""
        return v[: self.n_edges] - v[self.n_edges :] if self.is_two_sided else v

    def spread(self, v: Floats) -> Floats:
        """Per edge to per bound; the transpose of `fold`."""
        return np.concatenate([v, -v]) if self.is_two_sided else v

    @cached_property
    def incidence(self) -> csr_matrix:
        """(m, n) matrix A with +1 at i and -1 at j."""
        m = self.n_edges
        columns = np.column_stack([self.i, self.j]).astype(np.int32).ravel()
        return csr_matrix((np.tile([1.0, -1.0], m), columns, np.arange(0, 2 * m + 1, 2, dtype=np.int32)), shape=(m, self.n_points))

    @cached_property
    def transposed(self) -> csr_matrix:
        """(n, m) A' with its own rows, so that a product reads memory in order."""
        return self.incidence.T.tocsr()

    def laplacian(self, weights: Floats) -> csr_matrix:
        """(n, n) A' diag(weights) A."""
        return (self.transposed.multiply(weights) @ self.incidence).tocsr()

    def squared_lengths(self, points: Floats) -> Floats:
        """(m,) squared distance of each edge's ends at places (n, r)."""
        edges = self.incidence @ points  # (m, r)
        return np.einsum("er,er->e", edges, edges)

    def violation(self, squared: Floats) -> Floats:
        """(m,) by how much squared lengths leave their bounds, relative to the upper one; 0 inside."""
        return np.maximum(np.maximum(squared - self.upper, self.lower - squared), 0) / self.upper

    def scaled(self, by: float) -> "Problem":
        """The same problem with all bounds multiplied."""
        return replace(self, lower=self.lower * by, upper=self.upper * by)


def make_problem(n_points: int, i: Ints, j: Ints, squared: Floats, slack: float) -> Problem:
    """Edges i < j with squared input lengths (m,) may shrink by the share `slack` of that in (0, 1]; 1 sets no lower bound.

    Raises ContractError for a slack outside (0, 1]: with equalities no strictly feasible point exists on low-dimensional input.
    """
    if not 0 < slack <= 1:
        raise ContractError(f"The slack of an edge must be above 0 and at most 1, not {slack}. Take 0.02 for nearly equal lengths.")
    upper = np.maximum(squared, SHORTEST * np.median(squared))
    return Problem(n_points, i, j, (1 - slack) * upper, upper)
