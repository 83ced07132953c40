"""`cluster_count`: 256 features of a network that learned to count clusters of clicks."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from scipy.sparse import csr_matrix

from core.errors import InputError
from core.features.own import OwnExtractor
from core.features.trained import find_weights, read_about
from core.images import Image, Images
from core.settings import N_COLS, N_ROWS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from core.features.cluster_networks import Encoder


@dataclass(frozen=True)
class ClickCounts(Images):
    """The clicks as they were counted, nothing drawn, smoothed or scaled: (n, 1, 40, 40). How many they are tells a cluster from chance."""

    def make(self, counts: csr_matrix) -> Image:
        return np.asarray(counts.toarray(), dtype=np.float32).reshape(-1, 1, N_ROWS, N_COLS)


@dataclass(frozen=True)
class ClusterCount(OwnExtractor):
    """The layer before the 21-way softmax of a small ResNet that counts 0 to 20 clusters in raw counts.

    **Shape** (n, 256), 0 or more. **Source** the capstone's counting network, its penultimate layer held against anchors.
    **Differs** sees the counts themselves, not a picture of 50,000 bootstrapped clicks, and learned where centres are besides.
    Trained on drawn images alone: `python -m core train cluster_count`; its accuracy stands in the file's metadata.
    """

    images: Images = field(default_factory=ClickCounts)
    batch: int = 64

    @property
    def name(self) -> str:
        return "cluster_count"

    @property
    def n_dims(self) -> int:
        return 256

    def _network(self) -> "nn.Module":
        from core.features.cluster_networks import ClusterCountNet

        return ClusterCountNet(self._encoder())

    def _encoder(self) -> "Encoder":
        """The encoder that the weights were trained with: a store's own may be a large one."""
        from core.features.cluster_networks import encoder_of

        return encoder_of(_about(find_weights(self.name, self.own_weights)).get("encoder"))

    def _forward(self, network: Any, images: "Tensor") -> "Tensor":
        found: Tensor = network.features(images)
        return found


def _about(path: Path) -> dict[str, str]:
    try:
        return read_about(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"Weights are a safetensors file, however {path} cannot be read ({error}). Train it again.") from error
