"""What an audit is asked for, and what its child process reads."""

from dataclasses import dataclass

from core.models.audit.figures import N_TREES


@dataclass(frozen=True)
class AuditRequest:
    """Which finished run (None: the latest), by how many trees. max_steps: of the networks, None = as they are trained."""

    run_id: str | None = None
    n_trees: int = N_TREES
    max_steps: int | None = None


@dataclass(frozen=True)
class AuditTask:
    """An audit of the banners in the folder. stored: extractors with kept features; features, weights: folders beside the store.

    labels_token, detectors: what the labels were and who scored the labelled banners; n_*: how many of these there are.
    """

    n_trees: int
    max_steps: int | None
    stored: list[str]
    features: str
    weights: str
    labels_token: int
    detectors: list[str]
    n_broken: int
    n_ok: int
    n_named: int
    seed: int = 0
