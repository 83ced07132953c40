"""Variational autoencoder: codes near a standard normal, so that codes in between and beside can be drawn and looked at."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.detectors.fitted import Network
from core.detectors.reconstruction import Reconstruction

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from core.detectors.networks.autoencoders import Autoencoder


@dataclass
class Vae(Reconstruction):
    """Convolutional variational autoencoder, trained on Σ (x - x')² / (2 variance) + KL(q(z | x) ‖ N(0, 1)).

    **Score** and **Shape** as in Reconstruction, drawn from the posterior mean: (n, c, side, side) -> (n,).
    **Source** Kingma & Welling 2014, equation 10; the network of NTU homework 8, 65,835 parameters at 3 channels with `code=None`.
    **Differs** the homework averages the error over pixels and sums the divergence, and its posterior collapses; here both are summed
    over an image and averaged alike. It also scores a drawn code; the mean scores a banner the same twice.
    """

    code: int | None = 8
    variance: float = 0.02
    """Variance of a pixel, in -1..1, about what is drawn for it."""

    @property
    def name(self) -> str:
        return "vae"

    def _make_network(self, channels: int, side: int) -> "Autoencoder":
        from core.detectors.networks.autoencoders import Variational

        return Variational(channels, side, code=self.code)

    def _loss(self, network: Network, x: "Tensor", rng: "Generator") -> "Tensor":
        import torch

        mean, log_variance = network.posterior(x)
        code = mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=rng)
        error = (network.decode(code) - x).square().sum() / (2 * self.variance)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum() / 2
        return (error + divergence) / x.numel()
