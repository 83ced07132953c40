"""Classical detectors on cases done by hand; what they share; and the contract's other half, over features."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from core.detectors import make
from core.detectors.dbscan import _knee
from core.errors import ContractError

NAMES = ["one_class_svm", "knn", "kmeans", "dbscan", "isolation_forest", "capstone_vote"]
RNG = np.random.default_rng(0)
BULK = np.concatenate([RNG.normal(0, 1, (150, 6)), RNG.normal(8, 1, (150, 6))]).astype(np.float32)
"""Two clouds of ordinary rows."""
GROUPS = np.zeros(len(BULK), dtype=np.int64)
ODD = (RNG.normal(0, 1, (40, 6)) + np.array([4, -9, 4, 12, 4, -6])).astype(np.float32)
NEW = np.concatenate([RNG.normal(0, 1, (40, 6)), RNG.normal(8, 1, (40, 6))]).astype(np.float32)


STRETCHED = (BULK * np.array([1, 1000, 0.001, 1, 1, 1])).astype(np.float32)


def scaled(X: np.ndarray) -> np.ndarray:
    return (X.astype(np.float64) - BULK.mean(axis=0, dtype=np.float64)) / BULK.std(axis=0, dtype=np.float64)


@pytest.mark.parametrize("name", NAMES)
def test_what_unit_a_column_has_does_not_matter(name: str) -> None:
    new = (NEW * np.array([1, 1000, 0.001, 1, 1, 1])).astype(np.float32)
    groups = np.zeros(len(NEW), dtype=np.int64)
    expected = make(name).fit(BULK, GROUPS).score(NEW, groups)
    assert make(name).fit(STRETCHED, GROUPS).score(new, groups) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_whitened_rows_have_unit_covariance() -> None:
    found = make("kmeans").fit(STRETCHED, GROUPS)
    assert np.cov(found._scaled(STRETCHED).T) == pytest.approx(np.eye(found.directions_.shape[1]), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_rows_outside_of_every_cloud_score_higher(name: str) -> None:
    found = make(name).fit(BULK, GROUPS)
    scores = found.score(np.concatenate([NEW, ODD]), np.zeros(120, dtype=np.int64))
    assert roc_auc_score(np.arange(120) >= 80, scores) > 0.97


@pytest.mark.parametrize("name", NAMES)
def test_another_number_of_features_is_refused(name: str) -> None:
    found = make(name).fit(BULK, GROUPS)
    with pytest.raises(ContractError, match="fitted on 6 features: it got 5"):
        found.score(NEW[:, :5], np.zeros(len(NEW), dtype=np.int64))


def test_knn_is_the_mean_distance_to_the_ten_nearest() -> None:
    expected = np.sort(cdist(scaled(NEW), scaled(BULK)), axis=1)[:, :10].mean(axis=1)
    assert make("knn").fit(BULK, GROUPS).score(NEW, np.zeros(len(NEW), dtype=np.int64)) == pytest.approx(expected)


def test_kmeans_finds_both_clouds_and_measures_from_the_nearer() -> None:
    found = make("kmeans").fit(BULK, GROUPS)
    assert len(found.centres_) == 2
    expected = cdist(found._scaled(NEW), found.centres_).min(axis=1)
    assert found.score(NEW, np.zeros(len(NEW), dtype=np.int64)) == pytest.approx(expected)


def test_a_tiny_cluster_is_no_place_to_be_normal() -> None:
    far = np.concatenate([BULK, ODD[:6] + 40])
    found = make("kmeans").fit(far, np.zeros(len(far), dtype=np.int64))
    scores = found.score(far, np.zeros(len(far), dtype=np.int64))
    assert scores[-6:].min() > scores[:-6].max()


def test_dbscan_is_below_zero_inside_of_a_dense_region() -> None:
    found = make("dbscan").fit(BULK, GROUPS)
    scores = found.score(np.concatenate([BULK, ODD]), np.zeros(len(BULK) + len(ODD), dtype=np.int64))
    assert np.mean(scores[: len(BULK)] <= 0) > 0.8
    assert (scores[len(BULK) :] > 0).all()


def test_dbscan_tells_core_points_apart() -> None:
    found = make("dbscan").fit(BULK, GROUPS)
    expected = np.sort(cdist(found._scaled(BULK), found.core_), axis=1)[:, 1] - found.eps_
    scores = found.score(BULK, GROUPS)
    assert scores == pytest.approx(expected)
    assert len(np.unique(scores)) > 0.5 * len(BULK)  # two that are each other's nearest score alike


def test_the_knee_of_a_bent_line_is_its_bend() -> None:
    assert _knee(np.array([0, 0.1, 0.2, 0.3, 5.0, 10.0])) == 3
    assert _knee(np.array([2.0, 2.0, 2.0])) == 2


def test_the_forest_scores_between_zero_and_one() -> None:
    scores = make("isolation_forest").fit(BULK, GROUPS).score(BULK, GROUPS)
    assert 0 < scores.min() < 0.5 < scores.max() < 1


def test_the_svm_holds_all_but_its_share() -> None:
    scores = make("one_class_svm").fit(BULK, GROUPS).score(BULK, GROUPS)
    assert np.mean(scores > 0) == pytest.approx(0.1, abs=0.06)


def test_the_vote_is_the_mean_of_five_ranks_on_a_normal_scale() -> None:
    vote = make("capstone_vote").fit(BULK, GROUPS)
    new = np.zeros(len(NEW), dtype=np.int64)
    ranks = []
    for name in NAMES[:-1]:
        member = make(name, whiten=True).fit(BULK, GROUPS)
        known = member.score(BULK, GROUPS)
        ranks.append([((known < s).sum() + 0.5) / (len(known) + 1) for s in member.score(NEW, new)])
    assert vote.score(NEW, new) == pytest.approx(np.mean(norm.ppf(ranks), axis=0), abs=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_few_and_equal_rows_are_no_error(name: str) -> None:
    for X in (BULK[:1], BULK[:3], np.ones((20, 4), dtype=np.float32)):
        groups = np.zeros(len(X), dtype=np.int64)
        assert np.isfinite(make(name).fit(X, groups).score(X, groups)).all()


def test_kmeans_takes_rows_of_which_one_lies_far_off() -> None:
    X = np.random.default_rng(0).normal(size=(3000, 4)).astype(np.float32)
    X[0] = 1e4  # a cluster of its own, which a sample of the rows does not hold
    scores = make("kmeans", whiten=False).fit(X, np.zeros(3000, np.int64)).score(X, np.zeros(3000, np.int64))
    assert scores.argmax() == 0
