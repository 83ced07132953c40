"""An autoencoder and a classifier of real against made images, both asked: the third course deck's boss baseline."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from core.detectors.base import Groups, Scores
from core.detectors.fitted import Network
from core.detectors.reconstruction import Reconstruction
from core.statistics.arrays import Image

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from core.detectors.networks.autoencoders import Autoencoder

N_KNOTS = 101


@dataclass
class NoiseClassifier(Reconstruction):
    """Autoencoder with batch norm, and DCGAN's discriminator as an extra classifier that learns training images against made ones.

    **Score** the mean of two normal scores, of the reconstruction error and of the classifier's -logit, each by its place among those of
    the images that `fit` kept. **Shape** (n, c, side, side) -> (n,).
    **Source** NTU machine learning course 2021, homework 8, "boss": 4,364,140 parameters at 3x64x64 with `code=None` and `dim=64`.
    Neither what its noise was nor how its two scores were joined was published.
    **Differs** made images are what the decoder draws from random codes, normal with the batch's mean and `reach` times its spread in every
    entry, each with 1 to `loudest` times what another image's reconstruction left out: without it they are smooth, and the classifier
    would learn grain alone. Made no odder than real ones, images would teach it that whatever is odd is real. The share `noise_share` is
    pixel noise, which by itself would teach no boundary near the images.
    """

    code: int | None = 8
    dim: int = 8
    noise_share: float = 0.125
    reach: float = 2.0
    loudest: float = 3.0

    @property
    def name(self) -> str:
        return "noise_classifier"

    def _make_network(self, channels: int, side: int) -> "Autoencoder":
        from core.detectors.networks.autoencoders import Convolutional
        from core.detectors.networks.discriminators import ImageDiscriminator, Judged

        return Judged(Convolutional(channels, side, batch_norm=True, code=self.code), ImageDiscriminator(channels, side, self.dim))

    def _loss(self, network: Network, x: "Tensor", rng: "Generator") -> "Tensor":
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

        code = network.encode(x)
        made = self._made(network, x, code.detach(), rng)
        logits = network.judge(torch.cat([x, made]))
        real = (torch.arange(2 * len(x)) < len(x)).float()
        return mse_loss(network.decode(code), x) + binary_cross_entropy_with_logits(logits, real)

    def _made(self, network: Network, x: "Tensor", code: "Tensor", rng: "Generator") -> "Tensor":
        """As many made images as there are real ones in x."""
        import torch

        n_noise = round(self.noise_share * len(x))
        noise = x.mean() + x.std() * torch.randn(x[:n_noise].shape, generator=rng)
        random = code.mean(dim=0) + self.reach * code.std(dim=0) * torch.randn(code[n_noise:].shape, generator=rng)
        network.decoder.eval()  # made images are to leave no trace in the norms of real ones
        with torch.no_grad():
            drawn = network.decode(random)
            grain = x - network.decode(code)
        network.decoder.train()
        other = torch.randint(len(x), (len(drawn),), generator=rng)
        louder = 1 + (self.loudest - 1) * torch.rand((len(drawn), 1, 1, 1), generator=rng)
        return torch.cat([noise, drawn + louder * grain[other]])

    def _doubts(self, network: Network, x: "Tensor") -> "Tensor":
        """(b,) float64 -logits of "real"."""
        return -network.judge(x).double()

    def _after(self, network: Network, x: "Tensor") -> None:
        levels = (np.arange(N_KNOTS) + 0.5) / N_KNOTS
        self.error_knots_ = np.quantile(self._in_batches(network, x), levels)
        self.doubt_knots_ = np.quantile(self._in_batches(network, x, self._doubts), levels)

    def _score(self, X: Image, groups: Groups) -> Scores:
        network, x = self._ready(X), self._tensor(X, groups)
        errors, doubts = self._in_batches(network, x), self._in_batches(network, x, self._doubts)
        return np.asarray((normal_scores(errors, self.error_knots_) + normal_scores(doubts, self.doubt_knots_)) / 2)


def normal_scores(values: Scores, knots: NDArray[np.float64]) -> Scores:
    """(n,) standard normal quantiles of values, by their place among the quantiles `knots` (k,) of those learned from; beyond the first
    and the last knot they go on in a straight line, as steep as from the one to the other."""
    levels = ndtri((np.arange(len(knots)) + 0.5) / len(knots))
    spread = max(knots[-1] - knots[0], np.finfo(np.float32).tiny) / (levels[-1] - levels[0])
    beyond = np.maximum(values - knots[-1], 0) - np.maximum(knots[0] - values, 0)
    return np.asarray(np.interp(values, knots, levels) + beyond / spread)
