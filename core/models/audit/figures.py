"""Representation audit: how much do features hold about broken banners, how much of that do scores make use of, what would help?

In: for n labelled banners what is broken (n,) and of which fault family (n,), and representations z (n, d), each with the score (n,)
that is drawn from it without labels. Out: ROC-AUCs with intervals and the two gaps between them. Arrays only; nothing is trained but
forests.

**Oracle** a random forest of 1,000 trees on z, fitted with labels. It says what z holds, and is a limit, not a detector: it has seen labels
of the very faults that it is asked about. Labelled banners are dealt into two halves of three parts; every part is predicted by a forest
fitted on the two others of its half. So no forest and nothing that it looks at has seen the banners on which it is measured: what is
trained for one half's representation learns from the other half. **Held out** the same where whole fault families are missing from what
the forest learns from: what labels are worth against faults without a label yet.
**Source** Garrepalli 2022, "Oracle analysis of representations for deep open set detection", arXiv 2209.11350. **Differs** cross-fitted,
since labels are few; fault families in the place of anomaly classes; the held-out forest and the intervals are additions.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.statistics.arrays import Codes, Mask, Vector
from core.statistics.intervals import Interval
from core.statistics.leaderboard import UNKNOWN, Times, areas, interval_of, resampled

Matrix = NDArray[np.float32]

Given = tuple[Matrix, Mask, Matrix, int, int]
Each = Callable[[Callable[[Given], Vector], list[Given]], Iterable[Vector]]
"""How forests are run, each by itself: `map`, or that of a pool of processes. Trees are so small that threads would gain nothing."""

N_TREES = 1000
HALVES, PARTS = 2, 3
"""Parts of each half: a forest learns from a third of all labels."""
LEAST_OF_A_KIND = 2 * HALVES * PARTS
"""Labels of either kind below which there is no audit: two in every part."""
LEAST_OF_A_FAMILY = 3
"""Broken banners of a fault family that can be held out."""
LEAST_GAP = 0.005
"""A gap that matters."""


@dataclass(frozen=True)
class Representation:
    """Features z (n, d) of the labelled banners and the score (n,) drawn from them without labels, by the detector `score_by`.

    wider (n, e): z as a network makes it that was trained with all classes, broken ones too; each half by the other half's labels.
    """

    name: str
    score_by: str
    n_dims: int
    z: Matrix
    score: Vector
    wider: Matrix


@dataclass(frozen=True)
class Finding:
    """ROC-AUCs of one representation and the gaps between them, each with a 95 % interval; NaN where not known.

    not_extracted: oracle - score, what z holds and the score does not use. not_represented: oracle_all - oracle, what z lacks.
    held_out: the oracle on z against fault families that it learned nothing of.
    """

    name: str
    score_by: str
    n_dims: int
    score: Interval
    oracle: Interval
    oracle_all: Interval
    held_out: Interval
    not_extracted: Interval
    not_represented: Interval


EVIDENCE = "evidence"
"""The representation that consists of what the detectors of a run say."""
FIGURES = ("score", "oracle", "oracle_all", "held_out", "not_extracted", "not_represented")


@dataclass(frozen=True)
class Plan:
    """Which part every labelled banner is in: part (n,) 0..5, the halves being part // PARTS; open_part (n,) parts that keep fault families
    whole, None where there are too few families; missing says why."""

    part: Codes
    open_part: Codes | None
    missing: str | None

    @property
    def half(self) -> Codes:
        """(n,) 0 or 1."""
        return self.part // PARTS


def check_labels(n_broken: int, n_ok: int) -> None:
    """Raises InputError where there are too few labels of a kind."""
    if min(n_broken, n_ok) < LEAST_OF_A_KIND:
        raise InputError(
            f"An audit needs {LEAST_OF_A_KIND} banners labelled broken and as many labelled ok: there are {n_broken} and {n_ok}. "
            "Label more on the Label page."
        )


def plan(broken: Mask, family: NDArray[Any], seed: int = 0) -> Plan:
    """Deals n labelled banners into parts, every fault family evenly. Raises InputError where there are too few of a kind."""
    check_labels(int(broken.sum()), int((~broken).sum()))
    rng = np.random.default_rng(seed)
    kinds = np.where(broken, family.astype(str), "")
    part = _dealt(kinds, HALVES * PARTS, rng)
    names, sizes = np.unique(kinds[broken], return_counts=True)
    whole = [str(name) for name in names[np.argsort(-sizes, kind="stable")] if sizes[names == name][0] >= LEAST_OF_A_FAMILY]
    if len(whole) < 2:
        return Plan(part, None, f"two fault families of {LEAST_OF_A_FAMILY} labelled banners or more; there {_are(len(whole))}")
    open_part = _dealt(kinds, min(PARTS, len(whole)), rng)
    open_part[broken] = _groups(kinds[broken], whole)
    return Plan(part, open_part, None)


def _are(n: int) -> str:
    return f"is {n}" if n == 1 else f"are {n}"


def _dealt(kinds: NDArray[Any], n_parts: int, rng: np.random.Generator) -> Codes:
    """(n,) 0..n_parts - 1: shuffled, and dealt like cards kind by kind, so that each part has its share of each."""
    order = np.lexsort((rng.random(len(kinds)), kinds))
    part = np.empty(len(kinds), dtype=np.int64)
    part[order] = np.arange(len(kinds)) % n_parts
    return part


def _groups(kinds: NDArray[Any], whole: list[str]) -> Codes:
    """(m,) the part of each broken banner's family, the largest family first into the emptiest part; -1 for families too small to ask."""
    out, filled = np.full(len(kinds), -1, dtype=np.int64), np.zeros(min(PARTS, len(whole)))
    for name in whole:
        out[kinds == name] = k = int(filled.argmin())
        filled[k] += (kinds == name).sum()
    return out


def audit(
    found: list[Representation],
    broken: Mask,
    planned: Plan,
    step: Callable[[float, str], None],
    n_trees: int = N_TREES,
    seed: int = 0,
    each: Each = map,
) -> list[Finding]:
    """A Finding a representation. `step` is told the share done and whose turn it is."""
    times = resampled(broken, seed)
    everybody = np.zeros(len(broken), dtype=np.int64)
    out = []
    for k, one in enumerate(found):

        def forest(z: Matrix, part: Codes, half: Codes, what: str, at: int, k: int = k, name: str = one.name) -> Vector:
            step((k + at / 3) / len(found), f"{name}: {what}")
            return area(predicted(z, broken, part, half, n_trees, seed, each), broken, part, times)

        score = area(one.score, broken, everybody, times)
        oracle = forest(one.z, planned.part, planned.half, "oracle on its features", 0)
        widest = forest(one.wider, planned.part, planned.half, "oracle on features trained with all classes", 1)
        held = None
        if planned.open_part is not None:
            held = forest(one.z, planned.open_part, everybody, "oracle with fault families held out", 2)
        values = (score, oracle, widest, held, oracle - score, widest - oracle)
        intervals = [UNKNOWN if v is None else interval_of(v, enough=True) for v in values]
        out.append(Finding(one.name, one.score_by, one.n_dims, *intervals))
    return out


def predicted(z: Matrix, broken: Mask, part: Codes, half: Codes, n_trees: int, seed: int, each: Each = map) -> Vector:
    """(n,) chance of being broken by a forest fitted on the same half's other parts; NaN for part -1, which is only learned from.

    Out of fold without exception: a banner is never predicted by a forest that saw it.
    """
    tasks = []
    for k in np.unique(part[part >= 0]):
        asked = part == k
        learned = ~asked & (half == half[asked][0])
        if broken[learned].any() and not broken[learned].all():
            tasks.append((asked, learned))
    out = np.full(len(broken), np.nan)
    given = [(z[learned], broken[learned], z[asked], n_trees, seed) for asked, learned in tasks]
    for (asked, _), chance in zip(tasks, each(ask, given), strict=True):
        out[asked] = chance
    return out


def ask(given: Given) -> Vector:
    """(m,) chances of z_asked (m, d) by a forest fitted on (z, broken)."""
    z, broken, z_asked, n_trees, seed = given
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(n_trees, random_state=seed, n_jobs=1).fit(z, broken)
    return np.asarray(forest.predict_proba(z_asked)[:, 1])


def area(scores: Vector, broken: Mask, part: Codes, times: Times) -> Vector:
    """(draws + 1,) ROC-AUC over the pairs of a broken and an ok banner of one part: of the labels, then of each bootstrap sample.

    Forests of different parts are not compared with each other; NaN scores are left out.
    """
    right, pairs = np.zeros(times.shape[1]), np.zeros(times.shape[1])
    for k in np.unique(part[part >= 0]):
        own = (part == k) & np.isfinite(scores)
        bad, good = np.flatnonzero(own & broken), np.flatnonzero(own & ~broken)
        if not len(bad) or not len(good):
            continue
        n = times[bad].sum(axis=0, dtype=np.float64) * times[good].sum(axis=0, dtype=np.float64)
        right += np.where(n > 0, np.nan_to_num(areas(scores, bad, good, times)[0]) * n, 0.0)
        pairs += n
    with np.errstate(invalid="ignore"):
        return right / pairs


def is_there(gap: Interval) -> bool:
    """Whether a gap matters and is beyond what chance explains."""
    return bool(gap.share >= LEAST_GAP and gap.low > 0)


def relied_on(found: list[Finding]) -> Finding:
    """The evidence of all detectors, which flags rest on; where there is none, the representation whose score is best."""
    return next((one for one in found if one.name == EVIDENCE), max(found, key=lambda one: one.score.share))


def advice(found: list[Finding]) -> str:
    """One line: would more labels help, or better features?

    **Rule**, on the evidence of all detectors, which flags rest on: a gap counts where it is LEAST_GAP or more and its interval lies
    above 0. What is not extracted, labels could teach a detector; what is not represented, no label can: it takes other features. Where
    both count, the larger decides. Labels help for the faults that were labelled: where the oracle with fault families held out is not
    above the score, that is said too.
    """
    best = relied_on(found)
    labels, features = is_there(best.not_extracted), is_there(best.not_represented)
    about = f"`{best.score_by}` reaches {best.score.share:.3f}"
    if labels and (not features or best.not_extracted.share >= best.not_represented.share):
        words = f"More labels would help: {about}, the same features with labels {best.oracle.share:.3f}"
        if not np.isnan(best.held_out.share) and best.held_out.share <= best.score.share:
            return f"{words}, but only against faults like those labelled ({best.held_out.share:.3f} against others)."
        return f"{words}."
    if features:
        return (
            f"Better features would help: {about}, its features with labels {best.oracle.share:.3f}, "
            f"and features trained with the broken banners {best.oracle_all.share:.3f}."
        )
    return f"Neither more labels nor better features show a gain here: {about}, with labels {best.oracle.share:.3f}."
