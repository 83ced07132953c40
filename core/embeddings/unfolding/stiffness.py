"""The inverse of how stiff the augmented Lagrangian is, roughly: what turns hundreds of descent steps through a large graph into tens.

Forces pass from neighbour to neighbour, so that a plain gradient step moves distant parts of the map against each other only after as
many steps as there are edges between them. Solving with graph Laplacians, the blocks of the Hessian on its diagonal, does so at once:

    H_c = 2 L(mult) + 4 L(sigma y_c^2)   for axis c of the places, y_c (m,) an edge's extent along that axis

without the part that pulls outwards, which would make them indefinite. **Source** Liu, Bouaziz, Kavan 2017 (L-BFGS around a factored
Laplacian, for meshes); here one factor per axis, since only in the plane of the map do edges resist being stretched.
"""

from typing import Any

import numpy as np
from scipy.sparse import csc_matrix, identity
from scipy.sparse.linalg import LinearOperator, splu

from core.embeddings.unfolding.problem import Floats, Problem

FLOOR = 0.1
"""Share of the mean force every edge counts with at least: edges without any may come under force during the descent."""

IDLE = 0.3
"""Share of its penalty that an edge inside its bounds counts with, for the same reason."""

THIN = 0.1
"""Axes whose penalties add less than this share to the forces are treated as if they added none; they share one factor."""

OWN = 4
"""Axes with a factor of their own; the others, shorter than these, share one of their mean."""

FULL = 150
"""Entries a point in a factor above which solving costs more than it saves; such graphs have short ways anyway."""


def factored(matrix: csc_matrix) -> Any:
    """LU factors of a symmetric positive definite matrix, ordered to stay sparse."""
    return splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})


def inverse_of(matrix: csc_matrix, shift: float) -> LinearOperator:
    """Solves with a symmetric matrix less `shift` on its diagonal; no better than that is conditioned. RuntimeError if singular."""
    n = matrix.shape[0]
    return LinearOperator((n, n), factored((matrix - shift * identity(n)).tocsc()).solve, dtype=np.float64)


class Inverse:
    """Solves with the blocks above, for places (n, r) turned to their principal axes."""

    def __init__(self, problem: Problem, points: Floats, force: Floats, penalty: Floats, is_pressed: Floats) -> None:
        """`force` and `penalty` (m,) as in the formula, `is_pressed` (m,) 1 where an edge is at a bound."""
        self.problem = problem
        base = np.maximum(force, 0)
        base += FLOOR * base.mean()
        stiff = 2 * penalty * (is_pressed + IDLE * (1 - is_pressed))
        axes = np.square(problem.incidence @ points) * stiff[:, None]  # (m, r)
        is_thin = axes.mean(axis=0) < THIN * base.mean()
        thick = np.flatnonzero(~is_thin)
        groups = [(np.array([c]), base + axes[:, c]) for c in thick[:OWN]]
        groups += [(thick[OWN:], base + axes[:, thick[OWN:]].mean(axis=1))] if len(thick) > OWN else []
        groups += [(np.flatnonzero(is_thin), base)] if is_thin.any() else []
        self.parts = [(columns, self._factored(weights)) for columns, weights in groups]

    def _factored(self, weights: Floats) -> Any:
        L = self.problem.laplacian(2 * weights).tocsc()
        return factored(L + 1e-6 * float(L.diagonal().mean()) * identity(self.problem.n_points, format="csc"))

    def __call__(self, pull: Floats) -> Floats:
        """(n, r) step for a gradient (n, r), centred."""
        pull = pull - pull.mean(axis=0)  # the constant vector, all but in the null space, would drown the rest
        step = np.empty_like(pull)
        for columns, factor in self.parts:
            step[:, columns] = factor.solve(np.ascontiguousarray(pull[:, columns]))
        return step - step.mean(axis=0)


def is_worth_it(problem: Problem) -> bool:
    """Whether factors of this graph's Laplacians stay sparse enough."""
    L = problem.laplacian(np.ones(problem.n_edges)).tocsc()
    factor = factored(L + 1e-6 * identity(problem.n_points, format="csc"))
    return int(factor.nnz) <= 2 * FULL * problem.n_points
