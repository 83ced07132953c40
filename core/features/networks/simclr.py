"""The network behind `simclr`. Imported only where it is trained or run: it brings torch."""

from torch import Tensor, nn
from transformers import ResNetConfig, ResNetModel

N_DIMS = 512
HIDDEN = (32, 64)
"""Channels of the stages, whose maps are 10 and 5 cells a side."""


def unit_images(images: Tensor) -> Tensor:
    """(b, 1, h, w) images with mean square 1: the square root of a density, whatever its brightest cell is. Empty ones stay 0."""
    size = images.float().square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(1e-6)
    return images / size.to(images.dtype)


class SimclrNet(nn.Module):
    """A small ResNet beside a linear path: (b, 1, 40, 40) -> (b, 512) features.

    The ResNet is not pooled, which would forget where things are. The linear path is a random projection
    that is never trained: it keeps the cosines of click densities, which find much by themselves, about as they are, so that contrast
    cannot unlearn them. The ResNet's part starts at 0. There is no projection head: what is contrasted is what is compared.
    """

    def __init__(self) -> None:
        super().__init__()
        config = ResNetConfig(num_channels=1, embedding_size=32, hidden_sizes=list(HIDDEN), depths=[1, 1], layer_type="basic")
        self.trunk = ResNetModel(config)
        self.bent = nn.Linear(HIDDEN[-1] * 25, N_DIMS)
        self.straight = nn.Linear(1600, N_DIMS, bias=False)
        nn.init.zeros_(self.bent.weight)
        nn.init.zeros_(self.bent.bias)
        nn.init.orthogonal_(self.straight.weight)
        self.straight.weight.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        x = unit_images(images)
        out: Tensor = self.straight(x.flatten(1)) + self.bent(self.trunk(x).last_hidden_state.flatten(1))
        return out
