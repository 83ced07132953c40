"""Who agrees with the others: values of candidates by their scores of the same test banners alone; all higher = better.

In: scores (k, t) of k candidates. Ranks count from the most anomalous banner, so that 1 / rank stresses those.
"""

import numpy as np
from scipy.stats import kendalltau, rankdata

from core.statistics.arrays import Matrix, Vector

MAX_STEPS = 500
TOLERANCE = 1e-10


def inverse_ranks(scores: Matrix) -> Matrix:
    """(k, t) 1 / rank; the most anomalous banner has 1, equal ones share the mean rank."""
    return np.asarray(1 / rankdata(-scores, axis=1))


def tau(a: Vector, b: Vector) -> float:
    """Kendall's tau-b; 0 where one of both is constant."""
    found = float(kendalltau(a, b).statistic)
    return found if np.isfinite(found) else 0.0


def centrality(scores: Matrix) -> Vector:
    """(k,) mean Kendall tau with the other candidates. **Source** model centrality, Lin et al. 2020. One alone has 0."""
    k = len(scores)
    between = np.zeros((k, k))
    for i in range(k):
        for j in range(i):
            between[i, j] = between[j, i] = tau(scores[i], scores[j])
    return np.asarray(between.sum(axis=1) / max(k - 1, 1))


def agreement(scores: Matrix) -> Vector:
    """(k,) Kendall tau with what the candidates agree on, their mean inverse ranks.

    From the candidate nearest to the mean of all on, the nearest one left joins as long as its tau is not below the mean of those before.
    **Source** SELECT, Rayana and Akoglu 2016, as Ma et al. 2023 apply it to selection.
    """
    inverse = inverse_ranks(scores)
    to_all = [tau(row, inverse.mean(axis=0)) for row in inverse]
    taken = [int(np.argmax(to_all))]
    history = [max(to_all)]
    left = [k for k in range(len(scores)) if k not in taken]
    while left:
        agreed = inverse[taken].mean(axis=0)
        near = [tau(inverse[k], agreed) for k in left]
        if max(near) < np.mean(history):
            break
        history.append(max(near))
        taken.append(left.pop(int(np.argmax(near))))
    agreed = inverse[taken].mean(axis=0)
    return np.array([tau(row, agreed) for row in inverse])


def hubs(scores: Matrix) -> Vector:
    """(k,) hub values, length 1, of candidates that point at banners with weight 1 / rank.

    **Source** HITS, Kleinberg 1999, as Ma et al. 2023 apply it. **Differs** from their code, which ranks from the most normal banner on.
    """
    weight = inverse_ranks(scores)
    hub = np.full(len(scores), 1 / np.sqrt(len(scores)))
    for _ in range(MAX_STEPS):
        authority = weight.T @ hub
        authority /= np.linalg.norm(authority)
        after = weight @ authority
        after /= np.linalg.norm(after)
        done = np.abs(after - hub).max() <= TOLERANCE
        hub = after
        if done:
            break
    return hub
