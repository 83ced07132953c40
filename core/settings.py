"""Numbers and names that more than one file needs. Each can be changed in one place only: here, or by the variable named."""

import getpass
import os

N_ROWS = N_COLS = 40
"""Cells a side of every stored heatmap; `bin = row * N_COLS + col`, row 0 at the top."""

N_BINS = N_ROWS * N_COLS

FDR = 0.10
"""Nominal share of false alarms among the flagged at the default cut (Benjamini-Hochberg)."""

MIN_BANNERS = 30
"""Groups with fewer banners get no rate on the overview: the interval would say nothing."""

MIN_CLICKS = 30
"""Default of the overview's filter on clicks a banner."""


def store_url() -> str:
    """The store in use, a path or URL: `HEATPROOF_STORE`, else `data/heatproof.duckdb` in the working directory."""
    return os.environ.get("HEATPROOF_STORE") or "data/heatproof.duckdb"


def memory_limit() -> str:
    """What DuckDB may hold in memory before it spills to disk: `HEATPROOF_MEMORY`, else 1GB."""
    return os.environ.get("HEATPROOF_MEMORY", "1GB")


def n_threads() -> int:
    """Threads for DuckDB and numpy: `HEATPROOF_THREADS`, else every core this process may use."""
    return int(os.environ.get("HEATPROOF_THREADS", "0")) or len(os.sched_getaffinity(0))


def login_name() -> str:
    """Name of whoever runs this process; 'analyst' where the machine has none, as in a container without a user entry."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "analyst"
