"""Normalised scores: no trend with clicks, one location and scale for all groups, little moved by the broken."""

import numpy as np
import pytest

from core.statistics.combine import combine_families
from core.statistics.normalise import Normaliser


def normalised(scores: np.ndarray, groups: np.ndarray, clicks: np.ndarray) -> np.ndarray:
    return Normaliser().fit(scores, groups, clicks).transform(scores, groups, clicks)


def test_trend_and_scale_go() -> None:
    rng = np.random.default_rng(0)
    clicks = rng.lognormal(5, 0.8, 4000)
    groups = np.repeat([3, 8], 2000)
    noise = rng.normal(size=4000)
    scores = 5 - np.log(clicks) + noise * clicks**-0.5 * 10 * np.where(groups == 3, 1, 40) + 100 * (groups == 8)
    z = normalised(scores, groups, clicks)
    assert abs(np.corrcoef(z, np.log(clicks))[0, 1]) < 0.05
    for rows in (groups == 3, groups == 8, clicks < 80, clicks > 300):
        assert np.median(z[rows]) == pytest.approx(0, abs=0.15)
        assert np.quantile(z[rows], 0.2) == pytest.approx(-0.84, abs=0.15)


def test_broken_banners_stand_out_and_hardly_move_the_others() -> None:
    rng = np.random.default_rng(1)
    clicks, groups = rng.lognormal(5, 0.8, 1000), np.zeros(1000, int)
    clean = rng.normal(size=1000)
    dirty = clean.copy()
    dirty[:80] += 50
    z, y = normalised(clean, groups, clicks), normalised(dirty, groups, clicks)
    assert np.abs(z[80:] - y[80:]).max() < 0.8
    assert y[:80].min() > 20


def test_order_is_kept_among_banners_of_one_size() -> None:
    scores = np.random.default_rng(2).normal(size=200)
    z = normalised(scores, np.zeros(200, int), np.full(200, 100.0))
    np.testing.assert_array_equal(np.argsort(z), np.argsort(scores))


def test_a_row_depends_on_itself_alone_once_fitted() -> None:
    rng = np.random.default_rng(3)
    scores, clicks, groups = rng.normal(size=150), rng.lognormal(5, 1, 150), np.repeat([0, 1], [120, 30])
    fitted = Normaliser().fit(scores, groups, clicks)
    z = fitted.transform(scores, groups, clicks)
    for i in (0, 149):
        assert fitted.transform(scores[[i]], groups[[i]], clicks[[i]])[0] == z[i]


def test_a_small_group_takes_the_trend_of_all() -> None:
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(100), 6)
    clicks = rng.lognormal(5, 1, 600)
    level = rng.normal(0, 3, 100)[groups]
    z = normalised(level - np.log(clicks) + 0.1 * rng.normal(size=600), groups, clicks)
    assert abs(np.corrcoef(z, np.log(clicks))[0, 1]) < 0.15
    assert np.abs([np.median(z[groups == g]) for g in range(100)]).max() < 1e-9


def test_a_group_of_one_says_nothing() -> None:
    z = normalised(np.array([1.0, 50.0, -3.0]), np.arange(3), np.array([1.0, 1000.0, 30.0]))
    np.testing.assert_allclose(z, 0, atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 59, 60, 500])
def test_equal_scores_stay_equal_and_finite(n: int) -> None:
    z = normalised(np.full(n, 2.5), np.zeros(n, int), np.arange(1.0, n + 1))
    np.testing.assert_allclose(z, 0, atol=1e-6)


def test_every_family_has_one_vote() -> None:
    z = {"a": np.array([1.0, 0.0]), "b": np.array([3.0, 0.0]), "c": np.array([10.0, 4.0])}
    np.testing.assert_allclose(combine_families(z, {"a": "statistical", "b": "statistical", "c": "template"}), [6.0, 2.0])


def test_fewer_knots_make_a_sample_steadier_for_others() -> None:
    rng = np.random.default_rng(5)
    clicks = rng.lognormal(5, 0.8, 20_000)
    scores, groups = rng.normal(size=20_000) * 3 - 0.5 * np.log(clicks), np.zeros(20_000, int)
    off: dict[int, list[float]] = {60: [], 180: []}
    for _ in range(10):
        rows = rng.choice(20_000, 500, replace=False)
        for per_knot, found in off.items():
            z = Normaliser(per_knot).fit(scores[rows], groups[rows], clicks[rows]).transform(scores, groups, clicks)
            found.append(float(np.abs(np.quantile(z, 0.999) - 3.09)))
    assert np.mean(off[180]) < np.mean(off[60])
