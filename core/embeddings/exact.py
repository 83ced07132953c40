"""Maximum variance unfolding solved exactly, for up to about a thousand points.

A primal-dual interior-point method that uses that every constraint is of rank one: the Schur complement is the elementwise product
of two (m, m) matrices, (A K A') o (A S^-1 A'), so that an iteration costs m^3/3 and a few n^3 and holds about three such matrices.
**Source** HKM direction with Mehrotra's predictor-corrector (Helmberg, Rendl, Vanderbei, Wolkowicz 1996; Todd, Toh, Tutuncu 1998).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, cholesky, eigvalsh, solve_triangular

from core.embeddings.problem import Floats, Problem

GAP = 1e-7
MAX_ITERATIONS = 80
START, LEAST = 0.5, 0.1
"""At the start edges are half their bounds long on average, and slacks at least this share of them."""

SHORT = 0.1
"""Steps shorter than this are replaced by one towards the centre."""

BLOCK = 32
"""Rows of the Schur complement computed at a time."""

STALLED = 4
"""Iterations without a better iterate after which rounding is taken to have the last word …"""

SETTLED = 1e-3
"""… once gap and violation were below this: before, both may rise for a while as the method leaves its far start."""


class Exact(NamedTuple):
    """Inner products K (n, n); multipliers of the edges (m,), upper minus lower; relative gap and largest relative violation."""

    K: Floats
    multipliers: Floats
    gap: float
    violation: float
    n_iterations: int


@dataclass
class _Iterate:
    """Where the method stands: K, one slack and one multiplier a bound (upper bounds first, then lower ones, if any)."""

    K: Floats
    slack: Floats
    dual: Floats


class _Step(NamedTuple):
    K: Floats
    slack: Floats
    dual: Floats
    weights: Floats


def solve_exactly(problem: Problem, gap: float = GAP) -> Exact:
    """The solution to a relative gap of `gap`, or the best iterate where rounding ends the run before (Cholesky fails, or no progress)."""
    scale = float(problem.upper.mean())
    method = _Method(problem.scaled(1 / scale))
    now, waited, n = method.start(), 0, 0
    best = method.measure(now)
    for n in range(MAX_ITERATIONS):
        found = method.measure(now)
        if n == 0 or max(found[2:]) < 0.8 * max(best[2:]):
            best, waited = found, 0
        elif max(best[2:]) < SETTLED:
            waited += 1
        if max(found[2:]) < gap or waited == STALLED:
            break
        try:
            now = method.next(now)
        except LinAlgError:
            break
    return Exact(best[0] * scale, best[1], best[2], best[3], n)


class _Method:
    """The iteration, for a problem whose upper bounds have mean one."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.n = problem, problem.n_points
        two = problem.is_two_sided
        self.bounds = np.concatenate([problem.upper, -problem.lower]) if two else problem.upper
        self.J = np.full((self.n, self.n), 1 / self.n)

    def fold(self, v: Floats) -> Floats:
        """Per bound to per edge: upper minus lower."""
        m = self.problem.n_edges
        return v[:m] - v[m:] if self.problem.is_two_sided else v

    def spread(self, v: Floats) -> Floats:
        """Per edge to per bound; the transpose of `fold`."""
        return np.concatenate([v, -v]) if self.problem.is_two_sided else v

    def start(self) -> _Iterate:
        """Strictly dual feasible and well centred: the multipliers, inverse to the bounds, put the Laplacian at 1.5 times the projection
        or above, K is a multiple of its inverse, and slacks times multipliers are all alike; most edges are inside their bounds.
        """
        upper, n = self.problem.upper, self.n
        L = self.problem.laplacian(1 / upper).toarray()
        dual = 1.5 / eigvalsh(L, subset_by_index=[1, 1])[0] / upper
        S_inverse = np.linalg.inv(self.problem.laplacian(dual).toarray() - np.eye(n) + 2 * self.J) - self.J
        K = _centred(START / float((self.lengths(S_inverse) / upper).mean()) * S_inverse)
        if self.problem.is_two_sided:
            dual = np.concatenate([4 / 3 * dual, dual / 3])
        room = self.bounds - self.spread(self.lengths(K))
        least = LEAST * (np.concatenate([upper, upper]) if self.problem.is_two_sided else upper)
        return _Iterate(K, np.maximum(room, least), dual)

    def measure(self, now: _Iterate) -> tuple[Floats, Floats, float, float]:
        """K, multipliers, relative gap, largest relative violation."""
        lengths = self.lengths(now.K)
        bound, reached = self.bounds @ now.dual, np.trace(now.K)
        return now.K, self.fold(now.dual), abs(bound - reached) / (1 + abs(reached)), float(self.problem.violation(lengths).max())

    def lengths(self, K: Floats) -> Floats:
        i, j, d = self.problem.i, self.problem.j, np.diag(K)
        return d[i] + d[j] - 2 * K[i, j]

    def schur(self, K: Floats, S_inverse: Floats) -> Floats:
        """(m, m) (A K A') o (A S^-1 A'), its lower triangle only; above it stands anything."""
        i, j, m = self.problem.i, self.problem.j, self.problem.n_edges
        sides = [np.ascontiguousarray((X[i] - X[j]).T) for X in (K, S_inverse)]  # (n, m)
        M = np.empty((m, m))
        for a in range(0, m, BLOCK):  # blocks stay in the cache, a whole (m, m) factor would not
            b = min(a + BLOCK, m)
            left, right = (side[i[a:b], :b] - side[j[a:b], :b] for side in sides)
            np.multiply(left, right, out=M[a:b, :b])
        return M

    def next(self, now: _Iterate) -> _Iterate:
        """One predictor-corrector step. Raises LinAlgError where a matrix is no longer positive definite to rounding."""
        system = _System(self, now)
        mu = system.complementarity
        predictor = system.step(0.0, None)
        primal, dual = system.longest(predictor)
        exponent = max(1.0, 3 * min(primal, dual) ** 2)
        sigma = min(1.0, max(system.complementarity_after(predictor, primal, dual) / mu, 1e-6) ** exponent)
        step = system.step(max(sigma, 1e-6) * mu, predictor)
        primal, dual = system.longest(step)
        if min(primal, dual) < SHORT:  # close to the boundary of a cone: away from it first
            step = system.step(0.8 * mu, None)
            primal, dual = system.longest(step)
        share = 0.9 + 0.09 * min(primal, dual)
        primal, dual = share * primal, share * dual
        return _Iterate(_centred(now.K + primal * step.K), now.slack + primal * step.slack, now.dual + dual * step.dual)


class _System:
    """The linear system of one iteration, factored once and solved twice."""

    def __init__(self, method: _Method, now: _Iterate) -> None:
        self.method, self.now = method, now
        S = method.problem.laplacian(method.fold(now.dual)).toarray() - np.eye(method.n) + method.J
        self.C_K = cholesky(now.K + method.J, lower=True, check_finite=False)
        self.C_S = cholesky(S + method.J, lower=True, check_finite=False)
        self.S_inverse = cho_solve((self.C_S, True), np.eye(method.n), check_finite=False) - method.J
        self.lengths = method.lengths(now.K)
        self.dual_lengths = method.lengths(self.S_inverse)
        ratio = now.dual / now.slack
        m = method.problem.n_edges
        self.D = ratio.reshape(-1, m).sum(axis=0)
        M = method.schur(now.K, self.S_inverse)
        M[np.diag_indices(m)] += 1 / self.D
        self.factor = cho_factor(M.T, lower=False, overwrite_a=True, check_finite=False)  # transposed: LAPACK's order, no copy
        self.residual = method.bounds - method.spread(self.lengths) - now.slack

    @property
    def complementarity(self) -> float:
        """Mean of <K, S> and slack times dual."""
        return self.complementarity_after(None, 0.0, 0.0)

    def complementarity_after(self, step: _Step | None, primal: float, dual: float) -> float:
        """The same where the primal and the dual variables have gone so far along `step`."""
        now = self.now
        K, slack, y = now.K, now.slack, now.dual
        if step is not None:
            K, slack, y = K + primal * step.K, slack + primal * step.slack, y + dual * step.dual
        inner = float(self.method.fold(y) @ self.method.lengths(K) - np.trace(K))
        return (inner + float(slack @ y)) / (self.method.n - 1 + len(slack))

    def step(self, target: float, before: _Step | None) -> _Step:
        """Newton step towards complementarity `target`, corrected by the second order of the step `before`."""
        method, now = self.method, self.now
        second_K = np.zeros_like(now.K) if before is None else self._bend(before.K, before.weights)
        second = 0.0 if before is None else before.slack * before.dual
        ratio = now.dual / now.slack
        free = (target - second) / now.slack - now.dual
        h = method.fold(free - ratio * self.residual)
        c = target * self.dual_lengths - self.lengths - method.lengths(second_K)
        weights = cho_solve(self.factor, h / self.D + c, check_finite=False)
        K = _centred(target * self.S_inverse - now.K - self._bend(now.K, weights) - second_K)
        slack = self.residual - method.spread(method.lengths(K))
        # The multipliers come from the weights, not from `slack`: a ratio of 1e8 would turn its rounding into loss of dual feasibility.
        change = (weights - h) / self.D
        dual = free - ratio * (self.residual - method.spread(change)) if method.problem.is_two_sided else weights
        return _Step(K, slack, dual, method.fold(dual))

    def _bend(self, K: Floats, weights: Floats) -> Floats:
        """Symmetric part of K L(weights) S^-1."""
        product = (self.method.problem.laplacian(weights) @ K).T @ self.S_inverse
        return (product + product.T) / 2

    def longest(self, step: _Step) -> tuple[float, float]:
        """Longest primal and dual step, at most 1 / 0.9, before a matrix, a slack or a multiplier leaves its cone."""
        dS = self.method.problem.laplacian(step.weights).toarray()
        primal = min(_to_boundary(self.C_K, step.K), _to_zero(self.now.slack, step.slack))
        dual = min(_to_boundary(self.C_S, dS), _to_zero(self.now.dual, step.dual))
        return min(primal, 1.0), min(dual, 1.0)


def _to_boundary(C: Floats, step: Floats) -> float:
    half = solve_triangular(C, step, lower=True, check_finite=False)
    whole = solve_triangular(C, half.T, lower=True, check_finite=False)
    lowest = eigvalsh((whole + whole.T) / 2, subset_by_index=[0, 0], check_finite=False)[0]
    return 1e9 if lowest >= 0 else float(-1 / lowest)


def _to_zero(now: Floats, step: Floats) -> float:
    falls = step < 0
    return float((now[falls] / -step[falls]).min()) if falls.any() else 1e9


def _centred(K: Floats) -> Floats:
    """P K P, symmetric."""
    means = K.mean(axis=0)
    K = K - means - K.mean(axis=1)[:, None] + means.mean()
    return (K + K.T) / 2
