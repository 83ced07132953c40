"""A small classifier without any norm, whose logits are read as energies: what a norm does to a batch would leak between images."""

import torch
from torch import Tensor, nn

WIDTHS = (16, 32, 64)


class EnergyNetwork(nn.Module):
    """(b, channels, side, side) -> logits (b, n_classes); smooth in x, so that its slope leads somewhere. The side is halved at first."""

    def __init__(self, channels: int, side: int, n_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in zip((channels, *WIDTHS), WIDTHS, strict=False):
            layers += [nn.Conv2d(n_in, n_out, 4, 2, 1), nn.SiLU()]
            side //= 2
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(WIDTHS[-1] * side * side, WIDTHS[-1]), nn.SiLU())
        self.head = nn.Linear(WIDTHS[-1], n_classes)

    def encode(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.body(x))

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.encode(x)))
