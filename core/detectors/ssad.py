"""Self-supervised detection in the image domain: a network learns a grid's images from the same images with a patch changed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from core.detectors.augment import Name, Ranges
from core.detectors.base import Groups
from core.detectors.fitted import FittedNetwork, Network
from core.statistics.arrays import Image

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

RIDGE = 1e-4
"""Added to the variances of embeddings in units of their mean: what never varied in training must not decide alone."""


@dataclass
class Ssad(FittedNetwork):
    """Normal images against the same images after one augmentation.

    **Score** the Mahalanobis distance of the embedding, brought to length 1, from those of the images learned from, Ledoit-Wolf covariance;
    or where `measure` says so the logit of "augmented", which knows no other oddity. **Shape** images (n, c, side, side) -> (n,).
    **Source** Li et al. 2021; Yoo, Zhao and Akoglu 2023, whose code scores by the distance.
    `dynamic` draws size, aspect and angle for each batch (RD), else once a fit (RS). `conditioned` shows the network its group's mean image
    and the difference too, as `ssad_clicks` sees its reference; else the image alone.
    **Differs** patches lie where something is (`on_content`), since those in empty parts change nothing; their areas reach further, as
    faults of banners do; a small network and hundreds of steps.
    """

    family: ClassVar[str] = "self_supervised"

    augmentation: Name = "cutout"
    area: tuple[float, float] = (0.02, 0.4)
    aspect: tuple[float, float] = (0.3, 1 / 0.3)
    angle: tuple[float, float] = (0.0, 0.0)
    dynamic: bool = True
    conditioned: bool = True
    measure: Literal["logit", "mahalanobis"] = "mahalanobis"
    on_content: bool = True
    max_steps: int = 500
    patience: int = 0

    @property
    def name(self) -> str:
        return f"ssad_{self.augmentation}"

    @property
    def ranges(self) -> Ranges:
        """Where size, aspect and angle are drawn from."""
        return Ranges(self.area, self.aspect, self.angle)

    def codes(self, X: Image, groups: Groups) -> NDArray[np.float64]:
        """(n, 128) embeddings of length 1, of images (n, c, side, side) of groups (n,)."""
        network = self._ready(X)
        return self._in_batches(network, self._tensor(X, groups), lambda n, x: n.code(x).double())

    def augmented(self, X: Image, seed: int = 0) -> Image:
        """(n, c, side, side) images augmented as in training, sizes drawn again for every 32 of them; as `normed` leaves them."""
        import torch

        x = torch.from_numpy(self.normed(X))
        rng = torch.Generator().manual_seed(seed)
        parts = [self._made(part, self._sizes(rng), rng).numpy() for part in (x[a : a + 32] for a in range(0, len(x), 32))]
        return np.concatenate(parts) if parts else X

    def _make_network(self, channels: int, side: int) -> "nn.Module":
        from core.detectors.networks.ssad import SsadNet

        return SsadNet(channels, self.conditioned)

    def _seen(self, X: Image, groups: Groups) -> "Tensor":
        """(n, 2 c, side, side) images and the means of their groups."""
        import torch

        both = torch.from_numpy(np.concatenate([X, self._means(groups)], axis=1))
        return both.contiguous(memory_format=torch.channels_last)

    def _sizes(self, rng: "Generator") -> "Tensor":
        """(3,) area, aspect and angle of a batch."""
        import torch

        return self.ranges.draw(rng if self.dynamic else torch.Generator().manual_seed(self.seed))

    def _made(self, own: "Tensor", sizes: "Tensor", rng: "Generator") -> "Tensor":
        """Images (b, c, side, side), augmented."""
        from core.detectors.augment.patches import placed, scaled_to_peak

        return scaled_to_peak(own, sizes, placed(own, rng, self.on_content), self.augmentation, self.unit_length)

    def _beside(self, x: "Tensor", sizes: "Tensor", rng: "Generator") -> "Tensor":
        """(b, 2 c, side, side) as `_seen`, with the images augmented."""
        import torch

        own, mean = x.chunk(2, dim=1)
        return torch.cat([self._made(own, sizes, rng), mean], dim=1)

    def _loss(self, network: Network, x: "Tensor", rng: "Generator") -> "Tensor":
        return self._told_apart(network, x, self._beside(x, self._sizes(rng), rng))

    def _told_apart(self, network: Network, x: "Tensor", made: "Tensor") -> "Tensor":
        """Cross-entropy of telling normal images from made ones."""
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits

        wrong = (torch.arange(2 * len(x)) >= len(x)).float()
        return binary_cross_entropy_with_logits(network(torch.cat([x, made])), wrong)

    def _after(self, network: Network, x: "Tensor") -> None:
        """Learns where embeddings of normal images lie."""
        import torch
        from sklearn.covariance import ledoit_wolf

        codes = self._in_batches(network, x, lambda n, part: n.code(part).double())
        spread = ledoit_wolf(codes)[0] if len(codes) > 1 else np.zeros((codes.shape[1],) * 2)
        spread += max(RIDGE * np.trace(spread) / len(spread), 1e-9) * np.eye(len(spread))
        network.centre.copy_(torch.from_numpy(codes.mean(axis=0)))
        network.whitening.copy_(torch.from_numpy(np.linalg.cholesky(np.linalg.inv(spread))))

    def _values(self, network: Network, x: "Tensor") -> "Tensor":
        if self.measure == "logit":
            return network(x).double()
        return ((network.code(x) - network.centre).double() @ network.whitening.double()).norm(dim=1)
