"""`resnet50`: the pooled last map of microsoft/resnet-50, 2048 features."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from core.banners.images import Images
from core.features import transformers_hub
from core.features.base import Extractor

if TYPE_CHECKING:
    from torch import Tensor, nn

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ResNet50(Extractor):
    """ResNet-50 v1.5 trained on ImageNet-1k, before its classifier.

    **Shape** (n, 2048), average over the last map. **Source** He et al. 2016, "Deep Residual Learning for Image Recognition".
    `source` is a name or the folder of a checkpoint, `width` what it gives.
    """

    images: Images = field(default_factory=lambda: Images(side=224, mean=IMAGENET_MEAN, std=IMAGENET_STD))
    source: str = "microsoft/resnet-50"
    revision: str | None = "34c2154c194f829b11125337b98c8f5f9965ff19"
    width: int = 2048

    gains_from_openvino: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return "resnet50"

    @property
    def n_dims(self) -> int:
        return self.width

    @property
    def weights(self) -> str:
        return transformers_hub.describe(self.source, self.revision)

    def why_not(self) -> str | None:
        return transformers_hub.why_not(self.name, self.source, self.revision)

    def _load(self) -> "nn.Module":
        from transformers import ResNetModel

        return transformers_hub.load(ResNetModel, self.name, self.source, self.revision)

    def _forward(self, network: "nn.Module", images: "Tensor") -> "Tensor":
        return network(pixel_values=images).pooler_output.flatten(1)
