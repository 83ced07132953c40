"""The image-domain augmentations. x (b, c, h, w) in 0..1, sizes (3,) area, aspect and angle in radians, places of every image.

CutDiff and rotation are differentiable in the sizes, so that these can be learned. Positions are shares of the sides, (row, column).
**Source** DeVries and Taylor 2017 (CutOut), Li et al. 2021 (CutPaste), Yoo, Zhao and Akoglu 2023 (CutAvg, CutDiff and the ranges).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn.functional import affine_grid, grid_sample

from core.detectors.augment import NAMES
from core.errors import ContractError

SHARPNESS = 0.1
"""CutDiff's Gaussian has this variance, in units of the patch's sides squared."""


class Places(NamedTuple):
    """Centre of every image's patch, and where CutPaste puts it: (b, 2) row and column, 0..1."""

    centre: Tensor
    target: Tensor


Augmentation = Callable[[Tensor, Tensor, Places], Tensor]
"""(x (b, c, h, w), sizes (3,), places) -> augmented (b, c, h, w) in 0..1."""


def placed(x: Tensor, rng: Generator, on_content: bool = False) -> Places:
    """Places drawn uniformly, or `on_content`, centres in proportion to the squared brightness: patches in empty parts change nothing."""
    b, _, h, w = x.shape
    target = torch.rand((b, 2), generator=rng)
    if not on_content:
        return Places(torch.rand((b, 2), generator=rng), target)
    weight = x.detach().square().sum(dim=1).flatten(1) + 1e-12
    pixel = torch.multinomial(weight, 1, generator=rng).squeeze(1)
    return Places(torch.stack([(pixel // w + 0.5) / h, (pixel % w + 0.5) / w], dim=1), target)


def sides(sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Height and width of the patch as shares of the image: sqrt(area / aspect) and sqrt(area * aspect)."""
    return (sizes[0] / sizes[1]).sqrt(), (sizes[0] * sizes[1]).sqrt()


def _away(x: Tensor, centre: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """(b, h, w) rows and columns of every pixel as seen from centres (b, 2), turned back by `angle`."""
    h, w = x.shape[2:]
    rows = ((torch.arange(h) + 0.5) / h)[:, None] - centre[:, 0, None, None]
    cols = ((torch.arange(w) + 0.5) / w)[None, :] - centre[:, 1, None, None]
    return rows * angle.cos() - cols * angle.sin(), rows * angle.sin() + cols * angle.cos()


def inside(x: Tensor, centre: Tensor, sizes: Tensor) -> Tensor:
    """(b, 1, h, w) whether a pixel lies in the patch."""
    rows, cols = _away(x, centre, sizes[2])
    high, wide = sides(sizes)
    return ((rows.abs() <= high / 2) & (cols.abs() <= wide / 2))[:, None]


def cutout(x: Tensor, sizes: Tensor, places: Places) -> Tensor:
    """The patch is empty."""
    return x.masked_fill(inside(x, places.centre, sizes), 0.0)


def cutavg(x: Tensor, sizes: Tensor, places: Places) -> Tensor:
    """The patch is its own mean, a channel each."""
    patch = inside(x, places.centre, sizes)
    mean = (x * patch).sum(dim=(2, 3), keepdim=True) / patch.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    return torch.where(patch, mean, x)


def cutpaste(x: Tensor, sizes: Tensor, places: Places) -> Tensor:
    """The patch is copied to another place, whole, and turned by the angle; nearest pixels, no jitter."""
    high, wide = (side.clamp_max(1) for side in sides(sizes))
    half = torch.stack([high, wide]) / 2
    source, target = (torch.minimum(torch.maximum(at, half), 1 - half) for at in places)
    rows, cols = _away(x, target, sizes[2])
    patch = ((rows.abs() <= high / 2) & (cols.abs() <= wide / 2))[:, None]
    look = torch.stack([cols + source[:, 1, None, None], rows + source[:, 0, None, None]], dim=-1)  # grid_sample wants x, y in -1..1
    return torch.where(patch, grid_sample(x, 2 * look - 1, mode="nearest", padding_mode="zeros", align_corners=False), x)


def hole(x: Tensor, sizes: Tensor, places: Places) -> Tensor:
    """(b, 1, h, w) CutDiff's g(p) = exp(-|D^-1 (p - centre)|^2 / (2 * 0.1)), D = diag of the patch's sides; 1 at the centre."""
    rows, cols = _away(x, places.centre, sizes[2])
    high, wide = sides(sizes)
    return torch.exp(-((rows / high) ** 2 + (cols / wide) ** 2) / (2 * SHARPNESS))[:, None]


def cutdiff(x: Tensor, sizes: Tensor, places: Places) -> Tensor:
    """A smooth hole: clip(x - g, 0, 1), the same g for all channels."""
    return (x - hole(x, sizes, places)).clamp(0, 1)


def rotation(x: Tensor, sizes: Tensor, places: Places) -> Tensor:
    """The whole image is turned about its middle by the angle; what leaves it is gone."""
    cos, sin, zero = sizes[2].cos(), sizes[2].sin(), torch.zeros(())
    turn = torch.stack([torch.stack([cos, sin, zero]), torch.stack([-sin, cos, zero])])
    return grid_sample(x, affine_grid(turn.expand(len(x), 2, 3), list(x.shape), align_corners=False), align_corners=False)


AUGMENTATIONS: dict[str, Augmentation] = {f.__name__: f for f in (cutout, cutavg, cutpaste, cutdiff, rotation)}


def find(name: str) -> Augmentation:
    """The augmentation of that name. Raises ContractError for an unknown one."""
    if name not in AUGMENTATIONS:
        raise ContractError(f"An augmentation is one of {', '.join(NAMES)}: {name!r} is none. Check the spelling.")
    return AUGMENTATIONS[name]


def scaled_to_peak(x: Tensor, sizes: Tensor, places: Places, name: str, unit_length: bool) -> Tensor:
    """Images (b, c, h, w) of any brightness, augmented as ones whose brightest pixel is 1, and brought back: to length 1 where
    `unit_length` says so, so that what was removed does not show in the sum."""
    peak = x.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-9)
    made = find(name)(x / peak, sizes, places)
    if not unit_length:
        return made * peak
    return made / made.square().sum(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(1e-6)
