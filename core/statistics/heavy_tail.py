"""The null of one kind of evidence whose tail is heavy: log-likelihood ratios of clicks that differ more among banners than chance.

In: robust z-scores (n,), median 0, of which most are of ok banners. Out: log p-values. Only scores above the median are fitted: a fault
raises its evidence, and what lies below is no evidence for it.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.optimize import minimize

from core.statistics.arrays import Vector
from core.statistics.p_values import evenly, sigmoid

PRIOR = np.array([0.0, 0.08, -4.0, np.log(12.0), np.log(1.6)])
"""Log scale and tail index of the null; logit of the broken share; log scale and log shape of the alternative."""
SPREAD = np.array([np.inf, 0.1, 1.0, 0.5, 0.25])
"""Standard deviations of normal priors around PRIOR: what a handful of banners cannot tell, these decide."""
BOUNDS = [(-4.0, 3.0), (0.05, 1.0), (-9.0, -0.4), (np.log(4.0), 4.5), (0.0, 1.5)]
"""The tail is never lighter than that of index 0.05: a few odd banners do not show how heavy it is, and are no fault for that. The
alternative holds at most two fifths of the scores above the median, and its scale is at least 4: it may not take the null's body."""
STARTS = [(index, share, scale) for index in (0.06, 0.2) for share, scale in ((-5.0, 12.0), (-1.5, 8.0))]
"""Tail index, logit of the broken share and scale of the alternative that fits begin with: one can end beside the best."""
MAX_SCORE = 80.0
"""Scores beyond it count as it in the fit."""
MAX_COARSE, MAX_SAMPLE = 500, 10_000
"""Scores that decide between the starts, and that shape the fit."""


@dataclass
class HeavyTail:
    """Two groups above the median: a half log-logistic null with a power tail, and a Weibull alternative, by penalised likelihood.

    Null: S(z) = 2 / (1 + (1 + x z / s)^(1 / x)), z > 0, of which x -> 0 is a half logistic. Alternative: S(z) = exp(-(z / b)^a).
    **Source** the two-groups model of Efron 2008; the tail index of generalised Pareto tails (Pickands 1975).
    """

    def fit(self, z: Vector) -> Self:
        """Learns from (n,) z-scores; those up to 0 say nothing."""
        ordered = np.minimum(np.sort(z[z > 0]), MAX_SCORE)
        coarse, fine = evenly(ordered, MAX_COARSE), evenly(ordered, MAX_SAMPLE)
        weight = len(fine) / max(len(coarse), 1)
        theta = min((_fitted(coarse, weight, _start(*start)) for start in STARTS), key=lambda one: one[1])[0]
        self.theta_: Vector = _fitted(fine, 1.0, theta)[0] if len(fine) > len(coarse) else theta
        return self

    @property
    def share_(self) -> float:
        """Share of broken banners among the scores above the median."""
        return sigmoid(self.theta_[2])

    def log_p_values(self, z: Vector) -> Vector:
        """(n,) logarithms of the tail probabilities under the null, below 0; at least log 1/2 up to the median."""
        above = np.log(0.5) + _log_survival(np.maximum(z, 0), self.theta_)
        return np.where(z > 0, above, np.log1p(-0.5 * np.exp(np.minimum(z, 0))))


def _start(index: float, share: float, scale: float) -> Vector:
    return np.array([np.log(0.6), index, share, np.log(scale), PRIOR[4]])


def _fitted(x: Vector, weight: float, start: Vector) -> tuple[Vector, float]:
    """Parameters that make scores x, each of which counts `weight` times, likeliest, found from `start`; and their penalised loss."""

    def loss(theta: Vector) -> float:
        share = sigmoid(theta[2])
        density = np.logaddexp(np.log1p(-share) + _log_null(x, theta), np.log(share) + _log_other(x, theta))
        return float(-weight * density.sum() + (((theta - PRIOR) / SPREAD) ** 2).sum() / 2)

    found = minimize(loss, start, method="L-BFGS-B", bounds=BOUNDS)
    return found.x, float(found.fun)


def _power(z: Vector, theta: Vector) -> Vector:
    return np.asarray(np.log1p(theta[1] * z * np.exp(-theta[0])) / theta[1])


def _log_survival(z: Vector, theta: Vector) -> Vector:
    return np.asarray(np.log(2) - np.logaddexp(0, _power(z, theta)))


def _log_null(z: Vector, theta: Vector) -> Vector:
    a = _power(z, theta)
    return np.asarray(np.log(2) + a * (1 - theta[1]) - theta[0] - 2 * np.logaddexp(0, a))


def _log_other(z: Vector, theta: Vector) -> Vector:
    shape = np.exp(theta[4])
    log_u = np.log(np.maximum(z, 1e-3)) - theta[3]
    return np.asarray(theta[4] - theta[3] + (shape - 1) * log_u - np.exp(np.minimum(shape * log_u, 7)))
