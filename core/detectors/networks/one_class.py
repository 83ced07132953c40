"""Networks that judge an image as a whole: Deep SVDD's encoder and the adversarial ones' discriminators."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from core.detectors.networks.autoencoders import Autoencoder


class LeNet(nn.Module):
    """Deep SVDD's encoder: 5x5 convolutions `widths`, each halved by pooling, then fully connected `dense`; (b, c, side, side) -> (b, d).

    No bias and no affine norm: with either, the constant map onto the centre would be optimal. 7,272 parameters at 1x28x28 with
    widths (8, 4) and dense (32,); 222,096 with (16, 32) and (128, 64); 520,544 at 3x32x32 with (32, 64, 128) and (128,).
    """

    centre: Tensor

    def __init__(self, channels: int, side: int, widths: Sequence[int] = (8, 4), dense: Sequence[int] = (32,)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in zip([channels, *widths], widths, strict=False):
            layers += [
                nn.Conv2d(n_in, n_out, 5, 1, 2, bias=False),
                nn.BatchNorm2d(n_out, 1e-4, affine=False),
                nn.LeakyReLU(),
                nn.MaxPool2d(2),
            ]
            side //= 2
        layers.append(nn.Flatten())
        path = [widths[-1] * side * side, *dense]
        for n_in, n_out in itertools.pairwise(path):
            layers += [nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out, 1e-4, affine=False), nn.LeakyReLU()]
        self.body = nn.Sequential(*layers[:-2])
        self.register_buffer("centre", torch.zeros(dense[-1]))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class LeNetAutoencoder(Autoencoder):
    """A LeNet and its mirror image, which train the encoder before the hypersphere does."""

    def __init__(self, encoder: LeNet, channels: int, side: int, widths: Sequence[int], code: int) -> None:
        super().__init__()
        to = [side // 2**i for i in range(len(widths) + 1)][::-1]
        path = [*widths[::-1], channels]
        layers: list[nn.Module] = [nn.Linear(code, path[0] * to[0] ** 2, bias=False), nn.Unflatten(1, (path[0], to[0], to[0]))]
        for n_in, n_out, wide in zip(path, path[1:], to[1:], strict=False):
            layers += [nn.BatchNorm2d(n_in, 1e-4, affine=False), nn.LeakyReLU(), nn.Upsample((wide, wide)), nn.Conv2d(n_in, n_out, 5, 1, 2)]
        self.encoder = encoder
        self.decoder = nn.Sequential(*layers, nn.Tanh())
