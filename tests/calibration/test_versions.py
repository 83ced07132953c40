"""Publishing a cut, judging runs by it, and going back: nothing that was is changed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.calibration import publish as calibrate
from core.calibration import versions
from core.calibration.publish import Request
from core.errors import ChangedError, InputError
from core.review import labels, triage_queue
from core.review.triage_queue import QueueFilter
from core.runs.evaluate import evaluate
from core.store import Store
from core.store.queries import banner, heatmaps, overview, runs
from tests.conftest import Filled
from tests.support.stores import GRIDS

TARGETS = (GRIDS[0], GRIDS[1])


@pytest.fixture
def store(filled: Filled) -> Any:
    with filled(800) as opened:
        for row in opened.rows("SELECT banner_id, p_broken FROM result WHERE grid_id = ? ORDER BY banner_id LIMIT 150", [GRIDS[2]]):
            labels.label(opened, row["banner_id"], "broken" if row["p_broken"] > 0.2 else "ok", "ana", blind=True)
        yield opened


def publish(store: Store, reason: str = "first labels", **more: Any) -> int:
    return calibrate.publish(store, calibrate.prepare(store, Request(**more)), "ana", reason)


def flags(store: Store) -> list[str]:
    run_id = runs.finished_runs(store)[0]["run_id"]
    return [r["banner_id"] for r in store.rows("SELECT banner_id FROM result WHERE run_id = ? AND flagged ORDER BY position", [run_id])]


def run_rows(store: Store) -> list[Any]:
    """Everything that the run itself wrote."""
    run_id = store.rows("SELECT run_id FROM run_info")[0]["run_id"]
    tables = ("result", "score", "heatmap", "evidence", "run_day", "run_info")
    return [str(store.rows(f"FROM {table} WHERE run_id = ? ORDER BY ALL", [run_id])) for table in tables]  # text: NaN differs from itself


@pytest.mark.lakes
def test_what_was_seen_is_what_is_published_and_the_run_keeps_its_own(store: Store) -> None:
    before, own = flags(store), run_rows(store)
    seen = calibrate.prepare(store, Request(target_grids=TARGETS))
    added, dropped = seen.flips()
    assert calibrate.publish(store, seen, "ana", "first labels") == 1
    after = flags(store)
    assert set(after) == set(before) | set(added) - set(dropped)
    assert set(after) != set(before)
    assert run_rows(store) == own
    shown = runs.finished_runs(store)[0]
    assert (shown["version"], shown["n_flagged"]) == (1, len(after))
    assert runs.scored_by(store, shown["run_id"]) == shown["scored_id"]


def test_only_target_grids_change(store: Store) -> None:
    grid = {r["banner_id"]: r["grid_id"] for r in store.rows("SELECT banner_id, grid_id FROM banner")}
    before = set(flags(store))
    publish(store, target_grids=(GRIDS[0],))
    changed = before ^ set(flags(store))
    assert {grid[b] for b in changed} == {GRIDS[0]}
    one = set(flags(store))
    publish(store, target_grids=(GRIDS[1],))  # rests on the version before it
    assert {grid[b] for b in one ^ set(flags(store))} == {GRIDS[1]}


def test_pages_find_what_they_ask_of_a_verdict(store: Store) -> None:
    publish(store, target_grids=TARGETS)
    run = runs.finished_runs(store)[0]
    run_id, first = run["run_id"], flags(store)[0]
    rows = triage_queue.page(store, run_id, triage_queue.standing(store, run_id, QueueFilter(status="all")))
    assert [r["banner_id"] for r in rows] == flags(store)[:50]
    assert all(r["since"] is not None for r in rows)
    assert banner.scores(store, run_id, first)
    assert banner.reference(store, run_id, rows[0]["reference_id"]) is not None
    assert banner.evidence(store, run_id, first)
    assert banner.score_sample(store, run_id)
    assert [d["detector"] for d in runs.detectors(store, run_id)] == [d["detector"] for d in runs.detectors(store, run["scored_id"])]
    days = overview.days(store, run_id)
    assert sum(d["n_new"] for d in days) == len(flags(store))
    per_grid = overview.grids(store, run_id, 0)
    assert sum(g["flagged"] for g in per_grid) == len(flags(store))
    kept = store.rows("SELECT count(*) AS n FROM heatmap WHERE run_id = ?", [run_id])[0]["n"]
    assert kept == len(flags(store))
    for results in (run_id, run["scored_id"]):
        first = store.rows("SELECT position FROM result WHERE run_id = ? AND flagged ORDER BY position", [results])
        assert [row["position"] for row in first] == list(range(1, runs.n_flagged(store, results) + 1)), "flagged banners come first"
        assert runs.scored_by(store, results) == run["scored_id"]


def test_clicks_are_the_same_whether_found_by_place_or_by_name(store: Store) -> None:
    publish(store, method="budget", value=120.0)
    run = runs.finished_runs(store)[0]
    rows = store.rows("SELECT banner_id, position FROM result WHERE run_id = ? ORDER BY position % 7, position LIMIT 40", [run["run_id"]])
    places = {row["banner_id"]: row["position"] for row in rows}
    assert min(places.values()) <= runs.n_flagged(store, run["run_id"]) < max(places.values()), "flagged ones and others"
    by_name, by_place = heatmaps.counts_of(store, [*places], run), heatmaps.counts_of(store, [*places], run, places)
    assert all(by_name[name].sum() > 0 for name in places)
    assert all(np.array_equal(by_name[name], by_place[name]) for name in places)


def test_the_days_of_newly_flagged_banners_are_those_with_clicks(store: Store) -> None:
    before = set(flags(store))
    publish(store, method="budget", value=120.0)
    run_id = runs.finished_runs(store)[0]["run_id"]
    fresh = sorted(set(flags(store)) - before)
    assert fresh
    for name in fresh[:5]:
        seen = {r["day"]: r["n_clicks"] for r in banner.evidence(store, run_id, name)}
        sql = "SELECT day, sum(n_clicks)::BIGINT AS n FROM heatmap_day WHERE banner_id = ? GROUP BY day"
        assert seen == {r["day"]: r["n"] for r in store.rows(sql, [name])}
        since = banner.result(store, run_id, name)
        assert since is not None
        assert since["since"] in seen


def test_newly_flagged_banners_without_bins_are_flagged_by_their_scores_alone(store: Store) -> None:
    before = set(flags(store))
    with store.transaction() as cursor:
        cursor.execute("DELETE FROM heatmap_day")
    publish(store, method="budget", value=120.0)
    run_id = runs.finished_runs(store)[0]["run_id"]
    fresh = sorted(set(flags(store)) - before)
    assert fresh
    found = [banner.result(store, run_id, name) for name in fresh]
    assert [row["since"] for row in found if row is not None] == [None] * len(fresh)
    assert [banner.evidence(store, run_id, name) for name in fresh] == [[]] * len(fresh)


def test_rolling_back_returns_the_flags_as_they_were(store: Store) -> None:
    before = flags(store)
    publish(store, target_grids=TARGETS)
    first = flags(store)
    publish(store, "stricter", method="precision", value=0.99)
    assert flags(store) != first
    calibrate.roll_back(store, 1, "ana", "too strict")
    assert flags(store) == first
    calibrate.roll_back(store, 0, "ben", "start over")
    assert flags(store) == before
    assert versions.in_force(store) is None
    assert [(e["op"], e["number"]) for e in versions.history(store)] == [
        ("roll_back", None),
        ("roll_back", 1),
        ("publish", 2),
        ("publish", 1),
    ]
    assert [v["number"] for v in versions.versions(store)] == [2, 1]


def test_nothing_is_kept_of_a_publication_that_is_refused(store: Store) -> None:
    seen = calibrate.prepare(store, Request(target_grids=TARGETS))
    for author, reason, message in (("", "why", "author's name"), ("ana", " ", "give a reason")):
        with pytest.raises(InputError, match=message):
            calibrate.publish(store, seen, author, reason)
    publish(store, "meanwhile", method="budget", value=3.0)
    with pytest.raises(ChangedError, match="v0 is no longer active: you published v1 just now"):
        calibrate.publish(store, seen, "ana", "late")
    with pytest.raises(InputError, match="v1 is active already"):
        calibrate.roll_back(store, 1, "ana", "again")
    with pytest.raises(InputError, match="no version 7"):
        calibrate.roll_back(store, 7, "ana", "unknown")
    with pytest.raises(ChangedError, match="v0 is no longer active: ana published v1"):
        calibrate.roll_back(store, 0, "ben", "back", active=0)
    calibrate.roll_back(store, 0, "ben", "back", active=1)
    with pytest.raises(ChangedError, match=r"v1 is no longer active: ben rolled back to v0 just now \(back\)"):
        calibrate.roll_back(store, 1, "ana", "forth", active=1)
    assert len(versions.versions(store)) == 1
    assert len(versions.history(store)) == 2


def test_requests_that_cannot_be_met_are_said(store: Store) -> None:
    for request, message in (
        (Request(target_grids=(5,)), "target grid is one of the run's"),
        (Request(source_grids=(5,)), "source grid is one of the run's"),
        (Request(scope="magic"), "judges by one of combined, chi_squared"),
        (Request(source_grids=(GRIDS[0],)), "none is on the source grids"),
        (Request(target_grids=TARGETS, shots=1), "has none. Label some"),
        (Request(method="fpr", value=0.001), "needs 1,000 banners labelled ok"),
    ):
        with pytest.raises(InputError, match=message):
            calibrate.prepare(store, request)


def test_one_detector_can_judge_alone(store: Store) -> None:
    seen = calibrate.prepare(store, Request(scope="likelihood_ratio", target_grids=TARGETS))
    assert seen.calibration.rule.learned.names == {"likelihood_ratio"}
    calibrate.publish(store, seen, "ana", "only templates")
    assert versions.versions(store)[0]["scope"] == "likelihood_ratio"


def test_measured_counts_only_labels_that_nothing_was_learned_from(store: Store) -> None:
    for row in store.rows("SELECT banner_id, p_broken FROM result WHERE grid_id = ? ORDER BY banner_id LIMIT 60", [GRIDS[0]]):
        labels.label(store, row["banner_id"], "broken" if row["p_broken"] > 0.5 else "ok", "ben", blind=True)
    zero = calibrate.prepare(store, Request(target_grids=(GRIDS[0],))).measured()["after"]
    five = calibrate.prepare(store, Request(target_grids=(GRIDS[0],), shots=5)).measured()["after"]
    assert (zero.n, five.n) == (60, 55)
    assert zero.hits + zero.missed <= 60


def test_disputed_and_unsure_labels_teach_nothing(store: Store) -> None:
    n = len(calibrate.prepare(store, Request()).labels.rows)
    some = store.rows("SELECT banner_id, label FROM label_current ORDER BY banner_id LIMIT 2")
    labels.label(store, some[0]["banner_id"], "broken" if some[0]["label"] == "ok" else "ok", "ben", blind=True)
    labels.label(store, some[1]["banner_id"], "unsure", "ana", blind=True)
    assert len(calibrate.prepare(store, Request()).labels.rows) == n - 2


def test_evaluate_judges_the_flags_in_force(store: Store, tmp_path: Path) -> None:
    truth = tmp_path / "truth.csv"
    names = [r["banner_id"] for r in store.rows("SELECT banner_id FROM banner ORDER BY banner_id")]
    publish(store, method="budget", value=7.0)
    flagged = set(flags(store))
    truth.write_text("banner_id,broken\n" + "".join(f"{b},{int(b in flagged)}\n" for b in names))
    found = evaluate(store, truth)["overall"]["combined"]
    assert (found["precision"], found["recall"], found["broken"]) == (1.0, 1.0, 7)
