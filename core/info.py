"""What is installed, what can score, and what a store holds."""

import platform
from dataclasses import asdict
from importlib import metadata
from typing import Any

from core.store import Store
from core.store_url import StoreUrl

LIBRARIES = ("streamlit", "duckdb", "numpy", "scipy", "scikit-learn", "torch", "transformers", "pyarrow", "pandas", "plotly")
N_RUNS = 5


def collect(where: str) -> dict[str, Any]:
    """versions, detectors (name, family, reads, default_run), extractors, weights of the latest run, runs, store, bytes, steps, rows.

    A store that does not exist is not made: its rows, runs and weights are empty then.
    """
    versions = {"python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}}
    found: dict[str, Any] = {"versions": versions, "detectors": detectors(), "extractors": extractors(), "weights": [], "runs": []}
    url = StoreUrl.parse(where)
    if not url.exists():
        return {**found, "store": url.shown, "exists": False, "bytes": 0, "steps": [], "rows": {}}
    with Store(url, create=False) as store:
        runs = store.rows(
            """SELECT run_id::VARCHAR AS run_id, state, state_at::VARCHAR AS state_at, n_banners, n_flagged
            FROM run ORDER BY state_at DESC LIMIT ?""",
            [N_RUNS],
        )
        weights = store.rows(
            """SELECT detector, weights FROM run_detector WHERE weights IS NOT NULL
            AND run_id = (SELECT run_id FROM run_info ORDER BY finished_at DESC LIMIT 1) ORDER BY detector"""
        )
        return {**found, "weights": weights, "runs": runs, "exists": True, **store.info()}


def detectors() -> list[dict[str, Any]]:
    """The catalogue as plain values."""
    from core.detectors import CATALOGUE  # here: a network among them may bring torch

    return [{"name": n, "family": d.family, "reads": d.reads, "default_run": d.default_run} for n, d in CATALOGUE.items()]


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
