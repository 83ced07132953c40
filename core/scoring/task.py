"""What the worker of a run is asked for."""

from dataclasses import dataclass
from typing import Any, Literal

from core import settings

Deep = Literal["all", "candidates", "none"]
"""Banners that deep detectors score: all; those that could still be flagged and a control sample; none."""
EngineName = Literal["local", "ray"]
"""Where the work goes: processes of this machine, or Ray."""


@dataclass(frozen=True)
class Chosen:
    """The model that was chosen for runs: a detector with these fields, and the name of its candidate."""

    detector: str
    fields: dict[str, Any]
    candidate: str


@dataclass(frozen=True)
class RunTask:
    """A run over the heatmaps in the folder. detectors: None = those of the default run and the `chosen` model.

    features: folder where features are kept from run to run, beside the store; weights: folder of networks trained on this store, beside
    it, or its copy in the folder; None = none. The other fields are those of `core.runs.request.Request`.
    """

    detectors: list[str] | None = None
    deep: Deep = "candidates"
    fdr: float = settings.FDR
    seed: int = 0
    cascade: bool = False
    budget: float | None = None
    budget_s: float | None = None
    features: str | None = None
    weights: str | None = None
    chosen: Chosen | None = None
    engine: EngineName = "local"
    ray_address: str | None = None
    segments: tuple[str, ...] = ()
    """Segments that clicks of the store have, each of which is looked at by itself."""
