"""Maximum variance unfolding solved exactly, for up to about a thousand points.

A primal-dual interior-point method; `core.embeddings.unfolding.newton` holds the linear system of one iteration. The inner products are
kept as places, K = C C': all that is small near the end (slacks, the lowest eigenvalues of K) comes from C without cancellation, where K
itself would lose it to rounding.
**Source** HKM direction with Mehrotra's predictor-corrector (Helmberg, Rendl, Vanderbei, Wolkowicz 1996; Todd, Toh, Tutuncu 1998).
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cholesky, eigh

from core.embeddings.unfolding.newton import Iterate, System
from core.embeddings.unfolding.problem import Floats, Problem

GAP = 1e-7
MAX_ITERATIONS = 80
START, LEAST = 10.0, 3.0
"""At the start squared lengths are this many times their bounds on average, and slacks at least so many times them. It hardly
matters: 0.5 and 0.1 take as many iterations."""

SHARE, FULL_SHARE = 0.75, 0.95
"""Shares of the way to the boundary that are gone, after short steps and after full ones. With 0.9 and 0.99, as is common, eigenvalues
of KS now and then fell far below their mean, and dozens of short steps followed."""

SHORT = 0.1
"""Steps shorter than this are replaced by one towards the centre."""

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


def solve_exactly(problem: Problem, gap: float = GAP) -> Exact:
    """The solution to a relative gap of `gap`, or the best iterate where rounding ends the run before (Cholesky fails, or no progress)."""
    scale = float(problem.upper.mean())
    scaled = problem.scaled(1 / scale)
    now = start(scaled)
    best, found = now, measure(scaled, now)
    reached, waited, n = found, 0, 0
    while max(found) >= gap and waited < STALLED and n < MAX_ITERATIONS:
        try:
            now = _after_a_step(scaled, now)
        except LinAlgError:
            break
        found, n = measure(scaled, now), n + 1
        if max(found) < max(0.8 * max(reached), gap):
            best, reached, waited = now, found, 0
        elif max(reached) < SETTLED:
            waited += 1
    return Exact(scale * best.places @ best.places.T, scaled.fold(best.dual), *reached, n)


def start(problem: Problem) -> Iterate:
    """Strictly dual feasible: the multipliers, inverse to the bounds, put the Laplacian at 1.5 times the projection or above. K is a
    multiple of the inverse of what is left, so that the two are perfectly centred.
    """
    upper = problem.upper
    values, vectors = eigh(problem.laplacian(1 / upper).toarray())
    lift = 1.5 / values[1]
    places = centred(vectors[:, 1:] / np.sqrt(lift * values[1:] - 1))
    places *= np.sqrt(START / (problem.squared_lengths(places) / upper).mean())
    dual, least = lift / upper, LEAST * upper
    if problem.is_two_sided:
        dual, least = np.concatenate([4 / 3 * dual, dual / 3]), np.concatenate([least, least])
    room = problem.bounds - problem.spread(problem.squared_lengths(places))
    return Iterate(places, np.maximum(room, least), dual)


def measure(problem: Problem, now: Iterate) -> tuple[float, float]:
    """Relative gap, largest relative violation."""
    reached = float(np.square(now.places).sum())
    gap = abs(float(problem.bounds @ now.dual) - reached) / (1 + reached)
    return gap, float(problem.violation(problem.squared_lengths(now.places)).max())


def _after_a_step(problem: Problem, now: Iterate) -> Iterate:
    """One predictor-corrector step. Raises LinAlgError where a matrix is no longer positive definite to rounding."""
    system = System(problem, now)
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
    share = SHARE + (FULL_SHARE - SHARE) * min(primal, dual)
    primal, dual = share * primal, share * dual
    stretch = cholesky(np.eye(len(step.stretch)) + primal * step.stretch, lower=True, check_finite=False)
    return Iterate(centred(now.places @ stretch), now.slack + primal * step.slack, now.dual + dual * step.dual)


def centred(places: Floats) -> Floats:
    return places - places.mean(axis=0)
