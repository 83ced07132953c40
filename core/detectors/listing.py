"""The catalogue of detectors as plain values."""

from typing import Any


def detectors() -> list[dict[str, Any]]:
    """The catalogue as plain values."""
    from core.detectors import CATALOGUE  # here: a network among them may bring torch

    return [{"name": n, "family": d.family, "reads": d.reads, "default_run": d.default_run} for n, d in CATALOGUE.items()]
