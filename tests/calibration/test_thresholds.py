"""Cuts on cases done by hand, and what is expected of flags against worlds drawn anew."""

import numpy as np
import pytest
from scipy.special import expit

from core.calibration.expectation import draw_worlds, spread_between
from core.calibration.predictor import ridge_logistic
from core.calibration.thresholds import METHODS, expected_f1, find_cut, fit_scale, tail_among_ok
from core.errors import InputError

P = np.array([0.9, 0.8, 0.6, 0.4, 0.1])
LABELLED = np.array([0.95, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.04, 0.03, 0.02])
BROKEN = np.array([1, 1, 0, 1, 0, 0, 0, 0, 0, 0], dtype=bool)


def cut(method: str, value: float | None = None) -> float:
    return find_cut(method, P, LABELLED, BROKEN, value)


def test_the_expected_f1_of_the_first_few() -> None:
    # sum 2.8; flagging the first two hits 1.7 in expectation: 2 * 1.7 / (2 + 2.8)
    assert expected_f1(P)[1] == pytest.approx(3.4 / 4.8)
    assert cut("f1") == 0.4  # 2 * 2.7 / 6.8 = .794, against .793 for three and .718 for all


def test_a_cost_ratio_is_a_cut_on_the_probability() -> None:
    assert cut("cost", 10) == pytest.approx(1 / 11)
    assert cut("cost", 1) == 0.5


def test_precision_takes_as_many_as_keep_it() -> None:
    assert cut("precision", 0.75) == 0.6  # (.9 + .8 + .6) / 3 = .767; with .4 it is .675
    assert cut("precision", 0.95) == np.inf


def test_budget_flags_at_most_so_many() -> None:
    assert cut("budget", 2) == 0.8
    assert cut("budget", 99) == 0.1
    tied = np.array([0.9, 0.5, 0.5, 0.5])
    assert find_cut("budget", tied, LABELLED, BROKEN, 2) == 0.9  # one of three equals cannot be taken


def test_youden_parts_the_labels() -> None:
    # at .3: all three broken, one of seven ok: 1 - 1/7; at .7: two of three and none
    assert cut("youden") == 0.3


def test_conformal_p_values_count_the_banners_labelled_ok() -> None:
    ok = LABELLED[~BROKEN]
    assert tail_among_ok(np.array([0.6, 0.5, 0.01]), ok).tolist() == [1 / 8, 2 / 8, 1.0]


def test_fpr_and_fdr_cut_by_them() -> None:
    ok = np.linspace(0, 0.5, 99)
    labelled, broken = np.append(ok, 0.9), np.append(np.zeros(99, dtype=bool), True)
    assert find_cut("fpr", P, labelled, broken, 0.05) == 0.6  # .4 has 20 of 99 above it
    assert find_cut("fdr", P, labelled, broken, 0.1) == 0.6


@pytest.mark.parametrize(
    ("method", "value", "message"),
    [
        ("guess", None, "by one of f1, cost"),
        ("precision", 1.5, "between 0 and 1, not 1.5"),
        ("cost", -1.0, "above 0, not -1"),
        ("budget", 0.0, "above 0"),
        ("fpr", 0.01, "needs 100 banners labelled ok: there are 7"),
    ],
)
def test_what_a_method_cannot_work_with_is_said(method: str, value: float | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cut(method, value)


def test_youden_needs_both_kinds() -> None:
    with pytest.raises(InputError, match="all 3 say ok"):
        find_cut("youden", P, LABELLED[:3], np.zeros(3, dtype=bool))


def test_every_method_gives_a_cut_with_its_default() -> None:
    rng = np.random.default_rng(0)
    labelled = rng.random(2000)
    broken = rng.random(2000) < labelled
    for method in METHODS:
        assert 0 < find_cut(method, rng.random(500), labelled, broken) <= 1 or method in ("fpr", "fdr")


def test_the_scale_undoes_a_wrong_one() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(0, 3, 20_000)
    scale = fit_scale(expit(x), rng.random(20_000) < expit(0.5 + 2 * x))
    assert (scale.offset, scale.slope) == (pytest.approx(0.5, abs=0.1), pytest.approx(2, abs=0.1))
    assert tuple(fit_scale(np.empty(0), np.empty(0, dtype=bool))) == pytest.approx((0, 1))


def test_ridge_logistic_keeps_its_prior_without_data_and_agrees_with_a_library_with_it() -> None:
    from sklearn.linear_model import LogisticRegression

    prior = np.array([0.3, -1.0])
    assert ridge_logistic(np.ones((1, 2)), np.ones(1), np.zeros(1), prior, np.ones(2)) == pytest.approx(prior)
    rng = np.random.default_rng(2)
    X = rng.normal(size=(300, 3))
    y = (rng.random(300) < expit(X @ [1, -2, 0.5])).astype(float)
    found = ridge_logistic(X, y, np.ones(300), np.zeros(3), np.full(3, 2.0))
    assert found == pytest.approx(LogisticRegression(C=0.5, fit_intercept=False, tol=1e-10).fit(X, y).coef_[0], abs=1e-4)


def test_intervals_hold_as_often_as_they_say() -> None:
    held = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        grid, moved = np.repeat(np.arange(8), 400), rng.normal(0, 0.5, 8)  # grids differ by what is assumed at least
        p = expit(rng.normal(-3, 2, 3200))
        broken = rng.random(3200) < expit(np.log(p / (1 - p)) + moved[grid])
        labelled, target = grid < 6, grid >= 6
        flags = p[target] >= 0.5
        worlds = draw_worlds(p[target], grid[target], flags, p[labelled], broken[labelled], grid[labelled], seed)
        expected = worlds.of_most_suspicious(int(flags.sum()))
        hits = (broken[target] & flags).sum()
        held += expected.precision.low <= hits / flags.sum() <= expected.precision.high
        held += expected.recall.low <= hits / broken[target].sum() <= expected.recall.high
        assert expected == worlds.of_before()  # the same flags: they came about
    assert held >= 72  # of 80, at a nominal 95 %


def test_grids_that_differ_widen_what_is_expected() -> None:
    rng = np.random.default_rng(3)
    grid = np.repeat(np.arange(6), 500)
    p = np.full(3000, 0.3)
    alike = rng.random(3000) < 0.3
    apart = rng.random(3000) < np.where(grid % 2, 0.6, 0.1)
    assert spread_between(p, alike, grid) == pytest.approx(0.5, abs=0.1)
    assert spread_between(p, apart, grid) > 1
