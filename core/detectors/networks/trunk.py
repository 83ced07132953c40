"""A classifier of heatmaps by layout: what its last layer but one says is what open-set scores rest on."""

import torch
from torch import Tensor, nn

WIDTHS = (16, 32, 64)
CODE = 64


class Trunk(nn.Module):
    """(b, channels, side, side) -> logits (b, n_classes); `encode` gives z (b, 64), at least 0."""

    def __init__(self, channels: int, side: int, n_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in zip((channels, *WIDTHS), WIDTHS, strict=False):
            layers += [nn.Conv2d(n_in, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(), nn.MaxPool2d(2)]
            side //= 2
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(WIDTHS[-1] * side * side, CODE), nn.ReLU())
        self.head = nn.Linear(CODE, n_classes)

    def encode(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.body(x))

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.encode(x)))
