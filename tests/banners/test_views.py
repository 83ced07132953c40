"""Views: the ends of a window and the segments, and the same banners' clicks in them."""

from datetime import date

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from core.banners.onset import Days
from core.banners.views import View, joined_views, late_starts, learned, views_between, views_of
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


def test_a_view_holds_the_clicks_of_its_days_and_segment() -> None:
    rng = np.random.default_rng(0)
    counts, codes = drawn(1, rng.integers(1, 40, 60)), np.sort(rng.integers(0, 9, 60))
    day = np.datetime64("2026-11-01") + rng.integers(0, 14, 60)
    segment = rng.choice(np.array(["phone", "desktop", None], dtype=object), 60)
    X = heatmaps([counts[codes == k].sum(axis=0) for k in range(9)])
    days = Days(codes, day, csr_matrix(counts.astype(np.float32)), segment)
    views = views_between(day.min(), day.max(), ["phone", "desktop"])
    assert [view.segment for view in views] == [None] * 2 + ["phone"] * 3 + ["desktop"] * 3
    found = views_of(X, days, views)
    for view, seen in found.items():
        inside = (segment == view.segment) | (view.segment is None)
        inside &= day >= (view.start if view.start is not None else day.min())
        slow = np.array([counts[(codes == k) & inside].sum(axis=0) for k in range(9)])
        np.testing.assert_array_equal(seen.counts.toarray(), slow)
        assert seen.banner_id.tolist() == X.banner_id.tolist()
    both = joined_views([found] * 2)
    assert [len(seen) for seen in both.values()] == [18] * len(views)


def test_a_segment_has_a_reference_once_enough_banners_have_clicks_in_it() -> None:
    counts = drawn(5, np.full(40, 60))
    segment = np.where(np.arange(40) < 30, "phone", None)  # the last ten banners have clicks of no known segment
    segment[:3] = "kiosk"
    days = Days(np.arange(40), np.full(40, np.datetime64("2026-11-01")), csr_matrix(counts.astype(np.float32)), segment.astype(object))
    X = heatmaps(counts)
    views = learned(views_of(X, days, views_between("2026-11-01", "2026-11-01", ["phone", "kiosk"])))
    assert set(views.segments) == {"phone"}
    assert views.segments["phone"].groups[0].n_banners == 27
    few = views.take(np.array([0, 39, 5]))
    assert few.heatmaps[View("phone", None)].n_clicks.tolist() == [0, 0, 60]
    assert few.segments is views.segments
