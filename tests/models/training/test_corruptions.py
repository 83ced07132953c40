"""Corruptions move, remove or replace clicks as they say, banner by banner, and repeat with the seed."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from core.models.training.corruptions import CORRUPTIONS, Clicks, clicks_of, corrupt, counts_of, cut_out, moved, thinned
from tests.support.banners import drawn


@pytest.fixture
def counts() -> csr_matrix:
    return csr_matrix(drawn(0, [200, 80, 300, 40]))


def test_clicks_land_back_in_their_cells(counts: csr_matrix) -> None:
    again = counts_of(clicks_of(counts, np.random.default_rng(0)), counts.shape[0])
    assert (again != counts).nnz == 0


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_corruption_repeats_and_changes_every_banner(name: str, counts: csr_matrix) -> None:
    def run() -> csr_matrix:
        rng = np.random.default_rng(3)
        clicks, other = clicks_of(counts, rng), clicks_of(csr_matrix(drawn(9, [150] * 4)), rng)
        return counts_of(CORRUPTIONS[name](rng, clicks, 4, other), 4)

    first, second = run(), run()
    assert (first != second).nnz == 0
    changed = np.abs((first - counts).toarray()).sum(axis=1)
    assert (changed > 0).all()


def test_a_move_is_the_same_for_all_clicks_of_a_banner() -> None:
    points = np.random.default_rng(1).random((50, 2))
    clicks = Clicks(np.repeat([0, 1], 25), points)
    step = moved(np.random.default_rng(2), clicks, 2, clicks).points - points
    for k in (0, 1):
        np.testing.assert_allclose(step[clicks.banner == k], step[clicks.banner == k][:1].repeat(25, axis=0))
    assert ((np.hypot(*step.T) > 0.049) & (np.hypot(*step.T) < 0.401)).all()


def test_a_cut_out_only_removes(counts: csr_matrix) -> None:
    rng = np.random.default_rng(4)
    left = counts_of(cut_out(rng, clicks_of(counts, rng), 4, clicks_of(counts, rng)), 4)
    assert ((counts - left).toarray() >= 0).all()
    assert left.sum() < counts.sum()


def test_corrupt_uses_only_the_names_it_is_given(counts: csr_matrix) -> None:
    rng = np.random.default_rng(5)
    clicks = clicks_of(counts, rng)
    left = counts_of(corrupt(rng, clicks, 4, clicks, ("cut", "cut_out")), 4)
    assert ((counts - left).toarray() >= 0).all()  # both only remove; any other would add


def test_thinning_reaches_its_target_on_average() -> None:
    counts = csr_matrix(drawn(6, [400] * 200))
    left = np.asarray(thinned(np.random.default_rng(7), counts, np.full(200, 100.0)).sum(axis=1)).ravel()
    assert left.mean() == pytest.approx(100, abs=3)
    assert (left < 400).all()
