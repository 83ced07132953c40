"""Honest intervals for shares, and when a grid's daily share is out of control. Arrays and numbers in, numbers out."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959963984540054
"""97.5 % point of the standard normal distribution."""

State = Literal["normal", "pending", "firing"]


class Interval(NamedTuple):
    """A share and its interval, all in 0..1; NaN where n = 0."""

    share: float
    low: float
    high: float


def wilson(k: int, n: int, z: float = Z_95) -> Interval:
    """Wilson score interval of k out of n (Wilson 1927, JASA 22:209, eq. 4), 95 % unless told.

    Keeps its coverage for small n and shares near 0 or 1, where the normal interval leaves 0..1.
    """
    if n == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    share, z2 = k / n, z * z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * float(np.sqrt(share * (1 - share) / n + z2 / (4 * n * n)))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def upper_limit(centre: float, n: NDArray[np.float64], sigmas: float = 3.0) -> NDArray[np.float64]:
    """(n_days,) upper control limit of a p-chart (Shewhart): centre + 3 standard errors of a share of n; NaN where n = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        limit = centre + sigmas * np.sqrt(centre * (1 - centre) / n)
    return np.where(n > 0, np.minimum(limit, 1.0), np.nan)


def lower_limit(centre: float, n: NDArray[np.float64], sigmas: float = 3.0) -> NDArray[np.float64]:
    """(n_days,) lower control limit, never below 0; NaN where n = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        limit = centre - sigmas * np.sqrt(centre * (1 - centre) / n)
    return np.where(n > 0, np.maximum(limit, 0.0), np.nan)


def alert_state(share: NDArray[np.float64], limit: NDArray[np.float64]) -> tuple[State, int]:
    """State on the last day, and the index of the day it began.

    One day above the limit is pending, two or more in a row to the last day are firing: one bad day raises no alarm.
    Days without a value break no streak.
    """
    above = share > limit
    first = len(share)
    for day in range(len(share) - 1, -1, -1):
        if np.isnan(share[day]):
            continue
        if not above[day]:
            break
        first = day
    days = int(above[first:].sum())
    if days == 0:
        return "normal", len(share) - 1
    return ("pending" if days == 1 else "firing"), first
