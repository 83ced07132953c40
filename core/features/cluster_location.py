"""`cluster_location`: 384 features of a network that learned to say where clusters of clicks have their centres."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.features.cluster_count import ClusterCount

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ClusterLocation(ClusterCount):
    """The pooled maps, before its head, of a small ResNet that says six points (x, y), trained with the Chamfer distance on 0 to 6 centres.

    **Shape** (n, 384). **Source** the capstone's location network before its head.
    **Differs** as `cluster_count`; each output takes what it says from the cells that it looks at. Plain distances, each side of the
    Chamfer distance averaged; an image without centres is left out of it and told by a logit of its own.
    Trained on drawn images alone: `python -m core train cluster_location`; its mean distance stands in the file's metadata.
    """

    @property
    def name(self) -> str:
        return "cluster_location"

    def _network(self) -> "nn.Module":
        from core.features.networks.clusters import ClusterLocationNet

        return ClusterLocationNet(self._encoder())
