"""How far reviewers agree beyond chance. Integer codes in, numbers out.

A rating is the code of a label, 0 to n_values - 1, or MISSING. All values are nominal: one that stands for "unsure" is a
value like the others, so two reviewers who are both unsure agree, and "unsure" beside "ok" is a disagreement as any other.

Intervals are the 2.5 and 97.5 % points of a seeded bootstrap over items (Efron 1979). Draws in which a coefficient is not
defined, because only one value occurs, are left out. Where all draws are alike, as where raters never differ, the bootstrap
knows nothing about the uncertainty and the limits are NaN; the plain share of agreement has an interval even then
(`core.statistics.intervals.wilson`).

Written out, because pages read it: they never load scikit-learn (a test compares with its kappa), and the `krippendorff`
package is under the GPL, which does not go with this project's licence (a test compares with the published example).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.statistics.arrays import Codes

MISSING = -1
N_DRAWS = 2000


class Estimate(NamedTuple):
    """A coefficient (1 = full agreement, 0 = as by chance, below 0 = less than that) with its 95 % interval; NaN = not known.

    n: items that at least two reviewers rated.
    """

    value: float
    low: float
    high: float
    n: int


def confusion(first: Codes, second: Codes, n_values: int) -> Codes:
    """(n_values, n_values) numbers of items: rows = values of the first rater, columns = of the second; MISSING is left out.

    first, second: (n,) codes. Raises InputError for other codes or lengths.
    """
    if first.shape != second.shape:
        raise InputError(f"Two raters rate the same items: they have {first.shape} and {second.shape}. Align them first.")
    both = (_checked(first, n_values) != MISSING) & (_checked(second, n_values) != MISSING)
    cells = np.bincount(first[both] * n_values + second[both], minlength=n_values**2)
    return cells.reshape(n_values, n_values).astype(np.int64)


def cohen_kappa(first: Codes, second: Codes, n_values: int, *, n_draws: int = N_DRAWS, seed: int = 0) -> Estimate:
    """Cohen's kappa of two raters over the items that both rated, unweighted: (p_o - p_e) / (1 - p_e).

    first, second: (n,) codes. NaN where no item has both, or both gave one and the same value throughout.
    Cohen (1960), Educational and Psychological Measurement 20:37.
    """
    table = confusion(first, second, n_values)
    n = int(table.sum())
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    drawn = np.random.default_rng(seed).multinomial(n, table.ravel() / n, size=n_draws).reshape(n_draws, n_values, n_values)
    return _estimate(_kappas(table[None].astype(float)), _kappas(drawn.astype(float)), n)


def krippendorff_alpha(codes: Codes, n_values: int, *, n_draws: int = N_DRAWS, seed: int = 0) -> Estimate:
    """Krippendorff's alpha for nominal values, any number of raters, missing ratings: 1 - observed / expected disagreement.

    codes: (n_items, n_raters). Items with fewer than two ratings do not count. NaN where no item has two, or only one value
    occurs. Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, section C.
    """
    counts = value_counts(codes, n_values)
    counts = counts[counts.sum(axis=1) >= 2]
    if len(counts) == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    kinds, times = np.unique(counts, axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(counts), times / len(counts), size=n_draws)
    return _estimate(_alphas(kinds, times[None].astype(float)), _alphas(kinds, drawn.astype(float)), len(counts))


def value_counts(codes: Codes, n_values: int) -> Codes:
    """(n_items, n_values): how many raters gave an item each value. codes: (n_items, n_raters)."""
    return (_checked(codes, n_values)[:, :, None] == np.arange(n_values)).sum(axis=1).astype(np.int64)


def disagreements(codes: Codes, n_values: int) -> Codes:
    """Rows of the items that got at least two different values, ascending. codes: (n_items, n_raters)."""
    return np.flatnonzero((value_counts(codes, n_values) > 0).sum(axis=1) > 1).astype(np.int64)


def _kappas(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k,) kappas of (k, v, v) tables of the same positive sum."""
    n = tables.sum(axis=(1, 2))
    observed = np.trace(tables, axis1=1, axis2=2) / n
    expected = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / n**2
    return _ratio(observed - expected, 1 - expected)


def _alphas(kinds: Codes, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k,) alphas of items of (u, v) kinds, each kind counted (k, u) times.

    With o_cc the coincidences of a value with itself and n_c its pairable ratings, alpha for nominal data is
    ((n - 1) sum o_cc - sum n_c (n_c - 1)) / (n (n - 1) - sum n_c (n_c - 1)).
    """
    same = (kinds * (kinds - 1)).sum(axis=1) / (kinds.sum(axis=1) - 1)
    n_c = times @ kinds
    n = n_c.sum(axis=1)
    by_chance = (n_c * (n_c - 1)).sum(axis=1)
    return _ratio((n - 1) * (times @ same) - by_chance, n * (n - 1) - by_chance)


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    defined = below > 1e-12
    return np.where(defined, above / np.where(defined, below, 1.0), np.nan)


def _estimate(value: NDArray[np.float64], drawn: NDArray[np.float64], n: int) -> Estimate:
    drawn = drawn[~np.isnan(drawn)]
    if np.isnan(value[0]) or len(drawn) == 0 or np.ptp(drawn) < 1e-12:
        return Estimate(float(value[0]), np.nan, np.nan, n)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(value[0]), float(low), float(high), n)


def _checked(codes: Codes, n_values: int) -> Codes:
    if codes.size and not (codes.min() >= MISSING and codes.max() < n_values):
        got = f"{codes.min()} to {codes.max()}"
        raise InputError(f"Ratings are 0 to {n_values - 1}, or {MISSING} where missing, not {got}. Code them first.")
    return codes
