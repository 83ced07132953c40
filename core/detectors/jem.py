"""JEM: a classifier whose logits also say how likely an image is, because it is shown images of its own dreaming while it learns."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from core.detectors.base import Groups, Scores
from core.detectors.classifier import Classifier
from core.detectors.open_set import Energy
from core.errors import ContractError
from core.statistics.arrays import Image, Matrix

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

KEPT = 1000
"""Images that the sampler goes on from, at most."""
ANEW = 0.05
"""Share of its images that begin as noise."""
SLOPE, SHAKE, BLUR = 1.0, 0.01, 0.03
"""How far a move follows the slope; standard deviations of a move's noise, and of the noise on images that are learned from."""
BOUND = 3.0
"""Standard deviations of a pixel that noise to begin with, and any move, stay within."""
MOST = 1e4
"""A loss beyond it has diverged."""
ATTEMPTS = 3


class _DivergedError(Exception):
    """The loss left all bounds."""


@dataclass
class EnergyClassifier(Classifier):
    """A `Classifier` with loss cross-entropy + mean F of dreamt images - mean F of real ones, F = log sum exp of the logits.

    Dreamt images come from stochastic gradient Langevin dynamics (SGLD), `moves` moves a step from where earlier ones ended. Images are
    seen at half their side. Where the loss diverges, training starts again at half the rate, ATTEMPTS times.
    """

    rate: float = 1e-3
    weight_decay: float = 0.0
    moves: int = 10

    def _make(self, channels: int, side: int, n_classes: int) -> "nn.Module":
        from core.detectors.networks.energy import EnergyNetwork

        return EnergyNetwork(channels, side // 2, n_classes)

    def _seen(self, X: Image) -> "Tensor":
        from torch.nn.functional import avg_pool2d

        return avg_pool2d(super()._seen(X), 2)

    def _train(self, X: Image, labels: Groups) -> None:
        for attempt in range(ATTEMPTS):
            trial = replace(self, rate=self.rate / 2**attempt)
            trial.classes_, trial.mean_, trial.unit_ = self.classes_, self.mean_, self.unit_
            try:
                trial._learn(X, labels)
            except _DivergedError:
                continue
            self.losses_, self.weights_, self._network = trial.losses_, trial.weights_, trial._network
            return
        raise ContractError(
            f"JEM's loss stays below {MOST:g}: it did not, {ATTEMPTS} times, at rates down to {trial.rate:g}. Take fewer moves."
        )

    def _learn(self, X: Image, labels: Groups) -> None:
        import torch

        seen = self._seen(X[:1]).shape[1:]
        self._dreams = _noise((KEPT, *seen), torch.Generator().manual_seed(self.seed))
        super()._train(X, labels)
        del self._dreams

    def _loss(self, network: Any, x: "Tensor", y: "Tensor", rng: "Generator") -> "Tensor":
        import torch
        from torch.nn.functional import cross_entropy

        at = torch.randperm(KEPT, generator=rng)[: len(x)]
        anew = torch.rand(len(at), generator=rng) < ANEW
        start = torch.where(anew[:, None, None, None], _noise((len(at), *x.shape[1:]), rng), self._dreams[at])
        dreamt = langevin(lambda images: log_mass(network, images), start, self.moves, rng)
        self._dreams[at] = dreamt
        logits = network(torch.cat([x + BLUR * torch.randn(x.shape, generator=rng), dreamt]))
        mass = logits.logsumexp(dim=1)
        value = cross_entropy(logits[: len(x)], y) + mass[len(x) :].mean() - mass[: len(x)].mean()
        if not abs(float(value.detach())) <= MOST:
            raise _DivergedError
        return torch.as_tensor(value)


def log_mass(network: Any, images: "Tensor") -> "Tensor":
    """(b,) log sum exp of an image's logits: its log density, up to an unknown constant."""
    import torch

    return torch.as_tensor(network(images).logsumexp(dim=1))


def langevin(mass: Any, start: "Tensor", moves: int, rng: "Generator", shake: float = SHAKE) -> "Tensor":
    """Images (b, c, h, w) after `moves` moves x + SLOPE * slope of `mass` + noise, within BOUND; each knows nothing of the others."""
    import torch

    x = start.clone()
    for _ in range(moves):
        x.requires_grad_()
        (slope,) = torch.autograd.grad(mass(x).sum(), x)
        x = (x.detach() + SLOPE * slope + shake * torch.randn(x.shape, generator=rng)).clamp(-BOUND, BOUND)
    return x.detach()


def _noise(shape: tuple[int, ...], rng: "Generator") -> "Tensor":
    import torch

    return (2 * torch.rand(shape, generator=rng) - 1) * BOUND


@dataclass
class Jem(Energy):
    """**Score** -log sum exp of the logits: -log p(x) up to a constant; with `joint` -logit of the own group, -log p(x, own), where the
    classifier knows it. **Shape** images (n, c, side, side) -> (n,). Costs much to fit: a dozen passes a step. **Source** Grathwohl et al.
    2020, equation 5; SGLD, not SVGD, which a lecture names in its place. **Differs**: a small network, half the pixels, `moves` moves in
    place of 20, within bounds; trained for minutes, not days."""

    shared: ClassVar[bool] = False
    slow_fit: ClassVar[bool] = True

    moves: int = 10
    joint: bool = False

    @property
    def name(self) -> str:
        return "jem"

    def _trainer(self) -> EnergyClassifier:
        return EnergyClassifier(self.epochs, self.max_steps, trim=self.trim, seed=self.seed, moves=self.moves)

    def _of(self, logits: Matrix, own: Groups) -> Scores:
        free = super()._of(logits, own)
        return np.where(own >= 0, -logits[np.arange(len(logits)), own], free) if self.joint else free
