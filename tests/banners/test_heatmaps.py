"""Heatmaps: bins by hand, coarser cells against a loop, rows that stay together, Arrow lists that come through whole."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix

from core.banners.heatmaps import Heatmaps, bins_of, counts_of_lists
from core.errors import ContractError
from tests.support import naive
from tests.support.banners import cells, drawn, heatmaps


def test_bins_by_hand() -> None:
    # x = 0.025 opens column 1; y = 0.5 opens row 20; 1.0 belongs to the last cell.
    x, y = np.array([0.0, 0.0249, 0.025, 1.0, 0.5]), np.array([0.0, 0.0, 0.5, 1.0, 0.9999])
    assert bins_of(x, y).tolist() == [0, 0, 20 * 40 + 1, 1599, 39 * 40 + 20]


@pytest.mark.parametrize("size", [20, 10, 8, 5, 1])
def test_coarser_cells_hold_the_same_clicks(size: int) -> None:
    X = heatmaps([*drawn(0, [180, 7]), cells(c0=1, c1599=5)])
    coarse = X.coarser(size)
    assert (coarse.n_rows, coarse.n_cols) == (size, size)
    np.testing.assert_array_equal(coarse.counts.toarray(), [naive.coarser(row, size) for row in X.counts.toarray()])
    np.testing.assert_array_equal(coarse.n_clicks, X.n_clicks)


def test_the_same_size_is_the_same_heatmaps_and_a_wrong_one_is_refused() -> None:
    X = heatmaps(drawn(0, [10]))
    assert X.coarser(40) is X
    with pytest.raises(ContractError, match="size=7"):
        X.coarser(7)


def test_rows_stay_together() -> None:
    X = heatmaps(drawn(0, [10, 20, 30]), grid_id=[1, 2, 3], n_products=[4, 5, 6], domain=["a", "b", "c"])
    for at in (np.array([2, 0]), np.array([True, False, True])):
        part = X.take(at)
        assert part.banner_id.tolist() == X.banner_id[at].tolist()
        assert part.grid_id.tolist() == X.grid_id[at].tolist()
        assert part.n_products.tolist() == X.n_products[at].tolist()
        assert part.domain.tolist() == X.domain[at].tolist()
        assert part.n_clicks.tolist() == X.n_clicks[at].tolist()


def test_arrays_that_do_not_fit_are_refused() -> None:
    X = heatmaps(drawn(0, [10, 20]))
    with pytest.raises(ContractError, match=r"lengths are \[1, 2\]"):
        Heatmaps(X.banner_id[:1], X.grid_id, X.n_products, X.domain, X.counts)
    with pytest.raises(ContractError, match="they have 3"):
        Heatmaps(X.banner_id, X.grid_id, X.n_products, X.domain, csr_matrix((2, 3)))


def test_arrow_lists_become_rows() -> None:
    bins = pa.array([[0, 41], [], [1599]], pa.list_(pa.uint16()))
    counts = pa.array([[3, 1], [], [4_000_000_000]], pa.list_(pa.uint32()))
    out = counts_of_lists(bins, counts).toarray()
    np.testing.assert_array_equal(out, [cells(c0=3, c41=1), cells(), cells(c1599=4_000_000_000)])


def test_sliced_and_chunked_lists_become_the_right_rows() -> None:
    lists = pa.array([[5], [6, 7], [8], [9, 10, 11]], pa.list_(pa.uint16()))
    ones = pa.array([[1], [2, 3], [4], [5, 6, 7]], pa.list_(pa.uint32()))
    whole = counts_of_lists(lists, ones).toarray()
    np.testing.assert_array_equal(counts_of_lists(lists[1:3], ones[1:3]).toarray(), whole[1:3])
    chunked = [pa.chunked_array([column[:1], column[1:4]]) for column in (lists, ones)]
    np.testing.assert_array_equal(counts_of_lists(*chunked).toarray(), whole)
