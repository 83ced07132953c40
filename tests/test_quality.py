"""How well broken banners are found and named on synthetic demo logs; `python -m benchmarks.quality` measures five seeds."""

import pytest

from benchmarks.quality import NEW_GRIDS, measure
from benchmarks.unseen import UNSEEN
from core.synthetic import FAULTS, GridPlan

pytestmark = pytest.mark.slow

SMALLER = (GridPlan(310044, 300, 24), GridPlan(318850, 300, 15), GridPlan(333519, 2061, 74), GridPlan(333346, 969, 86))
"""The two new grids whole, two old ones smaller: half the time."""


@pytest.mark.parametrize("seed", [0, 1])
def test_the_demo_is_solved_without_labels(seed: int) -> None:
    quality = measure(seed)
    assert quality.roc_auc["combined"] >= 0.985
    assert quality.average_precision["combined"] >= 0.92
    assert quality.roc_auc["likelihood_ratio"] >= 0.985
    assert quality.family_accuracy >= 0.85
    assert quality.share_off <= 0.03
    assert quality.false_share <= 0.25
    assert set(NEW_GRIDS) <= set(quality.true_share)


@pytest.mark.parametrize("seed", [0, 1])
def test_faults_without_a_template_are_found_too(seed: int) -> None:
    assert not set(UNSEEN) & set(FAULTS)
    quality = measure(seed, UNSEEN, SMALLER)
    assert quality.roc_auc["combined"] >= 0.97
    assert quality.share_off <= 0.03
