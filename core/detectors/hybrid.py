"""Hybrid: a classifier that must also draw the image again from its features, so that they keep what the classes do not need."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from core.detectors.base import Groups
from core.detectors.classifier import Classifier, log_softmax
from core.detectors.open_set import MaxLogit
from core.statistics.arrays import Image

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

SHARES = (0.001, 0.01, 0.1, 1.0)
"""Weights of the drawing that are tried."""
SHORTER = 8
"""A trial takes so many times fewer steps than the training."""


@dataclass
class DrawingClassifier(Classifier):
    """A `Classifier` with loss cross-entropy + share * squared error, the mean over the pixels, of an image drawn again from z.

    `share` None = of SHARES the one with the lowest cross-entropy on images held out, where the share `trim` of each class that fits worst
    does not count. State: `share_` too.
    """

    strided: bool = True
    share: float | None = None

    def _make(self, channels: int, side: int, n_classes: int) -> "nn.Module":
        from core.detectors.networks.trunk import DrawingTrunk

        return DrawingTrunk(channels, side, n_classes, self.strided)

    def _loss(self, network: Any, x: "Tensor", y: "Tensor", rng: "Generator") -> "Tensor":
        from torch.nn.functional import cross_entropy, mse_loss

        logits, drawn = network.draw(x)
        return cross_entropy(logits, y) + self.share_ * mse_loss(drawn, x)

    def _train(self, X: Image, labels: Groups) -> None:
        self.share_ = self._chosen(X, labels) if self.share is None else self.share
        super()._train(X, labels)

    def _chosen(self, X: Image, labels: Groups) -> float:
        held = self._held_out(labels)
        if not held.any():
            return SHARES[0]
        return SHARES[int(np.argmin([self._tried(share, X, labels, held) for share in SHARES]))]

    def _tried(self, share: float, X: Image, labels: Groups, held: Any) -> float:
        """Cross-entropy on the images held out, after a shorter training without them."""
        trial = replace(self, share=share, epochs=max(1, self.epochs // SHORTER), max_steps=max(1, self.max_steps // SHORTER))
        trial.classes_, trial.mean_, trial.unit_ = self.classes_, self.mean_, self.unit_
        trial._train(X[~held], labels[~held])
        logits = trial.logits(X[held])
        best = trial._best(logits, labels[held])
        return float(-log_softmax(logits)[best, labels[held][best]].mean())


@dataclass
class Hybrid(MaxLogit):
    """**Score** -max logit, or -logit of the own group where `conditional`. **Shape** images (n, c, side, side) -> (n,).
    **Source** a classifier with a reconstruction head, as in the open-set study of Garrepalli 2022. **Differs** from it in the weight of
    the reconstruction, which was tuned on labelled test images: here `share` is chosen by nominal images alone."""

    shared: ClassVar[bool] = False

    share: float | None = None

    @property
    def name(self) -> str:
        return "hybrid"

    def _trainer(self) -> DrawingClassifier:
        return DrawingClassifier(self.epochs, self.max_steps, trim=self.trim, seed=self.seed, share=self.share)
