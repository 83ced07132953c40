"""A run in tiers against one without: whom it clears, what that loses, and that nobody is counted twice or not at all."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.calibration import verdicts
from core.errors import InputError
from core.jobs.executors import Here
from core.runs import job_folder as jobs
from core.runs import run
from core.scoring import tiered_run
from core.scoring import tiers as cascade
from core.scoring.grid import Detectors
from core.scoring.parts import grid_of, parts_of, read_part, table_of
from core.scoring.task import RunTask
from core.scoring.tiers import Budget, Cleared, fit_gates, gate_scores
from core.statistics.p_values import benjamini_hochberg
from core.store import Store
from core.store.queries import detectors, tiers
from tests.scoring.test_new_grids import _take_in
from tests.scoring.test_worker import DAYS, finished, row, table, write_job
from tests.support.banners import drawn, mirrored, sizes

NAMES = ["multinomial_10", "chi_squared_10", "likelihood_ratio"]


@pytest.fixture(autouse=True)
def small_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiers need grids of more than a thousand banners otherwise."""
    monkeypatch.setattr(cascade, "CONTROL", 100)
    monkeypatch.setattr(cascade, "LEARNED", 100)


def banners(grid_id: int, n: int, n_broken: int) -> list[dict[str, Any]]:
    """Rows of `n` banners on one day, every second of them on a second one; the first `n_broken` are mirrored."""
    counts = drawn(grid_id, sizes(grid_id, n) + 40)
    counts[:n_broken] = mirrored(counts[:n_broken])
    out = []
    for i, clicks in enumerate(counts):
        out.append(row(f"g{grid_id}-{i:04d}", clicks))
        if i % 2:
            out.append(row(f"g{grid_id}-{i:04d}", clicks, DAYS[1]))
    return out


def score(job: Path, **asked: Any) -> dict[str, Any]:
    found = tiered_run.score(job, parts_of(job), NAMES, [], RunTask(**{"fdr": 0.1, "deep": "none", **asked}), Here(job))
    return {**found, "looked": table(job, "result").to_pylist(), "cleared": table(job, "cleared").to_pylist()}


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A large grid, 20 of whose 500 banners are broken, and a small one."""
    return write_job(tmp_path / "job", {5: banners(5, 500, 20), 8: banners(8, 60, 0)}, detectors=NAMES)


def test_every_banner_is_either_cleared_or_looked_at(job: Path) -> None:
    found = score(job)
    looked, cleared = ([r["banner_id"] for r in found[k]] for k in ("looked", "cleared"))
    assert sorted(looked + cleared) == sorted({r["banner_id"] for g, n in ((5, 500), (8, 60)) for r in banners(g, n, 0)})
    assert found["n_banners"] == 560
    assert found["n_cleared"] == len(cleared) > 200
    assert all(banner_id.startswith("g5-") for banner_id in cleared), "a small grid is looked at whole"
    assert found["n_clicks"] == sum(int(r["n_clicks"]) for r in found["looked"] + found["cleared"])
    days = table(job, "run_day").to_pylist()
    assert {(d["grid_id"], str(d["day"])): d["n_banners"] for d in days} == {
        (5, "2026-11-01"): 500,
        (5, "2026-11-02"): 250,
        (8, "2026-11-01"): 60,
        (8, "2026-11-02"): 30,
    }


def test_what_is_broken_is_flagged_and_not_cleared(job: Path) -> None:
    found = score(job)
    broken = {f"g5-{i:04d}" for i in range(20)}
    assert not broken & {r["banner_id"] for r in found["cleared"]}
    flagged = {r["banner_id"] for r in found["looked"] if r["flagged"]}
    assert len(broken & flagged) >= 19
    assert len(flagged - broken) <= 5
    named = [r["fault"] for r in found["looked"] if r["banner_id"] in broken and r["flagged"]]
    assert named.count("mirrored") >= 18


def test_control_banners_stand_for_those_that_were_cleared(job: Path) -> None:
    samples = tiered_run.draw_samples(job, parts_of(job), 0, [], Here(job))
    learned = tiered_run.learn(job, samples, Detectors(NAMES), Budget(), 0.1, Here(job))
    from core.scoring.tiered_part import look

    looked = [look(part, learned, job) for part in parts_of(job)]
    assert tiered_run._stands_for(looked).sum() == pytest.approx(560)
    assert [part.control.sum() for part in looked] == [100, 60]


def test_grids_that_are_looked_at_whole_are_judged_as_without_tiers(tmp_path: Path) -> None:
    grids = {5: banners(5, 150, 8), 8: banners(8, 60, 0)}
    finished(write_job(tmp_path / "all", grids, detectors=NAMES))
    tiers = write_job(tmp_path / "tiers", grids, detectors=NAMES)
    score(tiers)
    for name, columns in SAME.items():
        one, other = (table(tmp_path / k, name).select(columns) for k in ("all", "tiers"))
        by = [(column, "ascending") for column in columns]
        assert one.sort_by(by).equals(other.sort_by(by)), name


SAME = {
    "result": ["banner_id", "combined", "p_value", "p_broken", "flagged", "position", "n_agree", "since"],
    "score": ["detector", "banner_id", "score", "normalised", "p_value"],
    "run_day": ["grid_id", "day", "n_banners", "n_broken", "n_new"],
}


def test_parts_of_a_grid_are_one_grid(tmp_path: Path) -> None:
    rows = banners(5, 500, 20)
    job = write_job(tmp_path / "job", {5: rows}, detectors=NAMES)
    folder = job / "heatmaps" / "grid_id=5"
    whole = grid_of(pq.ParquetDataset(folder, partitioning=None).read(), 5)
    for path in folder.iterdir():
        path.unlink()
    every = table_of(whole)
    for k in range(3):
        (folder / f"part={k}").mkdir()
        mask = np.array([int(b[-4:]) % 3 == k for b in every["banner_id"].to_pylist()])
        pq.write_table(every.filter(mask), folder / f"part={k}" / "0.parquet")
    found = score(job)
    assert found["n_banners"] == 500
    assert len({r["banner_id"] for r in found["looked"] + found["cleared"]}) == 500
    assert sum(r["flagged"] for r in found["looked"] if int(r["banner_id"][-4:]) < 20) >= 19
    assert table(job, "run_day").num_rows == 2


def test_rows_are_read_as_they_were_written(job: Path) -> None:
    part = parts_of(job)[0]
    grid = read_part(part)
    again = grid_of(table_of(grid), part.grid_id)
    assert again.heatmaps.banner_id.tolist() == grid.heatmaps.banner_id.tolist()
    assert abs(again.heatmaps.counts - grid.heatmaps.counts).sum() == 0
    assert abs(again.days.counts - grid.days.counts).sum() == 0
    assert again.days.day.tolist() == grid.days.day.tolist()


def test_a_cut_keeps_what_is_found_and_each_half_says_what_the_others_loses() -> None:
    rng = np.random.default_rng(0)
    broken = rng.random(4000) < 0.05
    scores = rng.normal(size=4000) + 4 * broken
    gates = fit_gates([scores, scores], broken)
    assert (scores[broken] >= gates.cuts[0]).mean() >= 1 - cascade.LOSS
    needed = (scores >= np.quantile(scores[broken], cascade.LOSS, method="lower")).mean()
    assert (scores >= gates.cuts[1]).mean() == pytest.approx(cascade.MARGIN * needed, abs=0.001)
    odd = np.arange(4000) % 2 == 1
    lost = sum(int((scores[broken & half] < fit_gates([scores, scores], broken & ~half).cuts[0]).sum()) for half in (odd, ~odd))
    assert (gates.losses[0].n_found, gates.losses[0].n_lost) == (broken.sum(), lost)


def test_losses_are_those_that_a_new_sample_would_have() -> None:
    """Over many samples, the share that halves lose is no less than what the cuts lose elsewhere, and not many times as much."""
    rng = np.random.default_rng(3)
    said, true = [], []
    for _ in range(60):
        broken = rng.random(3000) < 0.03
        scores = rng.normal(size=3000) + 3 * broken
        gates = fit_gates([scores, scores], broken)
        said.append(gates.losses[0].n_lost / gates.losses[0].n_found)
        true.append((rng.normal(size=4000) + 3 < gates.cuts[0]).mean())
    assert 0.8 * np.mean(true) <= np.mean(said) <= 4 * np.mean(true)


def test_a_budget_is_kept_and_costs_what_it_says() -> None:
    rng = np.random.default_rng(1)
    broken = rng.random(4000) < 0.2
    scores = rng.normal(size=4000) + 4 * broken
    gates = fit_gates([scores, scores], broken, most=0.1)
    assert (scores >= gates.cuts[1]).mean() == pytest.approx(0.1, abs=0.001)
    assert gates.losses[1].share.share > 0.3


def test_a_budget_in_seconds_is_what_looks_cost() -> None:
    assert Budget().most(1000, 0.001) == 1
    assert Budget(share=0.2).most(1000, 0.001) == 0.2
    assert Budget(seconds=0.1).most(1000, 0.001) == pytest.approx(0.1)
    assert Budget(share=0.05, seconds=0.1).most(1000, 0.001) == 0.05
    assert Budget(seconds=60).most(1000, 0.001) == 1


def test_without_anything_broken_a_cut_still_lets_some_through() -> None:
    scores = np.random.default_rng(2).normal(size=1000)
    gates = fit_gates([scores, scores], np.zeros(1000, dtype=bool))
    assert [(scores >= cut).mean() for cut in gates.cuts] == pytest.approx(list(cascade.LEAST), abs=0.002)
    assert np.isnan(gates.losses[0].share.share)


def test_the_chance_of_cleared_banners_is_that_of_control_banners_alike() -> None:
    scores, chances = np.linspace(-3, 3, 600), np.linspace(0, 0.06, 600)
    cleared = Cleared().fit(scores, chances, scores < 1)
    said = cleared.p_broken(np.array([-2.9, 0.95]))
    assert said[0] == pytest.approx(0.001, abs=0.001)
    assert said[1] == pytest.approx(0.039, abs=0.002)


def test_the_loudest_statistic_decides() -> None:
    tiers = gate_scores({"multinomial_10": np.array([1.0, 5.0]), "chi_squared_10": np.array([3.0, 2.0])})
    assert tiers[0].tolist() == [3.0, 5.0]
    assert len(tiers) == 1


def test_detectors_that_make_no_tiers_are_refused(tmp_path: Path) -> None:
    job = write_job(tmp_path / "job", {5: banners(5, 20, 0)})
    asked = RunTask(fdr=0.1, deep="none")
    with pytest.raises(InputError, match=r"clears banners by statistics and likelihood_ratio: the run takes knn\."):
        tiered_run.score(job, parts_of(job), ["knn"], [], asked, Here(job))
    with pytest.raises(InputError, match="one grid at a time: entropy"):
        tiered_run.score(job, parts_of(job), [*NAMES, "entropy"], [], asked, Here(job))


def test_the_worker_takes_the_tiers_from_its_job(tmp_path: Path) -> None:
    job = write_job(tmp_path / "job", {5: banners(5, 60, 0)}, detectors=NAMES, cascade=True)
    summary = finished(job)
    assert summary["settings"]["cascade"] is True
    assert summary["n_cleared"] == 0
    assert [t["name"] for t in table(job, "tier").to_pylist()] == ["statistics", "templates", "all detectors"]
    assert json.loads((job / "request.json").read_text())["cascade"] is True


SMALL_CONTROL = """
from core.scoring import tiers as cascade
cascade.CONTROL = cascade.LEARNED = 100
from core.jobs.worker import run
from core.scoring.worker import main
run(main)
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A grid of 500 banners in parts, 20 of them mirrored, and one of 60; runs take a control sample of 100 banners a grid."""
    monkeypatch.setattr(run.RUN, "command", (sys.executable, "-c", SMALL_CONTROL))
    monkeypatch.setattr(jobs, "PER_PART", 200)
    with Store(tmp_path / "s.duckdb") as opened:
        for grid_id, n, n_broken in ((5, 500, 20), (8, 60, 0)):
            counts = drawn(grid_id, sizes(grid_id, n) + 40)
            counts[:n_broken] = mirrored(counts[:n_broken])
            _take_in(opened, grid_id, counts)
        yield opened


def test_a_cascade_goes_from_store_to_store(store: Store) -> None:
    told: list[str] = []
    summary = run.score(store, detectors=NAMES, cascade=True, progress=lambda done, what: told.append(what))
    assert "looking at grid 5: part 3 of 4" in told
    assert (summary.n_banners, [g.n_banners for g in summary.by_grid]) == (560, [500, 60])
    rows = store.rows("SELECT * FROM result ORDER BY position")
    assert [r["position"] for r in rows] == list(range(1, 561))
    cleared = [r["cleared_by"] is not None for r in rows]
    assert cleared == sorted(cleared), "cleared banners stand behind all others"
    found = tiers.of_run(store, summary.run_id)
    assert [r["n_in"] for r in found] == [560, 560 - found[0]["n_cleared"], 560 - sum(cleared)]
    assert sum(r["n_cleared"] for r in found) == sum(cleared) > 200
    assert not any(r["flagged"] for r in rows[560 - sum(cleared) :])
    assert sum(r["flagged"] for r in rows if r["banner_id"] in {f"g5-{k:03d}" for k in range(20)}) >= 19
    assert {r["n_scored"] for r in store.rows("SELECT n_scored FROM run_detector")} == {560 - sum(cleared)}


def test_a_detectors_own_flags_count_the_cleared_among_all(store: Store) -> None:
    """Whom the tiers left are the odd ones: judged among themselves alone, too many would be flagged."""
    run_id = run.score(store, detectors=NAMES, cascade=True).run_id
    cuts = detectors.cuts(store, run_id)
    assert list(cuts) == sorted(NAMES, key=lambda name: (name == "likelihood_ratio", name))
    for name, cut in cuts.items():
        p = np.array([r["p_value"] for r in store.rows("SELECT p_value FROM score WHERE detector = ?", [name])])
        assert len(p) < 560
        assert cut.n_flagged == benjamini_hochberg(p, 0.1, 560).sum() > 0


def test_a_verdict_judges_whom_the_detectors_looked_at_and_keeps_the_cleared(store: Store) -> None:
    run_id = run.score(store, detectors=NAMES, cascade=True).run_id
    n_cleared = store.rows("SELECT count(*) AS n FROM result WHERE cleared_by IS NOT NULL")[0]["n"]
    with store.transaction() as cursor:
        scored = verdicts.read_scored(cursor, run_id)
        assert len(scored.banner_id) == 560 - n_cleared
        assert scored.inputs.names[: len(NAMES)] == tuple(sorted(NAMES))
        flagged = np.arange(len(scored.banner_id)) < 7
        shown = verdicts.write(cursor, scored, verdicts.Judged(np.where(flagged, 0.9, 0.1), flagged))
        assert verdicts.flags_of(cursor, shown.result_id).sum() == 7
    rows = store.rows("SELECT position, flagged, cleared_by FROM result WHERE run_id = ? ORDER BY position", [shown.result_id])
    assert [r["position"] for r in rows] == list(range(1, 561))
    assert sum(r["cleared_by"] is not None for r in rows) == n_cleared
    assert sum(r["flagged"] for r in rows) == 7


def test_with_hardly_any_seconds_hardly_anybody_is_looked_at_closely(store: Store) -> None:
    looked = {}
    for seconds in (None, 1e-9):
        found = tiers.of_run(store, run.score(store, detectors=NAMES, cascade=True, budget_s=seconds).run_id)
        looked[seconds] = found[2]["n_in"]
    assert looked[1e-9] < looked[None]
    n_control = 60 + cascade.CONTROL  # all of the small grid
    assert looked[1e-9] - n_control <= 4  # a part has one at least


@pytest.mark.parametrize(("asked", "said"), [
    ({"budget": 0.1}, "the run has no tiers"),
    ({"budget": 1.5, "cascade": True}, "not 150"),
    ({"budget": 0.0, "cascade": True}, "not 0"),
    ({"budget_s": 60.0}, "the run has no tiers"),
    ({"budget_s": 0.0, "cascade": True}, "not 0"),
])  # fmt: skip
def test_a_budget_that_cannot_be_is_refused(store: Store, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        run.score(store, detectors=NAMES, **asked)
    assert store.rows("FROM run_event") == []
