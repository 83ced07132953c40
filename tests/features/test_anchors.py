"""Anchors by hand, against broken banners among the good ones, and the detector that reads them."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from core.detectors import make
from core.detectors.cosine import Cosine
from core.errors import ContractError
from core.features.anchors import BLOCK, Anchors, centre_of, labelled_anchor, random_anchor, robust_anchors, unit

ZERO = np.zeros(2)


def around(direction: NDArray[Any], n: int, spread: float, seed: int) -> NDArray[np.float32]:
    """n features near a direction, of very different lengths."""
    rng = np.random.default_rng(seed)
    length = rng.lognormal(0, 1, (n, 1))
    return (length * (direction + spread * rng.normal(size=(n, len(direction))))).astype(np.float32)


def test_similarity_by_hand() -> None:
    anchors = Anchors(np.array([[1.0, 0.0], [0.0, 1.0]]), ZERO)
    seen = anchors.similarity(np.array([[2.0, 0.0], [3.0, 4.0], [-1.0, 0.0], [0.0, 0.0]], dtype=np.float32))
    np.testing.assert_allclose(seen, [1, 0.8, 0, 0])
    moved = Anchors(np.array([[1.0, 0.0]]), np.array([0.0, 5.0]))
    np.testing.assert_allclose(moved.similarity(np.array([[2.0, 5.0], [0.0, 7.0]])), [1, 0])


def test_a_loud_banner_has_no_more_say_than_a_quiet_one() -> None:
    features = np.array([[1000.0, 0.0], [0.0, 0.001]], dtype=np.float32)
    found = labelled_anchor(features, np.array([True, True]), ZERO, seed=0)
    np.testing.assert_allclose(found.directions, [[np.sqrt(0.5), np.sqrt(0.5)]], rtol=1e-6)


def test_labelled_and_random_anchors_follow_their_seed() -> None:
    features = around(np.eye(8)[0], 20, 0.5, 0)
    zero = np.zeros(8)
    ok = np.arange(20) < 6
    one, same, other = (labelled_anchor(features, ok, zero, seed=s).directions for s in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()
    among = [labelled_anchor(features, ok, zero, seed=s, k=1).directions[0] for s in range(20)]
    assert all(np.isclose(unit(features[:6]), a).all(axis=1).any() for a in among)
    picked = random_anchor(features, zero, seed=3, n_anchors=4).directions
    assert len({tuple(row) for row in picked}) == 4
    with pytest.raises(ContractError, match="at least 7 banners: there are 6"):
        labelled_anchor(features, ok, zero, seed=0, k=7)
    with pytest.raises(ContractError, match=": there are 0"):
        robust_anchors(features[:0], zero)


def test_a_robust_anchor_shrugs_off_the_broken_ones() -> None:
    true = np.eye(30)[0]
    good, bad = around(true, 170, 0.1, 1), around(np.eye(30)[1], 30, 0.05, 2)
    both = np.concatenate([good, bad])
    plain = unit(unit(both).mean(axis=0, keepdims=True))[0]
    robust = robust_anchors(both, np.zeros(30)).directions[0]
    assert robust @ true > 0.998 > 0.99 > plain @ true


def test_there_are_as_many_anchors_as_kinds_of_banners() -> None:
    zero = np.zeros(30)
    kinds = [around(np.eye(30)[k], 100, 0.08, k) for k in range(3)]
    assert len(robust_anchors(kinds[0], zero, max_anchors=3).directions) == 1
    assert len(robust_anchors(np.concatenate(kinds[:2]), zero, max_anchors=3).directions) == 2
    three = np.concatenate([*kinds, around(np.eye(30)[7], 15, 0.05, 9)])
    found = robust_anchors(three, zero, max_anchors=4)
    assert len(found.directions) == 3
    broken = np.arange(len(three)) >= 300
    assert roc_auc_score(broken, -found.similarity(three)) == 1
    np.testing.assert_array_equal(found.directions, robust_anchors(three, zero, max_anchors=4).directions)


def test_centring_takes_off_what_all_groups_share() -> None:
    rng = np.random.default_rng(0)
    shared = 10 * np.ones(40)
    groups = np.repeat([0, 1], 100)
    features = (shared + np.eye(40)[groups] * 3 + 0.3 * rng.normal(size=(200, 40))).astype(np.float32)
    mean = centre_of(features, groups)
    np.testing.assert_allclose(mean, shared + np.eye(40)[:2].sum(axis=0) * 1.5, atol=0.15)
    assert (centre_of(features, np.zeros(200, dtype=int)) == 0).all()
    swapped = 1 - groups
    plain = Cosine().fit(features, groups).score(features, swapped)
    centred = Cosine(centred=True).fit(features, groups).score(features, swapped)
    assert plain.max() < 0.2 < 1 < centred.min()


def test_similarity_is_the_same_in_blocks() -> None:
    features = around(np.eye(5)[0], BLOCK + 3, 0.5, 0)
    anchors = robust_anchors(features[:100], np.zeros(5))
    np.testing.assert_allclose(anchors.similarity(features)[-5:], anchors.similarity(features[-5:]))


@pytest.mark.parametrize("anchor", ["robust", "random", "labelled"])
def test_the_detector_scores_one_minus_the_cosine(anchor: str) -> None:
    good, bad = around(np.eye(20)[0], 90, 0.05, 1), around(np.eye(20)[1], 10, 0.05, 2)
    X, groups = np.concatenate([good, bad]), np.zeros(100, dtype=np.int64)
    usable = np.arange(100) < 90
    scores = make("cosine_resnet50", anchor=anchor, usable=usable).fit(X, groups).score(X, groups)
    assert ((scores >= 0) & (scores <= 2)).all()
    assert roc_auc_score(~usable, scores) == 1
    detector = Cosine(anchor=anchor, usable=usable).fit(X, groups)  # type: ignore[arg-type]
    np.testing.assert_allclose(scores, 1 - (unit(X) @ detector.anchors_[0].directions.T).max(axis=1))


def test_a_group_never_seen_is_held_against_all_anchors() -> None:
    X = np.concatenate([around(np.eye(20)[k], 50, 0.05, k) for k in range(3)])
    groups = np.repeat([0, 1, 2], 50)
    detector = Cosine().fit(X, groups)
    new = np.full(150, 7)
    each = np.stack([detector.score(X, np.full(150, k)) for k in range(3)])
    np.testing.assert_allclose(detector.score(X, new), each.min(axis=0))
    with pytest.raises(ContractError, match="fitted on 20 features: it got 19"):
        detector.score(X[:, :19].copy(), groups)
    with pytest.raises(ContractError, match=": it has 3 for 150"):
        Cosine(usable=np.ones(3, dtype=bool)).fit(X, groups)
