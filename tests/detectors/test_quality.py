"""How well broken banners are found and named on synthetic demo logs; `python -m benchmarks.detectors.quality` measures five seeds."""

import pytest

from benchmarks.detectors.quality import NEW_GRIDS, measure
from benchmarks.detectors.unseen import UNSEEN
from core.banners.synthetic import FAULTS, GridPlan

pytestmark = pytest.mark.slow

SMALLER = (GridPlan(310044, 300, 24), GridPlan(318850, 300, 15), GridPlan(333519, 2061, 74), GridPlan(333346, 969, 86))
"""The two new grids whole, two old ones smaller: half the time."""


def test_the_demo_is_solved_without_labels() -> None:
    quality = measure(0)
    assert quality.roc_auc["combined"] >= 0.985
    assert quality.average_precision["combined"] >= 0.92
    assert quality.roc_auc["likelihood_ratio"] >= 0.985
    assert quality.family_accuracy >= 0.85
    assert quality.share_off <= 0.02
    assert quality.f1 >= 0.88
    assert abs(quality.false_share - quality.expected_false_share) <= 0.05
    assert set(NEW_GRIDS) <= set(quality.true_share)


def test_faults_without_a_template_are_found_too() -> None:
    assert not set(UNSEEN) & set(FAULTS)
    quality = measure(1, UNSEEN, SMALLER)
    assert quality.roc_auc["combined"] >= 0.97
    assert quality.share_off <= 0.03
