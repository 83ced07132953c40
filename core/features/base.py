"""What every extractor keeps: images in, features out, the same alone and in any batch; weights that are named, never random.

In: counts (n, 1600). Out: float32 (b, d), a batch at a time. torch comes in when one is loaded, not before. A network runs in torch, or in
OpenVINO where that is installed and faster; features of different engines or precisions have different keys.
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

from core.errors import ContractError
from core.images import Images

if TYPE_CHECKING:
    from torch import Tensor, nn

Features = NDArray[np.float32]
Precision = Literal["float32", "bfloat16", "auto"]
Engine = Literal["torch", "openvino", "auto"]


@dataclass(frozen=True)
class Extractor(ABC):
    """Base class; a dataclass whose fields say everything that its features depend on.

    **Shape** `extract` turns counts (n, 1600) into float32 (n, n_dims).
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

    @abstractmethod
    def _load(self) -> "nn.Module":
        """The network with its weights. Raises InputError where they cannot be had."""

    @abstractmethod
    def _forward(self, network: "nn.Module", images: "Tensor") -> "Tensor":
        """(b, n_dims) features of (b, c, side, side) images."""

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

    def stream(self, counts: csr_matrix) -> Iterator[Features]:
        """Features of n heatmaps in their order, at most `batch` rows at a time.

        Raises InputError where the weights or the engine cannot be had.
        """
        if not counts.shape[0]:
            return
        for features in self._run(counts):
            if features.shape[1:] != (self.n_dims,) or not np.isfinite(features).all():
                found = f"shape {features.shape} with {int((~np.isfinite(features)).sum())} that are not"
                raise ContractError(f"{self.name} gives {self.n_dims} finite features a banner, however it gave {found}.")
            yield features

    def _run(self, counts: csr_matrix) -> Iterator[Features]:
        if self._engine() == "openvino":
            from core.features.openvino_engine import compiled

            network = compiled(self)
            return network.run(self.images.stream(counts, network.batch))
        return self._run_torch(counts)

    def _run_torch(self, counts: csr_matrix) -> Iterator[Features]:
        import torch

        network, dtype = loaded(self), getattr(torch, self._dtype())
        with torch.inference_mode():
            for part in self.images.stream(counts, self.batch):
                whole = np.zeros((self.batch, *part.shape[1:]), dtype=np.float32)  # a full batch: no score depends on its company
                whole[: len(part)] = part
                seen = torch.from_numpy(whole).to(dtype).contiguous(memory_format=torch.channels_last)
                yield self._forward(network, seen).float().numpy()[: len(part)]

    def extract(self, counts: csr_matrix) -> Features:
        """(n, n_dims) features of n heatmaps; for many banners of a wide extractor take `stream`."""
        parts = list(self.stream(counts))
        return np.concatenate(parts) if parts else np.empty((0, self.n_dims), dtype=np.float32)


@lru_cache(maxsize=2)
def loaded(extractor: Extractor) -> "nn.Module":
    """The extractor's network, ready to run; the last two stay in memory."""
    import torch

    from core import settings

    torch.set_num_threads(settings.n_threads())
    network = extractor._load().eval().requires_grad_(False)
    dtype = getattr(torch, extractor._dtype())  # cast as a whole: autocast would go back to float32 for every batch norm
    return network.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]


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
