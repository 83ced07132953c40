"""What a map is asked for, and what its child process reads."""

from dataclasses import dataclass

METHODS = ("pca", "mvu")


@dataclass(frozen=True)
class MapRequest:
    """Which map: of a finished run (None: the latest), by the name of a feature, by `pca` or `mvu`."""

    run_id: str | None
    feature: str
    method: str


@dataclass(frozen=True)
class MapTask:
    """A map over the points of the folder. features, weights: folders beside the store; previous: id of the earlier map to follow."""

    feature: str
    method: str
    features: str
    weights: str
    previous: str | None = None
    seed: int = 0
