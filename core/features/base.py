"""What every extractor keeps: images in, features out, the same alone and in any batch; weights that are named, never random.

`core.features.running` runs them. torch comes in when one is loaded, not before. A network runs in torch, or in OpenVINO where that is
installed and faster; features of different engines or precisions have different keys.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.banners.images import Images
from core.errors import ContractError

if TYPE_CHECKING:
    from torch import Tensor, nn

Features = NDArray[np.float32]
Precision = Literal["float32", "bfloat16", "auto"]
Engine = Literal["torch", "openvino", "auto"]


@dataclass(frozen=True)
class Extractor(ABC):
    """Base class; a dataclass whose fields say everything that its features depend on.

    **Shape** `running.features_of` turns counts (n, 1600) into float32 (n, n_dims).
    `images` is how its network sees a heatmap; `batch` images go through it at a time, always so many (in torch); `precision` `auto` takes
    bfloat16 where this machine multiplies it in hardware and the extractor gains from it; `engine` `auto` takes OpenVINO where it is
    installed and the extractor gains from it, else torch.
    """

    images: Images = field(default_factory=Images)
    batch: int = 32
    precision: Precision = "auto"
    engine: Engine = "auto"
    gains_from_bfloat16: ClassVar[bool] = True
    gains_from_openvino: ClassVar[bool] = False
    """Whether its network is large enough to be worth the seconds that a conversion takes."""
    bundled: ClassVar[bool] = False
    """Whether its weights come with the installation."""

    @property
    @abstractmethod
    def name(self) -> str:
        """snake_case name in catalogue, command line, database and pages."""

    @property
    @abstractmethod
    def n_dims(self) -> int: ...

    @property
    @abstractmethod
    def weights(self) -> str:
        """Which weights these are, by name and revision or content hash; the same text always means the same numbers."""

    @abstractmethod
    def why_not(self) -> str | None:
        """None where this extractor can run here, else what is missing and what to do. Quick: loads no weights."""

    def _load(self) -> "nn.Module":
        """The network with its weights. Raises InputError where they cannot be had. Not called where `without_network` gives features."""
        raise ContractError(f"An extractor writes _load and _forward, or without_network: {type(self).__name__} writes neither.")

    def _forward(self, network: "nn.Module", images: "Tensor") -> "Tensor":
        """(b, n_dims) features of (b, c, side, side) images."""
        raise ContractError(f"An extractor with a network writes _forward: {type(self).__name__} does not.")

    @property
    def key(self) -> str:
        """Name and digest of all that the features depend on: where two keys are equal, features may be mixed."""
        said = {"weights": self.weights, "images": asdict(self.images), "precision": self._dtype(), **self._key_parts()}
        if self._engine() != "torch":
            said["engine"] = self._engine()
        return f"{self.name}-{hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]}"

    def _key_parts(self) -> dict[str, object]:
        return {}

    def _dtype(self) -> Literal["float32", "bfloat16"]:
        if self.precision == "auto":
            return "bfloat16" if self.gains_from_bfloat16 and has_fast_bfloat16() else "float32"
        return self.precision

    def _engine(self) -> Literal["torch", "openvino"]:
        if self.engine == "auto":
            return "openvino" if self.gains_from_openvino and has_openvino() else "torch"
        return self.engine

    @property
    def run_by(self) -> str:
        """Engine and precision in words, `openvino bfloat16` for one."""
        return f"{self._engine()} {self._dtype()}"

    def without_network(self, counts: csr_matrix) -> Iterator[Features] | None:
        """Features that need no network, at most `batch` rows at a time; None = `_load` and `_forward` make them."""
        return None


def has_openvino() -> bool:
    """Whether OpenVINO is installed. Looks for it without importing it."""
    return find_spec("openvino") is not None


@lru_cache(maxsize=1)
def has_fast_bfloat16() -> bool:
    """Whether this machine multiplies bfloat16 in hardware (AMX or AVX-512 BF16); without it, bfloat16 is slower than float32.

    Asked of Linux, not of torch, which a reader of stored features need not load; elsewhere the answer is no.
    """
    about = Path("/proc/cpuinfo")
    flags = set(about.read_text().split()) if about.exists() else set()
    return bool(flags & {"amx_bf16", "avx512_bf16"})
