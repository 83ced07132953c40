"""`simclr`: features of a small ResNet that learned by contrast which banners have one layout."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from core.banners.images import Images
from core.features.trained_here import OwnExtractor
from core.settings import N_COLS

if TYPE_CHECKING:
    from torch import Tensor, nn

IMAGES = Images(noise_sd=1 / N_COLS)
"""Smoothed by a cell."""


@dataclass(frozen=True)
class Simclr(OwnExtractor):
    """A small ResNet trained here by contrast.

    **Shape** (n, 512). **Source** SimCLR (Chen et al. 2020), NT-Xent; corrupted copies as negatives after CSI (Tack et al. 2020).
    **Differs** a pair is a banner and the mean direction of other banners of its layout, which is what an anchor is. Banners of a layout
    differ in clicks drawn, in their number, in stray ones and in which products are liked; views are not mirrored, cropped or moved by
    more than a hair: those are faults. The features are what is contrasted, without a projection head. ROC-AUC 0.992 of its cosine on
    five synthetic demo seeds never trained on, as the plain image has: better on scattered clicks and clipped banners, worse on a missing
    product, for the banners of a layout too differ in their products (`python -m benchmarks.detectors.cosines --features simclr`).
    """

    images: Images = field(default_factory=lambda: IMAGES)
    gains_from_bfloat16: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return "simclr"

    @property
    def n_dims(self) -> int:
        return 512

    def _network(self) -> "nn.Module":
        from core.features.networks.simclr import SimclrNet

        return SimclrNet()

    def _forward(self, network: Any, images: "Tensor") -> "Tensor":
        out: Tensor = network(images)
        return out
