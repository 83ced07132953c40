"""Contrasting shifted instances: features in which a banner is close to itself and far from how it would look turned."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.detectors.fitted import Network
from core.detectors.moved import Moved, moved
from core.features.networks.contrastive_loss import nt_xent

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

N_BANK = 500
"""Images that others are held against, at most."""


@dataclass
class Csi(Moved):
    """An encoder learns by contrast, and its head which move an image went through; what was moved is another image to it, not a view.

    **Loss** NT-Xent over two views of every image under every move, and the cross-entropy of which move it was.
    **Score** -1/S sum_s (max_m cos(z(T_s x), z(T_s x_m)) ‖z(T_s x)‖ / mean ‖z‖ + l_s(T_s x) / mean l_s): x_m, images learned from, over
    which the means are; l_s, the logit of move s less the mean of all. **Shape** (n, c, side, side) -> (n,).
    **Source** Tack et al. 2020, equations 3, 5 and 7, without an ensemble over crops; theirs is a normality, so that here it is negated.
    **Differs** a view is an image with its clicks drawn again, moved and stretched by a hair's breadth; crops and colours would change what
    a click map says. What shifts are all of the `pretext`'s moves in place of four turns. The encoder sees how the moved image differs from
    its group's mean. Minutes on one core in place of days on four GPUs.
    """

    code: int = 64
    temperature: float = 1.0
    clicks: tuple[float, float] = (1000.0, 8000.0)
    """A view has between so many clicks, where an image is the square root of their shares; more than banners have, because images are
    smoothed and newly drawn clicks are not."""
    jitter: float = 0.012
    """Standard deviation of a view's shift, in shares of the side, and of its stretch."""
    epochs: int = 2
    max_steps: int = 100
    batch: int = 6
    patience: int = 0

    @property
    def name(self) -> str:
        return "csi"

    def _make_network(self, channels: int, side: int) -> "nn.Module":
        from core.detectors.networks.reader import Reader

        return Reader(channels, side, self.code + len(self.kept_))

    def _loss(self, network: Network, x: "Tensor", rng: "Generator") -> "Tensor":
        import torch
        from torch.nn.functional import cross_entropy

        views = [moved(self._view(x, rng), move) for _ in range(2) for move in self._moves()]
        out = network(torch.cat(views))
        z, logits = out[:, : self.code], out[:, self.code :]
        half = len(z) // 2
        which = torch.arange(len(self.kept_)).repeat_interleave(len(x)).repeat(2)
        return nt_xent(z[:half], z[half:], z[:0], self.temperature) + cross_entropy(logits, which)

    def _view(self, x: "Tensor", rng: "Generator") -> "Tensor":
        """Images beside means; the images with newly drawn clicks, a little moved and stretched."""
        import torch
        from torch.nn.functional import affine_grid, grid_sample

        c = x.shape[1] // 2
        theta = torch.eye(2, 3).repeat(len(x), 1, 1) + self.jitter * torch.randn((len(x), 2, 3), generator=rng) * torch.tensor([1.0, 1, 2])
        image = grid_sample(x[:, :c], affine_grid(theta, list(x[:, :c].shape), align_corners=False), align_corners=False)
        return torch.cat([redrawn(image, self.clicks, rng), x[:, c:]], dim=1)

    def _judged(self, network: Network, x: "Tensor") -> "tuple[Tensor, Tensor]":
        """(S, b, code) features, and (S, b) logits of the move made less the mean of all; float64."""
        import torch

        out = torch.stack([network(moved(x, move)).double() for move in self._moves()])
        logits = out[:, :, self.code :]
        own = logits.diagonal(dim1=0, dim2=2).T
        return out[:, :, : self.code], own - logits.mean(dim=2)

    def _after(self, network: Network, x: "Tensor") -> None:
        import torch

        some = x[np.linspace(0, len(x) - 1, min(len(x), N_BANK)).astype(np.int64)]
        with torch.inference_mode():
            parts = [self._judged(network, some[a : a + 128]) for a in range(0, len(some), 128)]
        z, own = torch.cat([p[0] for p in parts], dim=1), torch.cat([p[1] for p in parts], dim=1)
        length = z.norm(dim=2)
        self.bank_ = (z / length.clamp_min(1e-9)[:, :, None]).numpy()
        self.length_ = length.mean(dim=1).clamp_min(1e-9).numpy()
        self.logit_ = own.mean(dim=1).clamp_min(1e-3).numpy()  # a head that learned nothing must not turn the sign

    def _values(self, network: Network, x: "Tensor") -> "Tensor":
        import torch

        z, own = self._judged(network, x)
        close = torch.einsum("sbd,smd->sbm", z, torch.from_numpy(self.bank_)).amax(dim=2)
        weighed = close / torch.from_numpy(self.length_)[:, None] + own / torch.from_numpy(self.logit_)[:, None]
        return -weighed.mean(dim=0)


def redrawn(x: "Tensor", clicks: tuple[float, float], rng: "Generator") -> "Tensor":
    """Images (b, c, h, w), square roots of shares at any scale, as they look with between so many clicks drawn from them."""
    import torch

    low, high = np.log(clicks[0]), np.log(clicks[1])
    n = torch.exp(low + (high - low) * torch.rand((len(x), 1, 1, 1), generator=rng))
    square = x.square()
    total = square.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
    return (torch.poisson(n * square / total, generator=rng) / n * total).sqrt()
