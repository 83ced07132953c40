"""References: proper distributions, hardly moved by broken banners, refined only where there is a difference."""

import numpy as np
import pytest

from core.banners.fitting import fit_reference, smoothed
from core.banners.reference import folds, joined
from core.errors import ContractError
from tests.support.banners import cells, drawn, heatmaps, layout, mirrored, sizes


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Total variation, 0..1."""
    return float(np.abs(a - b).sum() / 2)


def test_references_are_distributions_without_impossible_cells() -> None:
    counts = np.concatenate([drawn(0, sizes(0, 80)), drawn(1, sizes(1, 80), layout(14))])
    reference = fit_reference(heatmaps(counts, grid_id=np.repeat([7, 9], 80)))
    assert [g.grid_id for g in reference.groups if g.n_products is None] == [7, 9]
    np.testing.assert_allclose(reference.p.sum(axis=1), 1)
    assert (reference.p > 0).all()
    assert reference.groups[0].n_banners == 80
    assert reference.groups[0].n_clicks == counts[:80].sum()


def test_a_reference_comes_close_to_the_truth() -> None:
    p = fit_reference(heatmaps(drawn(0, sizes(0, 300)))).p[0]
    assert distance(p, layout()) < 0.05


def test_broken_banners_hardly_move_it() -> None:
    clean = drawn(0, sizes(0, 200))
    broken = clean.copy()
    broken[:16] = mirrored(clean[:16])
    broken[8:16] = 0
    broken[8:16, 820] = clean[8:16].sum(axis=1)
    moved = distance(fit_reference(heatmaps(clean)).p[0], fit_reference(heatmaps(broken)).p[0])
    naive = distance(clean.sum(axis=0) / clean.sum(), broken.sum(axis=0) / broken.sum())
    assert moved < 0.02
    assert moved < naive / 2


def test_one_huge_banner_does_not_become_the_reference() -> None:
    counts = drawn(0, sizes(0, 100))
    counts[3] = mirrored(drawn(5, [1_000_000]))[0]
    assert distance(fit_reference(heatmaps(counts)).p[0], layout()) < 0.08


def test_a_small_grid_leaves_a_gross_outlier_out_and_nobody_else() -> None:
    counts = drawn(0, np.full(20, 200))
    clean = fit_reference(heatmaps(counts)).p[0]
    counts[4] = cells(c820=200)
    assert fit_reference(heatmaps(counts)).p[0][820] < clean[820] + 0.01


def test_groups_without_a_difference_share_one_reference() -> None:
    counts = drawn(2, sizes(2, 120))
    X = heatmaps(counts, n_products=np.tile([1, 2], 60), domain=list("abcd") * 30)
    reference = fit_reference(X)
    assert [(g.n_products, g.domain) for g in reference.groups] == [(None, None)]
    assert (reference.group_rows(X) == 0).all()


def test_groups_with_a_difference_get_their_own() -> None:
    counts = np.concatenate([drawn(2, sizes(2, 60)), drawn(3, sizes(3, 60), layout(14))])
    X = heatmaps(counts, n_products=np.repeat([1, 2], 60))
    reference = fit_reference(X)
    rows = {g.n_products: k for k, g in enumerate(reference.groups)}
    assert set(rows) == {None, 1, 2}
    assert distance(reference.p[rows[1]], layout()) < 0.1
    assert distance(reference.p[rows[2]], layout(14)) < 0.1
    assert (reference.group_rows(X) == np.repeat([rows[1], rows[2]], 60)).all()


def test_domains_with_a_difference_get_their_own() -> None:
    counts = np.concatenate([drawn(2, sizes(2, 60)), drawn(3, sizes(3, 60), layout(10))])
    X = heatmaps(counts, n_products=3, domain=["a"] * 60 + ["b"] * 60)
    domains = {g.domain for g in fit_reference(X).groups}
    assert domains in ({None, "a", "b"}, {None})
    counts = np.concatenate([counts, drawn(4, sizes(4, 80), layout(4))])
    X = heatmaps(counts, n_products=[3] * 120 + [4] * 80, domain=["a"] * 60 + ["b"] * 60 + ["a"] * 80)
    assert {g.domain for g in fit_reference(X).groups if g.n_products == 3} == {None, "a", "b"}


def test_a_group_that_was_not_fitted_falls_back_to_the_wider_one() -> None:
    reference = fit_reference(heatmaps(drawn(2, sizes(2, 30))))
    assert reference.group_rows(heatmaps([cells(c1=1)], n_products=6, domain="new.example"))[0] == 0
    with pytest.raises(ContractError, match="grid 2"):
        reference.group_rows(heatmaps([cells(c1=1)], grid_id=2))


@pytest.mark.parametrize("counts", [cells(c5=1), cells(c5=100, c900=3), cells()])
def test_a_single_banner_has_a_reference(counts: np.ndarray) -> None:
    p = fit_reference(heatmaps([counts])).p
    assert p.shape == (1, 1600)
    assert p.sum() == pytest.approx(1)
    assert (p > 0).all()
    assert p[0, 5] >= p[0, 1599]


def test_no_banner_has_none() -> None:
    with pytest.raises(ContractError, match="at least one banner, got 0"):
        fit_reference(heatmaps(np.zeros((0, 1600))))


def test_the_order_of_the_rows_changes_nothing_once_they_are_sorted() -> None:
    X = heatmaps(drawn(2, sizes(2, 90)), n_products=np.tile([1, 2, 3], 30))
    shuffled = X.take(np.random.default_rng(0).permutation(90))
    again = shuffled.take(np.argsort(shuffled.banner_id))
    np.testing.assert_array_equal(fit_reference(X).p, fit_reference(again).p)


def test_one_grid_of_many() -> None:
    counts = drawn(0, sizes(0, 60))
    reference = fit_reference(heatmaps(counts, grid_id=np.repeat([4, 5, 6], 20)))
    own, ids = reference.of_grid(5)
    assert [g.grid_id for g in own.groups] == [5]
    np.testing.assert_array_equal(own.p[: len(ids)], reference.p[ids])


def test_smoothing_spreads_but_keeps_the_middle() -> None:
    one = smoothed(cells(c820=10), 1.2)
    assert one.sum() == pytest.approx(1)
    assert one.argmax() == 820
    assert one[821] == pytest.approx(one[819]) == pytest.approx(one[860])
    np.testing.assert_allclose(smoothed(cells(c820=10), 0.0)[[820, 0]], [0.99 + 0.01 / 1600, 0.01 / 1600])


def test_a_banner_is_not_compared_with_its_own_clicks() -> None:
    counts = drawn(4, np.full(30, 100))
    counts[3] = cells(c820=100)
    X = heatmaps(counts)
    reference = fit_reference(X)
    rows = reference.rows(X)
    assert len(np.unique(rows)) == 5
    assert (rows >= len(reference.groups)).all()
    assert reference.group_of(int(rows[3])) == reference.groups[0]
    without = fit_reference(X.take(np.flatnonzero(folds(X.banner_id) != folds(X.banner_id)[3])))
    assert reference.p[rows[3], 820] < without.p[0, 820] + 1e-4


def test_the_row_of_a_banner_depends_on_its_id_alone() -> None:
    X = heatmaps(drawn(4, np.full(60, 100)))
    reference = fit_reference(X)
    some = np.array([41, 3, 17])
    np.testing.assert_array_equal(reference.rows(X.take(some)), reference.rows(X)[some])


def test_large_groups_have_one_row() -> None:
    X = heatmaps(drawn(4, np.full(500, 40)))
    reference = fit_reference(X)
    assert not reference.folded
    assert (reference.rows(X) == 0).all()


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
@pytest.mark.parametrize("n", [100, 600])
def test_a_fault_that_many_share_does_not_become_what_is_expected(share: float, n: int) -> None:
    p = layout(3) + 0.3 * mirrored(layout(3)[None])[0]  # some clicks lie on the other side in good banners as well
    clean = drawn(6, sizes(6, n), p / p.sum())
    broken = clean.copy()
    broken[: int(share * n)] = mirrored(clean[: int(share * n)])
    truth = fit_reference(heatmaps(clean)).p[0]
    assert distance(fit_reference(heatmaps(broken)).p[0], truth) < 0.15 * distance(truth, mirrored(truth[None])[0])


def test_references_of_parts_are_those_of_all() -> None:
    counts = drawn(7, np.full(90, 120))
    X = heatmaps(counts, grid_id=np.repeat([4, 5, 6], 30))
    whole = fit_reference(X)
    parts = joined([fit_reference(X.take(np.flatnonzero(X.grid_id == g))) for g in (4, 5, 6)])
    assert parts.groups == whole.groups
    np.testing.assert_array_equal(parts.p, whole.p)
    np.testing.assert_array_equal(parts.rows(X), whole.rows(X))
    own, ids = whole.of_grid(5)
    inside = X.take(np.flatnonzero(X.grid_id == 5))
    np.testing.assert_array_equal(own.p[own.rows(inside)], whole.p[whole.rows(inside)])
    np.testing.assert_array_equal(ids[own.group_rows(inside)], whole.group_rows(inside))
