"""Base of the detectors that train a network in `fit`: scaling, batches, the loop, leaving out the worst, and scoring.

A method gives its network, its loss on a batch and its score of a batch. Images are float32 (n, c, side, side).
"""

import hashlib
import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from core.detectors.base import Detector, Groups, Reads, Scores
from core.errors import ContractError
from core.features.networks.training_loop import Plan, fit_network
from core.logs.progress import Progress, no_progress
from core.statistics.arrays import Image

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

Network = Any
"""The nn.Module of a method, with the parts that only the method knows."""

INSIDE = 0.999
Values = Callable[[Network, "Tensor"], "Tensor"]
"""(network, batch (b, c, side, side)) -> (b,) or (b, d) float64."""
BATCH = 128
"""Images a forward pass when scoring, always so many: the last batch is filled up, so that a score never depends on its company."""


@dataclass
class FittedNetwork(Detector):
    """Trains in `fit`, on the images themselves, as many epochs as fit into `max_steps`, or until the loss has converged.

    The network sees how an image differs from the mean image of its group, so scaled that `INSIDE` of all pixels lie in -1..1.
    State: `weights_` (all of the network's numbers), `means_` (k + 1, c, side, side) of the groups `codes_` (k,) and of all images, for
    groups that `fit` never saw; `unit_`, the difference that becomes 1; `losses_`, the loss curve.
    """

    reads: ClassVar[Reads] = "images"

    epochs: int = 20
    max_steps: int = 600
    batch: int = 32
    rate: float = 2e-3
    trim: float = 0.1
    """Share of every group, farthest from its mean image, that nothing is learned from: what is fitted on holds broken banners too."""
    unit_length: bool = True
    """Whether images are brought to length 1 first; square roots of a heatmap's shares then are what they were before a brightest cell
    was made 1, and equally noisy everywhere."""
    patience: int = 3
    seed: int = 0
    checkpoint: Path | None = None
    """Where a training that was stopped continues; None = it starts from the beginning."""
    progress: Progress | None = None

    @property
    def default_run(self) -> bool:
        """Only where it is asked for: it trains, and finds less than the statistics do."""
        return False

    @abstractmethod
    def _make_network(self, channels: int, side: int) -> "nn.Module": ...

    @abstractmethod
    def _loss(self, network: Network, x: "Tensor", rng: "Generator") -> "Tensor":
        """Loss on a batch (b, c, side, side), as the network sees it."""

    @abstractmethod
    def _values(self, network: Network, x: "Tensor") -> "Tensor":
        """(b,) float64 scores of a batch."""

    def _before(self, network: Network, x: "Tensor") -> None:
        """What a method does with the fresh network and all images (n, c, side, side) before the loop."""

    def _after(self, network: Network, x: "Tensor") -> None:
        """What a method learns from the trained network and the images it was trained on to the end."""

    def _fit(self, X: Image, groups: Groups) -> None:
        if X.shape[2] != X.shape[3]:
            raise ContractError(f"{self.name} reads square images: they have {X.shape[2]} x {X.shape[3]} pixels. Pad them.")
        X = self.normed(X)
        self._learn_means(X, groups)
        kept = self._nearest(X, groups)
        X, groups = X[kept], groups[kept]
        self._learn_means(X, groups)
        self.unit_ = float(np.quantile(np.abs(X - self._means(groups)), INSIDE)) or 1.0
        network, x = self._fresh(), self._seen(X, groups)
        self._before(network, x)
        self.losses_ = np.array(self._trained(network, x))
        self._after(network, x)
        self.weights_ = np.concatenate([v.numpy().ravel() for v in network.state_dict().values() if v.is_floating_point()])
        self._network = network

    def _learn_means(self, X: Image, groups: Groups) -> None:
        self.codes_ = np.unique(groups)
        self.means_ = np.stack([*[X[groups == code].mean(axis=0) for code in self.codes_], X.mean(axis=0)])

    def _nearest(self, X: Image, groups: Groups) -> NDArray[np.int64]:
        """Rows to learn from: all but the share `trim` of every group that lies farthest from its mean image."""
        far = np.square(X - self._means(groups)).sum(axis=(1, 2, 3), dtype=np.float64)
        kept = np.ones(len(X), dtype=bool)
        for code in self.codes_:
            rows = np.flatnonzero(groups == code)
            kept[rows[np.argsort(-far[rows], kind="stable")[: int(self.trim * len(rows))]]] = False
        return np.flatnonzero(kept)

    def _plan(self, n: int, digest: str = "") -> Plan:
        steps = min(self.max_steps, math.ceil(n * self.epochs / self.batch))
        return Plan(steps, self.batch, self.rate, self.seed, self.patience, least=steps // 2 + 1, window=10, weight_decay=0.0, data=digest)

    def _trained(self, network: Network, x: "Tensor") -> list[float]:
        import torch

        plan = self._plan(len(x), hashlib.sha256(x.numpy().tobytes()).hexdigest()[:16] if self.checkpoint else "")

        def loss(step: int) -> "Tensor":
            rng = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
            return self._loss(network, x[torch.randint(len(x), (plan.batch,), generator=rng)], rng)

        return fit_network(network, loss, plan, self.checkpoint, self.progress or no_progress)

    def _score(self, X: Image, groups: Groups) -> Scores:
        return self._in_batches(self._ready(X), self._tensor(X, groups))

    def _in_batches(self, network: Network, x: "Tensor", values: Values | None = None) -> Scores:
        """(n,), or (n, d), what `values` gives, `_values` unless told otherwise, batch by batch."""
        import torch

        out = []
        with torch.inference_mode():
            for a in range(0, max(len(x), 1), BATCH):
                part = x[a : a + BATCH]
                whole = torch.zeros((BATCH, *part.shape[1:])).contiguous(memory_format=torch.channels_last)
                whole[: len(part)] = part
                out.append((values or self._values)(network, whole).numpy()[: len(part)])
        return np.concatenate(out)

    def _means(self, groups: Groups) -> Image:
        """(n, c, side, side) mean images of the rows' groups."""
        at = np.searchsorted(self.codes_, groups)
        known = self.codes_[np.minimum(at, len(self.codes_) - 1)] == groups
        return self.means_[np.where(known, at, len(self.codes_))]

    def normed(self, X: Image) -> Image:
        """(n, c, side, side) images brought to length 1 where `unit_length` says so: what reconstructions are to be looked at beside."""
        if not self.unit_length:
            return X
        length = np.sqrt(np.einsum("nchw,nchw->n", X, X, dtype=np.float64))
        return np.asarray(X / np.maximum(length, 1e-9)[:, None, None, None], dtype=np.float32)

    def _seen(self, X: Image, groups: Groups) -> "Tensor":
        """What the network sees of images that are as `normed` leaves them."""
        import torch

        seen = ((X - self._means(groups)) / self.unit_).astype(np.float32)
        return torch.from_numpy(seen).contiguous(memory_format=torch.channels_last)

    def _tensor(self, X: Image, groups: Groups) -> "Tensor":
        """What the network sees of images."""
        return self._seen(self.normed(X), groups)

    def _ready(self, X: Image) -> Network:
        """The trained network, made from the state where it was loaded. Raises ContractError for images of another shape."""
        if X.shape[1:] != self.means_.shape[1:]:
            fitted = self.means_.shape[1:]
            raise ContractError(f"{self.name} was fitted on images of shape {fitted}: it got {X.shape[1:]}. Fit it on these.")
        if not hasattr(self, "_network"):
            self._network = self._fresh().eval()
            _put(self._network, self.weights_)
        return self._network

    def _fresh(self) -> Network:
        import torch

        with torch.random.fork_rng(devices=[]):  # initial weights come from torch's one global generator
            torch.manual_seed(self.seed)
            network: Network = self._make_network(*self.means_.shape[1:3])
        return network.to(memory_format=torch.channels_last)


def _put(network: "nn.Module", weights: NDArray[np.float32]) -> None:
    """Fills the network's parameters and buffers with `weights`, in the order of its state."""
    import torch

    at = 0
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.from_numpy(weights[at : at + value.numel()]).view(value.shape))
            at += value.numel()
