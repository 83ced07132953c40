"""The linear system of one interior-point iteration for maximum variance unfolding.

Every constraint is of rank one, so the Schur complement is the elementwise product of two (m, m) matrices, (A K A') o (A S^-1 A'):
an iteration costs m^3/3 and a few n^3 and holds about three such matrices. Steps of K and S are computed where K is the identity,
K = C C' to C (I + stretch) C': near the end K and S^-1 have condition numbers above 1e12, while C'SC stays near a multiple of the
identity, so that rounding does not shorten the steps.
**Source** HKM direction (Helmberg, Rendl, Vanderbei, Wolkowicz 1996), in the coordinates of K.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky, eigvalsh, solve_triangular

from core.embeddings.unfolding.problem import Floats, Problem

BLOCK = 32
"""Rows of the Schur complement computed at a time."""


@dataclass
class Iterate:
    """Where the method stands: centred places C (n, n - 1) with K = C C', one slack and one multiplier a bound, as `Problem.bounds`."""

    places: Floats
    slack: Floats
    dual: Floats


class Step(NamedTuple):
    """dK = C stretch C' and dS with C' dS C = `bend`, both (n - 1, n - 1); changes of slacks and multipliers, one a bound."""

    stretch: Floats
    bend: Floats
    slack: Floats
    dual: Floats


class System:
    """Factored once, solved for two or three directions. Raises LinAlgError where a matrix is not positive definite to rounding."""

    def __init__(self, problem: Problem, now: Iterate) -> None:
        self.problem, self.now, self.C = problem, now, now.places
        self.AC = problem.incidence @ self.C  # (m, n - 1)
        # S = L(w) - I, from A C rather than L(w) C: of nearly equal ends, a difference has less rounding than both products.
        self.S = _symmetric((problem.fold(now.dual)[:, None] * self.AC).T @ self.AC - self.C.T @ self.C)  # C'SC
        self.R = cholesky(self.S, lower=True, check_finite=False)
        self.S_inverse = cho_solve((self.R, True), np.eye(len(self.S)), check_finite=False)
        Z = solve_triangular(self.R, self.C.T, lower=True, check_finite=False).T  # S^-1 = Z Z'
        self.ratio = now.dual / now.slack
        self.D = self.ratio.reshape(-1, problem.n_edges).sum(axis=0)
        M = schur(problem, self.C @ self.C.T, Z @ Z.T)
        M[np.diag_indices(problem.n_edges)] += 1 / self.D
        self.factor = cho_factor(M.T, lower=False, overwrite_a=True, check_finite=False)  # transposed: LAPACK's order, no copy
        self.residual = problem.bounds - problem.spread(problem.squared_lengths(self.C)) - now.slack

    @property
    def complementarity(self) -> float:
        """Mean of <K, S> and slack times dual."""
        inner = float(np.trace(self.S)) + float(self.now.slack @ self.now.dual)
        return inner / (len(self.S) + len(self.now.slack))

    def complementarity_after(self, step: Step, primal: float, dual: float) -> float:
        """The same where the primal and the dual variables have gone so far along `step`."""
        K = primal * step.stretch
        K[np.diag_indices(len(K))] += 1
        slack, y = self.now.slack + primal * step.slack, self.now.dual + dual * step.dual
        return (float(np.vdot(K, self.S + dual * step.bend)) + float(slack @ y)) / (len(K) + len(y))

    def step(self, target: float, before: Step | None) -> Step:
        """Newton step towards complementarity `target`, corrected by the second order of the step `before`."""
        problem, now = self.problem, self.now
        stretch = target * self.S_inverse - np.eye(len(self.S))
        free = target / now.slack - now.dual
        if before is not None:
            stretch -= self._relaxed(before.stretch @ before.bend)
            free -= before.slack * before.dual / now.slack
        h = problem.fold(free - self.ratio * self.residual)
        weights = cho_solve(self.factor, self._lengthened(stretch) + h / self.D, check_finite=False)
        bend = self._bent(weights)
        stretch -= self._relaxed(bend)
        slack = self.residual - problem.spread(self._lengthened(stretch))
        # The multipliers come from the weights, not from `slack`: a ratio of 1e8 would turn its rounding into loss of dual feasibility.
        change = (weights - h) / self.D
        dual = free - self.ratio * (self.residual - problem.spread(change)) if problem.is_two_sided else weights
        return Step(stretch, bend, slack, dual)

    def _lengthened(self, stretch: Floats) -> Floats:
        """(m,) change of the squared lengths."""
        return np.einsum("er,er->e", self.problem.incidence @ (self.C @ stretch), self.AC)

    def _bent(self, weights: Floats) -> Floats:
        """C' L(weights) C."""
        return _symmetric(self.C.T @ (self.problem.transposed @ (weights[:, None] * self.AC)))

    def _relaxed(self, bend: Floats) -> Floats:
        """Symmetric part of bend (C'SC)^-1."""
        return _symmetric(cho_solve((self.R, True), bend.T, check_finite=False))

    def longest(self, step: Step) -> tuple[float, float]:
        """Longest primal and dual step, at most 1, before a matrix, a slack or a multiplier leaves its cone."""
        half = solve_triangular(self.R, step.bend, lower=True, check_finite=False)
        bend = solve_triangular(self.R, half.T, lower=True, check_finite=False)
        primal = min(_to_boundary(step.stretch), _to_zero(self.now.slack, step.slack))
        dual = min(_to_boundary(_symmetric(bend)), _to_zero(self.now.dual, step.dual))
        return min(primal, 1.0), min(dual, 1.0)


def schur(problem: Problem, K: Floats, S_inverse: Floats) -> Floats:
    """(m, m) (A K A') o (A S^-1 A'), its lower triangle only; above it stands anything."""
    i, j, m = problem.i, problem.j, problem.n_edges
    sides = [np.ascontiguousarray((X[i] - X[j]).T) for X in (K, S_inverse)]  # (n, m)
    M = np.empty((m, m))
    for a in range(0, m, BLOCK):  # blocks stay in the cache, a whole (m, m) factor would not
        b = min(a + BLOCK, m)
        left, right = (side[i[a:b], :b] - side[j[a:b], :b] for side in sides)
        np.multiply(left, right, out=M[a:b, :b])
    return M


def _to_boundary(step: Floats) -> float:
    """How far the identity can go along `step`."""
    lowest = eigvalsh(step, subset_by_index=[0, 0], check_finite=False)[0]
    return 1e9 if lowest >= 0 else float(-1 / lowest)


def _to_zero(now: Floats, step: Floats) -> float:
    falls = step < 0
    return float((now[falls] / -step[falls]).min()) if falls.any() else 1e9


def _symmetric(X: Floats) -> Floats:
    return (X + X.T) / 2
