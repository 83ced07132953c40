"""0-shot and 1-shot cuts on cases done by hand."""

import numpy as np
import pytest

from core.calibration import cosine_cuts


def test_a_zero_shot_cut_is_the_quantile_of_the_other_grids() -> None:
    # 101 banners of grid 1 at distances 0.00, 0.01 … 1.00, each broken with probability 0.1: the cut is their 90 % quantile, 0.90
    distance = np.concatenate([np.arange(101) / 100, [5.0, 6.0]])
    grid = np.array([1] * 101 + [2, 2])
    p_broken = np.concatenate([np.full(101, 0.1), [1.0, 1.0]])
    cut = cosine_cuts.zero_shot_cut(distance, grid, p_broken, target=2)
    assert cut is not None
    assert cut.n == 101
    assert cut.share_broken == pytest.approx(0.1)
    assert cut.distance == pytest.approx(0.90)


def test_banners_left_out_count_for_nothing() -> None:
    distance = np.concatenate([np.arange(101) / 100, np.full(50, np.nan), [0.5]])
    grid = np.array([1] * 151 + [2])
    p_broken = np.concatenate([np.full(101, 0.2), np.full(51, 1.0)])
    cut = cosine_cuts.zero_shot_cut(distance, grid, p_broken, target=2)
    assert cut is not None
    assert (cut.n, cut.share_broken, cut.distance) == (101, pytest.approx(0.2), pytest.approx(0.80))


def test_too_few_other_banners_give_no_cut() -> None:
    n = cosine_cuts.LEAST
    distance, p_broken = np.linspace(0, 1, n), np.full(n, 0.1)
    assert cosine_cuts.zero_shot_cut(distance, np.array([1] * (n - 1) + [2]), p_broken, target=2) is None
    assert cosine_cuts.zero_shot_cut(distance, np.ones(n, dtype=np.int64), p_broken, target=2) is not None


def test_a_one_shot_distance_is_one_minus_the_cosine() -> None:
    features = np.array([[1.0, 0.0], [3.0, 0.0], [1.0, 1.0], [0.0, 2.0], [-1.0, 0.0], [0.0, 0.0]])
    assert cosine_cuts.one_shot_distance(features, 0) == pytest.approx([0, 0, 1 - np.sqrt(0.5), 1, 2, 1])


def test_the_known_ok_banner_is_drawn_by_the_seed_in_whatever_order() -> None:
    names = [f"bn-{k}" for k in range(20)]
    assert cosine_cuts.pick_known_ok(names) == cosine_cuts.pick_known_ok(names[::-1])
    assert len({cosine_cuts.pick_known_ok(names, seed) for seed in range(20)}) > 5
    assert cosine_cuts.pick_known_ok([]) is None


def test_quadrants_split_at_the_cuts_and_leave_out_what_is_missing() -> None:
    first = np.array([0.1, 0.5, 0.1, 0.5, np.nan, 0.9])
    second = np.array([0.1, 0.1, 0.4, 0.4, 0.4, np.nan])
    split = cosine_cuts.quadrants(first, second, 0.5, 0.4)
    assert [np.flatnonzero(mask).tolist() for mask in split] == [[0], [1], [2], [3], [4, 5]]
