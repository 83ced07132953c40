"""Detectors compared: by hand, beside scikit-learn, and where labels say too little."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from core.statistics import leaderboard
from core.statistics.intervals import Interval
from core.statistics.leaderboard import by_kind, level_with_best, rank_correlation, same_flags, standings

NAN = float("nan")


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)[:, None]


def drawn(seed: int, n: int = 400, k: int = 3, broken: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n, k), the first detector the best, and who is broken."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < broken
    return rng.normal(size=(n, k)) + truth[:, None] * np.linspace(2.5, 0.5, k), truth


def test_a_case_done_by_hand() -> None:
    scores, broken = column(9, 7, 7, 5, 3, 1), np.array([True, True, False, True, False, False])
    found = standings(scores, scores >= 5, broken)[0]
    # pairs broken over ok: 9 beats three, 7 ties one and beats two, 5 beats two
    assert found.roc_auc.share == pytest.approx((3 + 2.5 + 2) / 9)
    # precision at 9, at both sevens, at 5
    assert found.average_precision.share == pytest.approx((1 / 1 + 2 / 3 + 3 / 4) / 3)
    assert found.f1.share == pytest.approx(2 * 3 / (4 + 3))
    assert (found.n, found.n_broken, found.hits, found.false, found.missed) == (6, 3, 3, 1, 0)
    assert np.isnan(found.roc_auc.low), "three broken banners drawn again and again would feign certainty"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60))
def test_figures_are_those_of_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    scores, broken = column(*(float(s) for s, _ in rows)), np.array([b for _, b in rows])
    found = standings(scores, scores > 3, broken)[0]
    if broken.all() or not broken.any():
        assert np.isnan(found.roc_auc.share)
        return
    assert found.roc_auc.share == pytest.approx(roc_auc_score(broken, scores[:, 0]))
    assert found.average_precision.share == pytest.approx(average_precision_score(broken, scores[:, 0]))
    assert found.f1.share == pytest.approx(f1_score(broken, scores[:, 0] > 3))


def test_intervals_are_those_of_a_bootstrap_written_as_a_loop() -> None:
    scores, broken = drawn(1, 300, 1)
    found = standings(scores, scores > 1, broken)[0]
    rng, kinds, areas, precisions, f1s = np.random.default_rng(9), [np.flatnonzero(broken), np.flatnonzero(~broken)], [], [], []
    for _ in range(1500):
        rows = np.concatenate([rng.choice(kind, len(kind)) for kind in kinds])
        areas.append(roc_auc_score(broken[rows], scores[rows, 0]))
        precisions.append(average_precision_score(broken[rows], scores[rows, 0]))
        f1s.append(f1_score(broken[rows], scores[rows, 0] > 1))
    for mine, theirs in zip(found[:3], (areas, precisions, f1s), strict=True):
        low, high = np.quantile(theirs, [0.025, 0.975])
        assert (mine.low, mine.high) == pytest.approx((low, high), abs=0.15 * (high - low))
        assert mine.low < mine.share < mine.high


def test_the_same_labels_give_the_same_intervals() -> None:
    scores, broken = drawn(2)
    assert standings(scores, scores > 1, broken) == standings(scores, scores > 1, broken)


def test_the_interval_holds_the_true_figure_about_as_often_as_it_says() -> None:
    truth = roc_auc_score(*drawn(0, 200_000, 1)[::-1])
    inside = 0
    for seed in range(60):
        scores, broken = drawn(seed + 100, 300, 1)
        found = standings(scores, scores > 1, broken)[0].roc_auc
        inside += found.low <= truth <= found.high
    assert 50 <= inside <= 60


def test_a_detector_without_a_mistake_has_no_known_interval() -> None:
    broken = np.arange(40) < 10
    found = standings(column(*np.where(broken, 5.0 + np.arange(40), -np.arange(40.0))), broken[:, None], broken)[0]
    assert found.roc_auc.share == found.average_precision.share == found.f1.share == 1
    assert all(np.isnan(figure.low) for figure in found[:3])


def test_a_detector_is_judged_over_the_banners_it_looked_at() -> None:
    scores, broken = drawn(3)
    left_out = np.arange(len(broken)) % 3 > 0
    scores[left_out, 1] = NAN
    whole = standings(scores, scores > 1, broken)
    alone = standings(scores[~left_out][:, [1]], scores[~left_out][:, [1]] > 1, broken[~left_out])[0]
    assert (whole[1].n, whole[0].n) == ((~left_out).sum(), len(broken))
    assert [f.share for f in whole[1][:3]] == pytest.approx([f.share for f in alone[:3]])
    assert whole[1].n_broken == broken[~left_out].sum()


def test_one_kind_alone_says_nothing() -> None:
    found = standings(column(1, 2, 3), column(0, 0, 1) > 0, np.zeros(3, dtype=bool))[0]
    assert np.isnan(found.roc_auc.share)
    assert np.isnan(found.f1.share)
    assert (found.n, found.n_broken, found.false) == (3, 0, 1)


def test_the_best_is_not_declared_where_intervals_overlap() -> None:
    figures = [Interval(0.9, 0.85, 0.94), Interval(0.8, 0.7, 0.86), Interval(0.7, 0.6, 0.8), Interval(0.75, NAN, NAN), leaderboard.UNKNOWN]
    assert level_with_best(figures).tolist() == [True, True, False, True, False]
    assert level_with_best([Interval(1.0, NAN, NAN), Interval(0.4, 0.3, 0.5)]).tolist() == [True, True]
    assert level_with_best([leaderboard.UNKNOWN]).tolist() == [False]


def test_flags_by_kind_by_hand() -> None:
    flagged = np.array([[1, 1], [1, 0], [0, 1], [1, 1]], dtype=bool)
    looked = np.array([[1, 1], [1, 1], [1, 0], [1, 0]], dtype=bool)
    hits, n = by_kind(flagged, looked, np.array([0, 0, 1, -1]), 2)
    assert hits.tolist() == [[2, 0], [1, 0]]
    assert n.tolist() == [[2, 1], [2, 0]]


def test_rank_correlations_are_those_of_scipy_over_common_banners() -> None:
    rng = np.random.default_rng(4)
    scores = np.round(rng.normal(size=(80, 5)) + rng.normal(size=(80, 1)), 1)
    scores[:30, 3], scores[50:, 4] = NAN, NAN
    found = rank_correlation(scores)
    for i in range(5):
        for j in range(5):
            common = np.isfinite(scores[:, i]) & np.isfinite(scores[:, j])
            assert found[i, j] == pytest.approx(spearmanr(scores[common, i], scores[common, j]).statistic)


def test_what_has_too_little_in_common_is_not_correlated() -> None:
    scores = np.random.default_rng(5).normal(size=(30, 3))
    scores[:25, 1] = NAN
    scores[:, 2] = 1.0
    found = rank_correlation(scores)
    assert found[0, 0] == pytest.approx(1)
    assert np.isnan([found[0, 1], found[1, 1], found[0, 2], found[2, 2]]).all()


def test_shared_flags_by_hand() -> None:
    flagged = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [0, 0, 1]], dtype=bool)
    looked = np.array([[1, 1, 1], [1, 1, 0], [1, 1, 0], [1, 1, 0]], dtype=bool)
    found = same_flags(flagged, looked)
    assert found[0, 1] == found[1, 0] == pytest.approx(1 / 3)
    assert found[0, 2] == 1, "only the first banner was seen by both"
    assert np.diag(found).tolist() == [1, 1, 1]
    assert np.isnan(same_flags(np.zeros((2, 1), dtype=bool), np.ones((2, 1), dtype=bool))).all()
