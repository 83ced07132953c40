"""A classifier of heatmaps by layout: what its last layer but one says is what open-set scores rest on."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.detectors.networks.autoencoders import convolutions, deconvolutions, opened, sides

WIDTHS = (16, 32, 64)
CODE = 64
LEAST = 1e-3
"""What is added to a divisor, so that it never is 0."""


class Trunk(nn.Module):
    """(b, channels, side, side) -> logits (b, n_classes); `encode` gives z (b, 64), at least 0.

    `strided`: convolutions halve the side in place of pooling, in two fifths of the time.
    """

    def __init__(self, channels: int, side: int, n_classes: int, strided: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = convolutions((channels, *WIDTHS), True) if strided else []
        for n_in, n_out in zip((channels, *WIDTHS), () if strided else WIDTHS, strict=False):
            layers += [nn.Conv2d(n_in, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(), nn.MaxPool2d(2)]
        last = sides(side, len(WIDTHS))[-1]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(WIDTHS[-1] * last * last, CODE), nn.ReLU())
        self.head = nn.Linear(CODE, n_classes)

    def encode(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.body(x))

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.encode(x)))


class CosineTrunk(Trunk):
    """Logits h / g: h (b, n_classes) the cosines between z and the classes' directions, g (b, 1) above 0, learned from z alone.

    With `linear`, g is a softplus of a linear map of z; otherwise the sigmoid of a normalised one.
    """

    def __init__(self, channels: int, side: int, n_classes: int, linear: bool, strided: bool = False) -> None:
        super().__init__(channels, side, n_classes, strided)
        self.head = nn.Linear(CODE, n_classes, bias=False)
        last: list[nn.Module] = [nn.Softplus()] if linear else [nn.BatchNorm1d(1), nn.Sigmoid()]
        self.divisor = nn.Sequential(nn.Linear(CODE, 1), *last)

    def cosines(self, x: Tensor) -> Tensor:
        """(b, n_classes) in -1..1."""
        return self._turned(self.encode(x))

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x)
        return self._turned(z) / (self.divisor(z) + LEAST)

    def _turned(self, z: Tensor) -> Tensor:
        return functional.linear(functional.normalize(z), functional.normalize(self.head.weight))


class DrawingTrunk(Trunk):
    """A trunk with a decoder: `draw` gives logits (b, n_classes) and the images (b, channels, side, side) drawn again from z."""

    def __init__(self, channels: int, side: int, n_classes: int, strided: bool = False) -> None:
        super().__init__(channels, side, n_classes, strided)
        path, to = [channels, *WIDTHS], sides(side, len(WIDTHS))
        whole = deconvolutions(path[::-1], to[::-1], False)[:-1]  # without the last tanh: what is drawn is not held to -1..1
        self.decoder = nn.Sequential(*opened(CODE, WIDTHS[-1], to[-1]), *whole)

    def draw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return torch.as_tensor(self.head(z)), torch.as_tensor(self.decoder(z))
