"""Many normalised scores -> one predictor. Without labels: the mean of the families' means.

Detectors of one family see much the same, so each family has one vote, however many detectors it has.
"""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def combine_families(normalised: dict[str, Vector], families: dict[str, str]) -> Vector:
    """(n,) combined score from normalised scores by detector name and each detector's family; higher = more anomalous."""
    by_family: dict[str, list[Vector]] = {}
    for name, scores in normalised.items():
        by_family.setdefault(families[name], []).append(scores)
    return np.mean([np.mean(members, axis=0) for members in by_family.values()], axis=0)
