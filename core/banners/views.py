"""Views of a grid's clicks in which a fault can show though all clicks together hide it: the last days, one segment, or both.

In: the clicks of a grid by banner, day and segment. Out: Heatmaps of the same banners, one a view. A fault that began late is diluted by
the days before, and one that only phones show by desktops; evidence adds up over clicks, so it is looked for in parts of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.banners.fitting import fit_reference
from core.banners.heatmaps import Heatmaps, concatenated
from core.banners.onset import Days
from core.banners.reference import Reference

SHARES = (1 / 2, 1 / 7)
"""Ends of the window, as shares of its days: of 14 days the last 7 and the last 2. A third, of one day, raises more false alarms than it
finds faults."""
LEAST_CLICKS = 15
"""Clicks below which a banner is left out of a view: of few clicks any two that lie together look like a fault."""
MIN_SEGMENT = 10
"""Banners with clicks in a segment from which on a grid has a reference for it."""


class View(NamedTuple):
    """Some of a banner's clicks: of one segment (None = all), from a day on (None = the first)."""

    segment: str | None
    start: Any


@dataclass(frozen=True)
class Views:
    """Views of n banners: `heatmaps` by view, and what is expected in each segment, of the segments that have a reference."""

    heatmaps: dict[View, Heatmaps]
    segments: dict[str, Reference]

    def take(self, rows: NDArray[Any]) -> "Views":
        """The same of the banners at `rows`."""
        return replace(self, heatmaps={view: some.take(rows) for view, some in self.heatmaps.items()})


def views_between(first: Any, last: Any, segments: Sequence[str] = ()) -> list[View]:
    """Views of a window from day `first` to `last`: its ends, each segment, and the ends of each segment."""
    starts = late_starts(first, last)
    return [View(segment, start) for segment in (None, *segments) for start in (None, *starts) if segment or start is not None]


def late_starts(first: Any, last: Any) -> list[np.datetime64]:
    """First days of the ends of a window from `first` to `last`, longest first; none where it has one day."""
    first, last = np.datetime64(first, "D"), np.datetime64(last, "D")
    n_days = int((last - first).astype(int)) + 1
    lengths = sorted({int(np.ceil(share * n_days)) for share in SHARES} - {n_days}, reverse=True)
    return [last - (length - 1) for length in lengths]


def views_of(heatmaps: Heatmaps, days: Days, views: Sequence[View]) -> dict[View, Heatmaps]:
    """Heatmaps of the same banners in each of `views`."""
    return {view: replace(heatmaps, counts=_clicks_in(days, view, len(heatmaps))) for view in views}


def learned(heatmaps: dict[View, Heatmaps]) -> Views:
    """The views with references of the segments among them."""
    found = {view.segment: seen for view, seen in heatmaps.items() if view.segment is not None and view.start is None}
    known = {segment: np.flatnonzero(seen.n_clicks > 0) for segment, seen in found.items()}
    references = {name: fit_reference(found[name].take(rows)) for name, rows in known.items() if len(rows) >= MIN_SEGMENT}
    return Views(heatmaps, {str(name): reference for name, reference in references.items()})


def joined_views(parts: list[dict[View, Heatmaps]]) -> dict[View, Heatmaps]:
    """The views of several parts of a grid, one after the other."""
    return {view: concatenated([part[view] for part in parts]) for view in parts[0]}


def _clicks_in(days: Days, view: View, n: int) -> csr_matrix:
    inside = np.ones(len(days.codes), dtype=bool) if view.start is None else days.day >= view.start
    rows = np.flatnonzero(inside if view.segment is None else inside & days.is_in(view.segment))
    summing = csr_matrix((np.ones(len(rows), np.float32), (days.codes[rows], np.arange(len(rows)))), shape=(n, len(rows)))
    return (summing @ days.counts[rows]).tocsr()
