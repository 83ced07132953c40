"""A grid that changes as a whole: the day by hand, what it looks like, and what is no change."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from core.banners.heatmaps import bins_of
from core.banners.onset import Days
from core.banners.whole_grid import added, change_of, totals_of

SPOTS = np.array([[0.2, 0.3], [0.45, 0.35], [0.3, 0.75]])
DAY = np.datetime64("2026-11-01")


def days_of(seed: int, since: int, change: str, n_banners: int = 60, clicks: int = 20, n_days: int = 14) -> Days:
    """Every banner likes its products differently and has `clicks` a day; from day `since` on all of them are changed."""
    rng = np.random.default_rng(seed)
    rows, codes, day = [], [], []
    for banner in range(n_banners):
        liked = rng.dirichlet([3, 2, 1])
        for d in range(n_days):
            xy = np.clip(SPOTS[rng.choice(3, clicks, p=liked)] + rng.normal(0, 0.05, (clicks, 2)), 0, 1)
            if d >= since and change == "mirrored":
                xy[:, 0] = 1 - xy[:, 0]
            if d >= since and change == "shifted":
                xy[:, 0] = np.clip(xy[:, 0] + 0.15, 0, 1)
            rows.append(np.bincount(bins_of(xy[:, 0], xy[:, 1]), minlength=1600))
            codes.append(banner)
            day.append(DAY + d)
    return Days(np.array(codes), np.array(day), csr_matrix(np.array(rows, dtype=np.float32)))


@pytest.mark.parametrize(("change", "since"), [("mirrored", 13), ("mirrored", 5), ("shifted", 12), ("shifted", 1)])
def test_the_day_and_the_fault_are_found(change: str, since: int) -> None:
    found = change_of(7, totals_of(days_of(since, since, change)))
    assert found is not None
    assert found.since == DAY + since
    assert found.is_within
    assert found.diagnosis.fault == change
    assert found.moved > 0.3


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("n_banners", "clicks"), [(60, 20), (6, 5), (400, 1)])
def test_an_ordinary_grid_does_not_change(seed: int, n_banners: int, clicks: int) -> None:
    assert change_of(7, totals_of(days_of(seed, 99, "none", n_banners, clicks))) is None


def test_one_banner_with_very_many_clicks_is_no_change_of_its_grid() -> None:
    days = days_of(0, 99, "none")
    hot = np.zeros((1, 1600), np.float32)
    hot[0, 1234] = 50_000
    counts = csr_matrix(np.concatenate([days.counts.toarray(), hot]))
    assert change_of(7, totals_of(Days(np.append(days.codes, 60), np.append(days.day, DAY + 13), counts))) is None


def test_an_earlier_run_tells_what_changed_before_the_window() -> None:
    before = totals_of(days_of(1, 99, "none")).counts.sum(axis=0)
    now = totals_of(days_of(2, 0, "mirrored"))
    assert change_of(7, now) is None
    found = change_of(7, now, before / before.sum())
    assert found is not None
    assert (found.is_within, found.diagnosis.fault) == (False, "mirrored")
    assert change_of(7, totals_of(days_of(3, 99, "none")), before / before.sum()) is None


def test_parts_add_up() -> None:
    days = days_of(0, 5, "shifted", n_banners=20, n_days=6)
    first, second = (days.take(np.flatnonzero(mask), days.codes[mask]) for mask in (days.day < DAY + 4, days.day > DAY + 1))
    whole = added([totals_of(first), totals_of(second)])
    assert whole.day.tolist() == np.unique(days.day).tolist()
    twice = np.isin(days.day, [DAY + 2, DAY + 3])
    np.testing.assert_allclose(whole.counts.sum(), days.counts.sum() + days.counts[np.flatnonzero(twice)].sum())
