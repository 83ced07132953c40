"""What a training is asked for; its child process reads the same."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainRequest:
    """Which network, from which banners (`synthetic`: drawn ones), for how many steps (None: as the shipped weights), by which seed.

    backbone: of a network that fine-tunes one. out: folder of the weights and the checkpoint, None = beside the store.
    """

    name: str
    synthetic: bool = False
    steps: int | None = None
    seed: int = 0
    backbone: str | None = None
    out: str | None = None
