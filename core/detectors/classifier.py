"""A classifier that learns which group an image is of, from images of which some are broken: the trunk of the open-set scores.

In: images float32 (n, c, side, side) and group codes (n,). Out: logits (n, k) over the groups that had enough images. Arrays only, so
that several scores share one training. Methods with a network or a loss of their own derive from it and keep its loop.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from core.detectors.base import Groups
from core.detectors.fitted import BATCH, _put
from core.errors import ContractError
from core.features.networks.training_loop import Plan, fit_network
from core.logs.progress import no_progress
from core.statistics.arrays import Image, Matrix

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


MIN_CLASS = 24
"""Images that a group needs to be a class of its own."""
HELD = 5
"""One image in so many is held out where a setting is chosen; by images and their groups alone."""


@dataclass
class Classifier:
    """Cross-entropy, AdamW, seeded, as many epochs as fit into `max_steps`.

    After half of the steps the share `trim` of every class that fits it worst is left out: what is learned from holds broken banners too.
    State: `classes_` (k,) codes, `weights_`, the network's numbers, `mean_` (c, side, side) and `unit_` that images are scaled by,
    `losses_`, the loss curve.
    """

    undecayed: ClassVar[tuple[str, ...]] = ()
    """Beginnings of the names of the network's parameters that no weight decay draws towards 0."""

    epochs: int = 12
    max_steps: int = 600
    batch: int = 64
    rate: float = 2e-3
    weight_decay: float = 1e-2
    trim: float = 0.1
    seed: int = 0
    strided: bool = False
    """A trunk that takes two fifths of the time: for what trains several, or more than a trunk."""

    def fit(self, X: Image, groups: Groups) -> Self:
        """Learns the groups with MIN_CLASS images, or all where fewer than two have so many. Raises ContractError for one group."""
        codes, sizes = np.unique(groups, return_counts=True)
        large = codes[sizes >= MIN_CLASS]
        self.classes_ = large if len(large) > 1 else codes
        if len(self.classes_) < 2:
            raise ContractError("A classifier needs two groups or more: there is 1. Score more grids or products in one run.")
        rows = np.isin(groups, self.classes_)
        X, labels = X[rows], np.searchsorted(self.classes_, groups[rows])
        self.mean_ = X.mean(axis=0)
        self.unit_ = float((X - self.mean_).std()) or 1.0
        self._train(X, labels)
        return self

    def state(self) -> dict[str, Any]:
        """What was learned, by attribute, as arrays and numbers."""
        return {name: value for name, value in vars(self).items() if name.endswith("_")}

    def _make(self, channels: int, side: int, n_classes: int) -> "nn.Module":
        """(b, channels, side, side) -> logits (b, n_classes)."""
        from core.detectors.networks.trunk import Trunk

        return Trunk(channels, side, n_classes, self.strided)

    def _loss(self, network: Any, x: "Tensor", y: "Tensor", rng: "Generator") -> "Tensor":
        """Loss on a batch of images, as the network sees them, of classes y (b,)."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(network(x), y)

    def _train(self, X: Image, labels: Groups) -> None:
        import torch

        network, x, y = self._fresh(), self._seen(X), torch.from_numpy(labels)
        kept = torch.arange(len(x))
        steps = min(self.max_steps, math.ceil(len(x) * self.epochs / self.batch))

        def loss(step: int) -> "Tensor":
            nonlocal kept
            if step == steps // 2 and self.trim > 0:
                network.eval()
                kept = torch.from_numpy(self._best(self._in_batches(network, x), labels))
                network.train()
            rng = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
            at = kept[torch.randint(len(kept), (self.batch,), generator=rng)]
            return self._loss(network, x[at], y[at], rng)

        plan = Plan(steps, self.batch, self.rate, self.seed, window=10, weight_decay=self.weight_decay, undecayed=self.undecayed)
        self.losses_ = np.array(fit_network(network, loss, plan, None, no_progress))
        self.weights_ = np.concatenate([v.numpy().ravel() for v in network.state_dict().values() if v.is_floating_point()])
        self._network = network

    def _held_out(self, labels: Groups) -> NDArray[np.bool_]:
        """(n,) which images of classes `labels` are held out: every HELDth of each class, in a seeded order."""
        return _places(np.random.default_rng(self.seed).random(len(labels)), labels) % HELD == HELD - 1

    def _best(self, logits: Matrix, labels: Groups) -> Groups:
        """Rows to go on with: all but the share `trim` of every class whose own class is least likely."""
        own = log_softmax(logits)[np.arange(len(labels)), labels]
        return np.flatnonzero(_places(own, labels) >= (self.trim * np.bincount(labels)).astype(np.int64)[labels])

    def logits(self, X: Image) -> Matrix:
        """(n, k) logits of images, each the same in any company. Raises ContractError for images of another shape."""
        return self._in_batches(self._ready(X), self._seen(X))

    def codes(self, X: Image) -> Matrix:
        """(n, 64) what the last layer sees of images."""
        network = self._ready(X)
        return self._in_batches(network, self._seen(X), network.encode)

    def places(self, groups: Groups) -> Groups:
        """(n,) column of every row's own class; -1 where it is none."""
        at = np.minimum(np.searchsorted(self.classes_, groups), len(self.classes_) - 1)
        return np.where(self.classes_[at] == groups, at, -1)

    def _in_batches(self, network: Any, x: "Tensor", of: Any = None) -> Matrix:
        import torch

        out = []
        with torch.inference_mode():
            for a in range(0, len(x), BATCH):
                part = x[a : a + BATCH]
                whole = torch.zeros((BATCH, *part.shape[1:])).contiguous(memory_format=torch.channels_last)
                whole[: len(part)] = part
                out.append((of or network)(whole).double().numpy()[: len(part)])
        return np.concatenate(out) if out else np.empty((0, len(self.classes_)))

    def _seen(self, X: Image) -> "Tensor":
        import torch

        return torch.from_numpy(((X - self.mean_) / self.unit_).astype(np.float32)).contiguous(memory_format=torch.channels_last)

    def _ready(self, X: Image) -> Any:
        if X.shape[1:] != self.mean_.shape:
            raise ContractError(f"A classifier was fitted on images of shape {self.mean_.shape}: it got {X.shape[1:]}.")
        if not hasattr(self, "_network"):
            self._network = self._fresh().eval()
            _put(self._network, self.weights_)
        return self._network

    def _fresh(self) -> Any:
        import torch

        with torch.random.fork_rng(devices=[]):  # initial weights come from torch's one global generator
            torch.manual_seed(self.seed)
            network: Any = self._make(self.mean_.shape[0], self.mean_.shape[1], len(self.classes_))
        return network.to(memory_format=torch.channels_last)


def _places(values: Matrix, labels: Groups) -> Groups:
    """(n,) how many of a row's class have a lower value."""
    order = np.lexsort((values, labels))
    sizes = np.bincount(labels)
    out = np.empty(len(labels), dtype=np.int64)
    out[order] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return out


def log_softmax(logits: Matrix) -> Matrix:
    """(n, k) log probabilities."""
    top = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(top - np.log(np.exp(top).sum(axis=1, keepdims=True)))
