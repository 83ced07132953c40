"""Progress of long work: the share done, what is being done, and numbers by name."""

from collections.abc import Callable
from typing import Protocol

Display = Callable[[float, str], object]
"""Shows the share done (0..1) and what is being done."""


class Progress(Protocol):
    """Called with the share done (0..1), what is being done, and numbers by name such as `loss`; a display may ignore the numbers."""

    def __call__(self, done: float, what: str, /, **numbers: float) -> object: ...


def no_progress(done: float, what: str, /, **numbers: float) -> None:
    """Ignores progress."""
