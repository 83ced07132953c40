"""ROC and precision-recall against scikit-learn and a twin of loops, and the bands against fresh samples."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from core.statistics import curves
from core.statistics.curves import AT


def banners(n: int, share: float, rng: np.random.Generator, digits: int = 2) -> tuple[np.ndarray, np.ndarray]:
    broken = rng.random(n) < share
    broken[:2] = True, False
    return np.round(1 / (1 + np.exp(-rng.normal(np.where(broken, 1.5, -1.5), 1.5))), digits), broken


def slow_twin(p: np.ndarray, broken: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision at the highest cut that reaches each recall; highest true-positive rate at each false-positive rate that some cut has."""
    precision, rate = np.empty(len(AT)), {}
    cuts = sorted(set(p.tolist()), reverse=True)
    for k, recall in enumerate(AT):
        for cut in cuts:
            hits = sum(broken[i] for i in range(len(p)) if p[i] >= cut)
            if hits and hits >= (recall - 1e-12) * broken.sum():
                precision[k] = hits / (p >= cut).sum()
                break
    for cut in cuts:
        fpr = round(float((p >= cut)[~broken].mean()), 9)
        rate[fpr] = max(rate.get(fpr, 0.0), float((p >= cut)[broken].mean()))
    return precision, np.array(sorted(rate.items()))


@pytest.mark.parametrize("seed", range(5))
def test_areas_are_scikit_learns_and_curves_are_the_twins(seed: int) -> None:
    p, broken = banners(120, 0.3, np.random.default_rng(seed))
    found = curves.curves(p, broken, seed)
    assert found is not None
    assert found.roc.area[0] == pytest.approx(roc_auc_score(broken, p))
    assert found.precision_recall.area[0] == pytest.approx(average_precision_score(broken, p))
    precision, rates = slow_twin(p, broken)
    assert found.precision_recall.y == pytest.approx(precision)
    known = {round(float(x), 9): y for x, y in zip(AT, found.roc.y, strict=True)}
    for fpr, tpr in rates:
        if fpr in known and fpr > 0:
            assert known[fpr] == pytest.approx(tpr)


def test_a_case_by_hand() -> None:
    # in falling order: broken, ok, broken, ok, so 1/1, 1/2, 2/3, 2/4 of the flagged are broken
    found = curves.curves(np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False]))
    assert found is not None
    assert found.precision_recall.y[[0, 50, 51, 100]] == pytest.approx([1, 1, 2 / 3, 2 / 3])
    assert found.roc.y[[0, 50, 100]] == pytest.approx([0.5, 1, 1])
    assert found.roc.area[0] == pytest.approx(0.75)


def test_bands_hold_what_many_banners_show() -> None:
    p, broken = banners(400_000, 0.3, np.random.default_rng(7), 9)
    order = np.argsort(-p)
    true, false = np.cumsum(broken[order]) / broken.sum(), np.cumsum(~broken[order]) / (~broken).sum()
    at = np.array([10, 50, 90])
    reached = np.searchsorted(true, AT[at])
    truth = np.stack([np.interp(AT[at], false, true), np.cumsum(broken[order])[reached] / (reached + 1)])
    inside = []
    for seed in range(60):
        found = curves.curves(*banners(300, 0.3, np.random.default_rng(100 + seed), 6), seed)
        assert found is not None
        inside.append([(c.low[at] <= t) & (t <= c.high[at]) for c, t in zip(found, truth, strict=True)])
    assert (np.mean(inside, axis=0) >= 0.88).all(), "where bands hold 95 of 100, fewer than 53 of 60 do about once in a hundred"


def test_one_kind_has_no_curve() -> None:
    assert curves.curves(np.array([0.2, 0.8]), np.array([True, True])) is None


def test_banners_that_all_tie_are_flagged_together() -> None:
    found = curves.curves(np.full(4, 0.5), np.array([True, False, False, False]))
    assert found is not None
    assert found.roc.area[0] == pytest.approx(0.5)
    assert found.precision_recall.y == pytest.approx(np.full(101, 0.25))
