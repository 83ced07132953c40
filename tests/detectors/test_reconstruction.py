"""Detectors that train a network in `fit`: the published sizes, shapes that come back, formulas by hand, and what a fit keeps."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from core.detectors import CATALOGUE, make
from core.detectors.fitted import FittedNetwork
from core.detectors.networks.autoencoders import Autoencoder, Convolutional, FullyConnected, MultiEncoder, Variational
from core.detectors.networks.discriminators import ImageDiscriminator, Judged, held
from core.detectors.networks.one_class import LeNet, LeNetAutoencoder
from core.detectors.noise_classifier import normal_scores
from core.detectors.reconstruction import Reconstruction
from core.errors import ContractError
from core.features.networks.training_loop import Plan, fit_network
from core.logs.progress import no_progress

FITTED = [name for name, detector in CATALOGUE.items() if isinstance(detector, FittedNetwork)]
DRAWING = [name for name in FITTED if isinstance(CATALOGUE[name], Reconstruction)]
SHORT = {"epochs": 4, "batch": 16}


def images(seed: int, n: int, side: int = 40, channels: int = 1) -> np.ndarray:
    """Blurred blobs at two places, a little noise: float32 (n, channels, side, side) in 0..1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    at = np.array([[0.3, 0.3], [0.6, 0.7]])[rng.integers(0, 2, n)] + rng.normal(0, 0.03, (n, 2))
    blob = np.exp(-((x - at[:, :1, None]) ** 2 + (y - at[:, 1:, None]) ** 2) / 0.02)
    noisy = np.clip(blob[:, None] + rng.normal(0, 0.05, (n, channels, side, side)), 0, 1)
    return noisy.astype(np.float32)


def zeros(n: int) -> Any:
    return np.zeros(n, dtype=np.int64)


PUBLISHED: list[tuple[Callable[[], nn.Module], int]] = [
    (lambda: FullyConnected(3, 64), 3_176_419),
    (lambda: Convolutional(3, 64), 47_355),
    (lambda: Convolutional(3, 64, batch_norm=True), 47_595),
    (lambda: Variational(3, 64), 65_835),
    (lambda: ImageDiscriminator(3, 64), 4_316_545),
    (lambda: Judged(Convolutional(3, 64, batch_norm=True), ImageDiscriminator(3, 64)), 4_364_140),
    (lambda: LeNet(1, 28), 7_272),
    (lambda: LeNet(1, 28, (16, 32), (128, 64)), 222_096),
    (lambda: LeNet(3, 32, (32, 64, 128), (128,)), 520_544),
]


@pytest.mark.parametrize(("network", "n"), PUBLISHED, ids=[str(n) for _, n in PUBLISHED])
def test_networks_have_the_published_numbers_of_parameters(network: Callable[[], nn.Module], n: int) -> None:
    assert sum(p.numel() for p in network().parameters()) == n


@pytest.mark.parametrize("code", [None, 5])
@pytest.mark.parametrize("side", [28, 40, 45, 64])
def test_convolutional_shapes_come_back(side: int, code: int | None) -> None:
    x = torch.rand(3, 2, side, side)
    for network in (Convolutional(2, side, code=code), Variational(2, side, code=code), MultiEncoder(2, side, (16,))):
        assert network(x).shape == x.shape
        assert network(x).abs().max() <= 1
        assert code is None or isinstance(network, MultiEncoder) or network.encode(x).shape == (3, code)
    assert ImageDiscriminator(2, side, 4)(x).shape == (3,)
    assert LeNetAutoencoder(LeNet(2, side), 2, side, (8, 4), 32)(x).shape == x.shape


def test_deep_svdd_has_no_way_to_be_constant() -> None:
    """Neither a bias nor an affine norm: an empty image can only become zero."""
    network = LeNet(1, 28).eval()
    assert not [name for name, _ in network.named_parameters() if "bias" in name]
    assert network(torch.zeros(1, 1, 28, 28)).abs().max() == 0


def test_held_parameters_get_no_gradient_and_inputs_do() -> None:
    network, x = nn.Linear(3, 1), torch.ones(2, 3, requires_grad=True)
    held(network, x).sum().backward()
    assert network.weight.grad is None
    assert torch.equal(x.grad, network.weight.detach().repeat(2, 1))


def test_reconstruction_error_by_hand() -> None:
    class Half(Autoencoder):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / 2

    x = torch.tensor([[3.0, 4.0], [0.0, 0.0]]).reshape(2, 1, 1, 2)
    assert make("cnn_autoencoder")._values(Half(), x).tolist() == [2.5, 0]  # the root of 1.5² + 2²


def test_deep_svdd_by_hand() -> None:
    class Sums(nn.Module):
        centre = torch.tensor([1.0, -1.0])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sum(dim=(1, 2))

    x = torch.tensor([[[[4.0, 3.0]]], [[[1.0, -1.0]]]])
    assert make("deep_svdd")._values(Sums(), x).tolist() == [25, 0]  # 3² + 4²


def test_variational_loss_by_hand() -> None:
    """Images of two pixels are drawn one off in each, codes of one number have mean 2 and variance 1: KL = 2² / 2."""

    class One(nn.Module):
        def posterior(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.full((len(x), 1), 2.0), torch.zeros(len(x), 1)

        def decode(self, code: torch.Tensor) -> torch.Tensor:
            return torch.ones(len(code), 1, 1, 2)

    loss = make("vae", variance=0.25)._loss(One(), torch.zeros(8, 1, 1, 2), torch.Generator())
    assert float(loss) == pytest.approx((2 / (2 * 0.25) + 2) / 2)  # an image's sum over its pixels


def test_the_centre_keeps_off_zero() -> None:
    network = LeNet(1, 28)
    detector = make("deep_svdd", widths=(8, 4), pretrained_steps=0)
    detector._before(network, torch.rand(20, 1, 28, 28))
    with torch.no_grad():
        mean = network(torch.zeros(1, 1, 28, 28))
    assert mean.shape == (1, 32)
    assert network.centre.abs().min() >= 0.1 - 1e-6


def test_normal_scores_by_hand() -> None:
    knots = np.array([1.0, 2.0, 5.0])  # the 1/6, 1/2 and 5/6 quantiles: -0.967, 0, 0.967
    z = 0.9674215661017014
    assert normal_scores(np.array([1.0, 1.5, 2.0, 5.0]), knots) == pytest.approx([-z, -z / 2, 0, z])
    assert normal_scores(np.array([9.0, -3.0]), knots) == pytest.approx([3 * z, -3 * z])  # 4 beyond, of 4 for 2 z
    assert np.isfinite(normal_scores(np.array([1.0, 2.0]), np.ones(3))).all()


@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize("side", [28, 40])
def test_a_fit_is_kept_as_plain_arrays(name: str, side: int, tmp_path: Path) -> None:
    X = images(1, 24, side)
    detector = make(name, **SHORT).fit(X, zeros(24))
    learned = {k: v for k, v in vars(detector).items() if k.endswith("_") and not k.startswith("_")}
    np.savez(tmp_path / "state.npz", **learned)
    again = make(name, **SHORT)
    with np.load(tmp_path / "state.npz", allow_pickle=False) as state:
        for key in state:
            setattr(again, key, state[key])
    np.testing.assert_array_equal(again.score(X, zeros(24)), detector.score(X, zeros(24)))
    assert len(detector.losses_) >= 1
    assert np.isfinite(detector.losses_).all()


@pytest.mark.parametrize("name", FITTED)
def test_one_banner_and_empty_images_can_be_fitted(name: str) -> None:
    assert np.isfinite(make(name, **SHORT).fit(images(1, 1), zeros(1)).score(images(2, 3), zeros(3))).all()
    empty = np.zeros((5, 1, 40, 40), dtype=np.float32)
    assert np.isfinite(make(name, **SHORT).fit(empty, zeros(5)).score(images(2, 3), zeros(3))).all()


def test_the_loss_falls() -> None:
    losses = make("cnn_autoencoder", epochs=40, patience=0).fit(images(3, 100), zeros(100)).losses_
    assert losses[-1] < 0.5 * losses[0]


def test_training_is_over_when_the_loss_has_converged() -> None:
    plan = Plan(steps=100, batch=1, patience=2, tolerance=0.1, least=30, window=10)
    falling = [1 / (1 + step) for step in range(90)]
    assert not any(plan.is_over(falling[:n]) for n in range(1, 40))
    flat = [1.0] * 100
    assert [n for n in range(101) if plan.is_over(flat[:n])] == [30, 40, 50, 60, 70, 80, 90, 100]  # whole windows, from `least` on
    late = [1.0] * 20 + [0.95] * 20  # 5 % in two windows is less than the tolerance
    assert plan.is_over(late)
    assert not plan.is_over([1.0] * 20 + [0.95] * 10 + [0.85] * 10)
    assert not any(replace(plan, patience=0).is_over(flat[:n]) for n in range(100))


def test_the_loop_ends_when_there_is_nothing_to_learn() -> None:
    network = nn.Linear(1, 1)
    plan = Plan(steps=100, batch=1, patience=2, window=5)
    losses = fit_network(network, lambda step: network.weight.sum() * 0 + 3, plan, None, no_progress)
    assert losses == [3.0] * 3


def test_the_farthest_of_every_group_are_left_out() -> None:
    rng = np.random.default_rng(1)
    X = (images(4, 1) + 0.02 * rng.random((80, 1, 40, 40))).astype(np.float32)
    X[:4] = rng.random((4, 1, 40, 40))
    X[40:44] = 1 - X[40:44]
    groups = np.repeat([0, 7], 40)
    detector = make("fcn_autoencoder", **SHORT).fit(X, groups)
    normed = detector.normed(X)
    good = np.r_[4:40, 44:80]
    np.testing.assert_array_equal(detector.means_[0], normed[4:40].mean(axis=0))
    np.testing.assert_array_equal(detector.means_[2], normed[good].mean(axis=0))
    with_all = make("fcn_autoencoder", **SHORT, trim=0.0).fit(X, groups)
    np.testing.assert_array_equal(with_all.means_[0], normed[:40].mean(axis=0))


def test_a_group_is_held_against_its_own_mean() -> None:
    X = images(5, 60)
    X[30:] = 1 - X[30:]
    groups = np.repeat([2, 9], 30)
    detector = make("fcn_autoencoder", **SHORT, trim=0.0, unit_length=False).fit(X, groups)
    np.testing.assert_allclose(detector._means(np.array([9, 2, 5])), [X[30:].mean(0), X[:30].mean(0), X.mean(0)], atol=1e-6)
    assert (detector.score(X, groups[::-1]) > detector.score(X, groups)).all()


def test_how_bright_an_image_was_made_does_not_count() -> None:
    X, bright = images(6, 40), np.linspace(0.2, 5, 40, dtype=np.float32)[:, None, None, None]
    detector = make("fcn_autoencoder", **SHORT).fit(X, zeros(40))
    np.testing.assert_allclose(detector.score(X * bright, zeros(40)), detector.score(X, zeros(40)), rtol=1e-4)
    np.testing.assert_allclose(np.square(detector.normed(X)).sum(axis=(1, 2, 3)), 1, rtol=1e-5)


def test_images_of_another_shape_are_refused() -> None:
    detector = make("cnn_autoencoder", **SHORT).fit(images(1, 5), zeros(5))
    with pytest.raises(ContractError, match="fitted on images of shape"):
        detector.score(images(1, 5, 28), zeros(5))
    with pytest.raises(ContractError, match="square images"):
        make("cnn_autoencoder").fit(np.zeros((5, 1, 40, 28), dtype=np.float32), zeros(5))


@pytest.mark.parametrize("name", DRAWING)
def test_codes_are_drawn_and_changed_codes_change_the_image(name: str) -> None:
    X, groups = images(6, 60), np.repeat([0, 1], 30)
    detector = make(name, epochs=80).fit(X, groups)
    codes = detector.encode(X, groups)
    drawn = detector.decode(codes, groups)
    assert drawn.shape == X.shape
    np.testing.assert_array_equal(drawn, detector.reconstruct(X, groups))
    means = detector._means(groups)
    assert np.corrcoef((drawn - means).ravel(), (detector.normed(X) - means).ravel())[0, 1] > 0.5
    codes[:, :2] += 2
    assert (np.abs(detector.decode(codes, groups) - drawn).max(axis=(1, 2, 3)) > 1e-4).all()


def test_a_stopped_fit_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X, at = images(7, 64), tmp_path / "fit.checkpoint"
    whole = make("noise_classifier", epochs=20).fit(X, zeros(64)).score(X, zeros(64))

    def stop(done: float, what: str, **numbers: float) -> None:
        if done > 0.7:
            raise KeyboardInterrupt

    monkeypatch.setattr("core.features.networks.training_loop.CHECKPOINT_S", -1.0)
    with pytest.raises(KeyboardInterrupt):
        make("noise_classifier", epochs=20, checkpoint=at, progress=stop).fit(X, zeros(64))
    assert at.exists()
    seen: list[float] = []
    again = make("noise_classifier", epochs=20, checkpoint=at, progress=lambda done, what, **numbers: seen.append(done))
    np.testing.assert_allclose(again.fit(X, zeros(64)).score(X, zeros(64)), whole, rtol=1e-3, atol=1e-3)
    assert min(seen) > 0.6
    assert not at.exists()


def test_a_checkpoint_of_other_images_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = tmp_path / "fit.checkpoint"

    def stop(done: float, what: str, **numbers: float) -> None:
        if done > 0.5:
            raise KeyboardInterrupt

    monkeypatch.setattr("core.features.networks.training_loop.CHECKPOINT_S", -1.0)
    with pytest.raises(KeyboardInterrupt):
        make("fcn_autoencoder", **SHORT, checkpoint=at, progress=stop).fit(images(8, 32), zeros(32))
    seen: list[float] = []
    make("fcn_autoencoder", **SHORT, checkpoint=at, progress=lambda done, what, **numbers: seen.append(done)).fit(images(9, 32), zeros(32))
    assert min(seen) < 0.2


def test_seeds_give_other_networks_of_the_same_kind() -> None:
    X = images(1, 30)
    a, b = (make("vae", **SHORT, seed=seed).fit(X, zeros(30)) for seed in (0, 1))
    assert len(a.weights_) == len(b.weights_)
    assert np.abs(a.weights_ - b.weights_).max() > 0.01
    assert {f.name for f in fields(a)} >= {"epochs", "max_steps", "trim", "seed", "checkpoint", "progress"}
