"""What raw scores of all banners together say: normalised, p-values, combined, flags; and who is worth a slow look.

In: scores (n,) by detector, NaN where one left a banner out. Out: columns for the store's tables. Knows no files and no database.
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from core.detectors import CATALOGUE
from core.scoring.fault_families import TEMPLATE, FaultFamilies
from core.statistics.arrays import Codes, Mask, Vector
from core.statistics.combine import combine_families, harmonic_mean, take_in
from core.statistics.normalise import PER_KNOT, Normaliser
from core.statistics.p_values import EmpiricalNull, benjamini_hochberg

AGREE = 0.05
"""A detector agrees that a banner is odd where its own p-value is at most this."""
CANDIDATE = 0.1
"""Banners whose p-value is above it, before any deep detector has looked, are not flagged whatever these say."""
PER_LAYOUT, CONTROL_SHARE = 12, 0.05
"""Banners that a layout's control sample has at least, and its share of the banners: its anchor rests on them."""
MOST = 20_000
"""Banners that deep detectors look at in one run, at most; control sample included, the strongest candidates first."""


@dataclass
class Judged:
    """Normalised scores and p-values a detector (NaN: left out), and the combined verdict; (n,) each."""

    normalised: dict[str, Vector]
    p_values: dict[str, Vector]
    combined: Vector
    p_value: Vector
    p_broken: Vector
    flagged: Mask
    position: Codes
    deep_weight: float
    """What the deep detectors count beside the vote of the others, 0..0.1."""

    @property
    def n_agree(self) -> Codes:
        """(n,) detectors whose own p-value is at most AGREE."""
        return np.sum([p <= AGREE for p in self.p_values.values()], axis=0)

    @property
    def n_looked(self) -> Codes:
        """(n,) detectors that looked at the banner; the others left it out."""
        return np.sum([np.isfinite(p) for p in self.p_values.values()], axis=0)


class About(NamedTuple):
    """What a judge needs of n banners apart from their scores: grid_id, n_clicks and highest score that their clicks allow, (n,) each, and
    the evidence for each family of faults (n, 10 v): see `fault_families.py`; None = the templates were not asked."""

    grid_id: Codes
    n_clicks: Vector
    limit: Vector
    evidence: NDArray[np.float32] | None = None

    def take(self, rows: Mask) -> "About":
        """The same of some of the banners."""
        return About(*(None if column is None else column[rows] for column in self))  # type: ignore[arg-type]


@dataclass
class Heard:
    """What the detectors say of n banners before any is flagged: as in `Judged`; `combined` is their vote, before the fault families."""

    normalised: dict[str, Vector]
    p_values: dict[str, Vector]
    combined: Vector
    deep_weight: float = 0.0


@dataclass
class Judge:
    """What raw scores look like where most banners are ok: scale and null of each detector, and of their vote.

    Learned from banners drawn at random, or from all there are; then it hears others as well. `per_knot`: see `Normaliser`.
    """

    per_knot: int = PER_KNOT
    scales: dict[str, tuple[Normaliser, EmpiricalNull]] = field(default_factory=dict)
    families_: FaultFamilies | None = None

    def fit(self, scores: dict[str, Vector], about: About) -> Self:
        """Learns from the raw scores (n,) of detectors that looked at every one of these banners."""
        for name, found in scores.items():
            self._learn(name, found, about)
        vote = self._vote({name: self._said(name, found, about)[2] for name, found in scores.items()})
        self.vote_ = Normaliser(self.per_knot).fit(vote, about.grid_id, about.n_clicks)
        combined = self._freed(self.vote_, vote, about)
        self.null_ = EmpiricalNull().fit(combined)
        if TEMPLATE in scores and about.evidence is not None and about.evidence.size:
            self.families_ = FaultFamilies().fit(about.evidence, about.grid_id, about.limit)
        self.final_null_ = self.null_.with_other(self.final(combined, about))
        return self

    def hear(self, scores: dict[str, Vector], about: About) -> Heard:
        """What raw scores (n,) of the detectors that were learned say of any banners; no normalised score passes the limit."""
        said = {name: self._said(name, found, about) for name, found in scores.items()}
        evidence = {name: three[2] for name, three in said.items()}
        combined = self._freed(self.vote_, self._vote(evidence), about)
        p_values = {name: three[1] for name, three in said.items()}
        if self.families_ is not None:
            p_values[TEMPLATE] = np.exp(harmonic_mean(self._log_p_of_views(self.families_, about)))
        return Heard({name: three[0] for name, three in said.items()}, p_values, combined)

    def final(self, combined: Vector, about: About) -> Vector:
        """(n,) the vote and the families of faults in one score, on the scale of the vote: its p-value is the harmonic mean of that of the
        vote and those of the views.

        A fault that only its own template sees, or that shows in the last days alone, is lost in a mean over detectors, not in this.
        """
        if self.families_ is None:
            return combined
        vote = self.null_.log_p_values(combined)
        together = harmonic_mean(np.concatenate([vote[:, None], self._log_p_of_views(self.families_, about)], axis=1))
        return np.minimum(self.null_.scores_of(together), about.limit)

    def _log_p_of_views(self, families: FaultFamilies, about: About) -> Vector:
        assert about.evidence is not None
        return families.log_p_values(about.evidence, about.grid_id, about.limit)

    def p_values(self, heard: Heard, about: About) -> Vector:
        """(n,) p-values that flags follow from."""
        return self.final_null_.p_values(self.final(heard.combined, about))

    def normalised(self, name: str, found: Vector, about: About) -> Vector:
        """(n,) normalised scores of one detector, none of which passes the limit."""
        return self._freed(self.scales[name][0], found, about)

    def take_in(self, heard: Heard, slow: dict[str, Vector], about: About, control: Mask, learn: Mask) -> Heard:
        """The same moved by deep detectors' scores (n,), NaN where they left a banner out.

        Their scale is learned from `control` (n,), banners drawn at random among those they looked at; the null of what comes out from
        the banners `learn` (n,).
        """
        normalised, p_values, evidence = {}, {}, {}
        for name, found in slow.items():
            looked = np.isfinite(found)
            known = looked & control
            self._learn(name, found[known], about.take(known))
            said = self._said(name, found[looked], about.take(looked))
            normalised[name], p_values[name], evidence[name] = (_spread(x, looked) for x in said)
        p_broken = EmpiricalNull().fit(heard.combined[learn]).p_broken(heard.combined, about.grid_id)
        combined, weight = take_in(heard.combined, self._vote(evidence), control, p_broken)
        combined = np.minimum(combined, about.limit)
        self.null_ = EmpiricalNull().fit(combined[learn])
        self.final_null_ = self.null_.with_other(self.final(combined, about)[learn])
        return Heard({**heard.normalised, **normalised}, {**heard.p_values, **p_values}, combined, weight)

    def verdict(self, heard: Heard, about: About, fdr: float, stands_for: Vector | None = None) -> Judged:
        """Flags banners by Benjamini-Hochberg at `fdr` over the banners that seem ok: where a fifth is broken, the others are fewer.

        `stands_for` (n,): how many banners each is one of, where others that were cleared are not among these; None = itself alone.
        """
        combined = self.final(heard.combined, about)
        p_value = self.final_null_.p_values(combined)
        p_broken = self.final_null_.p_broken(combined, about.grid_id, stands_for)
        n_ok = float(((1 - p_broken) * (1.0 if stands_for is None else stands_for)).sum())
        position = np.empty(len(p_value), dtype=np.int64)
        position[np.lexsort((-combined, p_value))] = np.arange(1, len(p_value) + 1)
        return Judged(
            normalised=heard.normalised,
            p_values=heard.p_values,
            combined=combined,
            p_value=p_value,
            p_broken=p_broken,
            flagged=benjamini_hochberg(p_value, fdr, n_ok),
            position=position,
            deep_weight=heard.deep_weight,
        )

    def _learn(self, name: str, found: Vector, about: About) -> None:
        normaliser = Normaliser(self.per_knot).fit(found, about.grid_id, about.n_clicks)
        self.scales[name] = normaliser, EmpiricalNull().fit(self._freed(normaliser, found, about))

    def _said(self, name: str, found: Vector, about: About) -> tuple[Vector, Vector, Vector]:
        """(n,) normalised scores, p-values and evidence of one detector."""
        z, null = self.normalised(name, found, about), self.scales[name][1]
        return z, null.p_values(z), null.evidence(z)

    def _freed(self, normaliser: Normaliser, found: Vector, about: About) -> Vector:
        return np.minimum(normaliser.transform(found, about.grid_id, about.n_clicks), about.limit)

    def _vote(self, evidence: dict[str, Vector]) -> Vector:
        return combine_families(evidence, {name: CATALOGUE[name].family for name in evidence})


def judge(scores: dict[str, Vector], about: About, fdr: float, control: Mask | None = None) -> Judged:
    """Normalises every detector's scores, combines them, and flags banners by Benjamini-Hochberg at `fdr`; all learned from these banners.

    No normalised score passes the limit. What deep detectors' scores look like where nothing is broken is learned from `control`
    (n,), banners drawn at random; None = from all. Deep detectors alone vote themselves.
    """
    everybody = np.ones(len(about.grid_id), dtype=bool)
    quick = {name: found for name, found in scores.items() if not CATALOGUE[name].deep} or scores
    learned = Judge().fit(quick, about)
    heard = learned.hear(quick, about)
    slow = {name: found for name, found in scores.items() if name not in quick}
    if slow:
        heard = learned.take_in(heard, slow, about, everybody if control is None else control, everybody)
    return learned.verdict(heard, about, fdr)


def hold_back(judged: Judged, held: Mask) -> Judged:
    """The same with no flag on the banners `held` (n,), whose places are behind the flagged ones."""
    if not held.any():
        return judged
    flagged = judged.flagged & ~held
    position = np.empty(len(held), dtype=np.int64)
    position[np.lexsort((-judged.combined, judged.p_value, ~flagged))] = np.arange(1, len(held) + 1)
    return replace(judged, flagged=flagged, position=position)


def _spread(values: Vector, looked: Mask) -> Vector:
    """(n,) the values at the rows `looked`, NaN at the others."""
    out = np.full(len(looked), np.nan)
    out[looked] = values
    return out


def control_sample(grid_id: Codes, n_products: NDArray[np.int16], seed: int) -> Mask:
    """(n,) banners drawn at random, of every layout of every grid; at most half of MOST."""
    rng = np.random.default_rng([seed, len(grid_id)])
    layout = np.unique(np.stack([grid_id, n_products.astype(np.int64)]), axis=1, return_inverse=True)[1].ravel()
    size = np.bincount(layout)
    wanted = np.maximum(PER_LAYOUT, np.ceil(CONTROL_SHARE * size)).astype(np.int64)
    order = np.lexsort((rng.random(len(layout)), layout))
    place = np.empty(len(layout), dtype=np.int64)
    place[order] = np.arange(len(layout)) - np.repeat(np.cumsum(size) - size, size)
    drawn = np.flatnonzero(place < wanted[layout])
    drawn = drawn[np.argsort(place[drawn], kind="stable")][: MOST // 2]  # where there are too many layouts, some of each first
    out = np.zeros(len(layout), dtype=bool)
    out[drawn] = True
    return out


def candidates(judged: Judged, grid_id: Codes, control: Mask) -> Mask:
    """(n,) banners that a deep detector shall look at: the control sample, and banners that could still be flagged, the strongest first.

    A grid without any control banner, which only a store of very many layouts has, is left out.
    """
    could = np.flatnonzero((judged.p_value <= CANDIDATE) & ~control & np.isin(grid_id, grid_id[control]))
    could = could[np.argsort(judged.position[could])][: MOST - int(control.sum())]
    out = control.copy()
    out[could] = True
    return out
