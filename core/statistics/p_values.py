"""P-values from an estimated null, and the probability that a banner is broken.

In: normalised combined scores (n,), of which most are of ok banners. Out: p-values in 0..1 and, per group, the share of broken
banners and each banner's posterior. A rank among the very banners that a banner belongs to would be uniform by construction and
Benjamini-Hochberg would reject nothing; so the null is a distribution fitted together with an alternative.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import ndtri_exp

from core.statistics.arrays import Vector

MAX_SAMPLE = 50_000
"""Scores that shape the fit; more add nothing."""
START = np.array([np.log(1.6), -0.5, np.log(0.7), -2.9, 2.2, np.log(2)])
"""log c, location, log scale of the null; logit of the broken share; log scale and log shape of the alternative."""
STARTS = [(-2.9, 2.2, -0.5), (-0.9, 2.0, -0.8), (-0.9, 1.2, -1.2), (-4.5, 2.6, -0.4)]
"""Logit of the broken share, log scale of the alternative and location of the null that fits begin with: one can end beside the best."""
APART = 0.95
"""Share of the null below the middle of an alternative that another start than the first finds."""
MAX_COARSE = 1_000
"""Scores that decide between the starts."""
SPREAD = np.array([0.3, np.inf, 0.15, 1.0, 0.25, 0.2])
"""Standard deviations of normal priors around START: what a handful of banners cannot tell, these decide."""
BOUNDS = [(-3.0, 4.0), (None, None), (-4.0, 3.0), (-12.0, 3.0), (-1.0, 4.0), (-1.0, 2.0)]
GROUP_PRIOR = 20.0
"""Banners with the overall share of broken ones that every group is credited with."""
MAX_SCORE = 60.0
"""Scores beyond it count as it in the fit."""
FAR = 3.0
"""Beyond so many of its scales the alternative's density vanishes; a banner with a higher score is as surely broken."""
LOWEST = -4.0
"""How much evidence there can be that a banner is ok."""
FEW_CLICKS = 12
"""Up to here a banner's own clicks set a limit to how odd it may look."""
N_DRAWS = 4096


@dataclass
class EmpiricalNull:
    """Two groups: a generalised logistic null and a Weibull alternative above its centre, fitted by penalised likelihood.

    Null: F(x) = (1 + exp(-(x - l) / s))^-c, skewed and with an exponential right tail, as sums of count statistics of banners that
    differ among each other have. Alternative: F(x) = 1 - exp(-(x / b)^a), x > 0.
    **Source** Efron 2004, "Large-scale simultaneous hypothesis testing: the choice of a null hypothesis"; Efron 2008, two-groups model.
    **Differs** the null is a skewed family and the alternative is fitted with it, instead of a normal fitted to the centre alone.
    """

    def fit(self, scores: Vector) -> Self:
        """Learns both distributions and the overall share of broken banners from (n,) normalised scores."""
        ordered = np.minimum(np.sort(scores), MAX_SCORE)
        coarse, fine = evenly(ordered, MAX_COARSE), evenly(ordered, MAX_SAMPLE)
        n = min(len(scores), MAX_SAMPLE)
        found = [_fitted(coarse, n / len(coarse), _start(*start)) for start in STARTS]
        theta, _ = min([found[0], *[one for one in found[1:] if _apart(one[0])]], key=lambda one: one[1])
        self.theta_: Vector = _fitted(fine, 1.0, theta)[0] if len(fine) > len(coarse) else theta
        self.share_ = float(sigmoid(self.theta_[3]))
        return self

    def p_values(self, scores: Vector) -> Vector:
        """(n,) tail probabilities under the null, in (0, 1]."""
        return np.maximum(np.exp(self.log_p_values(scores)), 1e-300)

    def log_p_values(self, scores: Vector) -> Vector:
        """(n,) their logarithms, which far out do not run together; at most 0."""
        log_c, s = self.theta_[0], np.exp(self.theta_[2])
        log_f = -np.exp(log_c) * np.logaddexp(0, -(scores - self.theta_[1]) / s)
        far = log_f > -1e-9  # there 1 - F = -log F to double precision, and -log F = c exp(-u)
        return np.where(far, log_c - (scores - self.theta_[1]) / s, np.log(-np.expm1(np.minimum(log_f, -1e-10))))

    def scores_of(self, log_p: Vector) -> Vector:
        """(n,) scores that have these p-values, given as logarithms: the inverse of `log_p_values`."""
        log_c, s = self.theta_[0], np.exp(self.theta_[2])
        power = -np.log1p(-np.exp(np.minimum(log_p, -1e-12))) * np.exp(-log_c)  # -log F / c
        far = log_p < np.log(1e-9)  # there -log F = p to double precision
        u = np.where(far, log_c - log_p, -np.log(np.expm1(np.clip(power, 1e-300, 50.0))))
        return np.asarray(self.theta_[1] + s * u)

    def with_other(self, scores: Vector) -> "EmpiricalNull":
        """This null beside the alternative, and the broken share, that fit (n,) scores best which were moved after the null was learned."""
        x = evenly(np.minimum(np.sort(scores), MAX_SCORE), MAX_SAMPLE // 5)
        fixed = [(v, v) for v in self.theta_[:3]]
        out = EmpiricalNull()
        out.theta_ = _fitted(x, len(scores) / max(len(x), 1), self.theta_, fixed)[0]
        out.share_ = float(sigmoid(out.theta_[3]))
        return out

    def evidence(self, scores: Vector) -> Vector:
        """(n,) standard normal quantiles of 1 - p, at least LOWEST: what scores of any tail have in common; higher = more anomalous."""
        return np.maximum(-ndtri_exp(self.log_p_values(scores)), LOWEST)

    def p_broken(self, scores: Vector, groups: NDArray[np.int64], stands_for: Vector | None = None) -> Vector:
        """(n,) posterior of being broken, with the share of broken banners estimated by EM in every group.

        `stands_for` (n,): how many banners each is one of, in a sample that holds some kinds more often than others; None = 1.
        """
        x = np.minimum(scores, FAR * np.exp(self.theta_[4]))
        null, other = _null_density(x, self.theta_), _other_density(x, self.theta_)
        codes, inverse = np.unique(groups, return_inverse=True)
        weight = np.ones(len(scores)) if stands_for is None else stands_for
        sizes = np.bincount(inverse, weight)
        share = np.full(len(codes), self.share_)
        posterior = np.zeros(len(scores))
        for _ in range(50):
            prior = share[inverse]
            posterior = prior * other / (prior * other + (1 - prior) * null + 1e-300)
            share = (np.bincount(inverse, weight * posterior) + GROUP_PRIOR * self.share_) / (sizes + GROUP_PRIOR)
        return posterior


def few_clicks_limit(counts: csr_matrix, p: Vector, rows: NDArray[np.int64]) -> Vector:
    """(n,) highest score that banners `counts` (n, k) of at most FEW_CLICKS clicks may have under `p[rows]`; infinite for others.

    It is the score whose p-value before any fit is the chance, by simulation, that as many clicks drawn from the reference are no
    likelier than the banner's. One stray click is rare among a banner's clicks, but not among banners of one click.
    """
    n = np.asarray(counts.sum(axis=1), dtype=np.int64).ravel()
    out = np.full(len(n), np.inf)
    few = np.flatnonzero(n <= FEW_CLICKS)
    few = few[np.argsort(rows[few], kind="stable")]
    some = counts[few]
    for a, b in pairwise(np.flatnonzero(np.diff(rows[few], prepend=-1, append=-1))):
        log_p = np.log(p[rows[few[a]]])
        sums = np.sort(np.cumsum(log_p[_draws(p[rows[few[a]]])], axis=0, dtype=np.float32), axis=1)
        own = some[a:b] @ log_p + 1e-4  # what is as likely up to rounding counts as no likelier
        clicks = n[few[a:b]]
        below = np.full(b - a, N_DRAWS)
        for k in np.unique(clicks[clicks > 0]):
            below[clicks == k] = np.searchsorted(sums[k - 1], own[clicks == k].astype(np.float32))
        out[few[a:b]] = _score_of((below + 1) / (N_DRAWS + 1))
    return out


@lru_cache(maxsize=1)
def _uniforms() -> tuple[Vector, NDArray[np.int64]]:
    """FEW_CLICKS * N_DRAWS uniform draws in ascending order, and where each stood before."""
    u = np.random.default_rng(0).random(FEW_CLICKS * N_DRAWS)
    order = np.argsort(u)
    return u[order], order


def _draws(p: Vector) -> NDArray[np.int64]:
    """(FEW_CLICKS, N_DRAWS) cells drawn from p (k,), from the same uniform draws for every p."""
    u, order = _uniforms()
    out = np.empty(len(u), dtype=np.int64)
    out[order] = np.minimum(np.searchsorted(np.cumsum(p), u), len(p) - 1)
    return out.reshape(FEW_CLICKS, N_DRAWS)


def _score_of(p_value: Vector) -> Vector:
    """The score that has this p-value under the null that the fit starts from."""
    c, s = np.exp(START[0]), np.exp(START[2])
    inner = np.expm1(-np.log1p(-np.clip(p_value, 1e-12, 0.999)) / c)
    return np.asarray(START[1] - s * np.log(inner))


def evenly(ordered: Vector, most: int) -> Vector:
    """About `most` of ascending values, or all where they are fewer."""
    step = max(1, len(ordered) // most)
    return ordered[step // 2 :: step]


def _start(share: float, scale: float, location: float) -> Vector:
    out = START.copy()
    out[[3, 4, 1]] = share, scale, location
    return out


def _fitted(x: Vector, weight: float, start: Vector, fixed: list[tuple[float, float]] | None = None) -> tuple[Vector, float]:
    """Parameters that make scores x, each of which counts `weight` times, likeliest, found from `start`; and their penalised loss.

    `fixed`: bounds of the first parameters in the place of theirs.
    """
    bounds = [*(fixed or []), *BOUNDS[len(fixed or []) :]]

    def loss(theta: Vector) -> float:
        share = sigmoid(theta[3])
        density = (1 - share) * _null_density(x, theta) + share * _other_density(x, theta)
        penalty = ((theta - START) / SPREAD) ** 2 / 2
        return float(-weight * np.log(density + 1e-300).sum() + penalty.sum())

    found = minimize(loss, start, method="L-BFGS-B", bounds=bounds)
    return found.x, float(found.fun)


def _apart(theta: Vector) -> bool:
    """Whether half of the alternative lies beyond APART of the null: else it may only mend the shape of a null that is no logistic."""
    high = theta[1] - np.exp(theta[2]) * np.log(np.expm1(-np.log(APART) / np.exp(theta[0])))
    middle = np.exp(theta[4]) * np.log(2) ** np.exp(-theta[5])
    return bool(middle >= high)


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def _null_density(x: Vector, theta: Vector) -> Vector:
    c, s = np.exp(theta[0]), np.exp(theta[2])
    u = (x - theta[1]) / s
    return np.asarray(np.exp(np.log(c / s) - u - (c + 1) * np.logaddexp(0, -u)))


def _other_density(x: Vector, theta: Vector) -> Vector:
    shape = np.exp(theta[5])
    log_u = np.log(np.maximum(x, 1e-3)) - theta[4]
    log_density = theta[5] - theta[4] + (shape - 1) * log_u - np.exp(np.minimum(shape * log_u, 7))
    return np.where(x > 1e-3, np.exp(log_density), 0.0)


def benjamini_hochberg(p_values: Vector, fdr: float, n_all: float | None = None) -> NDArray[np.bool_]:
    """(n,) flags whose expected share of false ones is at most `fdr` (Benjamini and Hochberg 1995).

    `n_all`: null hypotheses that they are compared with: more than n where some, whose p-values would be 1, are not among these, fewer
    where so many are estimated to be false (Benjamini, Krieger and Yekutieli 2006); None = n.
    """
    n = len(p_values)
    order = np.argsort(p_values, kind="stable")
    below = np.flatnonzero(p_values[order] <= fdr * np.arange(1, n + 1) / (n_all or n))
    flags = np.zeros(n, dtype=bool)
    if len(below):
        flags[order[: below[-1] + 1]] = True
    return flags
