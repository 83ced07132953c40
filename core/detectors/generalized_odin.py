"""Generalized ODIN: a classifier whose logits are cosines divided by how doubtful the image is; asked for the cosines alone."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from core.detectors.base import Groups, Scores
from core.detectors.classifier import Classifier
from core.detectors.open_set import Conditional
from core.statistics.arrays import Image, Matrix

if TYPE_CHECKING:
    from torch import Tensor, nn

Divisor = Literal["linear", "sigmoid"]

STEPS = (0.0, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08)
"""Sizes of the step that are tried, in the units the network sees: standard deviations of a pixel."""


@dataclass
class CosineClassifier(Classifier):
    """A `Classifier` with logits cosine / divisor. `step` is that of the published input perturbation: 0 = none; None = of STEPS the one
    whose images are most like their own class, on images that are held out for it. State: `step_` too."""

    undecayed: ClassVar[tuple[str, ...]] = ("head.",)

    divisor: Divisor = "linear"
    step: float | None = 0.0

    def _make(self, channels: int, side: int, n_classes: int) -> "nn.Module":
        from core.detectors.networks.trunk import CosineTrunk

        return CosineTrunk(channels, side, n_classes, self.divisor == "linear", self.strided)

    def _train(self, X: Image, labels: Groups) -> None:
        if self.step is not None:
            super()._train(X, labels)
            self.step_ = self.step
            return
        held = self._held_out(labels)
        super()._train(X[~held], labels[~held])
        means = [float(self._cosines(X[held], step).max(axis=1).mean()) for step in STEPS]
        self.step_ = STEPS[int(np.argmax(means))]

    def cosines(self, X: Image) -> Matrix:
        """(n, k) cosines in -1..1 of images, after the step."""
        return self._cosines(X, self.step_)

    def _cosines(self, X: Image, step: float) -> Matrix:
        network = self._ready(X)
        of = network.cosines if step == 0 else lambda x: network.cosines(_stepped(network, x, step))
        return self._in_batches(network, self._seen(X), of)


def _stepped(network: Any, x: "Tensor", step: float) -> "Tensor":
    """Images moved by `step` a pixel to where their highest cosine grows; each by itself."""
    import torch

    with torch.inference_mode(False), torch.enable_grad():
        start = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(network.cosines(start).amax(dim=1).sum(), start)
        return (start + step * slope.sign()).detach()


@dataclass
class GeneralizedOdin(Conditional):
    """**Score** -max h, h the cosines between an image's features and the classes' directions, or -h of the own group where `conditional`;
    -1..1. **Shape** images (n, c, side, side) -> (n,).
    **Source** Hsu et al. 2020: softmax of h / g, no weight decay on h. **Differs** from it in the divisor: g is a softplus of a linear map
    unless `divisor` is `sigmoid`, the published one; and in the input perturbation, which is off: `step=None` chooses it as published."""

    shared: ClassVar[bool] = False

    divisor: Divisor = "linear"
    step: float | None = 0.0

    @property
    def name(self) -> str:
        return "generalized_odin"

    def _trainer(self) -> CosineClassifier:
        return CosineClassifier(self.epochs, self.max_steps, trim=self.trim, seed=self.seed, divisor=self.divisor, step=self.step)

    def _score(self, X: Image, groups: Groups) -> Scores:
        fitted = self._ready()
        return self._of(fitted.cosines(X), fitted.places(groups))

    def _of(self, logits: Matrix, own: Groups) -> Scores:
        return np.asarray(-logits[np.arange(len(logits)), self._column(logits, own)])
