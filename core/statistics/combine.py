"""Evidence of many detectors -> one predictor. Without labels: the mean of the families' means (Stouffer's method, unweighted).

Evidence is the normal quantile of a p-value under the detector's own null, so a detector with a heavy tail shouts no louder than others.
Detectors of one family see much the same, so each family has one vote, however many detectors it has. Slow detectors look only at some
banners, so they do not vote: they move a banner by what they say beyond the vote.
**Source** Stouffer et al. 1949, "The American Soldier"; the slow ones' weight is that of a linear discriminant (Fisher 1936).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from core.statistics.arrays import Vector

CLIP = 3.0
"""Evidence beyond it is so rare where nothing is broken that it tells nothing of how two predictors go together there."""
MOST_WEIGHT = 0.1
"""What slow detectors count at most: clear cases overstate how much they say of doubtful ones (`python -m
benchmarks.detectors.ablation`)."""
FEW_BROKEN = 20.0
"""Broken banners at which the slow detectors' weight is half of what it seems to be: fewer do not show it."""


def combine_families(evidence: dict[str, Vector], families: dict[str, str]) -> Vector:
    """(n,) combined evidence from that of each detector by name and each detector's family; higher = more anomalous."""
    by_family: dict[str, list[Vector]] = {}
    for name, found in evidence.items():
        by_family.setdefault(families[name], []).append(found)
    return np.mean([np.mean(members, axis=0) for members in by_family.values()], axis=0)


def take_in(combined: Vector, slow: Vector, control: NDArray[np.bool_], p_broken: Vector) -> tuple[Vector, float]:
    """(n,) `combined` moved by what `slow` (n,), NaN where left out, says beyond it; and the weight, 0..MOST_WEIGHT, that was given to it.

    Where nothing is broken, a line foretells `slow` from `combined`: it is fitted over `control`, banners drawn at random. What is left
    over is 0 on average for all banners, so that a banner left out stays where it was. It counts as much as it lies higher on banners that
    are broken by `p_broken`, in its own spread, than `combined` does.
    """
    known = np.clip(combined, -CLIP, CLIP)
    clear = control & np.isfinite(slow) & (p_broken < 0.5)
    if clear.sum() < 3:
        return combined, 0.0
    design = np.stack([known, np.ones(len(known))], axis=1)
    line = np.linalg.lstsq(design[clear], np.clip(slow[clear], -CLIP, CLIP), rcond=None)[0]
    beyond = np.clip(slow - design @ line, -CLIP, CLIP)
    looked = np.isfinite(beyond)
    n_broken = float(p_broken[looked].sum())
    gains = [_gain(x[looked], clear[looked], p_broken[looked]) for x in (beyond, known)]
    weight = float(np.clip(gains[0] / max(gains[1], 1e-9), 0, MOST_WEIGHT)) * n_broken / (n_broken + FEW_BROKEN)
    return combined + weight * np.where(looked, beyond, 0), weight


def _gain(x: Vector, clear: NDArray[np.bool_], p_broken: Vector) -> float:
    """Slope of the linear discriminant along x: how much higher broken banners lie than clear ones, over these ones' variance."""
    higher = float(np.average(x, weights=p_broken + 1e-12)) - float(x[clear].mean())
    return higher / max(float(x[clear].var()), 1e-9)


def harmonic_mean(log_p: Vector) -> Vector:
    """(n,) logarithm of the harmonic mean of p-values whose logarithms are `log_p` (n, k), NaN where one is missing; NaN where all are.

    It stays a p-value to a good approximation where the p-values depend on each other, and one that is small is enough.
    **Source** Wilson 2019, "The harmonic mean p-value for combining dependent tests", eq. 1, with equal weights.
    """
    known = np.isfinite(log_p)
    log_sum = logsumexp(np.where(known, -log_p, -np.inf), axis=1)
    out = np.minimum(np.log(np.maximum(known.sum(axis=1), 1)) - log_sum, 0.0)
    return np.where(known.any(axis=1), out, np.nan)
