"""`vit_base`: the last hidden state of google/vit-base-patch16-224-in21k, flattened (197 x 768 = 151,296), its CLS token, or its mean."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from core.banners.images import Images
from core.features import transformers_hub
from core.features.base import Extractor

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class ViTBase(Extractor):
    """Vision transformer trained on ImageNet-21k.

    **Shape** (n, n_tokens * width) where `pooling` is `flat`: the CLS token first, then the patches row by row; (n, width) where it is
    `cls` or `mean` (of the patches, without CLS). **Source** Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words".
    `source` is a name or the folder of a checkpoint, `n_tokens` and `width` what it gives.
    """

    images: Images = field(default_factory=lambda: Images(side=224, mean=(0.5,) * 3, std=(0.5,) * 3))
    pooling: Literal["flat", "cls", "mean"] = "flat"
    source: str = "google/vit-base-patch16-224-in21k"
    revision: str | None = "b4569560a39a0f1af58e3ddaf17facf20ab919b0"
    n_tokens: int = 197
    width: int = 768

    gains_from_openvino: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return "vit_base" if self.pooling == "flat" else f"vit_base_{self.pooling}"

    @property
    def n_dims(self) -> int:
        return self.n_tokens * self.width if self.pooling == "flat" else self.width

    @property
    def weights(self) -> str:
        return transformers_hub.describe(self.source, self.revision)

    def why_not(self) -> str | None:
        return transformers_hub.why_not(self.name, self.source, self.revision)

    def _load(self) -> "nn.Module":
        from transformers import ViTModel

        return transformers_hub.load(ViTModel, self.name, self.source, self.revision, add_pooling_layer=False)

    def _forward(self, network: "nn.Module", images: "Tensor") -> "Tensor":
        tokens = network(pixel_values=images).last_hidden_state  # (b, n_tokens, width)
        if self.pooling == "cls":
            return tokens[:, 0]
        return tokens[:, 1:].float().mean(dim=1) if self.pooling == "mean" else tokens.flatten(1)
