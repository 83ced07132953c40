"""Evidence: how much likelier a banner's clicks are under each fault template than under its reference.

In: Heatmaps, references and, for the family other_grid, references of other grids. Out: log odds of every family and its best template.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.banners.affine import Detail
from core.banners.heatmaps import Heatmaps
from core.banners.reference import Reference
from core.banners.templates import FAMILIES, Bank, make_bank
from core.settings import n_threads

CHUNK = 512
"""Banners a product with the bank: its result stays small enough for the cache."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Evidence of the template banks about n banners: `log_odds` (n, 10), the family's mean likelihood against the reference in nats (-inf
    where a family has no template), and `best` (n, 10), the index of the likeliest template of each family in its reference's bank, whose
    parameters are `details` by reference row."""

    rows: NDArray[np.int64]
    log_odds: NDArray[np.float64]
    best: NDArray[np.int32]
    details: dict[int, list[Detail]]

    def take(self, rows: NDArray[np.int64]) -> "Evidence":
        """The evidence about the banners at `rows`."""
        return Evidence(self.rows[rows], self.log_odds[rows], self.best[rows], self.details)


def weigh(X: Heatmaps, reference: Reference, others: dict[int, NDArray[np.float64]] | None = None) -> Evidence:
    """Evidence about all banners. `others`: references of other grids by reference id; None or empty: those within `reference`."""
    rows = reference.rows(X)
    out = Evidence(rows, np.full((len(X), len(FAMILIES)), -np.inf), np.zeros((len(X), len(FAMILIES)), np.int32), {})
    with ThreadPoolExecutor(n_threads()) as pool:
        for row in np.unique(rows).tolist():
            members = np.flatnonzero(rows == row)
            cells = np.unique(X.counts[members].indices).astype(np.int64)
            bank = make_bank(reference.p[row], others or reference.layouts(but=reference.group_of(row).grid_id), cells)
            out.details[row] = bank.details
            chunks = [members[k : k + CHUNK] for k in range(0, len(members), CHUNK)]
            for at, (log_odds, best) in zip(chunks, pool.map(lambda c: _families(X, c, bank), chunks), strict=True):  # noqa: B023
                out.log_odds[at], out.best[at] = log_odds, best
    return out


def _families(X: Heatmaps, at: NDArray[np.int64], bank: Bank) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Per banner and family: log of the mean likelihood ratio over its templates, and the best template's index in the bank."""
    counts = X.counts[at]
    column = np.searchsorted(bank.cells, counts.indices)
    ratio = csr_matrix((counts.data, column, counts.indptr), shape=(len(at), len(bank.cells))) @ bank.log_ratio  # (m, k)
    log_odds = np.full((len(at), len(FAMILIES)), -np.inf)
    best = np.zeros((len(at), len(FAMILIES)), np.int32)
    for f, (start, stop) in enumerate(bank.spans):
        if stop == start:
            continue
        part = ratio[:, start:stop]
        top = part.argmax(axis=1)
        peak = part[np.arange(len(at)), top]
        log_odds[:, f] = peak + np.log(np.exp(part - peak[:, None]).mean(axis=1))
        best[:, f] = start + top
    return log_odds, best
