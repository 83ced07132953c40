"""Networks that tell real images or codes from made ones; both give a logit, higher = real."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.func import functional_call

from core.detectors.networks.autoencoders import Autoencoder, dense


class ImageDiscriminator(nn.Module):
    """DCGAN's discriminator: (b, c, side, side) -> (b,). 4,316,545 parameters at 3x64x64 with dim=64.

    Four 5x5 convolutions halve the side, the last one reads what is left: 4x4 of 64 pixels, 3x3 of 40, 2x2 of 28.
    """

    def __init__(self, channels: int, side: int, dim: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, dim, 5, 2, 2), nn.LeakyReLU(0.2)]
        side = (side + 1) // 2
        for k in (1, 2, 4):
            layers += [nn.Conv2d(k * dim, 2 * k * dim, 5, 2, 2), nn.BatchNorm2d(2 * k * dim), nn.LeakyReLU(0.2)]
            side = (side + 1) // 2
        self.body = nn.Sequential(*layers, nn.Conv2d(8 * dim, 1, side), nn.Flatten(0))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class CodeDiscriminator(nn.Module):
    """Tells codes of images from drawn ones: (b, d) -> (b,)."""

    def __init__(self, code: int, widths: Sequence[int] = (64, 32)) -> None:
        super().__init__()
        self.body = nn.Sequential(*dense([code, *widths, 1]), nn.Flatten(0))

    def forward(self, code: Tensor) -> Tensor:
        return self.body(code)


class Judged(Autoencoder):
    """An autoencoder and a discriminator of its images; 4,364,140 parameters at 3x64x64 with batch norm, no code and dim=64."""

    def __init__(self, autoencoder: Autoencoder, judge: ImageDiscriminator) -> None:
        super().__init__()
        self.encoder, self.decoder, self.judge = autoencoder.encoder, autoencoder.decoder, judge


class Adversarial(Autoencoder):
    """OCGAN's five networks: an autoencoder with its code in -1..1, a discriminator of codes, one of images, and a weak classifier."""

    def __init__(self, autoencoder: Autoencoder, code: int, judge: ImageDiscriminator, classifier: ImageDiscriminator) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Sequential(autoencoder.encoder, nn.Tanh()), autoencoder.decoder
        self.code_judge, self.judge, self.classifier = CodeDiscriminator(code), judge, classifier


def held(network: nn.Module, x: Tensor) -> Tensor:
    """The network's output, through which gradients reach x and not the network's own parameters."""
    return functional_call(network, {name: value.detach() for name, value in network.named_parameters()}, (x,))
