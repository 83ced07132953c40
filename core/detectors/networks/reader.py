"""A small convolutional network that reads an image once."""

from collections.abc import Sequence

from torch import Tensor, nn

from core.detectors.networks.autoencoders import convolutions, sides


class Reader(nn.Module):
    """(b, channels, side, side) -> (b, n): halving convolutions `widths` with batch norm, then fully connected over `hidden`."""

    def __init__(self, channels: int, side: int, n: int, widths: Sequence[int] = (16, 32, 64), hidden: int = 64) -> None:
        super().__init__()
        flat = widths[-1] * sides(side, len(widths))[-1] ** 2
        maps = convolutions([channels, *widths], batch_norm=True)
        self.body = nn.Sequential(*maps, nn.Flatten(), nn.Linear(flat, hidden), nn.ReLU(), nn.Linear(hidden, n))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out
