"""References learned from banners of which some are broken.

In: Heatmaps. Out: one distribution over the 1,600 cells a group. Groups are nested: a grid, its product counts, their domains. A narrower
group is used only where held-out banners are likelier under it, and is shrunk towards the wider one by the amount that makes them
likeliest. Banners that a fault template explains much better than the reference are left out, and the reference is learned again: a
fault that many banners share would otherwise become a part of what is expected.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_matrix
from scipy.special import logsumexp

from core.banners.evidence import weigh
from core.banners.heatmaps import Heatmaps
from core.banners.reference import N_FOLDS, Group, Reference, folds, joined
from core.banners.typical import MIN_GROUP, typical
from core.errors import ContractError
from core.statistics.arrays import Codes, Mask, Matrix

FLOOR = 0.01
"""Share of uniform clicks in every reference: every banner has stray ones, and no cell is impossible."""
SMOOTHING = (0.0, 0.5, 0.8, 1.2, 1.8, 2.6)
"""Candidate kernel widths in cells; the one under which held-out banners are likeliest is taken."""
PRIOR_CLICKS = (np.inf, 20_000.0, 5_000.0, 1_500.0, 500.0)
"""Candidate strengths of the wider group, in clicks; infinite = the narrower group is not told apart."""
MOST_FOLDED = 400
"""Banners of a group up to which one banner's own clicks would show in its reference."""
MIN_CLEANED = 20
"""Banners of a grid from which on suspicious ones can be told from the others."""
SUSPICIOUS = 2.5
"""Robust standard deviations of the evidence for a fault from which on a banner is left out."""
ROUNDS = 3
SETTLED = 0.005
"""Share of the banners that may still change sides in the last round."""
MOST_CLEANED = 4000
"""Banners that the rounds look at; all others are judged once, by what these have taught."""


def fit_reference(heatmaps: Heatmaps) -> Reference:
    """References of all grids in `heatmaps`. Raises ContractError where there are no banners."""
    if not len(heatmaps):
        raise ContractError("A reference needs at least one banner, got 0. Widen the window or ingest a log.")
    grids = np.unique(heatmaps.grid_id).tolist()
    return joined([_fit_grid(heatmaps.take(np.flatnonzero(heatmaps.grid_id == grid_id))) for grid_id in grids])


def _fit_grid(heatmaps: Heatmaps) -> Reference:
    return _learn(heatmaps, _without_suspicious(heatmaps, typical(heatmaps)), domains=True)


def _without_suspicious(heatmaps: Heatmaps, kept: Mask) -> Mask:
    """(n,) mask of the banners that shape the reference: of those `kept`, all that no fault explains far better."""
    n = len(heatmaps)
    if n < MIN_CLEANED:
        return kept
    rows = np.linspace(0, n - 1, min(n, MOST_CLEANED)).astype(np.int64)
    some, of_some = heatmaps.take(rows), kept[rows]
    for _ in range(ROUNDS):
        reference = _learn(some, of_some, domains=False)
        before, of_some = of_some, kept[rows] & (suspicion(some, reference) < SUSPICIOUS)
        if (before != of_some).mean() < SETTLED:
            break
    return of_some if len(rows) == n else kept & (suspicion(heatmaps, reference) < SUSPICIOUS)


def suspicion(heatmaps: Heatmaps, reference: Reference) -> Matrix:
    """(n,) evidence for any fault, freed from its growth with the clicks, in robust standard deviations above the median of the grid."""
    z = logsumexp(weigh(heatmaps, reference).log_odds, axis=1) / np.sqrt(np.maximum(heatmaps.n_clicks, 1))
    low, middle = np.quantile(z, [0.2, 0.5])
    return np.asarray((z - middle) / max((middle - low) / 0.8416, 1e-9))


@dataclass(frozen=True)
class Learned:
    """A group and its distributions: `p` (6, 1600), learned from all of its banners, and without each of the folds."""

    group: Group
    p: Matrix
    n_kept: int


def _learn(heatmaps: Heatmaps, kept: Mask, domains: bool) -> Reference:
    """References of one grid, learned from the banners `kept` (n,)."""
    grid_id, counts, fold = int(heatmaps.grid_id[0]), _capped(heatmaps.counts), folds(heatmaps.banner_id)
    if not kept.any():
        kept = np.ones(len(heatmaps), dtype=bool)
    sigma = _best_smoothing(counts[kept])
    whole = smoothed(_totals(counts[kept], fold[kept]), sigma)
    found = [Learned(Group(grid_id, None, None, len(heatmaps), int(heatmaps.n_clicks.sum())), whole, int(kept.sum()))]
    for n_products, rows, p in _children(counts, kept, fold, whole, sigma, heatmaps.n_products):
        n_clicks = heatmaps.n_clicks[rows]
        found.append(Learned(Group(grid_id, int(n_products), None, len(rows), int(n_clicks.sum())), p, int(kept[rows].sum())))
        if domains:
            for domain, at, leaf in _children(counts[rows], kept[rows], fold[rows], p, sigma, heatmaps.domain[rows]):
                group = Group(grid_id, int(n_products), str(domain), len(at), int(n_clicks[at].sum()))
                found.append(Learned(group, leaf, int(kept[rows[at]].sum())))
    folded = [k for k, one in enumerate(found) if MIN_GROUP <= one.n_kept <= MOST_FOLDED]
    p = np.concatenate([*[one.p[:1] for one in found], *[found[k].p[1:] for k in folded]])
    return Reference([one.group for one in found], p, folded)


def _totals(counts: csr_matrix, fold: Codes) -> Matrix:
    """(6, 1600) clicks of all banners, and of those outside of each fold."""
    n = counts.shape[0]
    summing = csr_matrix((np.ones(n), (fold, np.arange(n))), shape=(N_FOLDS, n))
    of_fold = (summing @ counts).toarray()
    total = of_fold.sum(axis=0)
    return np.concatenate([total[None], total - of_fold])


def smoothed(total: Matrix, sigma: float) -> Matrix:
    """(k, 1600) distributions of click totals: smoothed by a kernel of `sigma` cells, with the floor of stray clicks."""
    side = int(np.sqrt(total.shape[-1]))
    image = np.where(total.any(axis=-1, keepdims=True), total, 1.0).reshape(-1, side, side)
    image = gaussian_filter(image, (0, sigma, sigma), mode="constant") if sigma else image
    share = image.reshape(total.shape) / np.maximum(image.sum(axis=(1, 2)), 1e-12).reshape(*total.shape[:-1], 1)
    return np.asarray((1 - FLOOR) * share + FLOOR / total.shape[-1])


def _capped(counts: csr_matrix) -> csr_matrix:
    """Counts scaled so that no banner weighs more than twice the median banner."""
    n = np.asarray(counts.sum(axis=1)).ravel()
    weight = np.minimum(1.0, 2 * np.median(n) / np.maximum(n, 1))
    out = counts.astype(np.float64)
    out.data *= np.repeat(weight, np.diff(out.indptr))
    return out


def _halves(counts: csr_matrix) -> tuple[Matrix, Matrix]:
    """Click totals (1600,) of every other banner, and of the rest."""
    first, second = (np.asarray(counts[k::2].sum(axis=0), dtype=np.float64).ravel() for k in (0, 1))
    return first, second


def _best_smoothing(counts: csr_matrix) -> float:
    """Kernel width under which one half of the banners makes the other half likeliest."""
    if counts.shape[0] < 4:
        return SMOOTHING[-2]
    halves = _halves(counts)
    likelihood = [sum(float(halves[1 - k] @ np.log(smoothed(halves[k], s))) for k in (0, 1)) for s in SMOOTHING]
    return SMOOTHING[int(np.argmax(likelihood))]


def _children(
    counts: csr_matrix, kept: Mask, fold: Codes, parent: Matrix, sigma: float, key: NDArray[Any]
) -> list[tuple[Any, Codes, Matrix]]:
    """The narrower groups that held-out banners vouch for: (key, rows, distributions (6, 1600) shrunk towards those of the parent)."""
    values, codes = np.unique(key.astype(str) if key.dtype == object else key, return_inverse=True)
    groups = {value: np.flatnonzero(codes == k) for k, value in enumerate(values.tolist())}
    groups = {value: rows for value, rows in groups.items() if kept[rows].sum() >= MIN_GROUP}
    if not groups:
        return []
    gain = np.zeros(len(PRIOR_CLICKS))
    for rows in groups.values():
        halves = _halves(counts[rows[kept[rows]]])
        for k in (0, 1):
            gain += [float(halves[1 - k] @ np.log(_shrunk(halves[k], parent[0], prior, sigma))) for prior in PRIOR_CLICKS]
    prior = PRIOR_CLICKS[int(np.argmax(gain))]
    if not np.isfinite(prior):
        return []
    inner = {value: rows[kept[rows]] for value, rows in groups.items()}
    return [(value, groups[value], _shrunk(_totals(counts[at], fold[at]), parent, prior, sigma)) for value, at in inner.items()]


def _shrunk(total: Matrix, parent: Matrix, prior: float, sigma: float) -> Matrix:
    """Dirichlet posterior means (k, 1600): a group's own smoothed clicks, and `prior` clicks of the parent."""
    if not np.isfinite(prior):
        return parent
    n = total.sum(axis=-1, keepdims=True)
    return np.asarray((n * smoothed(total, sigma) + prior * parent) / (n + prior))
