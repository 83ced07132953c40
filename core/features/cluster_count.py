"""`cluster_count`: 384 features of a network that learned to count clusters of clicks."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from scipy.sparse import csr_matrix

from core.banners.images import Images
from core.errors import InputError
from core.features.networks.weight_files import find_weights, read_about
from core.features.trained_here import OwnExtractor
from core.settings import N_COLS, N_ROWS
from core.statistics.arrays import Image

if TYPE_CHECKING:
    from torch import Tensor, nn

    from core.features.networks.clusters import Encoder


@dataclass(frozen=True)
class ExpectedClicks(Images):
    """(n, 1, 40, 40) clicks a cell of every heatmap brought to the same number of clicks, none of them scaled to the brightest cell."""

    n_clicks: int = 500
    noise_sd: float = 1 / N_COLS

    def make(self, counts: csr_matrix) -> Image:
        return np.asarray(self._bootstrapped(counts), dtype=np.float32).reshape(-1, 1, N_ROWS, N_COLS)


@dataclass(frozen=True)
class ClusterCount(OwnExtractor):
    """The pooled maps, before its head, of a small ResNet that counts 0 to 20 clusters of clicks.

    **Shape** (n, 384), averages over 10x10 and over 5x5 cells. **Source** the capstone's counting network before its head.
    **Differs** counts in clicks as they are, not in a picture of them, and also learned where centres are. A banner is shown to it as
    500 expected clicks with a cell of noise: `python -m benchmarks.detectors.clusters` compares this with sharper and with fuller images.
    Trained on drawn images alone: `python -m core train cluster_count`; its accuracy stands in the file's metadata.
    """

    images: Images = field(default_factory=ExpectedClicks)
    batch: int = 64

    @property
    def name(self) -> str:
        return "cluster_count"

    @property
    def n_dims(self) -> int:
        config = json.loads(_about(find_weights(self.name, self.own_weights))["encoder"])["config"]
        return sum(config["hidden_sizes"][-2:])

    def _network(self) -> "nn.Module":
        from core.features.networks.clusters import ClusterCountNet

        return ClusterCountNet(self._encoder())

    def _encoder(self) -> "Encoder":
        """The encoder that the weights were trained with: a store's own may be a large one."""
        from core.features.networks.clusters import encoder_of

        return encoder_of(_about(find_weights(self.name, self.own_weights))["encoder"])

    def _forward(self, network: Any, images: "Tensor") -> "Tensor":
        found: Tensor = network.features(images)
        return found


def _about(path: Path) -> dict[str, str]:
    try:
        return read_about(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"Weights are a safetensors file: {path} cannot be read ({error}). Train it again.") from error
