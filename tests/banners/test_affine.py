"""Moves of all templates at once say the same as one operator each."""

import numpy as np
import pytest

from core.banners import affine
from core.settings import N_BINS


def test_sources_and_weights_are_the_operators() -> None:
    moves = affine.moves()
    p = np.random.default_rng(0).dirichlet(np.full(N_BINS, 0.1))
    padded = np.append(p, 0)
    mixed = np.einsum("tfk,tfk->tk", padded[moves.sources], moves.weights)
    found = np.concatenate([padded[moves.source], mixed], axis=1)
    assert found.shape[1] == len(moves.details) == len(moves.names)
    for k, detail in enumerate(moves.details):
        np.testing.assert_allclose(found[:, k], affine.operator(detail) @ p, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(moves.inside @ p, found.sum(axis=0), rtol=1e-4)


def test_only_shifts_take_every_cell_from_one_other() -> None:
    moves = affine.moves()
    n = moves.source.shape[1]
    assert set(moves.names[:n]) == {"shifted"}
    assert set(moves.names[n:]) == {"scaled", "mirrored"}


@pytest.mark.parametrize(("detail", "row", "col"), [({"dx": 0.05, "dy": -0.05}, 8, 22), ({"flip": "x"}, 10, 19)])
def test_a_move_by_hand(detail: dict[str, float], row: int, col: int) -> None:
    p = np.zeros((40, 40))
    p[10, 20] = 1
    moved = (affine.operator(detail) @ p.ravel()).reshape(40, 40)
    assert moved[row, col] == pytest.approx(1)


def test_making_the_moves_leaves_the_operators_as_they_are() -> None:
    details = affine.moves().details
    affine._operator_of.cache_clear()
    before = [affine.operator(detail).nnz for detail in details]
    affine.moves.cache_clear()
    affine.moves()
    assert [affine.operator(detail).nnz for detail in details] == before
