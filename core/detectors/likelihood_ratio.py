"""Likelihood ratio of a banner under "broken" against "as its reference": broken is a mixture over the fault templates."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import logsumexp

from core.banners.diagnosis import Evidence
from core.banners.heatmaps import Heatmaps
from core.banners.reference import Reference, fit_reference
from core.banners.templates import ALL, FAMILIES, Bank, make_bank
from core.detectors.base import Detector, Groups, Reads, Scores
from core.settings import n_threads

CHUNK = 512
"""Banners a product with the bank: its result stays small enough for the cache."""


_cache: WeakKeyDictionary[Heatmaps, dict[tuple[int, int], tuple[Any, Evidence]]] = WeakKeyDictionary()


@dataclass
class LikelihoodRatio(Detector):
    """The capstone's likelihood-ratio test, with its "bad banner" distribution as a mixture of fault templates.

    **Score** s = log( (1/10) Σ_f (1/K_f) Σ_k P[n | t_fk] / P[n | p] ) / sqrt(N), t_fk the templates of family f, p the reference; one
    sparse product `counts @ log(t / p).T`. The seed's slip (the average banner, not this one, in the denominator) is not copied.
    The square root keeps the spread among normal banners alike over click counts. High = likelier broken.
    **Shape** Heatmaps of n banners -> (n,).
    **Source** Neyman and Pearson 1933; the capstone's to-do.
    """

    family: ClassVar[str] = "template"
    reads: ClassVar[Reads] = "heatmaps"

    reference: Reference | None = None
    others: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    """References of other grids by reference id, for the family other_grid; empty: those within `reference`."""

    @property
    def name(self) -> str:
        return "likelihood_ratio"

    def _fit(self, X: Heatmaps, groups: Groups) -> None:
        self.reference_ = self.reference or fit_reference(X)

    def _score(self, X: Heatmaps, groups: Groups) -> Scores:
        mixture = logsumexp(self.evidence(X).log_odds, axis=1) - np.log(len(FAMILIES))
        return np.asarray(mixture / np.sqrt(np.maximum(X.n_clicks, 1)))

    def bank(self, row: int, cells: NDArray[np.int64] = ALL) -> Bank:
        """The bank of one reference at some cells. Up to 11 MB: never kept, since a grid has many."""
        return make_bank(self.reference_.p[row], self._others(row), cells)

    def _others(self, row: int) -> dict[int, NDArray[np.float64]]:
        if self.others:
            return self.others
        grid_id = self.reference_.groups[row].grid_id
        groups = enumerate(self.reference_.groups)
        return {k: self.reference_.p[k] for k, g in groups if g.grid_id != grid_id and g.domain is None}

    def evidence(self, X: Heatmaps) -> Evidence:
        """Log odds of every family and its best template; kept as long as `X` is, since diagnosis asks again."""
        kept = _cache.setdefault(X, {})
        key = id(self.reference_), id(self.others) if self.others else 0
        if key not in kept:
            # what the ids stand for is kept along: a freed object's id could be given to another
            kept[key] = (self.reference_, self.others), self._evidence(X)
        return kept[key][1]

    def carry(self, X: Heatmaps, rows: NDArray[np.int64], some: Heatmaps) -> None:
        """Makes the evidence of `X`, where it is known, known for `some`, which are the banners of `X` at `rows`."""
        key = id(self.reference_), id(self.others) if self.others else 0
        if key in _cache.get(X, {}):
            known = self.evidence(X)
            taken = Evidence(known.rows[rows], known.log_odds[rows], known.best[rows], known.details)
            _cache.setdefault(some, {})[key] = (self.reference_, self.others), taken

    def _evidence(self, X: Heatmaps) -> Evidence:
        rows = self.reference_.rows(X)
        out = Evidence(rows, np.full((len(X), len(FAMILIES)), -np.inf), np.zeros((len(X), len(FAMILIES)), np.int32), {})
        for row in np.unique(rows):
            members = np.flatnonzero(rows == row)
            bank = self.bank(int(row), np.unique(X.counts[members].indices).astype(np.int64))
            out.details[int(row)] = bank.details
            chunks = [members[k : k + CHUNK] for k in range(0, len(members), CHUNK)]
            with ThreadPoolExecutor(n_threads()) as pool:
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
