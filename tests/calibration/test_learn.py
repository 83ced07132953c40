"""0-shot, 1-shot and k-shot on evidence drawn by hand."""

import json
from typing import Any

import numpy as np
import pytest

from core.calibration.learn import Calibration, Labels, Rule, calibrate
from core.calibration.predictor import Inputs, Learned, evidence_of
from core.errors import InputError

N, GRIDS = 4000, (1, 2, 3, 4)


def drawn(seed: int = 0, template_is_blind_on: int | None = None) -> tuple[Inputs, np.ndarray, np.ndarray]:
    """Inputs, grids and truth: three detectors that see broken banners more or less well, a twelfth of the banners broken."""
    rng = np.random.default_rng(seed)
    grid = np.array(GRIDS)[rng.integers(0, 4, N)]
    broken = rng.random(N) < 1 / 12
    sees = np.where(broken[:, None], [3.0, 2.5, 4.0], 0.0)
    if template_is_blind_on is not None:
        sees[grid == template_is_blind_on, 2] = 0.0
    evidence = np.clip(rng.normal(sees, 1), -3, 10)
    total = evidence.mean(axis=1)
    p_broken = 1 / (1 + np.exp(-3 * (total - 1.6)))
    inputs = Inputs(("a", "b", "c"), ("statistical", "self_supervised", "template"), evidence, rng.integers(20, 500, N) * 1.0, p_broken)
    return inputs, grid, broken


def run(data: tuple[Inputs, np.ndarray, np.ndarray], rows: Any, targets: list[int], **more: Any) -> Calibration:
    inputs, grid, broken = data
    labels = Labels(rows, broken[rows], grid[rows])
    return calibrate(inputs, grid, inputs.p_broken > 0.5, labels, targets=targets, **more)


def f1(broken: np.ndarray, flags: np.ndarray) -> float:
    return float(2 * (broken & flags).sum() / (broken.sum() + flags.sum()))


def test_zero_shot_does_not_look_at_the_targets_labels() -> None:
    inputs, grid, broken = drawn()
    every = np.arange(N)
    found = run((inputs, grid, broken), every, [3, 4])
    wrong = np.where(np.isin(grid, [3, 4]), ~broken, broken)
    assert (run((inputs, grid, wrong), every, [3, 4]).p == found.p).all()
    assert set(found.source.grid_id.tolist()) == {1, 2}
    assert f1(broken[found.target], found.flagged) > 0.93


def test_a_rule_does_the_same_after_it_was_written_and_read() -> None:
    data = drawn()
    found = run(data, np.arange(0, N, 3), [3, 4], shots=5)
    again = Rule.from_json(json.loads(json.dumps(found.rule.to_json())))
    assert (again.probability(data[0].take(found.target), data[1][found.target]) == found.p).all()
    assert (again.cut, again.shifts) == (found.rule.cut, found.rule.shifts)
    assert set(again.shifts) == {3, 4}


def test_a_banner_is_judged_alone_as_in_a_batch() -> None:
    data = drawn()
    rule = run(data, np.arange(N), [3, 4]).rule
    some = np.array([5, 900, 77])
    whole = rule.probability(data[0].take(some), data[1][some])
    alone = [rule.probability(data[0].take(np.array([k])), data[1][[k]])[0] for k in some]
    assert whole == pytest.approx(alone, rel=1e-12)


def test_one_shot_takes_one_known_ok_banner_of_every_target_grid() -> None:
    data = drawn()
    for seed in range(5):
        found = run(data, np.arange(N), [3, 4], shots=1, seed=seed)
        assert found.shots.grid_id.tolist() == [3, 4]
        assert not found.shots.broken.any()


def test_k_shots_are_rather_the_doubtful_ones() -> None:
    data = drawn()
    zero = run(data, np.arange(N), [3, 4])
    found = run(data, np.arange(N), [3, 4], shots=10)
    p = dict(zip(zero.target.tolist(), zero.p.tolist(), strict=True))
    doubt = [p[row] * (1 - p[row]) for row in found.shots.rows.tolist()]
    assert len(doubt) == 20
    assert np.mean(doubt) > 5 * float(np.mean(zero.p * (1 - zero.p)))


def test_a_template_that_is_blind_on_a_new_grid_costs_little() -> None:
    # the second predictor, which does not see templates, holds against faults that no template knows
    inputs, grid, broken = drawn(1, template_is_blind_on=4)
    found = run((inputs, grid, broken), np.flatnonzero(grid != 4), [4])
    alone = Learned(found.rule.learned.halves[:1]).probability(inputs.take(found.target))
    of_two = found.rule.learned.probability(inputs.take(found.target))
    truth = broken[found.target]
    assert truth[of_two > 0.5].sum() > truth[alone > 0.5].sum()


def test_twenty_labels_do_not_lose_what_is_known_without() -> None:
    inputs, grid, broken = drawn(2)
    rows = np.random.default_rng(0).choice(N, 20, replace=False)
    found = run((inputs, grid, broken), rows, list(GRIDS))
    assert f1(broken[found.target], found.flagged) > 0.9


@pytest.mark.parametrize("label", [True, False])
def test_labels_of_one_kind_alone_are_no_error(label: bool) -> None:
    inputs, grid, broken = drawn(3)
    rows = np.flatnonzero(broken == label)[:10]
    found = run((inputs, grid, broken), rows, list(GRIDS))
    assert np.isfinite(found.p).all()


def test_no_label_and_no_shot_are_said() -> None:
    data = drawn()
    with pytest.raises(InputError, match="none is on the source grids"):
        run(data, np.empty(0, dtype=np.int64), [3])
    with pytest.raises(InputError, match="every target grid: grid 3 has none"):
        run(data, np.flatnonzero(data[1] == 1), [3], shots=1)


def test_a_rule_names_the_detector_that_a_run_lacks() -> None:
    data = drawn()
    rule = run(data, np.arange(N), [3]).rule
    inputs = data[0]
    less = Inputs(inputs.names[:2], inputs.families[:2], inputs.evidence[:, :2], inputs.n_clicks, inputs.p_broken)
    with pytest.raises(InputError, match="the run lacks c"):
        rule.probability(less, data[1])


def test_evidence_is_bounded_and_grows_with_rarity() -> None:
    found = evidence_of(np.array([1.0, 0.5, 0.001, 1e-300]))
    assert (np.diff(found) > 0).all()
    assert (found[0], found[1], found[3]) == (-3, pytest.approx(0, abs=1e-12), 10)
