"""The one cell that takes far more clicks than expected, and how a reason names it."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from core.banners.hot_cells import LEAST_NATS, hottest, sentence


def counts(*rows: dict[int, int]) -> csr_matrix:
    dense = np.zeros((len(rows), 1600), dtype=np.float32)
    for i, cells in enumerate(rows):
        for cell, n in cells.items():
            dense[i, cell] = n
    return csr_matrix(dense)


def expected(corner: float) -> np.ndarray:
    p = np.full((1, 1600), (1 - corner) / 1599)
    p[0, 0] = corner
    return p


def one_row(spot: int, n: int, of: int) -> csr_matrix:
    """`of` clicks, n of them in the spot, the others in cells of their own."""
    return counts({spot: n} | {cell: 1 for cell in range(100, 1600, 7) if cell != spot and (cell - 100) // 7 < of - n})


def test_a_cell_is_named_by_hand() -> None:
    found = hottest(one_row(0, 55, 100), expected(0.12), np.zeros(1, dtype=np.int64))[0]
    assert (found.row, found.col, found.share) == (0, 0, pytest.approx(0.55))
    assert found.nats == pytest.approx(100 * (0.55 * np.log(0.55 / 0.12) + 0.45 * np.log(0.45 / 0.88)), rel=1e-5)
    assert sentence(found) == "55 % of its clicks lie in one cell in the top left corner (0, 0), where 12 % are expected."


@pytest.mark.parametrize(
    ("cell", "where"),
    [
        (0, "in the top left corner (0, 0)"),
        (39, "in the top right corner (0, 39)"),
        (1560, "in the bottom left corner (39, 0)"),
        (1599, "in the bottom right corner (39, 39)"),
        (20, "on the top edge (0, 20)"),
        (40 * 20 + 39, "on the right edge (20, 39)"),
        (40 * 20 + 20, "in the centre (20, 20)"),
        (40 * 5 + 5, "at the top left (5, 5)"),
        (40 * 30 + 20, "at the bottom (30, 20)"),
    ],
)
def test_every_place_has_its_words(cell: int, where: str) -> None:
    found = hottest(one_row(cell, 60, 90), expected(1 / 1600), np.zeros(1, dtype=np.int64))[0]
    assert where in sentence(found)
    assert "where less than 1 % are expected" in sentence(found)


def test_what_is_expected_or_chance_is_not_named() -> None:
    same = np.zeros(1, dtype=np.int64)
    assert not hottest(one_row(0, 12, 100), expected(0.12), same), "as expected"
    assert not hottest(counts({3: 2, 4: 1}), expected(0.12), same), "three clicks say nothing"
    assert not hottest(counts({}), expected(0.12), same), "no click"
    rng = np.random.default_rng(0)
    drawn = csr_matrix(rng.multinomial(400, expected(0.12)[0], size=300).astype(np.float32))
    assert not hottest(drawn, expected(0.12), np.zeros(300, dtype=np.int64))
    assert np.log(1600) < LEAST_NATS
