"""Stein variational gradient descent and Langevin dynamics: two samplers whose names a lecture mixes up."""

from typing import Any

import numpy as np
import pytest
import torch

from core.detectors.jem import BOUND, langevin
from core.detectors.svgd import descend, direction, kernel, last_layers

PARTICLES = np.array([[0.0, 1.0], [2.0, -1.0], [0.5, 0.0], [3.0, 3.0]])


def test_the_kernel_of_two_particles_by_hand() -> None:
    # Distances² are 0, 4, 4, 0, median 2; h² = 2 / (2 log 3); k_12 = exp(-4 / (2 h²)) = exp(-2 log 3) = 1/9
    k, away = kernel(np.array([[0.0], [2.0]]))
    assert k == pytest.approx(np.array([[1, 1 / 9], [1 / 9, 1]]))
    assert away == pytest.approx(np.array([[-2 / 9 * np.log(3)], [2 / 9 * np.log(3)]]))


def test_the_direction_is_that_of_a_slow_twin() -> None:
    slopes = np.random.default_rng(0).normal(size=PARTICLES.shape)
    n = len(PARTICLES)
    squares = [[((a - b) ** 2).sum() for b in PARTICLES] for a in PARTICLES]
    h2 = 0.5 * np.median(squares) / np.log(n + 1)

    def k(a: Any, b: Any) -> float:
        return float(np.exp(-((a - b) ** 2).sum() / (2 * h2)))

    expected = np.zeros_like(PARTICLES)
    for i, to in enumerate(PARTICLES):
        for at, slope in zip(PARTICLES, slopes, strict=True):
            grown = np.array([(k(at + e, to) - k(at - e, to)) / 2e-6 for e in 1e-6 * np.eye(2)])
            expected[i] += (k(at, to) * slope + grown) / n
    assert direction(PARTICLES, slopes) == pytest.approx(expected, abs=1e-7)


def test_a_lone_particle_climbs_and_nothing_else() -> None:
    slope = np.array([[0.3, -2.0]])
    assert direction(PARTICLES[:1], slope) == pytest.approx(slope)


def test_particles_come_to_stand_for_a_normal_distribution() -> None:
    start = np.random.default_rng(1).normal(0, 0.1, (60, 1))
    end = descend(start, lambda x, move: -(x - 3) / 4, 1500, 0.1)  # mean 3, variance 4
    assert end.mean() == pytest.approx(3, abs=0.1)
    assert end.std() == pytest.approx(2, rel=0.15)


def test_svgd_has_no_noise_and_its_particles_know_each_other_and_sgld_is_the_opposite() -> None:
    """A lecture calls the sampler of energy-based classifiers SVGD; it is SGLD."""
    flat = np.zeros_like(PARTICLES)
    moved = PARTICLES.copy()
    moved[3] = [0.0, 1.5]
    assert direction(PARTICLES, flat).tolist() == direction(PARTICLES, flat).tolist()
    assert not np.allclose(direction(PARTICLES, flat)[0], direction(moved, flat)[0])

    def chain(start: Any, seed: int) -> Any:
        return langevin(lambda x: -x.square().sum(dim=(1, 2, 3)) / 4, start, 5, torch.Generator().manual_seed(seed))

    start = torch.from_numpy(PARTICLES).float()[:, None, None]
    other = torch.from_numpy(moved).float()[:, None, None]
    assert torch.equal(chain(start, 0)[0], chain(other, 0)[0])
    assert not torch.equal(chain(start, 0)[0], chain(start, 1)[0])


def test_langevin_moves_settle_where_slope_and_noise_balance() -> None:
    # x <- x + slope + noise with slope -x/2 halves x: the variance v of the end has v = v/4 + shake²
    start = torch.full((4000, 1, 1, 1), 2.0)
    end = langevin(lambda x: -x.square().sum(dim=(1, 2, 3)) / 4, start, 30, torch.Generator().manual_seed(0), shake=0.3)
    assert float(end.std()) == pytest.approx(0.3 / np.sqrt(0.75), rel=0.05)
    assert float(end.mean()) == pytest.approx(0, abs=0.03)
    assert float(start.min()) == 2


def test_langevin_moves_are_bounded() -> None:
    end = langevin(lambda x: 1e6 * x.sum(dim=(1, 2, 3)), torch.zeros(2, 1, 2, 2), 3, torch.Generator().manual_seed(0))
    assert end.tolist() == torch.full_like(end, BOUND).tolist()


def test_last_layers_agree_where_there_are_images_and_differ_elsewhere() -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1, 2], 200)
    z = np.eye(8)[labels] * 3 + rng.normal(0, 0.3, (600, 8))
    layers = last_layers(z, labels, 3, size=8, n_moves=200, seed=0)
    assert layers.shape == (8, 9, 3)

    def chances(codes: Any) -> Any:
        logits = codes @ layers[:, :-1] + layers[:, -1:]
        p = np.exp(logits - logits.max(axis=2, keepdims=True))
        return p / p.sum(axis=2, keepdims=True)

    known, strange = chances(z), chances(np.eye(8)[[6, 7]] * 3)
    assert (known.mean(axis=0).argmax(axis=1) == labels).mean() > 0.98
    assert strange.std(axis=0).mean() > 3 * known.std(axis=0).mean()
    assert last_layers(z, labels, 3, 8, 200, 0).tolist() == layers.tolist()
