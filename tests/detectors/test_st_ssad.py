"""ST-SSAD: its validation losses on cases that are known, and sizes that find the anomalies' own without a label."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from core.detectors import make
from core.detectors.augment.patches import cutdiff, placed
from core.detectors.networks.alignment import alignment_loss, jointly_normalised, matching_loss
from core.detectors.st_ssad import GATE
from core.errors import ContractError

N = 800
KNOWN = [
    ("aligned", 0.5, 1.13),
    ("halfway", 0.5, 1.20),
    ("blind", 0.5, 1.19),
    ("orthogonal", 0.5, 1.38),
    ("mixed", 0.5, 0.99),
    ("aligned", 0.2, 1.36),
    ("orthogonal", 0.2, 1.51),
    ("halfway", 0.2, 1.55),
    ("blind", 0.2, 1.64),
    ("mixed", 0.2, 1.00),
]


def cloud(rng: np.random.Generator, n: int, centre: Any) -> torch.Tensor:
    """n points about a centre on the sphere of 32 dimensions."""
    z = centre + 0.05 * rng.normal(size=(n, 32))
    return torch.from_numpy(z / np.linalg.norm(z, axis=1, keepdims=True))


def sets(kind: str, share: float) -> list[torch.Tensor]:
    """Train, augmented and unlabelled embeddings, of which the share `share` of the last is anomalous."""
    rng, e = np.random.default_rng(0), np.eye(32)
    n_odd = round(share * N)
    odd = {"aligned": e[1], "halfway": (e[0] + e[1]) / np.sqrt(2), "blind": e[0], "orthogonal": e[2], "mixed": e[0]}[kind]
    augmented = cloud(rng, round(N * share / (1 - share)), e[0] if kind == "mixed" else e[1])
    return [cloud(rng, N, e[0]), augmented, torch.cat([cloud(rng, N - n_odd, e[0]), cloud(rng, n_odd, odd)])]


@pytest.mark.parametrize(("kind", "share", "expected"), KNOWN)
def test_the_published_loss_on_known_cases(kind: str, share: float, expected: float) -> None:
    assert float(alignment_loss(*sets(kind, share))) == pytest.approx(expected, abs=0.03)


def test_everything_mixed_up_is_the_published_losss_optimum_and_not_the_matching_ones() -> None:
    assert float(alignment_loss(*sets("mixed", 0.5))) < float(alignment_loss(*sets("aligned", 0.5)))
    found = {}
    for kind in ("aligned", "halfway", "orthogonal", "blind"):
        train, augmented, unlabelled = sets(kind, 0.5)
        found[kind] = float(matching_loss(train, augmented, unlabelled[N // 2 :]))
    assert found["aligned"] < 0.02
    assert min(found[kind] for kind in ("halfway", "orthogonal", "blind")) > 10 * found["aligned"]


def test_joint_normalisation_by_hand() -> None:
    a, b = jointly_normalised(torch.tensor([[0.0], [2.0]]), torch.tensor([[4.0], [6.0]]))  # mean 3, variance 5
    assert torch.allclose(torch.cat([a, b]).squeeze(1), torch.tensor([-3.0, -1, 1, 3]) / 5**0.5, atol=1e-5)


def test_matching_by_hand() -> None:
    """0 and 1 against 2 and 3: pairs are 2, 3, 1 and 2 apart, 2 on average; within, 1/2; the means of train and augmented, 5."""
    suspects, augmented = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [3.0]])
    assert float(matching_loss(torch.tensor([[7.5]]), augmented, suspects)) == pytest.approx((2 * 2 - 0.5 - 0.5) / 5, abs=1e-3)


def images(seed: int, n: int) -> np.ndarray:
    """Noisy discs of one place and size: float32 (n, 1, 28, 28) in 0..1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:28, 0:28] / 28 - 0.5
    at = rng.normal(0, 0.02, (n, 2))
    disc = 1 / (1 + np.exp(40 * (np.hypot(x - at[:, :1, None], y - at[:, 1:, None]) - 0.35)))
    return np.clip(0.8 * disc[:, None] + rng.normal(0, 0.05, (n, 1, 28, 28)), 0, 1).astype(np.float32)


def with_holes(seed: int, n: int, area: float) -> np.ndarray:
    x, rng = torch.from_numpy(images(seed, n)), torch.Generator().manual_seed(seed)
    return cutdiff(x, torch.tensor([area, 1.0, 0.0]), placed(x, rng, True)).numpy()


def zeros(n: int) -> Any:
    return np.zeros(n, dtype=np.int64)


@pytest.mark.slow
@pytest.mark.parametrize("second_order", [False, True])
def test_the_size_of_the_anomalies_is_found_without_a_label(second_order: bool) -> None:
    areas = []
    for area in (0.04, 0.25):
        unlabelled = np.concatenate([images(2, 100), with_holes(3, 100, area)])
        given = {"trim": 0.0, "unit_length": False, "max_steps": 60, "epochs": 20, "starts": 1, "suspected": 0.5}
        detector = make("st_ssad", **given, second_order=second_order, size_rate=0.1, unlabelled=(unlabelled, zeros(200))).fit(
            images(1, 200), zeros(200)
        )
        areas.append(detector.learned_[-1, 0])
        assert detector.learned_.shape == (60, 3)
        assert detector.starts_.shape == (1, 5)
        assert (detector.learned_[:15] == detector.learned_[0]).all()  # sizes stand still while the network warms up
        assert (detector.learned_[20:, 0] != detector.learned_[0, 0]).all()
        assert detector.starts_[:, 1].max() >= GATE
    assert areas[0] < 0.07 < 0.11 < areas[1]  # from 0.09, the middle


def test_orders_differ_and_fits_repeat() -> None:
    X, unlabelled = images(1, 60), np.concatenate([images(2, 30), with_holes(3, 30, 0.2)])
    given = {"max_steps": 24, "starts": 1, "suspected": 0.5, "unlabelled": (unlabelled, zeros(60))}
    first, again = (make("st_ssad", **given).fit(X, zeros(60)) for _ in range(2))
    second = make("st_ssad", **given, second_order=True, virtual_rate=0.5).fit(X, zeros(60))
    published = make("st_ssad", **given, validation="published").fit(X, zeros(60))
    np.testing.assert_array_equal(first.learned_, again.learned_)
    np.testing.assert_array_equal(first.score(X, zeros(60)), again.score(X, zeros(60)))
    for other in (second, published):
        assert np.abs(other.learned_[-1] - first.learned_[-1]).max() > 1e-4


STEP = 1e-8
"""So short that no rectifier of the network switches within it: where one does, slopes jump."""


@pytest.fixture
def exact() -> Iterator[None]:
    """Torch computes in double precision; a 0-dimensional size of more bits alone would be rounded to those of the pixels."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("second_order", [False, True])
def test_the_slope_in_sizes_is_what_finite_differences_find(second_order: bool) -> None:
    """Of the validation loss, by the network as it is; or after one virtual step of the network, which the sizes move too."""
    detector = make("st_ssad", validation="published", second_order=second_order, virtual_rate=0.3)
    detector._learn_means(images(1, 12), zeros(12))
    detector.unit_ = 1.0
    network = detector._another(0)
    x, some = (detector._tensor(X, zeros(12)).double() for X in (images(1, 12), with_holes(2, 12, 0.1)))
    free = torch.tensor([0.3, -0.2, 0.4])

    def loss(at: torch.Tensor) -> torch.Tensor:
        return detector._validation(network, detector._at(at), x, some, torch.Generator().manual_seed(5))

    def slope() -> Any:
        own = free.clone().requires_grad_()
        return torch.autograd.grad(loss(own), own)[0].numpy()

    ends = [[float(loss((free + sign * STEP * side).requires_grad_()).detach()) for sign in (1, -1)] for side in torch.eye(3)]
    own = slope()
    np.testing.assert_allclose(own, [(a - b) / (2 * STEP) for a, b in ends], rtol=1e-3, atol=1e-6)
    detector.second_order = not second_order
    assert np.abs(slope() - own).max() > 0.05 * np.abs(own).max(), "the way through the network counts"


def test_augmented_images_have_the_sizes_that_were_learned() -> None:
    X = images(1, 20)
    detector = make("st_ssad", max_steps=2, starts=1).fit(X, zeros(20))
    few, many = (detector.augmented(X, seed=1) for detector.learned_ in (np.array([[a, 1.0, 0.0]]) for a in (0.02, 0.4)))
    gone = [1 - np.abs(made).sum() / np.abs(detector.normed(X)).sum() for made in (few, many)]
    x, rng = torch.from_numpy(detector.normed(X)), torch.Generator().manual_seed(1)
    np.testing.assert_array_equal(many, detector._made(x, torch.tensor([0.4, 1.0, 0.0]), rng).numpy())
    assert gone[0] != gone[1]


def test_the_start_that_mixes_everything_up_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.detectors.st_ssad import StSsad

    answers = iter([(0.1, 0.5), (0.9, 0.8), (0.4, 0.9)])  # validation loss and accuracy of three starts: the lowest loss is a collapse
    monkeypatch.setattr(StSsad, "_measured", lambda *given: next(answers))
    detector = make("st_ssad", max_steps=2, starts=3).fit(images(1, 20), zeros(20))
    np.testing.assert_allclose(detector.starts_[:, :2], [[0.1, 0.5], [0.9, 0.8], [0.4, 0.9]])
    assert detector.learned_[-1, 0] == pytest.approx(detector.starts_[2, 2])
    answers = iter([(0.1, 0.5), (0.9, 0.6), (0.4, 0.55)])
    none = make("st_ssad", max_steps=2, starts=3).fit(images(1, 20), zeros(20))
    assert none.learned_[-1, 0] == pytest.approx(none.starts_[1, 2])


def test_sizes_without_a_slope_are_refused() -> None:
    with pytest.raises(ContractError, match="'cutpaste'"):
        make("st_ssad", augmentation="cutpaste").fit(images(1, 5), zeros(5))
    with pytest.raises(ContractError, match="starts=0"):
        make("st_ssad", starts=0).fit(images(1, 5), zeros(5))


@pytest.mark.parametrize("measure", ["logit", "mahalanobis"])
def test_both_scores_find_holes_and_static_sizes_are_drawn_once(measure: Any) -> None:
    X = np.concatenate([images(4, 50), with_holes(5, 50, 0.2)])
    detector = make("ssad_cutdiff", measure=measure, max_steps=60, epochs=30, dynamic=False).fit(images(1, 100), zeros(100))
    scores = detector.score(X, zeros(100))
    assert (scores[50:, None] > scores[None, :50]).mean() > 0.9
    rng = torch.Generator().manual_seed(9)
    assert torch.equal(detector._sizes(rng), detector._sizes(rng))
    moving = make("ssad_cutdiff")
    assert not torch.equal(moving._sizes(rng), moving._sizes(rng))
    codes = detector.codes(X, zeros(100))
    assert codes.shape == (100, 128)
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 1, rtol=1e-5)
    made = detector.augmented(X, seed=1)
    assert made.shape == X.shape
    np.testing.assert_array_equal(made, detector.augmented(X, seed=1))


def test_the_distance_is_mahalanobis() -> None:
    detector = make("ssad_cutout", measure="mahalanobis", max_steps=4).fit(images(1, 60), zeros(60))
    X = images(2, 3)
    white, centre = (getattr(detector._network, name).double().numpy() for name in ("whitening", "centre"))
    away = detector.codes(X, zeros(3)) - centre
    expected = np.sqrt(np.einsum("nd,de,ne->n", away, white @ white.T, away))
    np.testing.assert_allclose(detector.score(X, zeros(3)), expected, rtol=1e-4)
