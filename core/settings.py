"""Numbers and names that more than one file needs. Each can be changed in one place only: here, or by the variable named."""

import getpass
import os
from typing import Any, Literal, get_args

from core.errors import InputError

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
Audience = Literal["local", "all", "off"]

N_ROWS = N_COLS = 40
"""Cells a side of every stored heatmap; `bin = row * N_COLS + col`, row 0 at the top."""

N_BINS = N_ROWS * N_COLS

FDR = 0.10
"""Nominal share of false alarms among the flagged at the default cut (Benjamini-Hochberg)."""

MIN_BANNERS = 30
"""Groups with fewer banners get no rate on the overview: the interval would say nothing."""

MIN_CLICKS = 30
"""Default of the overview's filter on clicks a banner."""

MIN_JUDGED = 13
"""Clicks from which on a banner can be judged: below, how odd it may look is limited by how few they are (`statistics/p_values.py`)."""


def store_url() -> str:
    """The store in use, a path or URL: `HEATPROOF_STORE`, else `data/heatproof.duckdb` in the working directory."""
    return os.environ.get("HEATPROOF_STORE") or "data/heatproof.duckdb"


def memory_limit() -> str:
    """What DuckDB may hold in memory before it spills to disk: `HEATPROOF_MEMORY`, else 1GB."""
    return os.environ.get("HEATPROOF_MEMORY", "1GB")


def n_threads() -> int:
    """Threads for DuckDB and numpy: `HEATPROOF_THREADS`, else every core this process may use."""
    return int(os.environ.get("HEATPROOF_THREADS", "0")) or len(os.sched_getaffinity(0))


def log_format() -> LogFormat | None:
    """How events are logged: `HEATPROOF_LOG`, text or json; None where it is not set. Raises InputError for another value."""
    return _one_of("HEATPROOF_LOG", get_args(LogFormat)) or None


def log_level() -> LogLevel:
    """The least event that is logged: `HEATPROOF_LOG_LEVEL`, else info. Raises InputError for no level."""
    return _one_of("HEATPROOF_LOG_LEVEL", get_args(LogLevel)) or "info"


def metrics_for() -> Audience:
    """Who may read the dashboard's `/metrics`: `HEATPROOF_METRICS`, else this machine only. Raises InputError for another value."""
    return _one_of("HEATPROOF_METRICS", get_args(Audience)) or "local"


def public_hosts() -> list[str]:
    """Names under which browsers reach the dashboard beside its own address: `HEATPROOF_HOSTS`, HOST or HOST:PORT, with commas between."""
    return [name.strip() for name in os.environ.get("HEATPROOF_HOSTS", "").split(",") if name.strip()]


def _one_of(variable: str, choices: tuple[str, ...]) -> Any:
    """A variable's value, empty where it is not set."""
    value = os.environ.get(variable, "").strip().lower()
    if value and value not in choices:
        raise InputError(f"{variable} is one of {', '.join(choices)}, not {value!r}. Correct it, or unset it.")
    return value


def login_name() -> str:
    """Name of the user who runs this process; 'analyst' where the machine has none, as in a container without a user entry."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "analyst"
