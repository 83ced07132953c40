"""Detectors compared by labelled banners, and by what can be known without labels. Arrays in, arrays out.

In: scores (n, k) of n banners by k detectors, higher = more anomalous, NaN where a detector left a banner out; flagged (n, k); broken (n,).
A detector is judged over the banners that it looked at. Labels of a review queue are no random sample of banners: figures of the same
labels compare detectors with each other, they do not say how a detector does on all banners.

Written out, because pages read it and never load scikit-learn (a test compares with its metrics).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.statistics.arrays import Mask, Matrix, Vector
from core.statistics.intervals import Interval

Times = NDArray[np.float32]

DRAWS = 400
LEAST = 5
"""Banners of either kind without which no interval is given: so few drawn again and again would feign certainty."""
LEAST_COMMON = 10
"""Banners that two detectors must both have looked at before they are correlated."""
UNKNOWN = Interval(float("nan"), float("nan"), float("nan"))


class Standing(NamedTuple):
    """One detector over the n labelled banners that it looked at; figures with 95 % intervals, NaN where not known.

    roc_auc: probability that a broken banner scores above an ok one, ties half. average_precision: mean precision over the recall
    steps of the scores. f1 of the flags, with hits, false alarms and misses.
    """

    roc_auc: Interval
    average_precision: Interval
    f1: Interval
    n: int
    n_broken: int
    hits: int
    false: int

    @property
    def missed(self) -> int:
        """Broken banners without a flag."""
        return self.n_broken - self.hits


def standings(scores: Matrix, flagged: NDArray[np.bool_], broken: Mask, seed: int = 0) -> list[Standing]:
    """A Standing a detector, in the order of the columns.

    **Intervals** percentiles of DRAWS bootstrap samples drawn within either kind, the same for every detector (Efron and Tibshirani 1993,
    ch. 13). Where all samples give one value, as where a detector makes no mistake, they know nothing of the uncertainty: NaN.
    """
    times = resampled(broken, seed)
    return [_standing(scores[:, k], flagged[:, k], broken, times) for k in range(scores.shape[1])]


def resampled(broken: Mask, seed: int = 0) -> Times:
    """(n, DRAWS + 1): how often each of n banners is in each bootstrap sample, drawn within either kind; once in the first column."""
    rng = np.random.default_rng(seed)
    times = np.ones((len(broken), DRAWS + 1), dtype=np.float32)
    for kind in (True, False):
        rows = np.flatnonzero(broken == kind)
        if len(rows):
            times[rows, 1:] = _drawn_times(rng, len(rows))
    return times


def _drawn_times(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """(n, DRAWS): how often each of n banners is drawn in each sample of n."""
    drawn = rng.integers(0, n, (DRAWS, n)) * DRAWS + np.arange(DRAWS)[:, None]
    return np.bincount(drawn.ravel(), minlength=n * DRAWS).reshape(n, DRAWS)


def _standing(scores: Vector, flagged: Mask, broken: Mask, times: Times) -> Standing:
    looked = np.isfinite(scores)
    good, bad = np.flatnonzero(looked & ~broken), np.flatnonzero(looked & broken)
    hits, false = int(flagged[bad].sum()), int(flagged[good].sum())
    about = (len(good) + len(bad), len(bad), hits, false)
    if not len(good) or not len(bad):
        return Standing(UNKNOWN, UNKNOWN, UNKNOWN, *about)
    roc, precisions = areas(scores, bad, good, times)
    drawn_hits, drawn_false = (times[rows[flagged[rows]]].sum(axis=0, dtype=np.float64) for rows in (bad, good))
    with np.errstate(invalid="ignore"):
        f1 = 2 * drawn_hits / (drawn_hits + drawn_false + times[bad].sum(axis=0))
    enough = min(len(good), len(bad)) >= LEAST
    return Standing(interval_of(roc, enough), interval_of(precisions, enough), interval_of(f1, enough), *about)


def areas(scores: Vector, bad: NDArray[np.int64], good: NDArray[np.int64], times: Times) -> tuple[Vector, Vector]:
    """ROC-AUC and average precision of each sample, (DRAWS + 1,). Ties are flagged together, and are half right for the ROC-AUC."""
    bad, good = (rows[np.argsort(-scores[rows], kind="stable")] for rows in (bad, good))
    ends = np.flatnonzero(np.append(np.diff(scores[bad]) != 0, True))  # the last of the broken banners of each distinct score
    true = _running(times[bad])[ends + 1]
    own = np.diff(true, axis=0, prepend=np.float32(0))
    false, levels = _running(times[good]), -scores[bad][ends]
    above, reached = (false[np.searchsorted(-scores[good], levels, side=side)] for side in ("left", "right"))
    n_bad, n_good = true[-1].astype(np.float64), false[-1].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        area = 1 - np.einsum("ij,ij->j", own, above + reached, dtype=np.float64) / (2 * n_bad * n_good)
        precision = np.einsum("ij,ij->j", own, true / np.maximum(true + reached, 1), dtype=np.float64) / n_bad
    return area, precision


def _running(times: Times) -> Times:
    """Running sums down the rows, with a row of zeros before them; whole numbers far below 2**24, so exact."""
    sums = np.zeros((len(times) + 1, times.shape[1]), dtype=np.float32)
    np.cumsum(times, axis=0, out=sums[1:])
    return sums


def interval_of(values: Vector, enough: bool) -> Interval:
    """The first value, and the percentiles of the others; samples in which it is not defined are left out."""
    drawn = values[1:][np.isfinite(values[1:])]
    if not enough or not len(drawn) or np.ptp(drawn) < 1e-12:
        return Interval(float(values[0]), float("nan"), float("nan"))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(values[0]), float(low), float(high))


def level_with_best(figures: list[Interval]) -> Mask:
    """(k,) which figures the labels cannot tell from the best one: its own, and those whose interval overlaps with its interval.

    An interval that is not known overlaps with all; a figure that is not known is in none.
    """
    values = np.array([figure.share for figure in figures])
    known = np.isfinite(values)
    if not known.any():
        return known
    best = figures[int(np.nanargmax(values))]
    if not np.isfinite(best.low):
        return known
    highs = np.array([figure.high for figure in figures])
    return known & ((np.isnan(highs)) | (highs >= best.low))


def by_kind(flagged: NDArray[np.bool_], looked: NDArray[np.bool_], kind: NDArray[np.int64], n_kinds: int) -> tuple[Matrix, Matrix]:
    """(k, n_kinds) flagged banners of each kind by detector, and how many of that kind it looked at. kind: (n,) codes, -1 = of none."""
    chosen = (kind[:, None] == np.arange(n_kinds)).astype(np.float64)
    return (flagged & looked).astype(np.float64).T @ chosen, looked.astype(np.float64).T @ chosen


def rank_correlation(scores: Matrix) -> Matrix:
    """(k, k) Spearman correlations, each over the banners that both detectors looked at; NaN for fewer than LEAST_COMMON, or for one that
    scores them all alike. Spearman 1904, with mean ranks for ties."""
    looked = np.isfinite(scores)
    patterns, of = np.unique(looked, axis=1, return_inverse=True)
    of = of.ravel()
    out = np.full((scores.shape[1],) * 2, np.nan)
    for a in range(patterns.shape[1]):
        for b in range(a + 1):
            common = patterns[:, a] & patterns[:, b]
            if common.sum() >= LEAST_COMMON:
                mine, theirs = np.flatnonzero(of == a), np.flatnonzero(of == b)
                r = _standardised(_ranks(scores[np.ix_(common, mine)])).T @ _standardised(_ranks(scores[np.ix_(common, theirs)]))
                out[np.ix_(mine, theirs)], out[np.ix_(theirs, mine)] = r, r.T
    return np.clip(out, -1, 1)


def _ranks(columns: Matrix) -> Matrix:
    """Mean ranks of each column."""
    out = np.empty(columns.shape)
    for k in range(columns.shape[1]):
        _, at, n = np.unique(columns[:, k], return_inverse=True, return_counts=True)
        out[:, k] = (np.cumsum(n) - (n - 1) / 2)[at]
    return out


def _standardised(columns: Matrix) -> Matrix:
    """Columns with mean 0 and length 1; NaN where they do not vary."""
    centred = columns - columns.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    return centred / np.where(length > 0, length, np.nan)


def same_flags(flagged: NDArray[np.bool_], looked: NDArray[np.bool_]) -> Matrix:
    """(k, k) of the banners that both detectors looked at and either flags, the share that both flag (Jaccard 1901); NaN for none."""
    own, seen = (flagged & looked).astype(np.float64), looked.astype(np.float64)
    both, of_other = own.T @ own, own.T @ seen
    with np.errstate(invalid="ignore"):
        shared: Matrix = both / (of_other + of_other.T - both)
    return shared
