"""Maximum variance unfolding for thousands of points: places Y (n, r) instead of K, augmented Lagrangian, L-BFGS.

    F(Y) = -tr(Y'PY) + sum_e (mult_e^2 - w_e^2) / (2 sigma_e)
    mult_e = sigma_e (z_e - clip(z_e, lower_e, upper_e)),   z_e = g_e + w_e / sigma_e

with penalties relative to each edge, sigma_e = sigma / upper_e. **Source** Burer, Monteiro 2003; Kulis, Surendran, Platt 2007.
**Differs**: two-sided bounds, relative penalties, centring inside the objective (without it the mean drifts without bound).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from core.embeddings.unfolding.certificate import KEPT, upper_bound
from core.embeddings.unfolding.descent import descend
from core.embeddings.unfolding.feasible import pull_in
from core.embeddings.unfolding.problem import Floats, Problem
from core.embeddings.unfolding.stiffness import Inverse, is_worth_it

SHORTEST_PENALISED = 1e-4
"""Squared lengths are raised to this share of their median inside the penalties only."""

CLOSE, MEAN_CLOSE, BALANCED = 5e-4, 5e-5, 1e-3
"""Done when the 99th percentile and the mean of the violations and the relative duality gap are below these."""

FEASIBLE, CERTIFIED = 0.9993, 1.008
"""… and, without lower bounds, this share of the variance is left once no edge is too long, and the proven ratio is below this."""

CALM = 1e-4
"""The inner minimisation ends where the gradient is this share of the pull outwards."""

INNER, INNER_PLAIN = 60, 300
"""Most steps of the inner minimisation, with factors of the graph and without."""

MAX_ITERATIONS = 12_000
GROWTH, MOST_GROWTH = 2.0, 100.0
TOO_FLAT = 1e-2


class Scaled(NamedTuple):
    """Places (n, r), without lower bounds feasible ones; multipliers of the edges (m,), upper minus lower; upper bound on tr K; steps."""

    points: Floats
    multipliers: Floats
    upper_bound: float
    n_iterations: int


@dataclass
class _State:
    points: Floats
    weights: Floats
    sigma: float
    is_factored: bool
    n_iterations: int = 0
    bound: float = np.inf


def solve_scaled(problem: Problem, start: Floats, *, rank: int = 10, seed: int = 0, max_iterations: int = MAX_ITERATIONS) -> Scaled:
    """Local optimum from `start` (n, any number of columns), all but always the global one at rank 10; `upper_bound` is the proof."""
    scale = float(problem.upper.mean())
    problem = problem.scaled(1 / scale)
    rng = np.random.default_rng(seed)
    points = _widened(start / np.sqrt(scale), rank, rng)
    state = _begin(problem, points)
    first, last = state.sigma, np.inf
    while state.n_iterations < max_iterations:
        _descend(problem, state, min(INNER if state.is_factored else INNER_PLAIN, max_iterations - state.n_iterations))
        violation = problem.violation(problem.squared_lengths(state.points))
        p99, mean = float(np.quantile(violation, 0.99)), float(violation.mean())
        if p99 < CLOSE and mean < MEAN_CLOSE and _is_optimal(problem, state):
            break
        if mean > 0.3 * last and state.sigma < MOST_GROWTH * first:
            state.sigma = min(GROWTH * state.sigma, MOST_GROWTH * first)
        elif p99 > TOO_FLAT and state.sigma >= MOST_GROWTH * first and state.points.shape[1] < problem.n_points - 1:
            state.points = _widened(state.points, min(2 * state.points.shape[1], problem.n_points - 1), rng)
        last = mean
    bound = state.bound if np.isfinite(state.bound) else upper_bound(problem, state.weights, kept=KEPT)
    points = _centred(state.points) if problem.is_two_sided else pull_in(problem, state.points)
    return Scaled(points * np.sqrt(scale), state.weights, bound * scale, state.n_iterations)


def _is_optimal(problem: Problem, state: _State) -> bool:
    """The certificate is tight or, with lower bounds, the duality gap of the Lagrangian is small."""
    reached, w = float(np.square(_centred(state.points)).sum()), state.weights
    if problem.is_two_sided:
        dual = float(problem.upper @ np.maximum(w, 0) - problem.lower @ np.maximum(-w, 0))
        return abs(dual - reached) < BALANCED * reached
    lower = float(np.square(pull_in(problem, state.points)).sum())
    if lower < FEASIBLE * reached:
        return False
    state.bound = min(state.bound, upper_bound(problem, w))
    return state.bound < CERTIFIED * lower


def _begin(problem: Problem, points: Floats) -> _State:
    share = float(np.square(_centred(points)).sum() / problem.upper.sum())
    return _State(points, np.full(problem.n_edges, share), 5 * share, is_worth_it(problem))


def _descend(problem: Problem, state: _State, n: int) -> None:
    """Minimises F over the places and updates the multipliers."""
    sigma = state.sigma / np.maximum(problem.upper, SHORTEST_PENALISED * np.median(problem.upper))
    shift, lower, upper = state.weights / sigma, problem.lower, problem.upper

    def pressure(squared: Floats) -> tuple[Floats, Floats]:
        z = squared + shift
        off = z - np.minimum(np.maximum(z, lower), upper)
        return sigma * off, np.where(off == 0, 0.0, sigma)

    points = _on_principal_axes(_centred(state.points))
    inverse = None
    if state.is_factored:
        force, stiff = pressure(problem.squared_lengths(points))
        inverse = Inverse(problem, points, force, sigma, (stiff > 0).astype(np.float64))
    state.points, done = descend(problem, points, pressure, n, CALM, inverse)
    state.weights = pressure(problem.squared_lengths(state.points))[0]
    state.n_iterations += done


def _widened(points: Floats, rank: int, rng: np.random.Generator) -> Floats:
    """Exactly `rank` columns, with 1e-3 of noise so that empty ones can grow."""
    kept = np.zeros((len(points), rank))
    n = min(rank, points.shape[1])
    kept[:, :n] = points[:, :n]
    return kept + 1e-3 * kept.std() * rng.standard_normal(kept.shape)


def _on_principal_axes(points: Floats) -> Floats:
    _, vectors = np.linalg.eigh(points.T @ points)
    return points @ vectors[:, ::-1]


def _centred(points: Floats) -> Floats:
    return points - points.mean(axis=0)
