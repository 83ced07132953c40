"""Unfolding solvers against slow twins, each other and what they prove."""

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from benchmarks.unfolding.manifolds import heat, swiss
from core.embeddings.mvu import MVU
from core.embeddings.unfolding import stiffness
from core.embeddings.unfolding.certificate import _n_below
from core.embeddings.unfolding.exact import solve_exactly
from core.embeddings.unfolding.feasible import pull_in
from core.embeddings.unfolding.graph import make_graph
from core.embeddings.unfolding.neighbours import Neighbours
from core.embeddings.unfolding.newton import Iterate, System, schur
from core.embeddings.unfolding.problem import Problem, make_problem
from core.embeddings.unfolding.stiffness import FLOOR, IDLE, Inverse


def posed(X: np.ndarray[Any, Any], slack: float) -> Problem:
    graph = make_graph(Neighbours(X), 6, 5)
    return make_problem(len(X), graph.i, graph.j, graph.squared, slack)


def test_the_scaled_tier_finds_what_the_exact_one_proves() -> None:
    X = heat(250)
    for slack, n_iterations in [(1.0, 8000), (0.1, 8000)]:
        exact = MVU(tier="exact", slack=slack).fit(X).certificate_
        scaled = MVU(tier="scaled", slack=slack, max_iterations=n_iterations).fit(X).certificate_
        assert scaled.variance / exact.variance == pytest.approx(1, abs=1e-3)
        assert scaled.violation_p99 < 1e-3
        assert exact.violation_max < 1e-6
        assert 1 - 1e-6 < exact.ratio < 1 + 1e-4
        assert exact.upper_bound > scaled.variance * (1 - 1e-3)


@pytest.mark.parametrize(("seed", "slack"), [(0, 0.1), (2, 0.1)])
def test_the_exact_tier_is_not_stopped_by_a_gap_that_rises_at_first(seed: int, slack: float) -> None:
    reached = MVU(tier="exact", slack=slack).fit(heat(150, seed)).certificate_
    assert 1 - 1e-6 < reached.ratio < 1 + 1e-4
    assert reached.violation_max < 1e-6


def test_the_schur_complement_is_that_of_the_definition() -> None:
    problem = posed(swiss(40), 0.1)
    A, rng = problem.incidence.toarray(), np.random.default_rng(0)
    K, S = (B @ B.T for B in rng.standard_normal((2, 40, 40)))
    np.testing.assert_allclose(np.tril(schur(problem, K, S)), np.tril((A @ K @ A.T) * (A @ S @ A.T)), rtol=1e-9)


@pytest.mark.parametrize("slack", [0.1, 1.0])
def test_a_step_solves_the_linear_equations_of_the_definition(slack: float) -> None:
    n, rng = 30, np.random.default_rng(0)
    problem = posed(swiss(n), slack)
    m, n_bounds = problem.n_edges, len(problem.bounds)
    C = rng.standard_normal((n, n - 1))
    C -= C.mean(axis=0)
    dual = rng.uniform(1, 2, n_bounds) * np.repeat([4.0, 1.0], m)[:n_bounds]
    now = Iterate(C, rng.uniform(0.5, 1, n_bounds), dual * 3 / np.linalg.eigvalsh(problem.laplacian(problem.fold(dual)).toarray())[1])
    system = System(problem, now)
    before = system.step(0.0, None)
    step = system.step(0.7, before)
    K, off = C @ C.T, np.eye(n) - 1 / n
    S = problem.laplacian(problem.fold(now.dual)).toarray() - off
    S_inverse = np.linalg.pinv(S)
    dK, dS, dK_before, dS_before = (
        X for a in (step, before) for X in (C @ a.stretch @ C.T, problem.laplacian(problem.fold(a.dual)).toarray())
    )
    product = K @ dS @ S_inverse + dK_before @ dS_before @ S_inverse
    np.testing.assert_allclose(dK, 0.7 * S_inverse - K - (product + product.T) / 2, atol=1e-8 * np.abs(K).max())
    longer, squared = (np.einsum("er,er->e", problem.incidence @ X, problem.incidence.toarray()) for X in (dK, K))
    np.testing.assert_allclose(problem.spread(squared + longer) + now.slack + step.slack, problem.bounds, atol=1e-8 * squared.max())
    products = now.slack * now.dual + now.slack * step.dual + step.slack * now.dual + before.slack * before.dual
    np.testing.assert_allclose(products, 0.7, atol=1e-8 * (now.dual.max() * squared.max()))
    np.testing.assert_allclose(C.T @ dS @ C, step.bend, atol=1e-8 * np.abs(step.bend).max())


@pytest.mark.parametrize(("seed", "slack"), [(1, 1.0), (2, 0.02)])
def test_rounding_does_not_shorten_the_last_steps(seed: int, slack: float) -> None:
    reached = solve_exactly(posed(swiss(200, seed), slack), gap=3e-9)
    assert reached.gap < 3e-9
    assert reached.violation < 1e-12
    assert reached.n_iterations < 40


def test_steps_keep_off_the_boundary_so_that_the_next_ones_stay_long() -> None:
    reached = solve_exactly(posed(swiss(300), 1.0))
    assert reached.gap < 1e-7
    assert reached.n_iterations < 40


def test_stiffness_is_solved_for_axis_by_axis() -> None:
    problem, rng = posed(swiss(50), 0.1), np.random.default_rng(0)
    A, n, m = problem.incidence.toarray(), 50, problem.n_edges
    points = rng.standard_normal((n, 3)) * [5.0, 1.0, 1e-6]
    force, penalty, is_pressed = rng.uniform(0, 1, m), rng.uniform(0, 2, m), rng.integers(0, 2, m).astype(float)
    pull = rng.standard_normal((n, 3))
    step = Inverse(problem, points, force, penalty, is_pressed)(pull)
    np.testing.assert_allclose(step.mean(axis=0), 0, atol=1e-12)
    for c in range(3):
        weights = force + FLOOR * force.mean()
        if c < 2:  # the third axis is thin
            weights = weights + 2 * penalty * np.where(is_pressed, 1, IDLE) * np.square(A @ points[:, c])
        np.testing.assert_allclose(2 * A.T @ (weights * (A @ step[:, c])), pull[:, c] - pull[:, c].mean(), atol=1e-4)


def test_factors_of_the_graph_save_most_steps_and_change_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    X = heat(400, seed=3)
    fast = MVU(tier="scaled", slack=1.0).fit(X)
    monkeypatch.setattr(stiffness, "FULL", 0)
    plain = MVU(tier="scaled", slack=1.0).fit(X)
    assert fast.certificate_.variance == pytest.approx(plain.certificate_.variance, rel=1e-3)
    assert max(fast.certificate_.ratio, plain.certificate_.ratio) < 1.01
    assert fast.n_iterations_ < 0.5 * plain.n_iterations_


def test_long_edges_are_pulled_in_at_less_cost_than_by_shrinking_the_map() -> None:
    problem, rng = posed(heat(150), 1.0), np.random.default_rng(0)
    points = MVU(tier="scaled", slack=1.0).fit(heat(150)).points_
    moved = points + rng.standard_normal(points.shape) * (rng.uniform(size=(150, 1)) < 0.03) * 0.3 * points.std()
    pulled, longest = pull_in(problem, moved), (problem.squared_lengths(moved) / problem.upper).max()
    assert longest > 1.5
    assert (problem.squared_lengths(pulled) <= problem.upper * (1 + 1e-12)).all()
    shrunk = np.square(moved - moved.mean(axis=0)).sum() / longest
    assert np.square(pulled).sum() > 1.2 * shrunk
    inside = points / 2
    np.testing.assert_allclose(pull_in(problem, inside), inside, atol=1e-12)


def test_eigenvalues_are_counted_or_nothing_is_claimed() -> None:
    ring = csc_matrix(2 * np.eye(12) - np.roll(np.eye(12), 1, axis=0) - np.roll(np.eye(12), -1, axis=0))
    values = np.linalg.eigvalsh(ring.toarray())
    assert [_n_below(ring, v) for v in (-0.1, 0.1, 1.7)] == [(values < v).sum() for v in (-0.1, 0.1, 1.7)]
    assert _n_below(csc_matrix(2 * np.eye(3)), 2.0) == -1


def test_too_low_a_rank_is_doubled_until_the_edges_fit() -> None:
    X = heat(120)
    mvu = MVU(tier="scaled", rank=1, max_iterations=20_000).fit(X)
    assert mvu.certificate_.violation_p99 < 1e-2
