"""0-shot, 1-shot and k-shot: from labels of some grids to probabilities, a threshold and what to expect of it on others.

In: the banners of one run as `predictor.Inputs`, their grids, and labels of some. Out: a `Calibration`, whose `Rule` can be kept and
applied to later runs. 0-shot: the target grids' own labels are not looked at. 1-shot: one ok banner of each target grid
is. k-shot: k labelled banners of each, whatever they are, rather those of which the 0-shot rule is not sure: they say most.
"""

from dataclasses import dataclass, replace
from typing import Any, NotRequired, Self, TypedDict, Unpack

import numpy as np
from scipy.optimize import minimize_scalar

from core.calibration.expectation import Expected, Worlds, draw_worlds
from core.calibration.predictor import PSEUDO, Inputs, Learned
from core.calibration.thresholds import Scale, find_cut, fit_scale, log_odds
from core.errors import InputError
from core.statistics.arrays import Codes, Mask, Vector

SHIFT_PRECISION = 4.0
"""Prior precision of how far a target grid's log odds lie from what the source grids foretell: one doubtful label hardly moves them."""
LEAST_DOUBT = 1e-6
"""Banners that everything speaks for may still be drawn, once the doubtful ones are."""
MOST_FOLDS = 10
FOLDS = 5
"""Parts into which the labels of a single grid are split to predict each without itself."""


@dataclass(frozen=True)
class Rule:
    """What a published version does: a predictor, its scale, a shift in log odds for grids with shots, and the threshold."""

    learned: Learned
    scale: Scale
    shifts: dict[int, float]
    cut: float

    def probability(self, inputs: Inputs, grid_id: Codes) -> Vector:
        """(n,) calibrated probability of being broken. Raises InputError where the inputs lack a detector that the rule needs."""
        missing = self.learned.names - set(inputs.names)
        if missing:
            raise InputError(
                f"This version needs the detectors {', '.join(sorted(self.learned.names))}: the run lacks "
                f"{', '.join(sorted(missing))}. Score with them, or calibrate again."
            )
        shift = np.zeros(len(inputs))
        for grid, by in self.shifts.items():
            shift[grid_id == grid] = by
        return self.scale(self.learned.probability(inputs), shift)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        shifts = {str(grid): by for grid, by in self.shifts.items()}
        return {
            "learned": self.learned.to_json(),
            "scale": list(self.scale),
            "shifts": shifts,
            "cut": self.cut if np.isfinite(self.cut) else None,
        }

    @classmethod
    def from_json(cls, written: dict[str, Any]) -> Self:
        """The rule that `to_json` wrote."""
        shifts = {int(grid): float(by) for grid, by in written["shifts"].items()}
        cut = np.inf if written["cut"] is None else float(written["cut"])
        return cls(Learned.from_json(written["learned"]), Scale(*written["scale"]), shifts, cut)


@dataclass(frozen=True)
class Labels:
    """m labelled banners: their rows in the run, whether each is broken, and its grid."""

    rows: Codes
    broken: Mask
    grid_id: Codes

    def take(self, chosen: Mask | Codes) -> "Labels":
        """Those chosen."""
        return Labels(self.rows[chosen], self.broken[chosen], self.grid_id[chosen])


@dataclass(frozen=True)
class Calibration:
    """A rule, what it says of the target grids' banners, and what to expect of it."""

    rule: Rule
    target: Codes
    """(t,) rows of the run on the target grids."""
    p: Vector
    """(t,) calibrated probabilities."""
    source: Labels
    """What was learned from; with `source_p` (m,), calibrated, each predicted without its grid."""
    source_p: Vector
    shots: Labels
    worlds: Worlds

    @property
    def flagged(self) -> Mask:
        """(t,) at or above the threshold."""
        return self.p >= self.rule.cut

    @property
    def expected(self) -> Expected:
        """Of the flags at the threshold."""
        return self.worlds.of_most_suspicious(int(self.flagged.sum()))

    def cut_by(self, method: str, value: float | None = None) -> "Calibration":
        """The same predictor with another threshold; errors as of `thresholds.find_cut`."""
        cut = find_cut(method, self.p, self.source_p, self.source.broken, value)
        return replace(self, rule=replace(self.rule, cut=cut))


class Threshold(TypedDict):
    """How a threshold is found: `method` of thresholds.METHODS, by default f1, and the value that it asks for."""

    method: NotRequired[str]
    value: NotRequired[float | None]


def calibrate(
    inputs: Inputs,
    grid_id: Codes,
    before: Mask,
    labels: Labels,
    *,
    targets: list[int],
    shots: int = 0,
    seed: int = 0,
    **threshold: Unpack[Threshold],
) -> Calibration:
    """Learns from `labels`, takes `shots` of them from every grid of `targets`, and finds the threshold.

    grid_id, before: (n,) grid of every banner and whether it is flagged so far. Labels of target grids are the pool of shots and nothing
    else, except that with all labels on target grids there is no source, and the whole pool is learned from. Raises InputError
    where there is no label to learn from, or a grid has no label to be a shot.
    """
    pool = np.isin(labels.grid_id, targets)
    if pool.all() and shots == 0:
        pool = np.zeros(len(pool), dtype=bool)
    source = labels.take(~pool)
    chosen = _draw(labels.take(pool), targets, shots, seed, _doubt(inputs, source, labels.take(pool)) if shots > 1 else None)
    if not len(source.rows) + len(chosen.rows):
        raise InputError("A threshold is learned from labels: none is on the source grids. Label some banners, or choose other grids.")
    known = Labels(*(np.concatenate([getattr(a, k) for a in (source, chosen)]) for k in ("rows", "broken", "grid_id")))
    learned = Learned.fit(inputs, known.rows, known.broken)
    base = source if len(source.rows) else known
    raw = _without_own_grid(inputs, base)
    scale = fit_scale(raw, base.broken)
    target = np.flatnonzero(np.isin(grid_id, targets))
    shifts = _shifts(inputs, learned, scale, chosen)
    rule = Rule(learned, scale, shifts, np.inf)
    p = rule.probability(inputs.take(target), grid_id[target])
    source_p = scale(raw)
    rule = Rule(learned, scale, shifts, find_cut(threshold.get("method", "f1"), p, source_p, base.broken, threshold.get("value")))
    worlds = draw_worlds(p, grid_id[target], before[target], source_p, base.broken, base.grid_id, seed)
    return Calibration(rule, target, p, base, source_p, chosen, worlds)


def _doubt(inputs: Inputs, source: Labels, pool: Labels) -> Vector | None:
    """(m,) how little a predictor learned from the source knows of each banner of the pool; None where there is no source."""
    if not len(source.rows) or not len(pool.rows):
        return None
    p = Learned.fit(inputs, source.rows, source.broken).probability(inputs.take(pool.rows))
    return p * (1 - p) + LEAST_DOUBT


def _draw(pool: Labels, targets: list[int], shots: int, seed: int, doubt: Vector | None) -> Labels:
    """`shots` labelled banners of every target grid, fewer where it has fewer; a single one is an ok one.

    They are drawn in proportion to `doubt` (m,), or evenly.
    """
    picks = [np.empty(0, dtype=np.int64)]
    for grid in sorted(targets) if shots else []:
        fits = np.flatnonzero((pool.grid_id == grid) & (~pool.broken if shots == 1 else True))
        if not len(fits):
            what = "a banner labelled ok" if shots == 1 else "labels"
            raise InputError(f"{shots}-shot takes {what} of every target grid: grid {grid} has none. Label some, or take 0 shots.")
        rng = np.random.default_rng([seed, abs(grid)])
        weight = np.ones(len(fits)) if doubt is None else doubt[fits]
        picks.append(rng.choice(fits, min(shots, len(fits)), replace=False, p=weight / weight.sum()))
    return pool.take(np.concatenate(picks))


def _without_own_grid(inputs: Inputs, labels: Labels) -> Vector:
    """(m,) probabilities of labelled banners by predictors that saw no label of their grid; of one grid alone, none of their fold."""
    groups = np.unique(labels.grid_id, return_inverse=True)[1]
    groups = groups % MOST_FOLDS  # of very many grids, some are left out together
    if groups.max(initial=0) == 0:
        groups = np.random.default_rng(0).permutation(len(labels.rows)) % FOLDS
    out = np.empty(len(labels.rows))
    for group in np.unique(groups):
        own = groups == group
        rest = labels.take(~own)
        out[own] = Learned.fit(inputs, rest.rows, rest.broken, PSEUDO).probability(inputs.take(labels.rows[own]))
    return out


def _shifts(inputs: Inputs, learned: Learned, scale: Scale, shots: Labels) -> dict[int, float]:
    """Per grid with shots: the shift in log odds that makes them likeliest, shrunk towards none."""
    x = log_odds(scale(learned.probability(inputs.take(shots.rows)))) if len(shots.rows) else np.empty(0)
    out = {}
    for grid in np.unique(shots.grid_id):
        own = shots.grid_id == grid
        out[int(grid)] = _shift(x[own], shots.broken[own])
    return out


def _shift(x: Vector, broken: Mask) -> float:
    def loss(by: float) -> float:
        return float((np.logaddexp(0, x + by) - broken * (x + by)).sum() + SHIFT_PRECISION * by**2 / 2)

    return float(minimize_scalar(loss, bounds=(-5, 5), method="bounded").x)
