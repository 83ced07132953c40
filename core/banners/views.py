"""Views of a grid's clicks in which a fault can show though the whole window hides it: the last days alone.

In: the clicks of a grid by banner and day. Out: Heatmaps of the same banners, one a view. A fault that began late is diluted by the days
before; evidence adds up over days, so it is looked for in shorter and shorter ends of the window.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from core.banners.heatmaps import Heatmaps, concatenated
from core.banners.onset import Days

SHARES = (1 / 2, 1 / 7)
"""Ends of the window, as shares of its days: of 14 days the last 7 and the last 2. A third, of one day, raises more false alarms than it
finds faults."""
LEAST_CLICKS = 15
"""Clicks below which a banner is left out of a view: of few clicks any two that lie together look like a fault."""


def late_starts(first: Any, last: Any) -> list[np.datetime64]:
    """First days of the ends of a window from `first` to `last`, longest first; none where it has one day."""
    first, last = np.datetime64(first, "D"), np.datetime64(last, "D")
    n_days = int((last - first).astype(int)) + 1
    lengths = sorted({int(np.ceil(share * n_days)) for share in SHARES} - {n_days}, reverse=True)
    return [last - (length - 1) for length in lengths]


def views_of(heatmaps: Heatmaps, days: Days, starts: list[np.datetime64]) -> list[Heatmaps]:
    """Heatmaps of the same banners from each of the days `starts` on."""
    return [replace(heatmaps, counts=_from(days, start, len(heatmaps))) for start in starts]


def _from(days: Days, start: np.datetime64, n: int) -> csr_matrix:
    rows = np.flatnonzero(days.day >= start)
    summing = csr_matrix((np.ones(len(rows), np.float32), (days.codes[rows], np.arange(len(rows)))), shape=(n, len(rows)))
    return (summing @ days.counts[rows]).tocsr()


def joined_views(parts: list[list[Heatmaps]]) -> list[Heatmaps]:
    """The views of several parts of a grid, one after the other."""
    return [concatenated(list(views)) for views in zip(*parts, strict=True)]
