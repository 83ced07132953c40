"""Pretext tasks: what moves do to an image, the Dirichlet distribution, both scores by hand and their signs."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import digamma
from torch import nn

from core.detectors import make
from core.detectors.csi import redrawn
from core.detectors.dirichlet import fit_dirichlet, inverse_digamma
from core.detectors.geom import normality
from core.detectors.moved import moved
from core.detectors.networks.moves import MOVES, Move, different, edges, raised
from core.errors import ContractError
from tests.support.banners import drawn, layout, sizes

CORNER = torch.zeros(1, 1, 5, 5)
CORNER[0, 0, 0, 1] = 1.0


def where(x: torch.Tensor) -> list[list[int]]:
    return x[0, 0].nonzero().tolist()


def pictures(seed: int, n: int, p: Any = None) -> Any:
    counts = drawn(seed, sizes(seed, n), p)
    return np.sqrt(counts / counts.sum(axis=1, keepdims=True)).astype(np.float32).reshape(-1, 1, 40, 40)


def zeros(n: int) -> Any:
    return np.zeros(n, dtype=np.int64)


def test_moves_by_hand() -> None:
    assert where(Move()(CORNER)) == [[0, 1]]
    assert where(Move(mirrored=True)(CORNER)) == [[0, 3]]
    assert where(Move(quarters=1)(CORNER)) == [[3, 0]]
    assert where(Move(quarters=2)(CORNER)) == [[4, 3]]
    assert where(Move(mirrored=True, quarters=1)(CORNER)) == [[1, 0]]
    assert where(Move(down=0.2)(CORNER)) == [[1, 1]]
    assert where(Move(right=0.4)(CORNER)) == [[0, 3]]
    assert where(Move(right=-0.2)(CORNER)) == [[0, 0]]
    assert where(Move(down=-0.2)(CORNER)) == []  # it went over the edge, and nothing comes in for it
    assert where(Move(right=-0.4)(CORNER)) == []


def test_another_scale_of_counts_keeps_the_length() -> None:
    x = torch.tensor([[[[3.0, 4.0]]]])
    assert raised(x, 2.0).flatten().tolist() == pytest.approx([9 * 5 / np.hypot(9, 16), 16 * 5 / np.hypot(9, 16)])
    assert raised(torch.zeros(1, 1, 2, 2), 0.5).abs().max() == 0


def test_moves_that_change_nothing_are_left_out() -> None:
    moves = MOVES["moves"]
    assert different(moves, torch.from_numpy(layout().reshape(1, 1, 40, 40)), 0.97) == list(range(12))
    symmetric = torch.zeros(1, 1, 40, 40)
    symmetric[..., 4:16, 10:30] = 1
    assert different(moves, symmetric, 0.97) == [0, 1, 2, 3, 8, 9, 10, 11]  # mirrored it is the same
    ring = torch.zeros(1, 1, 40, 40)
    ring[..., 10:30, 10:30] = 1
    assert different(moves, ring, 0.97) == [0, 8, 9, 10, 11]
    assert different(MOVES["rotation"], ring, 0.97) == [0, 1, 2, 3]  # nothing to tell; all or none
    assert different(moves, torch.zeros(2, 1, 40, 40), 0.97) == list(range(12))


def test_only_the_image_moves_and_not_the_mean_that_it_is_held_against() -> None:
    seen = moved(torch.cat([CORNER, 2 * CORNER], dim=1), Move(mirrored=True))
    assert seen.shape == (1, 1, 5, 5)
    assert seen[0, 0, 0].tolist() == [0, -2, 0, 1, 0]


def test_edges_by_hand() -> None:
    step = torch.zeros(1, 2, 4, 4)
    step[0, 0, :, 2:] = 1.0
    found = edges(step)
    # Sobel across a step of 1 is 1 + 2 + 1 = 4, over 8; along it 0
    np.testing.assert_allclose(found[0, 0].numpy(), [[0, 0.5, 0.5, 0]] * 4, atol=1e-5)
    assert found[0, 1].max() < 1e-5
    assert edges(torch.full((1, 1, 4, 4), 7.0)).max() < 1e-5  # the border is no edge


def test_digamma_is_inverted() -> None:
    x = np.array([1e-4, 0.03, 0.5, 1.0, 7.0, 900.0])
    np.testing.assert_allclose(inverse_digamma(digamma(x)), x, rtol=1e-10)


@pytest.mark.parametrize("alpha", [[2.0, 5.0, 0.7], [40.0, 0.3, 0.3, 1.0], [1.0, 1.0]])
def test_a_dirichlet_distribution_is_found_again(alpha: list[float]) -> None:
    exact = digamma(np.array(alpha)) - digamma(sum(alpha))  # E log p
    np.testing.assert_allclose(fit_dirichlet(exact), alpha, rtol=2e-3)
    samples = np.random.default_rng(0).dirichlet(alpha, 20_000)
    np.testing.assert_allclose(fit_dirichlet(np.log(np.maximum(samples, 1e-300)).mean(axis=0)), alpha, rtol=0.05)


def test_normality_by_hand() -> None:
    p = torch.tensor([[[0.9, 0.1], [0.5, 0.5]], [[0.2, 0.8], [0.5, 0.5]]], dtype=torch.float64)  # (move, image, answer)
    alpha = np.array([[3.0, 1.0], [1.0, 5.0]])
    sure = (2 * np.log(0.9) + 4 * np.log(0.8)) / 2
    torn = (2 * np.log(0.5) + 4 * np.log(0.5)) / 2
    assert normality(p.log(), alpha).tolist() == pytest.approx([sure, torn])
    assert normality(p.log(), None).tolist() == pytest.approx([0.85, 0.5])


class Says(nn.Module):
    """A network that answers the pixels of the first channel's first row."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 0, 0]


@pytest.mark.parametrize("simple", [False, True])
def test_who_is_told_how_it_was_turned_is_less_anomalous(simple: bool) -> None:
    """The published score is a normality, and so is the mean probability of what was done: both are highest where nothing is wrong."""
    geom = make("geom_rotation", simple=simple)
    geom.kept_, geom.alpha_ = np.array([0, 2]), np.array([[9.0, 1.0], [1.0, 9.0]])
    known, unknown = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    known[0, 0] = torch.tensor([[4.0, 0.0], [4.0, 0.0]])  # upright says "as it is"; turned by half, its first row is 0, 4: "turned"
    unknown[0, 0] = torch.tensor([[0.0, 4.0], [0.0, 4.0]])
    sure, wrong = geom._values(Says(), torch.cat([known, unknown])).tolist()
    assert sure < wrong


def test_the_contrastive_score_by_hand() -> None:
    csi = make("csi", code=2)
    csi.kept_ = np.array([0, 2])
    csi.bank_ = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.6, 0.8], [1.0, 0.0]]])
    csi.length_, csi.logit_ = np.array([2.0, 4.0]), np.array([0.5, 1.0])
    x = torch.zeros(1, 2, 4, 4)
    x[0, 0, 0] = torch.tensor([3.0, 4.0, 1.0, -1.0])  # upright: z = (3, 4), logits 1 and -1
    x[0, 0, 3] = torch.tensor([2.0, 0.0, 5.0, 0.0])  # turned by half: z = (0, 5), logits 0 and 2
    # max z·m: 4 and 4; over mean lengths: 2 and 1. Logits less their mean: 1 and 1; over means: 2 and 1
    assert csi._values(Says(), x).tolist() == pytest.approx([-((2 + 2) + (1 + 1)) / 2])


def test_the_contrastive_score_is_lower_for_who_is_like_the_bank() -> None:
    """The published score is a normality."""
    csi = make("csi", code=2)
    csi.kept_, csi.bank_ = np.array([0, 2]), np.array([[[1.0, 0.0]], [[1.0, 0.0]]])
    csi.length_, csi.logit_ = np.ones(2), np.ones(2)
    like, unlike = torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    like[0, 0, 0, 0], unlike[0, 0, 0, 1] = 3.0, 3.0
    near, far = csi._values(Says(), torch.cat([like, unlike])).tolist()
    assert near < far


def test_redrawn_clicks_are_those_of_the_image() -> None:
    x = torch.tensor([[[[3.0, 4.0], [0.0, 0.0]]]]).repeat(2000, 1, 1, 1)  # shares 9/25 and 16/25
    again = redrawn(x, (50.0, 200.0), torch.Generator().manual_seed(0))
    assert again[:, 0, 1].abs().max() == 0
    np.testing.assert_allclose(again.square().mean(dim=0)[0, 0], [9, 16], rtol=0.02)
    assert again[:, 0, 0, 0].std() > 0.1
    assert redrawn(torch.zeros(3, 1, 2, 2), (50.0, 200.0), torch.Generator()).abs().max() == 0


def test_the_moves_to_tell_are_learned() -> None:
    geom = make("geom").fit(pictures(1, 100), zeros(100))
    assert geom.losses_[-1] < 0.1 < 1 < geom.losses_[0]  # log 12 = 2.5 at the start; a loss is the mean of ten steps
    assert (geom.alpha_.argmax(axis=1) == np.arange(len(geom.kept_))).all()


def test_a_pretext_is_one_of_those_known() -> None:
    with pytest.raises(ContractError, match="moves, rotation, scale, not 'colour'"):
        make("geom", pretext="colour").fit(pictures(1, 5), zeros(5))
