"""Who gets a slow look, and what it may change."""

import numpy as np
import pytest

from core.scoring.judging import CONTROL_SHARE, PER_LAYOUT, About, candidates, control_sample, judge
from core.statistics.combine import take_in


def test_every_layout_has_a_control_sample_and_large_ones_their_share() -> None:
    grid_id = np.repeat([1, 2, 3], [1000, 5, 40])
    n_products = np.where(np.arange(1045) % 2, 3, 4).astype(np.int16)
    control = control_sample(grid_id, n_products, seed=0)
    for g in (1, 2, 3):
        for k in (3, 4):
            own = (grid_id == g) & (n_products == k)
            assert control[own].sum() == min(own.sum(), max(PER_LAYOUT, np.ceil(CONTROL_SHARE * own.sum())))
    np.testing.assert_array_equal(control, control_sample(grid_id, n_products, seed=0))
    assert (control != control_sample(grid_id, n_products, seed=1)).any()


def test_too_many_layouts_get_some_of_each_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.scoring.judging.MOST", 100)
    grid_id = np.repeat(np.arange(40), 30)
    control = control_sample(grid_id, np.ones(1200, dtype=np.int16), seed=0)
    assert control.sum() == 50
    assert set(np.bincount(grid_id[control])) == {1, 2}


def scores(n: int, broken: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shared = rng.normal(size=n) + 8 * (np.arange(n) < broken)
    return {name: shared + 0.5 * rng.normal(size=n) for name in ("multinomial_10", "likelihood_ratio", "cosine_efficientnet_lite0")}


def columns(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.repeat([1, 2], n // 2), np.full(n, 100.0), np.full(n, np.inf)


def test_candidates_are_the_control_sample_and_the_strongest() -> None:
    n = 1000
    found = scores(n, 40)
    quick = {name: s for name, s in found.items() if name != "cosine_efficientnet_lite0"}
    judged = judge(quick, About(*columns(n)), fdr=0.1)
    control = control_sample(columns(n)[0], np.ones(n, dtype=np.int16), seed=0)
    looked = candidates(judged, columns(n)[0], control)
    assert looked[control].all()
    assert looked[:40].mean() > 0.95
    assert looked.mean() < 0.25


def test_who_was_left_out_is_neither_helped_nor_harmed() -> None:
    n = 1000
    found = scores(n, 40)
    quick = {name: s for name, s in found.items() if name != "cosine_efficientnet_lite0"}
    before = judge(quick, About(*columns(n)), fdr=0.1)
    control = control_sample(columns(n)[0], np.ones(n, dtype=np.int16), seed=0)
    looked = candidates(before, columns(n)[0], control)
    deep = np.where(looked, found["cosine_efficientnet_lite0"], np.nan)
    after = judge({**quick, "cosine_efficientnet_lite0": deep}, About(*columns(n)), fdr=0.1, control=control)
    np.testing.assert_array_equal(after.combined[~looked], before.combined[~looked])
    assert (after.combined[looked] != before.combined[looked]).any()
    assert (after.n_looked == np.where(looked, 3, 2)).all()
    assert np.isnan(after.normalised["cosine_efficientnet_lite0"][~looked]).all()
    assert after.flagged[:40].mean() > 0.9


def test_what_is_only_said_again_moves_nobody() -> None:
    rng = np.random.default_rng(1)
    combined = rng.normal(size=2000)
    moved, _ = take_in(combined, 0.7 * combined + 0.3, np.ones(2000, dtype=bool), np.full(2000, 0.05))
    inner = np.abs(combined) < 2.5
    np.testing.assert_allclose(moved[inner], combined[inner], atol=0.02)


def test_nothing_is_taken_in_where_nobody_vouches() -> None:
    combined = np.arange(5.0)
    moved, weight = take_in(combined, np.full(5, np.nan), np.ones(5, dtype=bool), np.zeros(5))
    assert weight == 0
    np.testing.assert_array_equal(moved, combined)
