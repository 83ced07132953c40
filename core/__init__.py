"""Heatproof finds and explains broken ad banners from where people click on them.

PACKAGES is read by a test: a package imports only from those above it in this list, and from errors, settings, logs, arrays and
progress.
In every package numbers stand in plain modules, `queries` read the store, `job` goes from the store to the store, and `worker` is the
child process, which never opens it.
"""

__version__ = "0.1.0"
"""The only place that says it; the command line, metrics and pages read it, and a test compares CITATION.cff and CHANGELOG.md."""

PACKAGES: dict[str, str] = {
    "statistics": "Numbers about numbers.",
    "banners": "What a banner's clicks look like, should look like, and how they break.",
    "features": "Extractors, one a file, and the networks behind them.",
    "detectors": "The catalogue: one file a method or close family.",
    "store": "One DuckDB file or a lake: opening, locks, schema, queries by name, backup.",
    "jobs": "Background work: one mechanism for every kind, and how work is spread over processes and machines.",
    "scoring": "The child side of a run: Parquet in, Parquet out, no database.",
    "clicks": "Click logs into bins of the store.",
    "embeddings": "Maps of banners: principal components and maximum variance unfolding.",
    "review": "What people say: labels, claims, triage, agreement.",
    "calibration": "From labels to a threshold, to a version, to verdicts.",
    "runs": "A run from store to store, and what is done with one.",
    "models": "Train, choose, audit and look into models; detectors on sets of images, without a store.",
    "cli": "The command line, one file a verb.",
    "ui": "The only Streamlit code: render, session, one folder a page, server.",
}
