"""What a model selection is asked for; its child process reads the same."""

from dataclasses import dataclass

RATIO = 0.05
"""Share of broken banners that is assumed unless another one is given."""
LOWEST, HIGHEST = 0.005, 0.5


@dataclass(frozen=True)
class SelectionRequest:
    """Which finished run (None: the latest), the assumed share of broken banners, steps of every training (None: the usual number)."""

    run_id: str | None = None
    ratio: float = RATIO
    max_steps: int | None = None
    seed: int = 0
