"""The synthetic demo: seeded, as planned, with every fault family, and inside the banner."""

from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from core.banners.layouts import make_layout
from core.banners.synthetic import DEMO, FAULTS, GridPlan, make_clicks, write_demo
from core.banners.templates import FAMILIES

PLANS = (GridPlan(1, 120, 20), GridPlan(2, 60, 10), GridPlan(3, 30, 0))


def test_the_demo_is_the_one_that_was_asked_for() -> None:
    plans = {p.grid_id: p for p in DEMO}
    assert len(plans) == 7
    assert plans[333519][1:] == (2061, 74)
    assert plans[333346][1:] == (969, 86)
    assert set(FAULTS) == set(FAMILIES)


def test_a_log_is_as_planned() -> None:
    log = make_clicks(0, PLANS)
    for plan in PLANS:
        own = log.grid_id == plan.grid_id
        assert own.sum() == plan.n_banners
        assert (log.fault[own] != "").sum() == plan.n_broken
    assert set(log.fault) == {"", *FAULTS}
    kinds = np.unique(log.fault[log.grid_id == 1], return_counts=True)
    assert kinds[1][1:].tolist() == [2] * 10  # evenly
    assert log.n_products[log.fault == "missing_product"].min() > 1


def test_clicks_lie_inside_and_belong_to_a_banner() -> None:
    log = make_clicks(1, PLANS)
    assert log.points.min() >= 0
    assert log.points.max() <= 1
    sizes = np.bincount(log.banner, minlength=len(log.banner_id))
    assert sizes.min() >= 15
    assert 140 < np.median(sizes) < 230
    assert len(log.points) == len(log.banner) == len(log.clicked_at) == sizes.sum()
    assert len(np.unique(log.clicked_at.astype("datetime64[D]"))) == 14


def test_a_seed_makes_one_log() -> None:
    a, b, c = make_clicks(3, PLANS), make_clicks(3, PLANS), make_clicks(4, PLANS)
    np.testing.assert_array_equal(a.points, b.points)
    np.testing.assert_array_equal(a.fault, b.fault)
    np.testing.assert_array_equal(a.clicked_at, b.clicked_at)
    assert len(a.points) != len(c.points) or (a.points != c.points).any()


@pytest.mark.parametrize("fault", list(FAULTS))
def test_a_fault_gives_as_many_clicks_as_asked_inside_the_banner(fault: str) -> None:
    rng = np.random.default_rng(0)
    layout, others = make_layout(rng, 4), [make_layout(rng, 2)]
    for n in (0, 1, 500):
        points = FAULTS[fault](rng, layout, others, n)
        assert points.shape == (n, 2)
        assert ((points >= 0) & (points <= 1)).all()


def test_faults_of_ones_own_can_be_planted() -> None:
    log = make_clicks(0, (GridPlan(1, 30, 10), GridPlan(2, 5, 0)), {"nailed": lambda rng, layout, others, n: np.full((n, 2), 0.25)})
    hit = (log.points == 0.25).all(axis=1)
    assert set(log.fault[np.unique(log.banner[hit])]) == {"nailed"}


def test_the_files_say_the_same_as_the_log(tmp_path: Path) -> None:
    files = write_demo(tmp_path, 0, PLANS)
    log = make_clicks(0, PLANS)
    clicks, truth = pq.read_table(files.clicks[0]), pyarrow.csv.read_csv(files.truth)
    assert clicks.num_rows == len(log.banner)
    assert len(set(clicks["click_id"].to_pylist())) == clicks.num_rows
    assert truth["broken"].to_pylist() == (log.fault != "").astype(int).tolist()
    assert truth["fault"].to_pylist() == log.fault.tolist()
    assert clicks["clicked_at"].to_numpy().tolist() == np.sort(log.clicked_at).tolist()
