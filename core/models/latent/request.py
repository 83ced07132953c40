"""What a drawing is asked for; its child process reads the same."""

from dataclasses import dataclass

LEAST, MOST = -3, 3
"""Whole values that a changed entry of the code takes. The codes of all banners are near a standard normal, which seldom leaves these."""


@dataclass(frozen=True)
class LatentRequest:
    """Which banner of which run. max_steps: of the training, None = as the detector."""

    run_id: str
    banner_id: str
    max_steps: int | None = None
    seed: int = 0
