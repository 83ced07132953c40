"""P-values under the estimated null: uniform where nothing is broken, and false alarms in number as promised."""

import numpy as np
import pytest
from scipy.stats import kstest

from core.statistics import p_values
from core.statistics.p_values import FEW_CLICKS, START, EmpiricalNull, benjamini_hochberg, few_clicks_limit
from tests.support import naive
from tests.support.banners import cells, drawn, heatmaps, layout


def null_scores(rng: np.random.Generator, n: int) -> np.ndarray:
    """A generalised logistic with median 0 and lower spread 1, about as the normalised scores of banners in order are."""
    x = -np.log(rng.random(n) ** (-1 / 1.6) - 1)
    middle, low = np.median(x), np.quantile(x, 0.2)
    return (x - middle) / (middle - low) * 0.84


def mixture(seed: int, n: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    broken = np.arange(n) < round(n * share)
    return np.where(broken, rng.lognormal(2.3, 0.6, n), null_scores(rng, n)), broken


def test_p_values_of_the_null_are_uniform() -> None:
    for seed in range(3):
        x = null_scores(np.random.default_rng(seed), 4000)
        p = EmpiricalNull().fit(x).p_values(x)
        assert kstest(p, "uniform").statistic < 0.05
        assert 0.004 < (p < 0.01).mean() < 0.02
        assert not benjamini_hochberg(p, 0.1).sum() > 8


def test_normal_scores_are_served_too() -> None:
    x = np.random.default_rng(0).normal(size=4000)
    p = EmpiricalNull().fit(x).p_values(x)
    assert kstest(p, "uniform").statistic < 0.06
    assert benjamini_hochberg(p, 0.1).mean() < 0.005


@pytest.mark.parametrize("share", [0.03, 0.08])
def test_false_alarms_keep_to_the_nominal_rate(share: float) -> None:
    false, found = [], []
    for seed in range(10):
        x, broken = mixture(seed, 2000, share)
        flags = benjamini_hochberg(EmpiricalNull().fit(x).p_values(x), 0.1)
        false.append((flags & ~broken).sum() / max(flags.sum(), 1))
        found.append(flags[broken].mean())
    assert np.mean(false) < 0.16
    assert np.mean(found) > 0.7


def test_the_share_of_broken_banners_is_estimated_a_group() -> None:
    x, _ = mixture(0, 2000, 0.02)
    y, _ = mixture(1, 2000, 0.12)
    scores, groups = np.concatenate([x, y]), np.repeat([5, 9], 2000)
    posterior = EmpiricalNull().fit(scores).p_broken(scores, groups)
    assert ((posterior >= 0) & (posterior <= 1)).all()
    assert posterior[:2000].mean() == pytest.approx(0.02, abs=0.015)
    assert posterior[2000:].mean() == pytest.approx(0.12, abs=0.03)


def test_higher_scores_are_never_less_suspicious() -> None:
    x, _ = mixture(0, 500, 0.06)
    fitted = EmpiricalNull().fit(x)
    at = np.concatenate([np.linspace(-5, 60, 500), [1e3, 1e6, 1e19]])
    assert (np.diff(fitted.p_values(at)) <= 0).all()
    assert (np.diff(fitted.p_broken(at, np.zeros(len(at), int))[150:]) >= -1e-9).all()
    assert fitted.p_broken(np.array([1e19]), np.zeros(1, int))[0] > 0.99


@pytest.mark.parametrize("x", [[0.0], [0.0, 0.0], [-1.0, 0.0, 1.0], [2.0] * 50, [0.0] * 99 + [1e12], [-1e12, 0.0, 0.0]])
def test_a_handful_of_scores_or_equal_ones_are_judged_sanely(x: list[float]) -> None:
    scores = np.array(x)
    fitted = EmpiricalNull().fit(scores)
    p, posterior = fitted.p_values(scores), fitted.p_broken(scores, np.zeros(len(x), int))
    assert np.isfinite(p).all()
    assert ((p > 0) & (p <= 1)).all()
    assert ((posterior >= 0) & (posterior <= 1)).all()
    flags = benjamini_hochberg(p, 0.1)
    assert flags.sum() == (scores > 100).sum()


def test_benjamini_hochberg_by_hand() -> None:
    # Four p-values at 0.1: bounds 0.025, 0.05, 0.075, 0.1. The third passes its own bound and takes the second along.
    np.testing.assert_array_equal(benjamini_hochberg(np.array([0.07, 0.2, 0.01, 0.06]), 0.1), [True, False, True, True])
    assert not benjamini_hochberg(np.array([0.2, 0.3]), 0.1).any()
    assert benjamini_hochberg(np.zeros(0), 0.1).shape == (0,)


def test_benjamini_hochberg_equals_its_slow_twin() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 7, 60):
        for _ in range(20):
            p = np.round(rng.random(n) ** 3, 3)
            assert benjamini_hochberg(p, 0.2).tolist() == naive.benjamini_hochberg(p.tolist(), 0.2)


def test_a_rank_among_themselves_would_flag_nobody() -> None:
    x, _ = mixture(0, 1000, 0.08)
    ranks = (1 + np.argsort(np.argsort(-x))) / (len(x) + 1)
    assert not benjamini_hochberg(ranks, 0.1).any()


def test_few_clicks_limit_the_score() -> None:
    p = layout()
    rare, usual = int(np.argmin(p)), int(np.argmax(p))
    counts = heatmaps(
        [cells(**{f"c{rare}": 1}), cells(**{f"c{usual}": 1}), cells(**{f"c{rare}": 3}), drawn(0, [FEW_CLICKS + 1])[0], cells()]
    )
    limit = few_clicks_limit(counts.counts, p[None], np.zeros(5, int))
    stray = p[p < p.max() / 10].sum()  # the chance that one click is a stray one: about 4 %
    assert limit[0] == pytest.approx(_score(stray), abs=0.3)
    assert limit[1] < 0 < limit[0] < limit[2] < np.inf
    assert limit[3] == np.inf
    assert limit[4] < 0


def _score(p_value: float) -> float:
    """By bisection."""
    fitted = EmpiricalNull()
    fitted.theta_ = START
    low, high = -20.0, 60.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if fitted.p_values(np.array([middle]))[0] > p_value else (low, middle)
    return low


@pytest.mark.parametrize(("seed", "share"), [(2, 0.2), (2, 0.3), (2, 0.35)])
def test_a_fit_from_a_single_start_can_stick_and_several_do_not(monkeypatch: pytest.MonkeyPatch, seed: int, share: float) -> None:
    rng, n = np.random.default_rng(seed), 200
    broken = np.arange(n) < round(n * share)
    x = np.where(broken, rng.lognormal(1.2, 0.2, n), null_scores(rng, n))
    flags = benjamini_hochberg(EmpiricalNull().fit(x).p_values(x), 0.1)
    assert (flags & broken).sum() > 0.7 * broken.sum()
    monkeypatch.setattr(p_values, "STARTS", p_values.STARTS[:1])
    assert benjamini_hochberg(EmpiricalNull().fit(x).p_values(x), 0.1).sum() < 0.1 * broken.sum()
