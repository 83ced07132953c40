"""What pretext tasks do with images, (b, c, side, side) -> the same shape; a network learns to tell which of it was done."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

Pretext = Literal["moves", "rotation", "scale"]


@dataclass(frozen=True)
class Move:
    """Mirrored left to right, turned by quarters, moved by (`down`, `right`) shares of the side, raised to a power; in that order.

    What leaves the image is lost and what comes in is empty, as it is with clicks.
    """

    mirrored: bool = False
    quarters: int = 0
    down: float = 0.0
    right: float = 0.0
    power: float = 1.0

    def __call__(self, x: Tensor) -> Tensor:
        if self.mirrored:
            x = x.flip(3)
        if self.quarters:
            x = torch.rot90(x, self.quarters, (2, 3))
        if self.down or self.right:
            x = shifted(x, round(self.down * x.shape[2]), round(self.right * x.shape[3]))
        return x if self.power == 1 else raised(x, self.power)


def shifted(x: Tensor, down: int, right: int) -> Tensor:
    """Images moved by whole pixels."""
    return pad(x, (right, -right, down, -down))  # a negative width cuts


def raised(x: Tensor, power: float) -> Tensor:
    """Pixels to a power, each image as long afterwards as before: clicks counted on another scale."""
    out = x.clamp_min(0) ** power
    length = x.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
    return out * (length / out.square().sum(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(1e-9))


TILE = 0.2
"""How far a shift goes, in shares of the side: about half a product of a banner with two rows, and eight cells of forty."""
TURNS = tuple(Move(mirrored, quarters) for mirrored in (False, True) for quarters in range(4))
SHIFTS = (Move(down=TILE), Move(down=-TILE), Move(right=TILE), Move(right=-TILE))
MOVES: dict[str, tuple[Move, ...]] = {
    "moves": TURNS + SHIFTS,
    "rotation": tuple(Move(quarters=quarters) for quarters in range(4)),
    "scale": tuple(Move(power=power) for power in (1.0, 0.5, 2.0, 3.0)),
}
"""By pretext; the first one leaves an image as it is."""


def different(moves: tuple[Move, ...], means: Tensor, alike: float) -> list[int]:
    """Places of the moves that make something of their own of the mean images (k, c, side, side).

    A move is left out where its images' cosine to those of one that is kept is above `alike` in the mean over k: it could not be told
    which of both was done. All are kept where fewer than two would be, or where the images are empty.
    """
    flat = torch.stack([move(means).flatten(1) for move in moves])
    unit = flat / flat.norm(dim=2, keepdim=True).clamp_min(1e-9)
    cosine = torch.einsum("skd,tkd->st", unit, unit) / len(means)
    kept: list[int] = []
    for k in range(len(moves)):
        if not kept or float(cosine[k, kept].max()) <= alike:
            kept.append(k)
    return kept if len(kept) > 1 else list(range(len(moves)))


def edges(x: Tensor) -> Tensor:
    """Strength of edges by Sobel's operator, the root of both directions' squares over 8; beyond the border images go on as they end."""
    kernel = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]], dtype=x.dtype)
    both = torch.stack([kernel, kernel.T])[:, None]
    each = conv2d(pad(x.flatten(0, 1)[:, None], (1, 1, 1, 1), mode="replicate"), both)
    return (each / 8).square().sum(dim=1).add(1e-12).sqrt().view(x.shape)
