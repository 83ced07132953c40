"""The feature extractors as plain values: what they are, and whether they can run here."""

from dataclasses import asdict
from typing import Any


def extractors_here() -> list[dict[str, Any]]:
    """Every feature extractor: name, features, engine and precision, and where its weights are on this machine. Quick: asks no hub."""
    from core.features import EXTRACTORS
    from core.features.transformers_hub import is_cached

    def where(extractor: Any) -> str:
        if not extractor.bundled:
            cached = is_cached(extractor.source, extractor.revision)
            return f"{extractor.weights}, in the cache" if cached else f"{extractor.weights}, not here: fetched from a hub when first used"
        reason: str | None = extractor.why_not()
        return reason or f"{extractor.weights}, installed"

    return [{"extractor": name, "features": e.n_dims, "run by": e.run_by, "weights": where(e)} for name, e in EXTRACTORS.items()]


def extractors() -> list[dict[str, Any]]:
    """Every feature extractor: name, n_dims, run_by, and its weights, or why it cannot run here (why_not). May wait for a hub, seconds."""
    from core.features import available  # here: pages that show no extractor shall not wait for it

    return [asdict(a) for a in available()]
