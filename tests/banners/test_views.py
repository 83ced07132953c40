"""Views: the ends of a window, and the same banners' clicks in them."""

from datetime import date

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from core.banners.onset import Days
from core.banners.views import joined_views, late_starts, views_of
from tests.support.banners import drawn, heatmaps


@pytest.mark.parametrize(
    ("first", "last", "starts"),
    [
        (date(2026, 11, 1), date(2026, 11, 14), ["2026-11-08", "2026-11-13"]),
        (date(2026, 11, 1), date(2026, 11, 1), []),
        (date(2026, 11, 1), date(2026, 11, 2), ["2026-11-02"]),
        (date(2026, 11, 1), date(2026, 11, 3), ["2026-11-02", "2026-11-03"]),
        (date(2026, 9, 1), date(2026, 11, 29), ["2026-10-16", "2026-11-17"]),
    ],
)
def test_ends_of_a_window(first: date, last: date, starts: list[str]) -> None:
    assert [str(day) for day in late_starts(first, last)] == starts


def test_a_view_holds_the_clicks_from_its_first_day_on() -> None:
    rng = np.random.default_rng(0)
    counts, codes = drawn(1, rng.integers(1, 40, 60)), np.sort(rng.integers(0, 9, 60))
    day = np.datetime64("2026-11-01") + rng.integers(0, 14, 60)
    X = heatmaps([counts[codes == k].sum(axis=0) for k in range(9)])
    days = Days(codes, day, csr_matrix(counts.astype(np.float32)))
    starts = late_starts(day.min(), day.max())
    for start, view in zip(starts, views_of(X, days, starts), strict=True):
        slow = np.array([counts[(codes == k) & (day >= start)].sum(axis=0) for k in range(9)])
        np.testing.assert_array_equal(view.counts.toarray(), slow)
        assert view.banner_id.tolist() == X.banner_id.tolist()
    both = joined_views([views_of(X, days, starts)] * 2)
    assert [len(view) for view in both] == [18] * len(starts)
