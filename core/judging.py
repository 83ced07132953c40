"""What raw scores of all banners together say: normalised, p-values, combined, flags; and who is worth a slow look.

In: scores (n,) by detector, NaN where one left a banner out. Out: columns for the store's tables. Knows no files and no database.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.combine import combine_families, take_in
from core.detectors import CATALOGUE
from core.normalise import Normaliser
from core.null import EmpiricalNull, benjamini_hochberg

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]
Codes = NDArray[np.int64]

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
    n_agree: Codes
    n_looked: Codes
    """Detectors that looked at the banner; the others left it out."""
    deep_weight: float
    """What the deep detectors count beside the vote of the others, 0..0.1."""


def judge(scores: dict[str, Vector], grid_id: Codes, n_clicks: Vector, limit: Vector, fdr: float, control: Mask | None = None) -> Judged:
    """Normalises every detector's scores, combines them, and flags banners by Benjamini-Hochberg at `fdr`.

    No normalised score passes `limit` (n,). What deep detectors' scores look like where nothing is broken is learned from `control`
    (n,), banners drawn at random; None = from all.
    """
    groups = np.unique(grid_id, return_inverse=True)[1]
    control = np.ones(len(groups), dtype=bool) if control is None else control
    normalised, p_values, evidence = {}, {}, {}
    for name, found in scores.items():
        looked = np.isfinite(found)
        known = looked & control if CATALOGUE[name].deep else looked
        normaliser = Normaliser().fit(found[known], groups[known], n_clicks[known])
        z = np.minimum(normaliser.transform(found[looked], groups[looked], n_clicks[looked]), limit[looked])
        null = EmpiricalNull().fit(z[known[looked]])
        normalised[name], p_values[name], evidence[name] = (_spread(x, looked) for x in (z, null.p_values(z), null.evidence(z)))
    combined, weight = _combined(evidence, groups, n_clicks, limit, control)
    null = EmpiricalNull().fit(combined)
    p_value = null.p_values(combined)
    position = np.empty(len(combined), dtype=np.int64)
    position[np.lexsort((-combined, p_value))] = np.arange(1, len(combined) + 1)
    return Judged(
        normalised=normalised,
        p_values=p_values,
        combined=combined,
        p_value=p_value,
        p_broken=null.p_broken(combined, groups),
        flagged=benjamini_hochberg(p_value, fdr),
        position=position,
        n_agree=np.sum([p <= AGREE for p in p_values.values()], axis=0),
        n_looked=np.sum([np.isfinite(p) for p in p_values.values()], axis=0),
        deep_weight=weight,
    )


def hold_back(judged: Judged, held: Mask) -> Judged:
    """The same with no flag on the banners `held` (n,), whose places are behind the flagged ones."""
    if not held.any():
        return judged
    flagged = judged.flagged & ~held
    position = np.empty(len(held), dtype=np.int64)
    position[np.lexsort((-judged.combined, judged.p_value, ~flagged))] = np.arange(1, len(held) + 1)
    return replace(judged, flagged=flagged, position=position)


def _combined(evidence: dict[str, Vector], groups: Codes, n_clicks: Vector, limit: Vector, control: Mask) -> tuple[Vector, float]:
    """The vote of the detectors that look at all banners, moved by those that look at some; and these ones' weight."""
    families = {name: CATALOGUE[name].family for name in evidence}
    deep = {name: e for name, e in evidence.items() if CATALOGUE[name].deep}
    voting = {name: e for name, e in evidence.items() if name not in deep} or deep
    combined = combine_families(voting, families)
    combined = np.minimum(Normaliser().fit(combined, groups, n_clicks).transform(combined, groups, n_clicks), limit)
    if not deep or voting is deep:
        return combined, 0.0
    p_broken = EmpiricalNull().fit(combined).p_broken(combined, groups)
    combined, weight = take_in(combined, combine_families(deep, families), control, p_broken)
    return np.minimum(combined, limit), weight


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
    """(n,) banners that a deep detector shall look at: the control sample, and whoever could still be flagged, the strongest first.

    A grid without any control banner, which only a store of very many layouts has, is left out.
    """
    could = np.flatnonzero((judged.p_value <= CANDIDATE) & ~control & np.isin(grid_id, grid_id[control]))
    could = could[np.argsort(judged.position[could])][: MOST - int(control.sum())]
    out = control.copy()
    out[could] = True
    return out
