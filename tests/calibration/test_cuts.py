"""A cut by hand, another cut of the same predictor, and what misses and false alarms cost, on cases done by hand."""

from dataclasses import replace

import numpy as np
import pytest

from core.calibration.expectation import Worlds
from core.calibration.learn import Labels, calibrate
from core.calibration.predictor import Inputs
from core.calibration.thresholds import METHODS, find_cut
from core.errors import InputError


def test_a_manual_cut_is_the_value_itself() -> None:
    p = np.array([0.1, 0.4, 0.9])
    assert find_cut("manual", p, p, p > 0.5, 0.37) == 0.37
    assert find_cut("manual", p, p, p > 0.5) == METHODS["manual"][1]
    with pytest.raises(InputError, match=r"lies between 0 and 1, not 1\.5"):
        find_cut("manual", p, p, p > 0.5, 1.5)


def test_another_cut_is_what_learning_with_it_gives() -> None:
    rng = np.random.default_rng(0)
    broken = rng.random(600) < 0.1
    evidence = rng.normal(np.where(broken, 3.0, 0.0)[:, None], 1, (600, 2))
    inputs = Inputs(("a", "b"), ("counts", "density"), evidence, np.full(600, 100.0), 1 / (1 + np.exp(-2 * (evidence.mean(axis=1) - 2))))
    grid = np.repeat([1, 2, 3], 200)
    rows = np.arange(0, 400, 2)
    labels = Labels(rows, broken[rows], grid[rows])
    first = calibrate(inputs, grid, inputs.p_broken > 0.5, labels, targets=[3])
    for method, value in (("cost", 3.0), ("budget", 9.0), ("manual", 0.8)):
        direct = calibrate(inputs, grid, inputs.p_broken > 0.5, labels, targets=[3], method=method, value=value)
        again = first.cut_by(method, value)
        assert again.rule.cut == direct.rule.cut != first.rule.cut
        assert (again.flagged == direct.flagged).all()
        assert again.expected == direct.expected
    with pytest.raises(InputError, match="A threshold is found by one of"):
        first.cut_by("luck")


def test_the_cost_is_counted_in_false_alarms() -> None:
    # every world: 4 broken, of which the first 2 flags hold 1 and 1 and the first 4 hold 3; so far 3 flags hold 2
    worlds = Worlds(np.array([1, 2, 3, 4]), np.tile([1.0, 1.0, 2.0, 3.0], (5, 1)), np.full(5, 2.0), 3, np.full(5, 4.0), 50)
    assert worlds.cost(10.0, 2) == (31.0, 31.0, 31.0)  # three missed, one false
    assert worlds.cost(10.0, 4) == (11.0, 11.0, 11.0)
    assert worlds.cost(10.0) == (21.0, 21.0, 21.0)
    assert replace(worlds, n_broken=np.full(5, 3.0)).cost(1.0, 4) == (1.0, 1.0, 1.0)


def test_what_lies_between_two_ranks_is_interpolated() -> None:
    rng = np.random.default_rng(0)
    ranks = np.array([1, 2, 5, 20])
    worlds = Worlds(ranks, np.sort(rng.integers(0, 20, (30, 4)), axis=1) * 1.0, np.zeros(30), 0, np.full(30, 25.0), 40)
    for n in (0, 1, 2, 3, 5, 11, 20, 33):
        twin = [np.interp(n, np.r_[0, ranks], np.r_[0, row]) for row in worlds.hits]
        assert worlds.of_most_suspicious(n).recall.estimate == pytest.approx(np.median(twin) / 25)
