"""Anchors: the directions in which known-good features lie, and how near a banner comes to them.

In: features (n, d). Out: unit directions (k, d) and cosine similarities (n,). Features are L2-normalised before they are averaged, so
that a loud banner has no more say than a quiet one. Decides nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import ContractError

Vectors = NDArray[np.float64]
BLOCK = 4096
"""Rows a block where many features meet the anchors: wide ones are never doubled as a whole."""

TRIM = 0.2
"""Share of the banners, the least similar ones, that a robust mean leaves out: more than are ever broken."""
ROUNDS = 5
MODE_GAIN = 0.1
"""One anchor more is kept where it takes away at least this share of the banners' mean distance to their nearest anchor."""
MODE_SHARE = 0.1
"""… and where each of the anchors is the nearest of at least this share of the banners: fewer may all be broken in one way."""


def unit(features: NDArray[np.floating]) -> Vectors:
    """(n, d) rows at length 1; a row of zeros stays one."""
    wide = np.asarray(features, dtype=np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(length > 0, length, 1)


@dataclass(frozen=True)
class Anchors:
    """k anchors: `directions` (k, d) of length 1, and `mean` (d,), which is taken off features before they are compared (0: nothing)."""

    directions: Vectors
    mean: Vectors

    def similarity(self, features: NDArray[np.floating]) -> Vectors:
        """(n,) cosine between each row and the nearest anchor, -1..1; 0 for a row that equals the mean."""
        out = np.empty(len(features))
        for start in range(0, len(features), BLOCK):
            part = features[start : start + BLOCK]
            out[start : start + BLOCK] = (unit(part - self.mean) @ self.directions.T).max(axis=1)
        return np.clip(out, -1, 1)


def random_anchor(features: NDArray[np.floating], mean: Vectors, seed: int, n_anchors: int = 1) -> Anchors:
    """`n_anchors` rows, drawn by `seed`, each an anchor of its own."""
    _check(features, n_anchors)
    rows = np.random.default_rng(seed).choice(len(features), n_anchors, replace=False)
    return Anchors(unit(features[np.sort(rows)] - mean), mean)


def labelled_anchor(features: NDArray[np.floating], ok: NDArray[np.bool_], mean: Vectors, seed: int, k: int = 2) -> Anchors:
    """The mean direction of k banners, drawn by `seed`, among those labelled ok. Raises ContractError where fewer are."""
    rows = np.flatnonzero(ok)
    _check(rows, k)
    drawn = np.sort(np.random.default_rng(seed).choice(rows, k, replace=False))
    return Anchors(unit(unit(features[drawn] - mean).mean(axis=0, keepdims=True)), mean)


def robust_anchors(features: NDArray[np.floating], mean: Vectors, *, max_anchors: int = 1, trim: float = TRIM, seed: int = 0) -> Anchors:
    """Trimmed means of unit features that are not known to be broken; up to `max_anchors` where one direction does not describe them.

    A mean is taken over all but the share `trim` of its rows that are least similar to it, until it stands. Another anchor is kept only
    where it takes MODE_GAIN of the mean distance away and every anchor has MODE_SHARE of the rows.
    """
    _check(features, 1)
    rows = unit(features - mean)
    best = _trimmed(rows, rows.mean(axis=0, keepdims=True), trim)
    distance = _distance(rows, best, trim)
    for k in range(2, min(max_anchors, len(rows)) + 1):
        more = _trimmed(rows, _spread(rows, best[0], k, trim, seed), trim)
        nearest = np.bincount((rows @ more.T).argmax(axis=1), minlength=k)
        gained = _distance(rows, more, trim)
        if gained > (1 - MODE_GAIN) * distance or nearest.min() < MODE_SHARE * len(rows):
            break
        best, distance = more, gained
    return Anchors(best, mean)


def centre_of(features: NDArray[np.floating], groups: NDArray[np.int64], trim: float = TRIM) -> Vectors:
    """(d,) mean over the groups' robust means, each group with one vote. 0 where there is one group: its own mean, once
    taken off, would leave its anchor no direction."""
    codes = np.unique(groups)
    if len(codes) < 2:
        return np.zeros(features.shape[1])
    return np.mean([_robust_mean(features[groups == code], trim) for code in codes], axis=0)


def _robust_mean(features: NDArray[np.floating], trim: float) -> Vectors:
    wide = np.asarray(features, dtype=np.float64)
    direction = _trimmed(unit(wide), unit(wide).mean(axis=0, keepdims=True), trim)
    return np.asarray(wide[_kept(unit(wide) @ direction[0], trim)].mean(axis=0))


def _trimmed(rows: Vectors, start: Vectors, trim: float) -> Vectors:
    """(k, d) unit means after at most ROUNDS of: each row to its nearest, each mean again from its rows but the farthest."""
    directions = unit(start)
    for _ in range(ROUNDS):
        cosine = rows @ directions.T
        nearest = cosine.argmax(axis=1)
        means = []
        for k in range(len(directions)):
            own = np.flatnonzero(nearest == k)
            means.append(rows[own[_kept(cosine[own, k], trim)]].mean(axis=0) if len(own) else directions[k])
        moved = unit(np.array(means))
        if np.allclose(moved, directions, atol=1e-6):
            break
        directions = moved
    return directions


def _kept(cosine: Vectors, trim: float) -> NDArray[np.int64]:
    """Rows but for the share `trim` with the lowest cosine, at least one."""
    n = max(1, int(np.ceil((1 - trim) * len(cosine))))
    return np.sort(np.argsort(-cosine, kind="stable")[:n])


def _distance(rows: Vectors, directions: Vectors, trim: float) -> float:
    cosine = (rows @ directions.T).max(axis=1)
    return float(1 - cosine[_kept(cosine, trim)].mean())


def _spread(rows: Vectors, first: Vectors, k: int, trim: float, seed: int) -> Vectors:
    """(k, d) starts: rows drawn far from those before them (k-means++), the most distant share `trim` left out as possibly broken."""
    rng = np.random.default_rng(seed)
    pool = rows[_kept(rows @ first, trim / 2)]
    starts = [pool[rng.integers(len(pool))]]
    while len(starts) < k:
        far = np.maximum(1 - (pool @ np.array(starts).T).max(axis=1), 0)
        starts.append(pool[rng.choice(len(pool), p=far / far.sum()) if far.sum() > 0 else 0])
    return np.array(starts)


def _check(rows: NDArray[np.generic], least: int) -> None:
    if len(rows) < least:
        raise ContractError(f"This anchor rests on at least {least} banners: there are {len(rows)}. Label more, or ask for fewer.")
