"""Thresholds on probabilities of being broken.

In: p (n,) calibrated probabilities of the banners to be judged; and of the labelled ones their probabilities as predicted by a model that
did not see their grid, with what they are. Out: a threshold, at or above which a banner is flagged.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from core.calibration.predictor import ridge_logistic
from core.errors import InputError
from core.statistics.arrays import Mask, Vector
from core.statistics.p_values import benjamini_hochberg

Method = Literal["f1", "cost", "youden", "precision", "fpr", "fdr", "budget", "manual"]
METHODS: dict[str, tuple[str, float | None, str]] = {
    "f1": ("largest expected F1", None, "no value"),
    "cost": ("least expected cost", 10.0, "misses that one false alarm is worth less than: 10 = a miss costs ten false alarms"),
    "youden": ("largest sensitivity + specificity on the labels (Youden 1950)", None, "no value"),
    "precision": ("most flags at an expected precision", 0.9, "the least precision, 0..1"),
    "fpr": ("most flags at a share of flagged banners among the ok ones", 0.01, "the largest false-positive rate, 0..1"),
    "fdr": ("Benjamini-Hochberg against the banners labelled ok", 0.1, "the largest share of false alarms among the flagged, 0..1"),
    "budget": ("the most suspicious banners", 100.0, "how many banners may be flagged"),
    "manual": ("a cut chosen by hand", 0.5, "the least chance of being broken that is flagged, 0..1"),
}
"""What a method does, its default value, and what the value means."""
FLOOR, CEILING = 1e-9, 1 - 1e-9


class Scale(NamedTuple):
    """Log odds of a predictor -> calibrated log odds: offset + slope * log odds (Platt 1999)."""

    offset: float
    slope: float

    def __call__(self, p: Vector, shift: Vector | float = 0.0) -> Vector:
        """(n,) calibrated probabilities; `shift` in log odds."""
        return expit(self.offset + self.slope * log_odds(p) + shift)


def log_odds(p: Vector) -> Vector:
    """(n,) log p / (1 - p), finite."""
    return logit(np.clip(p, FLOOR, CEILING))


SCALE_PRIOR, SCALE_PRECISION = np.array([0.0, 1.0]), np.array([1.0, 10.0])
"""Where labels are few, probabilities are left as they are."""


def fit_scale(p: Vector, broken: Mask) -> Scale:
    """Learns the scale from labelled banners (m,) whose grid the predictor did not see; shrunk towards leaving p as it is."""
    return Scale(*scale_posterior(p, broken)[0].tolist())


def scale_posterior(p: Vector, broken: Mask) -> tuple[Vector, NDArray[np.float64]]:
    """Offset and slope (2,) and their covariance (2, 2) by Laplace's approximation, given labelled banners (m,) as for `fit_scale`."""
    X = np.column_stack([np.ones(len(p)), log_odds(p)])
    mean = ridge_logistic(X, broken.astype(np.float64), np.ones(len(p)), SCALE_PRIOR, SCALE_PRECISION)
    chance = expit(X @ mean)
    return mean, np.linalg.inv((X * (chance * (1 - chance))[:, None]).T @ X + np.diag(SCALE_PRECISION))


def find_cut(method: str, p: Vector, labelled_p: Vector, broken: Mask, value: float | None = None) -> float:
    """The threshold of a method on p (n,); +inf where nothing may be flagged. labelled_p, broken: (m,) as the module says.

    Raises InputError for an unknown method, a value out of its range, or labels that the method cannot work with.
    """
    if method not in METHODS:
        raise InputError(f"A threshold is found by one of {', '.join(METHODS)}, not by {method!r}. Choose one.")
    value = float((METHODS[method][1] or 0) if value is None else value)
    _check(method, value, broken)
    order = np.sort(p)[::-1]
    if method == "f1":
        return _best(order, expected_f1(order))
    if method == "cost":
        return 1 / (1 + value)
    if method == "manual":
        return value
    if method == "youden":
        return _youden(labelled_p, broken)
    if method == "precision":
        precise = np.flatnonzero(np.cumsum(order) / np.arange(1, len(order) + 1) >= value)
        return float(order[precise[-1]]) if len(precise) else np.inf
    if method == "budget":
        return _budget(order, int(value))
    tail = tail_among_ok(p, labelled_p[~broken])
    flags = tail <= value if method == "fpr" else benjamini_hochberg(tail, value)
    return float(p[flags].min()) if flags.any() else np.inf


def why_none(method: str, value: float | None, n: int, n_ok: int) -> str:
    """Why a method's cut flags none of n banners, given how many are labelled ok: what the labels cannot show, and the next step."""
    value = float((METHODS[method][1] or 0) if value is None else value)
    if method == "fdr":
        least, enough = np.ceil(n / value / (n_ok + 1)), np.ceil(n / value) - 1
        if n_ok < enough:
            return (
                f"{n_ok:,} labels ok cannot show {100 * value:.0f} % false alarms among {n:,} banners, unless {least:,.0f} or more "
                f"are flagged "
                f"together; for a single one it takes {enough:,.0f}. Label more banners ok, or use f1."
            )
        return f"No banner is more suspicious than the {n_ok:,} labelled ok by enough for {100 * value:.0f} % false alarms. Use f1."
    if method == "fpr":
        return f"No banner is more suspicious than all but {100 * value:.0f} % of the {n_ok:,} labelled ok. Use a larger share, or f1."
    if method == "precision":
        return f"No banners reach an expected precision of {100 * value:.0f} %. Choose a lower one, or use f1."
    return "The most suspicious banners tie, and all of them are more than may be flagged. Choose a larger number, or use f1."


def _check(method: str, value: float, broken: Mask) -> None:
    if method in ("precision", "fpr", "fdr", "manual") and not 0 < value < 1:
        raise InputError(f"The value of {method} lies between 0 and 1, not {value}. Choose {METHODS[method][2]}.")
    if method in ("cost", "budget") and not value > 0:
        raise InputError(f"The value of {method} is above 0, not {value}. Choose {METHODS[method][2]}.")
    if method == "youden" and (not broken.any() or broken.all()):
        what = "broken" if broken.any() else "ok"
        raise InputError(f"Youden's threshold needs labels of both kinds: all {len(broken)} say {what}. Label more, or use f1.")
    needed = float(np.ceil(1 / value)) if method in ("fpr", "fdr") else 0.0
    if (~broken).sum() < needed:
        had = int((~broken).sum())
        raise InputError(f"A {method} of {value:g} needs {needed:,.0f} banners labelled ok: there are {had}. Label more, or use f1.")


def expected_f1(order: Vector) -> Vector:
    """(n,) F1 to expect of flagging the first 1, 2, … of probabilities that stand in falling order (Lipton et al. 2014)."""
    return 2 * np.cumsum(order) / (np.arange(1, len(order) + 1) + max(float(order.sum()), FLOOR))


def tail_among_ok(p: Vector, ok: Vector) -> Vector:
    """(n,) conformal p-values: share of the banners labelled ok (m,) whose probability is at least as high, in (0, 1] (Vovk 2005)."""
    return (len(ok) - np.searchsorted(np.sort(ok), p, side="left") + 1) / (len(ok) + 1)


def _best(order: Vector, gain: Vector) -> float:
    return float(order[int(np.argmax(gain))]) if len(order) else np.inf


def _youden(p: Vector, broken: Mask) -> float:
    cuts = np.unique(p)
    sensitivity = 1 - np.searchsorted(np.sort(p[broken]), cuts, side="left") / broken.sum()
    false = 1 - np.searchsorted(np.sort(p[~broken]), cuts, side="left") / (~broken).sum()
    return float(cuts[int(np.argmax(sensitivity - false))])


def _budget(order: Vector, n: int) -> float:
    """The threshold that flags at most n: where the n-th ties with the next, the ties are left out."""
    if n >= len(order):
        return float(order[-1]) if len(order) else np.inf
    above = order[order > order[n]]
    return float(above[-1]) if len(above) else np.inf
