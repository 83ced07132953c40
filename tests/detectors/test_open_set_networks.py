"""Open-set detectors with networks of their own: formulas by hand, choices made without labels, and slips that are not copied."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import nn

from core.detectors import jem, make
from core.detectors.classifier import Classifier
from core.detectors.ensembles import Members
from core.detectors.generalized_odin import STEPS, CosineClassifier
from core.detectors.hybrid import SHARES, DrawingClassifier
from core.detectors.networks.trunk import CosineTrunk
from core.errors import ContractError
from core.features.networks.training_loop import Plan, fit_network
from core.logs.progress import no_progress

NAMES = ["generalized_odin", "hybrid", "deep_ensemble", "svgd_ensemble", "jem"]
OWN = np.array([1, 0])


def pictures(n: int = 30, side: int = 28) -> tuple[Any, Any]:
    """Three classes of square images: a bright bar at the left, in the middle, on top; every one noisy."""
    rng = np.random.default_rng(0)
    X, groups = rng.random((3 * n, 1, side, side), dtype=np.float32), np.repeat([3, 5, 9], n)
    X[:n, :, :, :6] += 1
    X[n : 2 * n, :, :, 12:18] += 1
    X[2 * n :, :, :6] += 1
    return X, groups


@pytest.mark.parametrize("name", NAMES)
def test_images_of_other_sides_are_read_and_others_refused(name: str) -> None:
    X, groups = pictures()
    detector = make(name, epochs=4).fit(X, groups)
    assert np.isfinite(detector.score(X, groups)).all()
    with pytest.raises(ContractError, match=": it got"):
        detector.score(np.zeros((2, 1, 40, 40), dtype=np.float32), groups[:2])


@pytest.mark.parametrize("name", ["generalized_odin", "hybrid"])
def test_the_score_is_a_negated_confidence_whatever_the_order_of_the_classes(name: str) -> None:
    """The published lists have the highest cosine or logit itself, and the place of the highest in place of its value."""
    values = np.array([[0.9, 0.1, -0.2], [0.3, 0.2, 0.3]])
    assert list(make(name, conditional=False)._of(values, OWN)) == [-0.9, -0.3]
    assert list(make(name, conditional=False)._of(values[:, [2, 0, 1]], OWN)) == [-0.9, -0.3]
    assert list(make(name)._of(values, OWN)) == [-0.1, -0.3]


# Generalized ODIN


def test_logits_are_cosines_over_a_divisor_above_nothing() -> None:
    for linear in (True, False):
        network = CosineTrunk(1, 28, 2, linear).eval()
        with torch.inference_mode():
            network.head.weight.copy_(torch.zeros(2, 64))
            network.head.weight[0, 0], network.head.weight[1, 1] = 5.0, 0.1
            network.encode = lambda x: torch.tensor([[3.0, 4.0, *[0.0] * 62]]).expand(len(x), 64)
            x = torch.zeros(1, 1, 28, 28)
            assert network.cosines(x)[0].tolist() == pytest.approx([0.6, 0.8])
            ratio = network.cosines(x) / network(x)
        assert ratio[0, 0] == pytest.approx(float(ratio[0, 1]))
        assert 0 < float(ratio[0, 0]) < (100 if linear else 1.01)


def test_the_divisor_is_not_asked() -> None:
    X, groups = pictures()
    detector = make("generalized_odin", epochs=4).fit(X, groups)
    before, logits = detector.score(X, groups), detector._fitted.logits(X)
    with torch.no_grad():
        detector._fitted._network.divisor[0].bias += 2
    assert detector.score(X, groups).tolist() == before.tolist()
    assert not np.allclose(detector._fitted.logits(X), logits)


def test_what_is_spared_the_decay_stays_where_it_is() -> None:
    network = nn.ModuleDict({"head": nn.Linear(2, 2, bias=False), "body": nn.Linear(2, 2, bias=False)})
    before = {name: value.detach().clone() for name, value in network.named_parameters()}

    def nothing(step: int) -> Any:
        return 0 * sum(value.sum() for value in network.parameters())

    fit_network(network, nothing, Plan(5, 1, 0.1, weight_decay=0.5, undecayed=("head.",)), None, no_progress)
    after = dict(network.named_parameters())
    assert torch.equal(after["head.weight"], before["head.weight"])
    assert after["body.weight"].abs().sum() < 0.99 * before["body.weight"].abs().sum()
    assert CosineClassifier.undecayed == ("head.",)
    assert any(name.startswith("head.") for name, _ in CosineTrunk(1, 28, 2, True).named_parameters())


def test_a_step_makes_images_more_like_a_class_each_by_itself() -> None:
    X, groups = pictures()
    fitted = CosineClassifier(epochs=4).fit(X, groups)
    still, moved = fitted._cosines(X, 0.0), fitted._cosines(X, 0.01)
    assert (moved.max(axis=1) > still.max(axis=1)).mean() > 0.95
    assert fitted._cosines(X[[7]], 0.01).tolist() == moved[[7]].tolist()
    assert fitted.step_ == 0
    assert fitted.cosines(X).tolist() == still.tolist()


def test_the_step_is_chosen_on_images_that_nothing_was_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    X, groups = pictures()
    asked: list[int] = []

    def likeness(self: Any, X: Any, step: float) -> Any:
        asked.append(len(X))
        return np.full((len(X), 3), step if step < 0.03 else 0.0)

    monkeypatch.setattr(CosineClassifier, "_cosines", likeness)
    assert CosineClassifier(epochs=2, step=None).fit(X, groups).step_ == 0.02
    assert asked == [18] * len(STEPS)  # six of each class of 30


# Hybrid


def test_the_loss_takes_the_mean_over_the_pixels() -> None:
    for side in (2, 20):
        trainer = DrawingClassifier()
        trainer.share_ = 0.5

        class Network:
            def draw(self, x: Any) -> Any:
                return torch.zeros(len(x), 4), x + 2

        loss = trainer._loss(Network(), torch.randn(3, 1, side, side), torch.tensor([0, 1, 2]), torch.Generator())
        assert float(loss) == pytest.approx(np.log(4) + 0.5 * 4)


def test_the_weight_of_the_drawing_is_chosen_by_held_out_images_of_known_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Published weights were tuned on test images whose labels were known."""
    X, groups = pictures()
    found = {0.001: 0.4, 0.01: 0.2, 0.1: 0.1, 1.0: 0.3}
    held: list[Any] = []

    def tried(self: Any, share: float, X: Any, labels: Any, rows: Any) -> float:
        held.append(np.bincount(labels[rows]).tolist())
        return found[share]

    monkeypatch.setattr(DrawingClassifier, "_tried", tried)
    assert DrawingClassifier(epochs=2).fit(X, groups).share_ == 0.1
    assert held == [[6, 6, 6]] * len(SHARES)
    assert DrawingClassifier(epochs=2, share=0.7).fit(X, groups).share_ == 0.7
    assert len(held) == len(SHARES)


def test_a_trial_learns_nothing_from_what_is_held_out() -> None:
    X, groups = pictures()
    seen: list[int] = []

    class Watched(DrawingClassifier):
        def _best(self, logits: Any, labels: Any) -> Any:
            seen.append(len(labels))
            return super()._best(logits, labels)

    fitted = Watched(epochs=8).fit(X, groups)
    assert seen == [72, 18] * len(SHARES) + [90]
    assert fitted.share_ in SHARES


# Ensembles

SURE = np.array([[4.0, 0.0, 0.0]])
ELSEWHERE = np.array([[0.0, 4.0, 0.0]])


def of(name: str, members: Any, own: Any = (0,), **fields: Any) -> float:
    return float(make(name, **fields)._of(np.array(members), np.array(own))[0])


@pytest.mark.parametrize("name", ["deep_ensemble", "svgd_ensemble"])
def test_the_scores_of_an_ensemble_by_hand(name: str) -> None:
    e4 = np.exp(4)
    p, q = e4 / (e4 + 2), 1 / (e4 + 2)
    both = [SURE, ELSEWHERE]
    mean = np.array([(p + q) / 2, (p + q) / 2, q])
    entropy = -np.sum(mean * np.log(mean))
    assert of(name, both) == pytest.approx(1 - mean[0])
    assert of(name, both, own=(2,)) == pytest.approx(1 - q)
    assert of(name, both, by="entropy") == pytest.approx(entropy)
    assert of(name, both, by="mutual_information") == pytest.approx(entropy + p * np.log(p) + 2 * q * np.log(q))
    assert of(name, both, by="max_logit") == pytest.approx(-2)
    assert of(name, [SURE, SURE], by="mutual_information") == pytest.approx(0, abs=1e-12)
    for by in ("max_probability", "entropy", "mutual_information", "max_logit"):
        assert of(name, [SURE, SURE], by=by) < of(name, both, by=by)


def test_members_differ_in_their_seed_alone() -> None:
    X, groups = pictures()
    members = Members(Classifier(epochs=3, seed=4), 2).fit(X, groups)
    alone = Classifier(epochs=3, seed=5).fit(X, groups)
    assert members.logits(X)[1].tolist() == alone.logits(X).tolist()
    assert members.logits(X)[0].tolist() != alone.logits(X).tolist()


# JEM


def test_the_score_is_the_negated_log_mass_of_all_logits() -> None:
    logits = np.array([[1.0, 2.0, 3.0], [0.0, -5.0, 1.0]])
    free = list(-logsumexp(logits, axis=1))
    assert list(make("jem")._of(logits, OWN)) == pytest.approx(free)
    assert list(make("jem", joint=True)._of(logits, np.array([1, -1]))) == pytest.approx([-2, free[1]])


def test_the_loss_of_an_energy_model_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real images are pulled up, dreamt ones pushed down."""
    monkeypatch.setattr(jem, "langevin", lambda mass, start, moves, rng: torch.full_like(start, 2.0))
    monkeypatch.setattr(jem, "BLUR", 0.0)
    trainer = jem.EnergyClassifier()
    trainer._dreams = torch.zeros(jem.KEPT, 1, 2, 2)

    def network(x: Any) -> Any:
        return torch.stack([x.mean(dim=(1, 2, 3)), torch.zeros(len(x))], dim=1)

    loss = trainer._loss(network, torch.ones(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64), torch.Generator().manual_seed(0))
    real, dreamt = np.log(np.e + 1), np.log(np.e**2 + 1)
    assert float(loss) == pytest.approx((real - 1) + dreamt - real)
    assert int((trainer._dreams == 2).all(dim=(1, 2, 3)).sum()) == 3  # what was dreamt is gone on from


def test_noise_is_less_likely_than_what_was_learned() -> None:
    X, groups = pictures(side=40)
    detector = make("jem", epochs=30).fit(X, groups)
    noise = np.random.default_rng(1).uniform(-2, 3, X.shape).astype(np.float32)
    assert np.median(detector.score(noise, groups)) > np.quantile(detector.score(X, groups), 0.9)


def test_a_loss_out_of_bounds_ends_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    X, groups = pictures()
    monkeypatch.setattr(jem, "MOST", 1e-9)
    with pytest.raises(ContractError, match=r": it did not, 3 times, at rates down to 0\.00025"):
        make("jem", epochs=2).fit(X, groups)
