"""The network of the self-supervised detectors: an image, alone or beside what is expected of it, in order or augmented."""

import itertools

import torch
from torch import Tensor, nn

WIDTHS = (16, 32, 64)
CODE = 2 * WIDTHS[-1]


class Beside(nn.Module):
    """(b, 2 c, h, w) image and its group's mean -> (b, 3 c, h, w) with their difference; or, not `conditioned`, the image alone."""

    def __init__(self, conditioned: bool) -> None:
        super().__init__()
        self.conditioned = conditioned

    def forward(self, x: Tensor) -> Tensor:
        own, mean = x.chunk(2, dim=1)
        return torch.cat([own, mean, own - mean], dim=1) if self.conditioned else own


class MeanAndMax(nn.Module):
    """(b, c, h, w) -> (b, 2 c)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)


class SsadNet(nn.Module):
    """(b, 2 c, h, w) images and their groups' means -> (b,) logits of "augmented"; `body` gives embeddings (b, 128).

    Buffers: mean and whitening matrix of the embeddings of normal images, each brought to length 1.
    """

    centre: Tensor
    whitening: Tensor

    def __init__(self, channels: int, conditioned: bool) -> None:
        super().__init__()
        n_in = 3 * channels if conditioned else channels
        layers: list[nn.Module] = [Beside(conditioned), nn.BatchNorm2d(n_in)]
        for k, (a, b) in enumerate(itertools.pairwise((n_in, *WIDTHS))):
            size = 3 if k else 5
            layers += [nn.Conv2d(a, b, size, 2, size // 2, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        self.body = nn.Sequential(*layers, MeanAndMax())
        self.head = nn.Sequential(nn.Linear(CODE, 64), nn.ReLU(), nn.Linear(64, 1), nn.Flatten(0))
        self.register_buffer("centre", torch.zeros(CODE))
        self.register_buffer("whitening", torch.eye(CODE))

    def code(self, x: Tensor) -> Tensor:
        """(b, 128) embeddings of length 1."""
        z = self.body(x)
        return z / z.norm(dim=1, keepdim=True).clamp_min(1e-9)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))
