"""Ensembles: classifiers that differ in their seed, or in their last layer, are asked together; whether they agree counts."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from scipy.special import logsumexp

from core.detectors.base import Groups, Scores
from core.detectors.classifier import Classifier, log_softmax
from core.detectors.open_set import Conditional, Entropy, MaxLogit, MaxProbability
from core.detectors.svgd import last_layers
from core.statistics.arrays import Image, Matrix

By = Literal["max_probability", "entropy", "mutual_information", "max_logit"]


@dataclass
class Ensemble(Conditional):
    """Base. Scores logits (m, n, k) of m members by their mean P(y | x), which is never as sure as each of them where they disagree.

    `by` max_probability, the default: 1 - max P, or 1 - P(own) where `conditional`. entropy: that of P. mutual_information: the entropy of
    P less the mean of the members' entropies, which is 0 where they agree. max_logit: the negated mean logit of the best or own class.
    """

    by: By = "max_probability"

    def _of(self, logits: Matrix, own: Groups) -> Scores:
        if self.by == "max_logit":
            return MaxLogit(conditional=self.conditional)._of(logits.mean(axis=0), own)
        each = np.stack([log_softmax(one) for one in logits])
        mean = logsumexp(each, axis=0) - np.log(len(each))
        if self.by == "max_probability":
            return MaxProbability(conditional=self.conditional)._of(mean, own)
        apart = np.mean([Entropy()._of(one, own) for one in each], axis=0) if self.by == "mutual_information" else 0.0
        return np.asarray(Entropy()._of(mean, own) - apart)


@dataclass
class Members:
    """`size` Classifiers, seeds `seed`, `seed` + 1, …, each with its own initial weights and order of images.

    State: that of a Classifier; `weights_` (size, p) and `losses_` (size, m) have a row a member.
    """

    member: Classifier
    size: int

    def fit(self, X: Image, groups: Groups) -> Self:
        """Trains every member. Raises ContractError where a Classifier does."""
        self._fitted = [replace(self.member, seed=self.member.seed + k).fit(X, groups) for k in range(self.size)]
        self.weights_ = np.stack([one.weights_ for one in self._fitted])
        self.losses_ = np.stack([one.losses_ for one in self._fitted])
        self.classes_, self.mean_, self.unit_ = self._fitted[0].classes_, self._fitted[0].mean_, self._fitted[0].unit_
        return self

    def state(self) -> dict[str, Any]:
        """What was learned, by attribute."""
        return {name: value for name, value in vars(self).items() if name.endswith("_")}

    def logits(self, X: Image) -> Matrix:
        """(size, n, k) logits of images."""
        return np.stack([one.logits(X) for one in self._ready()])

    def places(self, groups: Groups) -> Groups:
        """(n,) column of every row's own class; -1 where it is none."""
        return self._ready()[0].places(groups)

    def _ready(self) -> list[Classifier]:
        if not hasattr(self, "_fitted"):
            self._fitted = [replace(self.member, seed=self.member.seed + k) for k in range(self.size)]
            for one, weights in zip(self._fitted, self.weights_, strict=True):
                one.classes_, one.mean_, one.unit_, one.weights_ = self.classes_, self.mean_, self.unit_, weights
        return self._fitted


@dataclass
class DeepEnsemble(Ensemble):
    """**Score** as `by` says, of `size` classifiers trained apart. **Shape** images (n, c, side, side) -> (n,).
    **Source** Lakshminarayanan et al. 2017, without adversarial training. Members take half as many
    steps as a lone classifier, on strided trunks, so that five of them train in half a minute on 6,000 images."""

    shared: ClassVar[bool] = False

    max_steps: int = 300
    size: int = 5

    @property
    def name(self) -> str:
        return "deep_ensemble"

    def _trainer(self) -> Members:
        return Members(replace(super()._trainer(), strided=True), self.size)


@dataclass
class SvgdEnsemble(Ensemble):
    """**Score** as `by` says, of `size` last layers on one shared trunk. **Shape** images (n, c, side, side) -> (n,).
    **Source** Liu and Wang 2016: the last layers are particles that Stein variational gradient descent moves towards its posterior, and
    apart from each other. **Differs** from whole networks as particles, whose distances are all alike. State: `particles_` too."""

    size: int = 10
    n_moves: int = 400

    @property
    def name(self) -> str:
        return "svgd_ensemble"

    def _fit(self, X: Image, groups: Groups) -> None:
        super()._fit(X, groups)
        places = self._fitted.places(groups)
        rows = np.flatnonzero(places >= 0)
        best = rows[self._fitted._best(self._fitted.logits(X[rows]), places[rows])]
        k = len(self._fitted.classes_)
        self.particles_ = last_layers(self._fitted.codes(X[best]), places[best], k, self.size, self.n_moves, self.seed)

    def _score(self, X: Image, groups: Groups) -> Scores:
        fitted = self._ready()
        z = fitted.codes(X)
        return self._of(np.stack([z @ one[:-1] + one[-1] for one in self.particles_]), fitted.places(groups))
