"""Extractors and the networks behind them. Nothing here imports torch until one is run.

The catalogue: one line an extractor. `make_extractor` gives one by name, `available` says which can run on this machine.
"""

from dataclasses import dataclass, replace
from typing import Any

from core.errors import InputError
from core.features.base import Extractor
from core.features.cluster_count import ClusterCount
from core.features.cluster_location import ClusterLocation
from core.features.efficientnet_lite0 import EfficientNetLite0
from core.features.resnet50 import ResNet50
from core.features.simclr import Simclr
from core.features.vit_base import ViTBase
from core.features.vit_small import ViTSmall

_ALL: list[Extractor] = [
    EfficientNetLite0(),
    ResNet50(),
    ViTBase(),
    ViTBase(pooling="cls"),
    ViTBase(pooling="mean"),
    ClusterCount(),
    ClusterLocation(),
    Simclr(),
    ViTSmall(),
]

EXTRACTORS: dict[str, Extractor] = {extractor.name: extractor for extractor in _ALL}
"""Prototypes by name; none has loaded its weights."""

DEFAULT = "efficientnet_lite0"
"""Real ImageNet weights that come with a package: what runs where no hub can be reached."""


@dataclass(frozen=True)
class Availability:
    """Whether an extractor can run here. weights: which; None where they are not installed. run_by: engine and precision. why_not: None
    where it can."""

    name: str
    n_dims: int
    weights: str | None
    run_by: str
    why_not: str | None


def make_extractor(name: str, **fields: Any) -> Extractor:
    """The extractor of the catalogue, with `fields` replaced. Raises InputError for an unknown name."""
    if name not in EXTRACTORS:
        raise InputError(f"An extractor is one of {', '.join(EXTRACTORS)}: {name!r} is none. Check the spelling.")
    return replace(EXTRACTORS[name], **fields)


def available() -> list[Availability]:
    """Every extractor of the catalogue; asks a hub for what is not cached, and waits for it some seconds at most."""
    out = []
    for name, extractor in EXTRACTORS.items():
        reason = extractor.why_not()
        out.append(Availability(name, extractor.n_dims, extractor.weights if reason is None else None, extractor.run_by, reason))
    return out
