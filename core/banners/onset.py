"""Since when and for whom: what each day says for a banner's diagnosed fault, the day it began, and the segment that alone has it.

In: the clicks of one grid by banner, day and segment, and the diagnoses of the whole window. A fault that began half-way, or that only
phones show, leaves a mixture of good and bad clicks, which looks like another fault; so such are diagnosed again where they show.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from scipy.special import logsumexp

from core.banners.diagnosis import Diagnosis
from core.banners.heatmaps import Heatmaps
from core.banners.reference import Reference
from core.banners.templates import Bank, make_bank, template_of
from core.statistics.arrays import Mask, Vector

GAIN = 3.0
"""Nats by which leaving out the days before must raise the evidence: noise alone would often drop a day."""


@dataclass(frozen=True)
class Days:
    """m rows of one grid: banner index (m,) ascending, day (m,), counts (m, 1600); several rows a banner and day add up.

    `segment` (m,) names, None where it is unknown; None = the log has no segments.
    """

    codes: NDArray[np.int64]
    day: NDArray[Any]
    counts: csr_matrix
    segment: NDArray[Any] | None = None

    def is_in(self, segment: str) -> Mask:
        """(m,) rows of one segment."""
        return np.zeros(len(self.codes), dtype=bool) if self.segment is None else np.asarray(self.segment == segment)

    def of(self, banner: int, segment: str | None = None, but: bool = False) -> tuple[NDArray[Any], csr_matrix]:
        """Days (d,) ascending with clicks of one banner, and its counts (d, 1600): all, those in a segment, or all `but` those."""
        rows = np.arange(*np.searchsorted(self.codes, [banner, banner + 1]))
        if segment is not None and self.segment is not None:
            rows = rows[(self.segment[rows] == segment) != but]
        at, inverse = np.unique(self.day[rows], return_inverse=True)
        adding = csr_matrix((np.ones(len(rows), np.float32), (inverse, np.arange(len(rows)))), shape=(len(at), len(rows)))
        return at, (adding @ self.counts[rows]).tocsr()

    def take(self, rows: NDArray[Any], codes: NDArray[np.int64]) -> "Days":
        """The rows at `rows`, with these banner indices."""
        return Days(codes, self.day[rows], self.counts[rows], None if self.segment is None else self.segment[rows])


def daily_log_odds(counts: csr_matrix, p: Vector, diagnosis: Diagnosis, reference: Reference) -> Vector:
    """(d,) log-likelihood of each day's counts (d, 1600) under the diagnosed template against the banner's own reference `p`."""
    if diagnosis.fault is None or diagnosis.detail is None:
        return np.zeros(counts.shape[0])
    other = reference.p[diagnosis.detail["reference_id"]] if "reference_id" in diagnosis.detail else None
    return np.asarray(counts @ np.log(template_of(p, diagnosis.fault, diagnosis.detail, other) / p), dtype=np.float64)


def onset(log_odds: Vector) -> int:
    """Index of the first day of the fault: from there to the end the days' evidence is largest (a CUSUM read backwards).

    The first day of all, unless leaving earlier days out is worth GAIN nats.
    """
    from_here = np.cumsum(log_odds[::-1])[::-1]
    best = int(np.argmax(from_here)) if len(log_odds) else 0
    return best if best and from_here[best] - from_here[0] > GAIN else 0


class Narrowed(NamedTuple):
    """Banners (k,) whose fault shows in some of their clicks alone: their heatmaps there, and the segment of each, None = all."""

    rows: NDArray[np.int64]
    heatmaps: Heatmaps
    segments: list[str | None]


class End(NamedTuple):
    """The end of a window that a fault explains best: its first day's index, the odds in nats, and the likeliest template in the bank."""

    start: int
    odds: float
    template: int


def narrowed(
    heatmaps: Heatmaps, days: Days, flagged: NDArray[np.int64], own: Mapping[str | None, Reference], others: dict[int, Vector]
) -> Narrowed:
    """Those of `flagged` whose fault began late or shows in one segment only, and their heatmaps there.

    Every first day is tried with every template: a fault that is diluted by the days before can look like another, or like none.
    `own`: references of the grid by segment, that of all clicks under None; `others`: references of other grids by reference id.
    """
    ends = {segment: _ends(heatmaps, days, flagged, segment, own[segment], others) for segment in own}
    rows, counts, segments = [], [], []
    for i in flagged.tolist():
        segment = _segment_of({name: found[i] for name, found in ends.items() if i in found})
        start = ends[segment][i][0].start
        if start or segment is not None:
            rows.append(i)
            counts.append(csr_matrix(days.of(i, segment)[1][start:].sum(axis=0)))
            segments.append(segment)
    chosen = heatmaps.take(np.array(rows, dtype=np.int64))
    found = replace(chosen, counts=vstack(counts).tocsr().astype(np.float32)) if rows else chosen
    return Narrowed(np.array(rows, dtype=np.int64), found, segments)


def _ends(
    heatmaps: Heatmaps, days: Days, flagged: NDArray[np.int64], segment: str | None, own: Reference, others: dict[int, Vector]
) -> dict[int, tuple[End, float]]:
    """By banner with clicks in the segment: the end of the window that a fault explains best, and what its template gains outside of the
    segment on these days, in nats."""
    out = {}
    rows = own.group_rows(heatmaps.take(flagged))
    for row in np.unique(rows).tolist():
        members = flagged[rows == row]
        cells = np.unique(heatmaps.counts[members].indices).astype(np.int64)
        bank = make_bank(own.p[row], others, cells)
        for i in members.tolist():
            at, by_day = days.of(i, segment)
            if not len(at):
                continue
            end = best_end(by_day[:, cells], bank)
            outside = 0.0
            if segment is not None:
                elsewhere, clicks = days.of(i, segment, but=True)
                outside = float((clicks[elsewhere >= at[end.start]][:, cells] @ bank.log_ratio[:, end.template]).sum())
            out[i] = end, outside
    return out


def _segment_of(ends: dict[str | None, tuple[End, float]]) -> str | None:
    """The segment whose clicks alone a fault explains better than all clicks, by GAIN nats, while the others speak against it."""
    best, most = None, max(ends[None][0].odds, 0.0) + GAIN
    for segment, (end, outside) in ends.items():
        if segment is not None and end.odds > most and outside < 0:
            best, most = segment, end.odds
    return best


def best_end(by_day: csr_matrix, bank: Bank) -> End:
    """The day from which on the faults of a bank explain the counts (d, m) at the bank's cells best, together with those after.

    The first day of all, unless leaving earlier days out is worth GAIN nats, and where no fault explains any end of the window.
    """
    to_the_end = np.cumsum((by_day @ bank.log_ratio)[::-1], axis=0, dtype=np.float64)[::-1]
    families = [logsumexp(to_the_end[:, a:b], axis=1) - np.log(b - a) for a, b in bank.spans if b > a]
    odds = logsumexp(np.stack(families), axis=0)
    best = int(np.argmax(odds))
    start = best if odds[best] > 0 and odds[best] - odds[0] > GAIN else 0
    return End(start, float(odds[start]), int(np.argmax(to_the_end[start])))
