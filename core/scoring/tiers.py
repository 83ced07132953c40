"""A run in tiers: cheap statistics look at every banner, dearer detectors at those whom the tier before could not clear.

In: what every detector says of a control sample, banners drawn at random. Out: the thresholds of the tiers, and which share of the broken
banners each tier loses. All of the control sample sets the thresholds; their loss is that of thresholds set on one half, measured on the
other.
Knows no files and no database.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from core.detectors import CATALOGUE
from core.scoring.fault_families import TEMPLATE
from core.statistics.arrays import Mask, Vector
from core.statistics.intervals import Interval, wilson
from core.statistics.p_values import EmpiricalNull

TIERS = ("statistics", "templates")
"""Tiers that clear banners. What they leave, every other quick detector looks at; deep ones look at what could then still be flagged."""
CONTROL, LEARNED, PER_REFERENCE = 500, 1000, 20_000
"""Banners of a grid that every detector looks at, that detectors learn from, and that its references rest on, at most."""
PER_KNOT = 180
"""Control banners that a knot of a trend rests on: three times as many as in a whole run. Flags of banners near the limit differ less."""
LOSS = 0.005
"""Share of the broken banners of the control sample that a threshold may lose."""
MARGIN = 1.5
"""A threshold lets through so many times the share that the control sample needs."""
LEAST = (0.15, 0.06)
"""Share of all banners that a tier lets through at least: a control sample without a broken banner needs none."""
N_BINS, PER_BIN = 20, 10
"""Steps of equally many control banners in which the chance that a cleared banner is broken is given, and banners a step at least."""


def gate_scores(normalised: dict[str, Vector]) -> list[Vector]:
    """(n,) scores of each tier from normalised scores of the statistics, and of the templates where these have looked.

    A tier's score is the highest of all that it and those before it say: one loud voice is enough not to be cleared.
    """
    statistics = np.max([z for name, z in normalised.items() if CATALOGUE[name].is_statistic], axis=0)
    return [statistics, np.maximum(statistics, normalised[TEMPLATE])] if TEMPLATE in normalised else [statistics]


@dataclass(frozen=True)
class Budget:
    """What the last tier may cost at most: a share of all banners, 0..1, and seconds of processor time; None = no bound."""

    share: float | None = None
    seconds: float | None = None

    def most(self, n_banners: int, seconds_each: float) -> float:
        """Share of `n_banners` that may be looked at, where a look takes so many seconds; 0..1."""
        by_time = 1.0 if self.seconds is None else self.seconds / max(n_banners * seconds_each, 1e-12)
        return min(1.0 if self.share is None else self.share, by_time, 1.0)


@dataclass(frozen=True)
class Loss:
    """What a tier does to a control sample: banners found broken by all detectors, and lost here by a threshold that the other half set.

    A threshold that rests on half as many banners loses more than one that rests on all: this errs on the side of caution.
    """

    n_found: int
    n_lost: int

    @property
    def share(self) -> Interval:
        """Share of the broken banners that the tier loses, with Wilson's interval; NaN where none was found."""
        return wilson(self.n_lost, self.n_found)


@dataclass(frozen=True)
class Gates:
    """Scores from which on banners pass the tiers, (2,), and what that costs."""

    cuts: tuple[float, float]
    losses: tuple[Loss, Loss]

    def cleared(self, scores: list[Vector]) -> list[Mask]:
        """Whom each tier clears, (n,) each, from the scores (n,) of both."""
        first = scores[0] < self.cuts[0]
        return [first, ~first & (scores[1] < self.cuts[1])]


def fit_gates(scores: list[Vector], found: Mask, most: float = 1.0) -> Gates:
    """The thresholds from scores (n,) of both tiers for a control sample, of which all detectors together say that `found` (n,) are broken.

    A tier lets the share through that keeps all but LOSS of the found ones, times MARGIN, at least LEAST. The last tier lets at most the
    share `most` of all banners through, which is the budget.
    """
    odd = np.arange(len(found)) % 2 == 1
    n_lost = np.zeros(2, dtype=np.int64)
    for half in (odd, ~odd):
        first, last = _cuts(scores, found & ~half, most)
        alive = found & half & (scores[0] >= first)
        n_lost += [(found & half).sum() - alive.sum(), (alive & (scores[1] < last)).sum()]
    n = int(found.sum())
    return Gates(_cuts(scores, found, most), (Loss(n, int(n_lost[0])), Loss(n, int(n_lost[1]))))


def _cuts(scores: list[Vector], found: Mask, most: float) -> tuple[float, float]:
    """The thresholds that the banners `found` (n,) ask for, in a sample whose tiers' scores these are."""
    cuts = []
    for k, tier in enumerate(scores):
        share = max(LEAST[k], MARGIN * _needed(tier, found))
        share = min(share, most if k == len(scores) - 1 else 1.0)
        cuts.append(float(np.quantile(tier, 1 - share)) if share < 1 else -np.inf)
    return cuts[0], cuts[1]


def _needed(scores: Vector, found: Mask) -> float:
    """Share of all banners that score at least as high as all but LOSS of the found ones."""
    if not found.any():
        return 0.0
    return float((scores >= np.quantile(scores[found], LOSS, method="lower")).mean())


@dataclass
class Cleared:
    """What is said of banners that a tier has cleared: learned from the control banners that it clears as well."""

    def fit(self, scores: Vector, p_broken: Vector, cleared: Mask) -> Self:
        """From a tier's scores (n,) of the control sample, its chances to be broken (n,), and whom of it the tier clears (n,)."""
        self.null_ = EmpiricalNull().fit(scores)
        order = np.flatnonzero(cleared)[np.argsort(scores[cleared], kind="stable")]
        groups = np.array_split(order, max(1, min(N_BINS, len(order) // PER_BIN)))
        self.edges_ = np.array([scores[rows[0]] for rows in groups[1:]])
        self.chances_ = np.array([p_broken[rows].mean() if len(rows) else p_broken.mean() for rows in groups])
        return self

    def p_broken(self, scores: Vector) -> Vector:
        """(n,) chances to be broken of cleared banners: the mean of the control banners that score alike."""
        return np.asarray(self.chances_[np.searchsorted(self.edges_, scores, side="right")])

    def p_values(self, scores: Vector) -> Vector:
        """(n,) p-values of the tier's scores."""
        return self.null_.p_values(scores)
