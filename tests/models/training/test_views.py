"""The contrastive loss by hand, and what views of banners keep and what they do not."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

from core.errors import InputError
from core.features.networks.contrastive_loss import nt_xent
from core.models.training.banner_pools import Pool, synthetic_pool
from core.models.training.corruptions import Clicks
from core.models.training.simclr import anchors_of
from core.models.training.views import ContrastPlan, corrupted, disturbed, make_views, of_some_layouts


@pytest.fixture(scope="module")
def pool() -> Pool:
    return synthetic_pool(5, n_grids=6, n_banners=80)


def test_nt_xent_of_two_pairs_by_hand() -> None:
    first, second = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    h = np.sqrt(0.5)
    # z: a = (1, 0), b = (0, 1), a' = (1, 0), b' = (h, h); pairs a a' and b b'; temperature 1/2
    a = -np.log(np.exp(2) / (np.exp(2) + 1 + np.exp(2 * h)))
    b = -np.log(np.exp(2 * h) / (np.exp(2 * h) + 1 + 1))
    a2 = a
    b2 = -np.log(np.exp(2 * h) / (np.exp(2 * h) + np.exp(2 * h) + np.exp(2 * h)))
    none = torch.empty(0, 2)
    assert nt_xent(first, second, none, 0.5).item() == pytest.approx((a + b + a2 + b2) / 4, rel=1e-5)


def test_nt_xent_counts_other_negatives_and_leaves_out_what_is_alike() -> None:
    first, second, other = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.0, 3.0]])
    alike = torch.ones(2, 2, dtype=torch.bool)
    a, b = -np.log(np.e / (np.e + 1)), -np.log(np.e / (np.e + np.e))
    assert nt_xent(first, second, other, 1.0, alike).item() == pytest.approx((a + b) / 2, rel=1e-5)


def test_nt_xent_leaves_out_what_is_none_of_a_pairs_business() -> None:
    first, second, others = (
        torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
        torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
        torch.tensor([[0.0, 3.0], [2.0, 0.0]]),
    )
    alike, apart = torch.ones(2, 2, dtype=torch.bool), torch.tensor([[False, True], [True, True]])
    expected = (-2 * np.log(np.e / (np.e + 1)) + 0) / 4
    assert nt_xent(first, second, others, 1.0, alike, apart).item() == pytest.approx(expected, rel=1e-5)


def test_nt_xent_of_unrelated_directions_is_the_logarithm_of_their_number() -> None:
    z = torch.nn.functional.normalize(torch.randn(2, 256, 4096, generator=torch.Generator().manual_seed(0)), dim=2)
    assert nt_xent(z[0], z[1], torch.empty(0, 4096), 1.0).item() == pytest.approx(np.log(511), abs=0.01)


def test_views_give_nothing_away_by_their_number_of_clicks(pool: Pool) -> None:
    sizes: list[list[float]] = [[], []]
    for step in range(8):
        views = make_views(np.random.default_rng(step), pool, ContrastPlan(steps=1, batch=64))
        for kind, counts in enumerate((views.banners, views.corrupted[0])):
            sizes[kind].extend(np.asarray(counts.sum(axis=1)).ravel().tolist())
    broken = np.repeat([0, 1], [len(sizes[0]), len(sizes[1])])
    assert abs(roc_auc_score(broken, np.concatenate(sizes)) - 0.5) < 0.06
    assert min(map(min, sizes)) >= 1


def test_nobody_in_a_batch_is_alone_in_its_layout(pool: Pool) -> None:
    at = of_some_layouts(np.random.default_rng(1), pool.rows, 48, 6)
    _, size = np.unique(pool.rows[at], return_counts=True)
    assert 48 <= len(at) < 48 + 6
    assert len(np.unique(at)) == len(at)
    assert size.min() >= 2
    assert size.max() == 6
    few = np.array([0, 0, 1, 2, 2, 2])
    np.testing.assert_array_equal(np.sort(of_some_layouts(np.random.default_rng(0), few, 48, 6)), [0, 1, 3, 4, 5])
    with pytest.raises(InputError, match="each of 3 is alone"):
        of_some_layouts(np.random.default_rng(0), np.arange(3), 48, 6)


def test_an_anchor_is_the_mean_direction_of_the_others_of_a_layout() -> None:
    z = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 5.0], [-1.0, 0.0]])
    found = anchors_of(z, torch.tensor([7, 7, 7, 2, 2]))
    expected = [[0.5, 0.5], [1.0, 0.0], [0.5, 0.5], [-1.0, 0.0], [0.0, 1.0]]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_a_view_moves_clicks_by_less_than_the_smallest_fault() -> None:
    rng = np.random.default_rng(0)
    banner = np.repeat(np.arange(200), 100)
    clicks = Clicks(banner, np.full((len(banner), 2), 0.5) + rng.normal(0, 0.1, (len(banner), 2)).clip(-0.3, 0.3))
    seen = disturbed(rng, clicks, 200)
    far = np.linalg.norm(seen.points - clicks.points, axis=1)
    assert 0.004 < np.median(far) < 0.02
    assert np.quantile(far, 0.9) < 0.03  # the smallest shift that is a fault is 0.06
    stray = np.bincount(banner, far > 0.06, 200) / 100
    assert stray.max() < 0.15
    assert 0.01 < stray.mean() < 0.05
    assert ((seen.points >= 0) & (seen.points <= 1)).all()


def test_corrupted_copies_are_farther_from_what_is_expected(pool: Pool) -> None:
    at = np.arange(0, len(pool.rows), 2)
    bad = corrupted(np.random.default_rng(0), pool, at, ("moved", "turned", "scattered"))
    expected = np.log(pool.expected[pool.rows[at]])

    def likelihood(counts: csr_matrix) -> np.ndarray:
        return np.asarray(counts.multiply(expected).sum(axis=1)).ravel() / np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1)

    assert (likelihood(bad) < likelihood(pool.counts[at])).mean() > 0.95
