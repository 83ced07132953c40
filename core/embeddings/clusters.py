"""Clusters of places on a map."""

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import HDBSCAN

from core.embeddings.unfolding.problem import Floats
from core.errors import ContractError

SMALLEST = 15


def cluster(points: Floats, *, smallest: int = SMALLEST) -> NDArray[np.int64]:
    """(n,) cluster of each place (n, r), largest cluster first, -1 for places in none.

    HDBSCAN (Campello, Moulavi, Sander 2013): the number of clusters follows from the density; none has fewer than `smallest` places.
    Raises ContractError for `smallest` below 2 and for fewer places than that.
    """
    if not 2 <= smallest <= len(points):
        raise ContractError(f"A cluster's least size lies between 2 and the number of places, {len(points)}, not {smallest}.")
    found = HDBSCAN(min_cluster_size=smallest, copy=True).fit(points).labels_
    sizes = np.bincount(found[found >= 0], minlength=1)
    rank = np.empty(len(sizes) + 1, dtype=np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    rank[-1] = -1  # read for label -1
    return rank[found]
