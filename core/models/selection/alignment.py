"""Whether augmented embeddings lie where the test's anomalies do: DSV and the measures it is compared with; all lower = better."""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from core.models.selection.candidates import Candidate, matched, stated, unit
from core.statistics.arrays import Matrix

TINY = 1e-8
LARGEST = 0.5
"""Two equally large heaps at distance 1 have this standard deviation along the line between them; nothing has more."""


class Alignment(NamedTuple):
    """Discordance L_d, separability L_s, and what both say together: `dsv`, lower = better aligned."""

    discordance: float
    separability: float
    dsv: float


def distance(a: Matrix, b: Matrix) -> float:
    """Mean Euclidean distance over all pairs of a (n, d) and b (m, d)."""
    return float(cdist(a, b).mean())


def alignment(candidate: Candidate, ratio: float, halved: bool = False) -> Alignment:
    """L_d = d(train + augmented, test) / d(train, augmented); L_s = std of (z - mean train) u over test embeddings z and the directions u
    of augmented ones from mean train, over d(train, augmented), at most LARGEST; dsv = L_d - L_s / L_d.

    **Source** Yoo, Zhao and Akoglu 2023, "DSV: an alignment validation loss for self-supervised outlier model selection", with embeddings
    of length 1. `halved` as in their code, where d is half the mean distance: L_d stays, L_s doubles and reaches its bound early.
    """
    train, augmented = matched(candidate, ratio)
    test = unit(candidate.test)
    apart = distance(train, augmented)
    discordance = distance(np.concatenate([train, augmented]), test) / (apart + TINY)
    centre = train.mean(axis=0)
    along = (test - centre) @ unit(augmented - centre).T
    separability = float(along.std()) / ((apart / 2 if halved else apart) + TINY)
    return Alignment(discordance, separability, discordance - min(separability, LARGEST) / max(discordance, TINY))


def base(candidate: Candidate, ratio: float) -> float:
    """d(train + augmented, test), half the mean distance, as it is."""
    return distance(_pool(candidate, ratio), unit(candidate.test)) / 2


def mmd(candidate: Candidate, ratio: float) -> float:
    """Squared maximum mean discrepancy of train + augmented and test with the linear kernel: that of their means."""
    gap = _pool(candidate, ratio).mean(axis=0) - unit(candidate.test).mean(axis=0)
    return float(gap @ gap)


def spread(candidate: Candidate, ratio: float) -> float:
    """Minus the standard deviation of all distances between train + augmented and test."""
    return -float(cdist(_pool(candidate, ratio), unit(candidate.test)).std())


def matching(candidate: Candidate, ratio: float) -> float:
    """ST-SSAD's validation loss of a trained candidate: energy distance 2 d(s, a) - d(s, s) - d(a, a) of suspects s and augmented a, over
    the distance of the means of train and augmented; 0 = suspects lie as augmented ones do.

    Suspects are the share `ratio` of the test banners with the highest scores, 2 at least. Alone of these measures it asks the candidate
    itself whom it suspects. **Source** `core.detectors.networks.alignment.matching_loss`, which sizes are learned by. Raises ContractError
    for a ratio outside 0..1.
    """
    train, augmented, test = unit(candidate.train), unit(candidate.augmented), unit(candidate.test)
    worst = np.argsort(-candidate.scores, kind="stable")[: max(2, round(stated(ratio) * len(test)))]
    suspects = test[worst]
    apart = float(np.linalg.norm(train.mean(axis=0) - augmented.mean(axis=0)))
    return (2 * distance(suspects, augmented) - distance(suspects, suspects) - distance(augmented, augmented)) / (apart + TINY)


def _pool(candidate: Candidate, ratio: float) -> Matrix:
    return np.concatenate(matched(candidate, ratio))
