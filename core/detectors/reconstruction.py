"""Base of the autoencoders: what a network that knows good banners cannot draw again is anomalous."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.detectors.base import Groups
from core.detectors.fitted import FittedNetwork, Network
from core.statistics.arrays import Image

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from core.detectors.networks.autoencoders import Autoencoder


@dataclass
class Reconstruction(FittedNetwork):
    """**Score** the root of the summed squared differences between an image, as the network sees it, and its reconstruction.

    **Differs** from the decks, whose networks draw whole faces: these draw how an image differs from its group's mean. A heatmap is mostly
    empty, and networks that end in tanh learn from whole ones only that.
    """

    family: ClassVar[str] = "reconstruction"

    @abstractmethod
    def _make_network(self, channels: int, side: int) -> "Autoencoder": ...

    def _loss(self, network: Network, x: "Tensor", rng: "Generator") -> "Tensor":
        from torch.nn.functional import mse_loss

        return mse_loss(network(x), x)

    def _values(self, network: Network, x: "Tensor") -> "Tensor":
        return (network(x).double() - x).square().sum(dim=(1, 2, 3)).sqrt()

    def encode(self, X: Image, groups: Groups) -> Image:
        """(n, ...) codes of images (n, c, side, side) of groups (n,)."""
        import torch

        network = self._ready(X)
        with torch.inference_mode():
            return np.asarray(network.encode(self._tensor(X, groups)).numpy())

    def decode(self, codes: Image, groups: Groups) -> Image:
        """(n, c, side, side) images of codes (n, ...), each added to the mean image of its group; to be held against `normed(X)`."""
        import torch

        means = self._means(groups)
        network = self._ready(means)
        with torch.inference_mode():
            drawn = network.decode(torch.from_numpy(np.asarray(codes, dtype=np.float32))).numpy()
        return np.asarray(drawn * self.unit_ + means, dtype=np.float32)

    def reconstruct(self, X: Image, groups: Groups) -> Image:
        """(n, c, side, side) images as the network draws them again."""
        return self.decode(self.encode(X, groups), groups)
