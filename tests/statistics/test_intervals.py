"""Wilson intervals and control limits on cases done by hand."""

import numpy as np
import pytest

from core.statistics import intervals


def test_wilson_matches_a_case_done_by_hand() -> None:
    # k = 8, n = 10, z = 1.96: centre (0.8 + 0.19208) / 1.38416, half 1.96 / 1.38416 * sqrt(0.016 + 0.009604)
    found = intervals.wilson(8, 10, z=1.96)
    assert found.low == pytest.approx(0.4902, abs=1e-4)
    assert found.high == pytest.approx(0.9433, abs=1e-4)


def test_wilson_against_its_definition() -> None:
    # its ends are the shares whose score test has exactly z = 1.96
    for k, n in ((0, 30), (3, 40), (61, 3030), (40, 40)):
        found = intervals.wilson(k, n)
        for end in {found.low, found.high} - {0.0, 1.0}:
            assert abs(k / n - end) / np.sqrt(end * (1 - end) / n) == pytest.approx(intervals.Z_95, rel=1e-6)


def test_no_banner_has_no_rate() -> None:
    assert np.isnan(intervals.wilson(0, 0).share)


def test_limits_by_hand() -> None:
    n = np.array([100.0, 0.0])
    assert intervals.upper_limit(0.1, n)[0] == pytest.approx(0.1 + 3 * 0.03)
    assert intervals.lower_limit(0.1, n)[0] == pytest.approx(0.01)
    assert np.isnan(intervals.upper_limit(0.1, n)[1])


@pytest.mark.parametrize(
    ("share", "state", "first"),
    [
        ([0.1, 0.1, 0.1], "normal", 2),
        ([0.1, 0.1, 0.3], "pending", 2),
        ([0.1, 0.3, 0.3], "firing", 1),
        ([0.3, np.nan, 0.3], "firing", 0),
        ([0.3, 0.3, 0.1], "normal", 2),
        ([0.1, np.nan, np.nan], "normal", 2),
    ],
)
def test_one_bad_day_is_pending_two_are_firing(share: list[float], state: str, first: int) -> None:
    assert intervals.alert_state(np.array(share), np.full(3, 0.2)) == (state, first)
