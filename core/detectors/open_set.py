"""Open-set scores: a classifier that knows the groups' images is asked how sure it is. Higher = less sure = more anomalous.

What makes them open-set: the classifier learned only which group an image is of, and nothing of what broken ones look like.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import logsumexp

from core.detectors.base import Detector, Groups, Reads, Scores
from core.detectors.classifier import Classifier, log_softmax
from core.errors import ContractError
from core.statistics.arrays import Image, Matrix


@dataclass
class OpenSet(Detector):
    """Base. Learns across grids: `fit` and `score` take images of all groups, of which it needs two or more.

    State: what its `Classifier` learned. A given `classifier`, already fitted and of the kind that `_trainer` makes, is taken as it is;
    where `shared`, that is the plain one, which several scores rest on.
    """

    family: ClassVar[str] = "open_set"
    reads: ClassVar[Reads] = "images"
    across: ClassVar[bool] = True
    shared: ClassVar[bool] = True

    epochs: int = 12
    max_steps: int = 600
    trim: float = 0.1
    seed: int = 0
    classifier: Classifier | None = None

    @property
    def default_run(self) -> bool:
        """Only where it is asked for: it trains a network on all grids."""
        return False

    def _trainer(self) -> Any:
        """The unfitted `Classifier` that this method rests on."""
        return Classifier(self.epochs, self.max_steps, trim=self.trim, seed=self.seed)

    def _fit(self, X: Image, groups: Groups) -> None:
        self._fitted = self.classifier or self._trainer().fit(X, groups)
        vars(self).update(self._fitted.state())

    def _score(self, X: Image, groups: Groups) -> Scores:
        fitted = self._ready()
        return self._of(fitted.logits(X), fitted.places(groups))

    @abstractmethod
    def _of(self, logits: Matrix, own: Groups) -> Scores:
        """(n,) scores of logits (n, k); own (n,) columns of the rows' own classes, -1 = none of the classes."""

    def _ready(self) -> Any:
        """The fitted classifier, made from the state where that was loaded."""
        if not hasattr(self, "_fitted"):
            self._fitted = self._trainer()
            vars(self._fitted).update({name: value for name, value in vars(self).items() if name.endswith("_")})
        return self._fitted


@dataclass
class Conditional(OpenSet):
    """Base of the scores that can ask for the group that the banner says it is of, where the classifier knows it, in place of the best."""

    conditional: bool = True

    def _column(self, logits: Matrix, own: Groups) -> Groups:
        """(n,) columns asked for."""
        best = logits.argmax(axis=1)
        return np.where(own >= 0, own, best) if self.conditional else best


@dataclass
class MaxProbability(Conditional):
    """**Score** 1 - max P(y | x), or 1 - P(own | x) where `conditional`; 0..1. **Shape** images (n, c, side, side) -> (n,).
    **Source** Hendrycks and Gimpel 2017. **Differs** from a lecture's 1 - arg max, which is a slip; summed over the other classes, so that
    it does not round to 0."""

    @property
    def name(self) -> str:
        return "max_probability"

    def _of(self, logits: Matrix, own: Groups) -> Scores:
        log_p = log_softmax(logits)
        log_p[np.arange(len(log_p)), self._column(logits, own)] = -np.inf
        return np.asarray(np.exp(log_p).sum(axis=1))


@dataclass
class MaxLogit(Conditional):
    """**Score** -max logit, or -logit of the own group where `conditional`. **Shape** images (n, c, side, side) -> (n,).
    **Source** Vaze et al. 2022. **Differs** from a lecture that lists the max logit itself, which is a confidence."""

    @property
    def name(self) -> str:
        return "max_logit"

    def _of(self, logits: Matrix, own: Groups) -> Scores:
        return np.asarray(-logits[np.arange(len(logits)), self._column(logits, own)])


@dataclass
class Entropy(OpenSet):
    """**Score** -sum p log p of P(y | x), nats, 0..log k. **Shape** images (n, c, side, side) -> (n,). Whose group it is says nothing."""

    @property
    def name(self) -> str:
        return "entropy"

    def _of(self, logits: Matrix, own: Groups) -> Scores:
        log_p = log_softmax(logits)
        return np.asarray(-(np.exp(log_p) * log_p).sum(axis=1))


@dataclass
class Energy(OpenSet):
    """**Score** -T log sum exp(logit / T). **Shape** images (n, c, side, side) -> (n,). **Source** Liu et al. 2020, T = 1.
    Whose group it is says nothing."""

    temperature: float = 1.0

    @property
    def name(self) -> str:
        return "energy"

    def _of(self, logits: Matrix, own: Groups) -> Scores:
        if self.temperature <= 0:
            raise ContractError(f"A temperature is above 0, not {self.temperature}. Take 1.")
        return np.asarray(-self.temperature * logsumexp(logits / self.temperature, axis=1))
