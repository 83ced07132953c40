"""What is installed, what can score, and what a store holds."""

import platform
from importlib import metadata
from typing import Any

from core import __version__
from core.detectors.listing import detectors
from core.features.listing import extractors
from core.store import Store
from core.store.url import StoreUrl

LIBRARIES = ("streamlit", "duckdb", "numpy", "scipy", "scikit-learn", "torch", "transformers", "pyarrow", "pandas", "plotly")
N_RUNS = 5


def collect(where: str) -> dict[str, Any]:
    """versions, detectors (name, family, reads, default_run), extractors, weights of the latest run, runs, store, bytes, steps, rows.

    A store that does not exist is not made: its rows, runs and weights are empty then.
    """
    versions = {"heatproof": __version__, "python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}}
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
