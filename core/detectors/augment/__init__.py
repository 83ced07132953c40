"""Augmentations: what self-supervised detectors make of normal images, to learn from. One place for images, one for clicks.

Here: what acts on **images** float32 (b, c, side, side) in 0..1 with 0 = empty, sized by `Ranges`, placed by `patches.placed`:
cutout, cutavg, cutpaste, cutdiff and rotation, in `patches.py`, which brings torch. What acts on **clicks** before they are binned
stands in `core.models.training.corruptions`, for all that learn from clicks; `corruptions.pairs` thins and jitters, so that the number of
clicks gives nothing away.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from core.errors import ContractError

if TYPE_CHECKING:
    from torch import Generator, Tensor

Name = Literal["cutout", "cutavg", "cutpaste", "cutdiff", "rotation"]
NAMES: tuple[str, ...] = get_args(Name)

AREA, ASPECT = (0.02, 0.15), (0.3, 1.0)
"""Ranges of the published code; the original CutPaste allows aspects up to 1 / 0.3."""


@dataclass(frozen=True)
class Ranges:
    """Hyper-parameters of an augmentation: `area` of the patch as a share of the image and `aspect`, its width over its height, both drawn
    log-uniformly; `angle` in degrees that it is turned by, drawn uniformly. Equal ends = fixed. Raises ContractError for others."""

    area: tuple[float, float] = AREA
    aspect: tuple[float, float] = ASPECT
    angle: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        for what, (low, high) in (("area", self.area), ("aspect", self.aspect)):
            if not 0 < low <= high:
                raise ContractError(f"An {what} is drawn between two numbers above 0: it was {low} and {high}. Swap or raise them.")
        if self.angle[0] > self.angle[1]:
            raise ContractError(f"An angle is drawn between two numbers, not {self.angle}, the larger one first. Swap them.")

    def draw(self, rng: "Generator") -> "Tensor":
        """(3,) area, aspect and angle in radians."""
        import torch

        return self.at(torch.rand(3, generator=rng))

    def at(self, u: "Tensor") -> "Tensor":
        """(3,) area, aspect and angle in radians at the shares u (3,) in 0..1 of their ranges; differentiable."""
        import torch

        area, aspect = (math.log(low) + u[k] * math.log(high / low) for k, (low, high) in enumerate((self.area, self.aspect)))
        angle = math.radians(self.angle[0]) + u[2] * math.radians(self.angle[1] - self.angle[0])
        return torch.stack([area.exp(), aspect.exp(), angle])
