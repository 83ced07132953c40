"""What the extractors that were trained here share: their weights are shipped, or lie beside the store."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from core.errors import InputError
from core.features.base import Extractor
from core.features.networks.weight_files import digest, find_weights, load_network

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class OwnExtractor(Extractor):
    """A network of ours up to the layer before its head. `own_weights`: folder with this store's own weights; None = the shipped ones."""

    bundled: ClassVar[bool] = True

    own_weights: Path | None = None

    @abstractmethod
    def _network(self) -> "nn.Module":
        """The network, its numbers yet to be loaded."""

    @property
    def weights(self) -> str:
        path = find_weights(self.name, self.own_weights)
        return f"{path.name} {digest(path)}"

    def why_not(self) -> str | None:
        try:
            find_weights(self.name, self.own_weights)
        except InputError as error:
            return str(error)
        return None

    def _load(self) -> "nn.Module":
        return load_network(self._network(), find_weights(self.name, self.own_weights))
