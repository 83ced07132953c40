"""Since when: what each day says for a banner's diagnosed fault, the day it began, and the diagnosis from that day on.

In: the clicks of one grid by banner and day, and the diagnoses of the whole window. A fault that began half-way leaves a mixture of good
and bad clicks, which looks like another fault; so late ones are diagnosed again from their first day on.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from scipy.special import logsumexp

from core.arrays import Vector
from core.banners.diagnosis import Diagnosis
from core.banners.heatmaps import Heatmaps
from core.banners.reference import Reference
from core.banners.templates import Bank, make_bank, template_of

GAIN = 3.0
"""Nats by which leaving out the days before must raise the evidence: noise alone would often drop a day."""


@dataclass(frozen=True)
class Days:
    """m rows of one grid: banner index (m,) ascending, day (m,), counts (m, 1600); several rows a banner and day add up."""

    codes: NDArray[np.int64]
    day: NDArray[Any]
    counts: csr_matrix

    def of(self, banner: int) -> tuple[NDArray[Any], csr_matrix]:
        """Days (d,) ascending with clicks of one banner, and its counts (d, 1600)."""
        a, b = np.searchsorted(self.codes, [banner, banner + 1])
        at, inverse = np.unique(self.day[a:b], return_inverse=True)
        adding = csr_matrix((np.ones(b - a, np.float32), (inverse, np.arange(b - a))), shape=(len(at), b - a))
        return at, (adding @ self.counts[a:b]).tocsr()


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


def late_heatmaps(
    heatmaps: Heatmaps, days: Days, flagged: NDArray[np.int64], own: Reference, others: dict[int, Vector]
) -> tuple[NDArray[np.int64], Heatmaps]:
    """Those of `flagged` whose fault began late, and their heatmaps from its first day on.

    Every first day is tried with every template: a fault that is diluted by the days before can look like another, or like none.
    `own`: references of the grid; `others`: references of other grids by reference id.
    """
    late: list[int] = []
    counts: list[csr_matrix] = []
    rows = own.group_rows(heatmaps.take(flagged))
    for row in np.unique(rows).tolist():
        members = flagged[rows == row]
        cells = np.unique(heatmaps.counts[members].indices).astype(np.int64)
        bank = make_bank(own.p[row], others, cells)
        for i in members.tolist():
            by_day = days.of(i)[1]
            start = first_day(by_day[:, cells], bank)
            if start:
                late.append(i)
                counts.append(csr_matrix(by_day[start:].sum(axis=0)))
    chosen = heatmaps.take(np.array(late, dtype=np.int64))
    return np.array(late, dtype=np.int64), replace(chosen, counts=vstack(counts).tocsr().astype(np.float32)) if late else chosen


def first_day(by_day: csr_matrix, bank: Bank) -> int:
    """Index of the day from which on the faults of a bank explain the counts (d, m) at the bank's cells best, together with those after.

    The first day of all, unless leaving earlier days out is worth GAIN nats, and where no fault explains any end of the window.
    """
    to_the_end = np.cumsum((by_day @ bank.log_ratio)[::-1], axis=0, dtype=np.float64)[::-1]
    families = [logsumexp(to_the_end[:, a:b], axis=1) - np.log(b - a) for a, b in bank.spans if b > a]
    odds = logsumexp(np.stack(families), axis=0)
    best = int(np.argmax(odds))
    return best if odds[best] > 0 and odds[best] - odds[0] > GAIN else 0
