"""OCGAN: a denoising autoencoder all of whose codes must draw good banners, so that it cannot draw a broken one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.detectors.fitted import Network
from core.detectors.reconstruction import Reconstruction

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from core.detectors.networks.autoencoders import Autoencoder


@dataclass
class Ocgan(Reconstruction):
    """Denoising autoencoder with its code in -1..1, a discriminator that spreads codes evenly over it, one that makes every code draw an
    image like the training ones, and a weak classifier that looks for codes which do not yet.

    **Loss** w MSE(G(E(x + noise)), x) - log D_code(E(x + noise)) - log D_image(G(u)), the discriminators and the classifier against it.
    **Score** and **Shape** as in Reconstruction, without noise: (n, c, side, side) -> (n,).
    **Source** Perera, Nallapati & Xiang 2019.
    **Differs** all five networks take each step together, with one optimiser; at most `max_steps` steps in place of 200 epochs, mining from
    the first one on; a code that is mined moves by `mined` along its gradient's direction and stays in -1..1.
    """

    code: int = 8
    dim: int = 4
    noise: float = 0.2
    """Standard deviation of the noise on what is encoded, in the network's units."""
    weight: float = 1000.0
    mined: float = 0.3
    max_steps: int = 180
    patience: int = 0

    @property
    def name(self) -> str:
        return "ocgan"

    def _make_network(self, channels: int, side: int) -> "Autoencoder":
        from core.detectors.networks.autoencoders import Convolutional
        from core.detectors.networks.discriminators import Adversarial, ImageDiscriminator

        judge, classifier = (ImageDiscriminator(channels, side, self.dim) for _ in range(2))
        return Adversarial(Convolutional(channels, side, code=self.code), self.code, judge, classifier)

    def _loss(self, network: Network, x: "Tensor", rng: "Generator") -> "Tensor":
        import torch
        from torch.nn.functional import mse_loss

        from core.detectors.networks.discriminators import held

        code = network.encode(x + self.noise * torch.randn(x.shape, generator=rng))
        drawn = network.decode(code)
        even = torch.rand(code.shape, generator=rng) * 2 - 1
        mined, unmined = self._mined(network, even)
        made = network.decode(mined)
        fooling = said(held(network.code_judge, code), True) + said(held(network.judge, made), True)
        judging = said(network.code_judge(even), True) + said(network.code_judge(code.detach()), False)
        judging = judging + said(network.judge(x), True) + said(network.judge(made.detach()), False)
        weak = said(network.classifier(drawn.detach()), True) + said(network.classifier(unmined), False)
        return self.weight * mse_loss(drawn, x) + fooling + judging + weak

    def _mined(self, network: Network, code: "Tensor") -> tuple["Tensor", "Tensor"]:
        """Codes moved to where the classifier finds what they draw less like a good banner, and what they drew before."""
        import torch

        from core.detectors.networks.discriminators import held

        start = code.clone().requires_grad_()
        drawn = held(network.decoder, start)
        (slope,) = torch.autograd.grad(said(held(network.classifier, drawn), True), start)
        return (code + self.mined * torch.nn.functional.normalize(slope, dim=1)).clamp(-1, 1), drawn.detach()


def said(logits: "Tensor", real: bool) -> "Tensor":
    """Mean cross-entropy of logits of "real" where all are real, or none is."""
    from torch.nn.functional import softplus

    return softplus(-logits if real else logits).mean()
