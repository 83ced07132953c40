"""The field generator: seeded, with the shares that it says, and with clicks of visitors who click again."""

import numpy as np

from core.banners import field
from core.banners.synthetic import N_DAYS, GridPlan

PLANS = (GridPlan(1, 1500, 0), GridPlan(2, 500, 0))


def test_it_is_what_it_says() -> None:
    log = field.make_field(3, PLANS)
    broken, n = log.fault != "", np.bincount(log.banner, minlength=2000)
    assert len(log.banner_id) == 2000
    assert broken.sum() == 60
    assert 45 < np.median(n) < 75
    assert n.max() > 1000
    assert ((log.since >= 0) == broken).all()
    assert log.since.max() < N_DAYS
    assert 0.25 < (log.since[broken] > 0).mean() < 0.8
    assert 0.1 < log.on_phones[broken].mean() < 0.7
    assert not log.on_phones[~broken].any()
    assert ((log.points >= 0) & (log.points <= 1)).all()
    assert set(log.device) == {"phone", "desktop"}


def test_visitors_click_again_beside_their_last_click_on_the_same_device_and_day() -> None:
    log = field.make_field(4, (GridPlan(1, 200, 0), GridPlan(2, 50, 0)))
    same = log.visitor_id[1:] == log.visitor_id[:-1]
    assert 0.2 < same.mean() < 0.4
    assert (log.device[1:] == log.device[:-1])[same].all()
    assert (log.banner[1:] == log.banner[:-1])[same].all()
    assert np.median(np.linalg.norm(np.diff(log.points, axis=0), axis=1)[same]) < 0.03


def test_a_seed_gives_the_same_log() -> None:
    a, b = (field.make_field(5, PLANS) for _ in range(2))
    np.testing.assert_array_equal(a.points, b.points)
    np.testing.assert_array_equal(a.fault, b.fault)
