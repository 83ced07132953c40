"""How good an unfolding provably is: a lower and an upper bound on the largest possible variance.

For any weights w whose Laplacian L(w) has lambda_2 > 0, tr K* <= (upper' w+ - lower' w-) / lambda_2(L(w)).
**Source** Sun, Boyd, Xiao, Diaconis 2006 (the fastest mixing Markov process is the dual).
"""

from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.sparse import csc_matrix, identity
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from core.embeddings.unfolding.problem import Floats, Problem
from core.embeddings.unfolding.stiffness import factored, inverse_of

ADDED = (0.001, 0.003, 0.01, 0.05)
"""Shares of the mean weight tried on top of every edge: a few weak edges would make lambda_2, and with it the bound, useless."""

KEPT = (1.0, 0.75, 0.5, 0.25, 0.0)
"""Shares of the weights below zero, those of edges at their lower bound, tried where not all of them leave lambda_2 above 0."""

DENSE = 400
"""Up to this many points all eigenvalues are computed; above, two and a proof."""


class Certificate(NamedTuple):
    """What was reached and what no unfolding of these edges can exceed, all in squared input units.

    `variance` tr K as reached; `lower_bound` the same after shrinking until no edge is too long (NaN with lower bounds on the
    edges: shrinking would break those); `upper_bound` no unfolding exceeds it (inf where none could be shown); `ratio` the upper
    bound over the lower one, or over `variance` where there is no lower one, 1 = proven optimal; relative violation of the edges:
    median, 99th percentile, mean and largest.
    """

    variance: float
    lower_bound: float
    upper_bound: float
    ratio: float
    violation_p50: float
    violation_p99: float
    violation_mean: float
    violation_max: float


def certify(problem: Problem, points: Floats, bound: float) -> Certificate:
    """Certificate of places (n, r) with the upper bound that `upper_bound` gave."""
    squared = problem.squared_lengths(points)
    violation = problem.violation(squared)
    variance = float(np.square(points - points.mean(axis=0)).sum())
    lower = np.nan if problem.is_two_sided else variance / max(1.0, float((squared / problem.upper).max()))
    p50, p99 = (float(q) for q in np.quantile(violation, [0.5, 0.99]))
    ratio = bound / (variance if problem.is_two_sided else lower)
    return Certificate(variance, lower, bound, ratio, p50, p99, float(violation.mean()), float(violation.max()))


def upper_bound(problem: Problem, weights: Floats, added: tuple[float, ...] = ADDED, kept: tuple[float, ...] = (1.0,)) -> float:
    """Least upper bound on tr K over `added` shares and, for weights below zero, `kept` ones; inf where lambda_2 > 0 cannot be shown."""
    best = np.inf
    for keep, share in product(kept if problem.is_two_sided else (0.0,), added):
        w = np.where(weights < 0, keep * weights, weights) + share * np.abs(weights).mean()
        dual = float(problem.upper @ np.maximum(w, 0) - problem.lower @ np.maximum(-w, 0))
        lowest = connectivity(problem.laplacian(w).tocsc())
        if lowest > 0:
            best = min(best, dual / lowest)
    return best


def connectivity(laplacian: csc_matrix) -> float:
    """A lower bound on the second smallest eigenvalue of a symmetric matrix with L1 = 0; 0 where none above zero can be shown.

    Lanczos estimates it, loosely, since at an optimum it is many times over the same; then the signs of an LDL' factorisation just
    below the estimate prove that only the constant vector's eigenvalue lies under it.
    """
    n = laplacian.shape[0]
    if n <= DENSE:
        values = np.linalg.eigvalsh(laplacian.toarray())
        return max(float(values[1]), 0.0) if values[0] > -1e-9 * values[-1] else 0.0
    shift = -1e-6 * float(laplacian.diagonal().mean())
    start = np.random.default_rng(0).standard_normal(n)
    try:
        values = eigsh(
            laplacian, k=2, sigma=shift, v0=start, tol=1e-5, maxiter=300, return_eigenvectors=False, OPinv=inverse_of(laplacian, shift)
        )
    except (ArpackNoConvergence, RuntimeError):  # RuntimeError: exactly singular
        return 0.0
    for share in (1 - 1e-5, 1 - 1e-3, 0.99):
        below = share * float(max(values))
        if below > 0 and _n_below(laplacian, below) == 1:
            return below
    return 0.0


def _n_below(matrix: csc_matrix, value: float) -> int:
    """Eigenvalues below `value` by Sylvester's law of inertia; -1 where the factorisation had to exchange rows or met a zero."""
    try:
        factor = factored((matrix - value * identity(matrix.shape[0])).tocsc())
    except RuntimeError:
        return -1
    return int((factor.U.diagonal() < 0).sum()) if np.array_equal(factor.perm_r, factor.perm_c) else -1
