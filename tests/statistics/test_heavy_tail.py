"""Heavy-tailed nulls: the tail that was drawn comes back, broken banners do not widen it, and p-values are honest."""

import numpy as np
import pytest

from core.statistics.combine import harmonic_mean
from core.statistics.heavy_tail import HeavyTail
from core.statistics.p_values import EmpiricalNull


def null_scores(seed: int, n: int, scale: float, index: float) -> np.ndarray:
    """Scores above and below the median, drawn from the null by its inverse."""
    rng = np.random.default_rng(seed)
    survival = rng.random(n)
    z = scale / index * ((2 / survival - 1) ** index - 1)
    return np.where(rng.random(n) < 0.5, z, -z)


@pytest.mark.parametrize("index", [0.08, 0.15, 0.3])
def test_p_values_of_the_null_are_uniform(index: float) -> None:
    fitted = HeavyTail().fit(null_scores(1, 4000, 0.6, index))
    p = np.exp(fitted.log_p_values(null_scores(2, 40_000, 0.6, index)))
    for level in (0.2, 0.05, 0.01):
        assert (p <= level).mean() == pytest.approx(level, rel=0.5), level


@pytest.mark.parametrize("share", [0.03, 0.1, 0.2])
def test_broken_banners_do_not_hide_behind_each_other(share: float) -> None:
    n = 1000
    z = null_scores(3, n, 0.6, 0.05)
    broken = np.arange(n) < share * n
    z[broken] = np.random.default_rng(4).weibull(2.0, broken.sum()) * 12
    p = np.exp(HeavyTail().fit(z).log_p_values(z))
    assert (p[broken] < 0.01).mean() > 0.85
    assert (p[~broken] < 0.01).mean() < 0.02


def test_log_p_values_fall_with_the_score_and_pass_a_half_at_the_median() -> None:
    fitted = HeavyTail().fit(null_scores(5, 500, 0.6, 0.1))
    log_p = fitted.log_p_values(np.linspace(-50, 500, 5000))
    assert (np.diff(log_p) < 1e-12).all()
    assert fitted.log_p_values(np.zeros(1))[0] == pytest.approx(np.log(0.5))
    assert np.isfinite(log_p).all()


def test_it_fits_no_scores_and_one() -> None:
    for z in (np.empty(0), np.array([0.3]), np.zeros(50)):
        assert np.isfinite(HeavyTail().fit(z).log_p_values(np.array([-1.0, 0.0, 3.0]))).all()


def test_the_harmonic_mean_by_hand() -> None:
    found = np.exp(harmonic_mean(np.log([[0.01, 0.04], [0.5, 0.5], [1.0, 1e-6]])))
    np.testing.assert_allclose(found, [2 / (100 + 25), 0.5, 2 / (1 + 1e6)])
    missing = np.array([[np.log(0.01), np.nan]])
    assert np.exp(harmonic_mean(missing))[0] == pytest.approx(0.01)


def test_scores_and_p_values_are_each_others_inverse() -> None:
    rng = np.random.default_rng(6)
    null = EmpiricalNull().fit(np.concatenate([rng.logistic(0, 0.6, 900), rng.normal(9, 2, 50)]))
    scores = np.linspace(-6, 120, 400)
    np.testing.assert_allclose(null.scores_of(null.log_p_values(scores)), scores, rtol=1e-5, atol=1e-4)


def test_a_null_beside_another_alternative_gives_the_same_p_values() -> None:
    rng = np.random.default_rng(7)
    scores = np.concatenate([rng.logistic(0, 0.6, 900), rng.normal(9, 2, 50)])
    null = EmpiricalNull().fit(scores)
    moved = null.with_other(np.where(scores > 4, scores + 8, scores))
    np.testing.assert_array_equal(moved.log_p_values(scores), null.log_p_values(scores))
    assert moved.theta_[4] > null.theta_[4]
