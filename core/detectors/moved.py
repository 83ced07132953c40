"""Base of the detectors that move images about: which moves there are, and what a network sees of a moved image."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.detectors.base import Groups
from core.detectors.fitted import FittedNetwork
from core.errors import ContractError
from core.statistics.arrays import Image

if TYPE_CHECKING:
    from torch import Tensor

    from core.detectors.networks.moves import Move, Pretext

ALIKE = 0.97
"""Cosine of what two moves make of the mean images above which they cannot be told apart."""


@dataclass
class Moved(FittedNetwork):
    """The network sees how a moved image differs from the mean image of its group as that is: one network serves all layouts of a grid.

    To a network that learned several layouts, a banner with another one of them looks ok; other detectors find these.

    Moves that change nothing in the mean images are left out. State: `kept_` (K,) their places among those of the `pretext`.
    """

    family: ClassVar[str] = "self_supervised"

    pretext: "Pretext" = "moves"

    def _learn_means(self, X: Image, groups: Groups) -> None:
        import torch

        from core.detectors.networks.moves import MOVES, different

        super()._learn_means(X, groups)
        if self.pretext not in MOVES:
            raise ContractError(f"A pretext is one of {', '.join(MOVES)}, not {self.pretext!r}. Check the spelling.")
        self.kept_ = np.array(different(MOVES[self.pretext], torch.from_numpy(self.means_), ALIKE))

    def _moves(self) -> "list[Move]":
        from core.detectors.networks.moves import MOVES

        return [MOVES[self.pretext][k] for k in self.kept_]

    def _seen(self, X: Image, groups: Groups) -> "Tensor":
        """(n, 2c, side, side): the images, and the mean images of their groups."""
        import torch

        both = np.concatenate([X, self._means(groups)], axis=1) / self.unit_
        return torch.from_numpy(both.astype(np.float32)).contiguous(memory_format=torch.channels_last)


def moved(x: "Tensor", move: "Move") -> "Tensor":
    """(b, c, side, side) how moved images differ from the means, of images beside means (b, 2c, side, side)."""
    own, mean = x.chunk(2, dim=1)
    return move(own) - mean
