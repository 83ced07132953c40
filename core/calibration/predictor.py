"""The combined predictor learned from labels: the probability that a banner is broken, from what the detectors say of it.

It sees nothing but each detector's evidence, which is the normal quantile of the detector's own p-value, how likely the diagnosed family
of faults is, and the click count: no grid, no layout, no domain. So what was learned on labelled grids holds on a grid without
labels. Two predictors are averaged: one that sees everything, and one that does not see the templates, which know the kinds of fault
that were labelled better than those to come. Where labels are few the run's own verdict without labels decides: it counts as PSEUDO
labels, spread over all its banners.
**Source** ridge logistic regression (le Cessie and van Houwelingen 1992); soft pseudo-labels as in Nigam et al. 2000.
**Differs** the two predictors' probabilities are averaged; what that and all else is worth, `python -m benchmarks.labels.calibration`
measures.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from core.banners.templates import FAMILIES
from core.statistics.arrays import Matrix, Vector

Rows = NDArray[np.int64]

PSEUDO = 300.0
"""Labels that the verdict without labels counts as, over all banners of the run together."""
MAX_PSEUDO_ROWS = 20_000
"""Banners that stand for all in that; more change nothing."""
RIDGE = 1.0
"""Precision of the prior of a coefficient, on inputs of spread 1."""
INTERCEPT_RIDGE = 0.01
HIDDEN = "template"
"""The family that one of the two predictors does not see."""
LEAST_SPREAD = 0.05
"""What hardly varies here may vary elsewhere, and must not explode there."""
DIAGNOSIS = "diagnosis"
"""How the columns of the diagnosis are called, and with what they begin; their family is HIDDEN."""
LOWEST, HIGHEST = -3.0, 10.0
"""Evidence beyond these bounds says no more."""


@dataclass(frozen=True)
class Inputs:
    """n banners as the predictor sees them: evidence (n, k) of k detectors by name and family, clicks, and p_broken without labels.

    The columns of the diagnosis, where there are any, stand among the detectors'.
    """

    names: tuple[str, ...]
    families: tuple[str, ...]
    evidence: Matrix
    n_clicks: Vector
    p_broken: Vector

    def __len__(self) -> int:
        return len(self.n_clicks)

    @property
    def detectors(self) -> list[str]:
        """Names of the columns that are detectors."""
        return [name for name in self.names if not name.startswith(DIAGNOSIS)]

    def take(self, rows: Rows) -> "Inputs":
        """The banners `rows`."""
        return Inputs(self.names, self.families, self.evidence[rows], self.n_clicks[rows], self.p_broken[rows])


def evidence_of(p_values: Matrix) -> Matrix:
    """Evidence from detectors' p-values, any shape: standard normal quantile of 1 - p in LOWEST..HIGHEST; higher = more anomalous."""
    return np.clip(-ndtri(np.clip(p_values, 1e-300, 1 - 1e-12)), LOWEST, HIGHEST)


def diagnosis_columns(fault: Rows, log_odds: Vector) -> tuple[list[str], Matrix]:
    """Names and columns (n, 1 + 2 per family) of what the diagnosis says: log odds of the fault, its family, and both together.

    fault: (n,) place of the family in FAMILIES, -1 for none.

    A missing product needs more odds than a mirrored layout: people like some products more than others anyway.
    """
    strength = np.sign(log_odds) * np.log1p(np.abs(log_odds))
    names, columns = [DIAGNOSIS], [strength]
    for k, family in enumerate(FAMILIES):
        named = (fault == k).astype(np.float64)
        names += [f"{DIAGNOSIS} {family}", f"{DIAGNOSIS} {family} odds"]
        columns += [named, named * strength]
    return names, np.column_stack(columns)


@dataclass(frozen=True)
class Half:
    """One of the predictors: which detectors it sees, mean and spread (d,) of its inputs, intercept and coefficients (1 + d,)."""

    names: tuple[str, ...]
    mean: Vector
    spread: Vector
    coefficients: Vector

    def probability(self, inputs: Inputs) -> Vector:
        """(n,) probabilities."""
        columns = _columns(inputs, [inputs.names.index(name) for name in self.names])
        return expit(_design((columns - self.mean) / self.spread) @ self.coefficients)


@dataclass(frozen=True)
class Learned:
    """The predictor, which can be written as JSON and read again."""

    halves: tuple[Half, ...]

    @classmethod
    def fit(cls, inputs: Inputs, rows: Rows, broken: NDArray[np.bool_], pseudo: float = PSEUDO) -> Self:
        """Learns from the labelled banners `rows` (m,) of `inputs`, each `broken` or not, and from all banners by p_broken."""
        every = [k for k, family in enumerate(inputs.families) if family != HIDDEN]
        parts = [list(range(len(inputs.names))), every]
        seen = [part for k, part in enumerate(parts) if part and part not in parts[:k]]
        step = max(1, -(-len(inputs) // MAX_PSEUDO_ROWS))
        return cls(tuple(_fit_half(inputs, part, rows, broken, pseudo, step) for part in seen))

    def probability(self, inputs: Inputs) -> Vector:
        """(n,) probability of being broken, 0..1. Raises ValueError for inputs without a detector that the predictor needs."""
        return np.mean([half.probability(inputs) for half in self.halves], axis=0)

    @property
    def names(self) -> set[str]:
        """Detectors that it needs."""
        return {name for half in self.halves for name in half.names}

    def to_json(self) -> list[dict[str, Any]]:
        """What `from_json` reads; numbers are kept to the last digit."""
        return [{"names": list(h.names), **{k: getattr(h, k).tolist() for k in ("mean", "spread", "coefficients")}} for h in self.halves]

    @classmethod
    def from_json(cls, written: list[dict[str, Any]]) -> Self:
        """The predictor that `to_json` wrote."""
        return cls(tuple(Half(tuple(h["names"]), *(np.array(h[k]) for k in ("mean", "spread", "coefficients"))) for h in written))


def _columns(inputs: Inputs, part: list[int]) -> Matrix:
    return np.column_stack([inputs.evidence[:, part], np.log(np.maximum(inputs.n_clicks, 1))])


def _design(columns: Matrix) -> Matrix:
    return np.column_stack([np.ones(len(columns)), columns])


def _fit_half(inputs: Inputs, part: list[int], rows: Rows, broken: NDArray[np.bool_], pseudo: float, step: int) -> Half:
    every = np.arange(0, len(inputs), step)
    some = _columns(inputs.take(every), part)
    mean, spread = some.mean(axis=0), np.maximum(some.std(axis=0), LEAST_SPREAD)
    X = _design((np.concatenate([_columns(inputs.take(rows), part), some]) - mean) / spread)
    y = np.concatenate([broken.astype(np.float64), inputs.p_broken[every]])
    weight = np.concatenate([np.ones(len(rows)), np.full(len(some), pseudo / len(some))])
    precision = np.full(X.shape[1], RIDGE)
    precision[0] = INTERCEPT_RIDGE
    return Half(tuple(inputs.names[k] for k in part), mean, spread, ridge_logistic(X, y, weight, np.zeros(X.shape[1]), precision))


def ridge_logistic(X: Matrix, y: Vector, weight: Vector, prior: Vector, precision: Vector) -> Vector:
    """(d,) coefficients of a logistic regression of y (n,) in 0..1 on X (n, d), with a normal prior of mean and precision (d,).

    Newton's method with step halving; scikit-learn's has neither a prior elsewhere than at 0 nor soft labels.
    """
    beta = prior.astype(np.float64).copy()

    def loss(b: Vector) -> float:
        eta = X @ b
        return float(weight @ (np.logaddexp(0, eta) - y * eta) + precision @ (b - prior) ** 2 / 2)

    before = loss(beta)
    for _ in range(100):
        p = expit(X @ beta)
        gradient = X.T @ (weight * (p - y)) + precision * (beta - prior)
        hessian = (X * (weight * p * (1 - p))[:, None]).T @ X + np.diag(precision)
        step = np.linalg.solve(hessian, gradient)
        scale = 1.0
        while loss(beta - scale * step) > before and scale > 1e-8:
            scale /= 2
        beta = beta - scale * step
        after = loss(beta)
        if before - after < 1e-10 * max(1.0, abs(before)):
            break
        before = after
    return beta
