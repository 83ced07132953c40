"""Runs: from store to store through a child process, all or nothing."""

import threading
import time
from collections.abc import Iterator
from datetime import date

import pytest

from core.errors import InputError, RunCancelledError, RunError
from core.jobs import process
from core.jobs import running as jobs
from core.runs import import_results, run
from core.store import Store
from core.store.queries import runs
from tests.conftest import Place
from tests.support.unscored_store import GRIDS, fill, use_fake_worker


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    """40 banners, nothing scored."""
    with Store(place("s")) as store:
        fill(store)
        yield store


def n_rows(store: Store) -> dict[str, int]:
    """Rows of every table that a finished run writes."""
    rows = store.info()["rows"]
    return {table: rows[table] for table in (*import_results.TABLES, "run_info")}


@pytest.mark.lakes
def test_score_imports_everything_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch)
    seen: list[tuple[float, str]] = []
    summary = run.score(store, progress=lambda done, what: seen.append((done, what)))
    assert (summary.n_banners, summary.n_clicks, summary.n_flagged) == (40, sum(10 + 5 * i for i in range(40)), 22)
    assert [(g.grid_id, g.n_banners, g.n_flagged) for g in summary.by_grid] == [(GRIDS[0], 20, 11), (GRIDS[1], 20, 11)]
    expected = {"result": 40, "score": 80, "heatmap": 22, "evidence": 22, "reference": 1, "run_detector": 1, "run_day": 2, "run_info": 1}
    expected |= {"stranger": 0, "grid_change": 0}
    assert n_rows(store) == expected
    shown = store.rows("SELECT state, n_flagged, fdr, grids, settings->>'seed' AS seed FROM run")
    assert shown == [{"state": "finished", "n_flagged": 22, "fdr": 0.1, "grids": None, "seed": "0"}]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (1.0, "done")
    assert "writing score" in [what for _, what in seen]
    assert not jobs.folder_of(store, run.RUN).exists()


def test_scores_stand_sorted_by_banner(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch)
    run.score(store)
    ids = [row["banner_id"] for row in store.rows("SELECT banner_id FROM score ORDER BY rowid")]
    assert ids == sorted(ids)


def test_window_and_grids_choose_the_heatmaps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch)
    summary = run.score(store, grids=[GRIDS[1]], first_day=date(2026, 11, 2), last_day=date(2026, 11, 2))
    assert summary.n_clicks == sum(5 * i for i in range(1, 40, 2))
    assert [g.grid_id for g in summary.by_grid] == [GRIDS[1]]
    assert runs.last_finished(store)["grids"] == [GRIDS[1]]


def test_runs_are_appended_and_found_by_their_beginning(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch)
    first, second = run.score(store), run.score(store)
    assert n_rows(store)["result"] == 80
    assert runs.last_finished(store)["run_id"] == second.run_id
    assert runs.last_finished(store, first.run_id)["run_id"] == first.run_id
    with pytest.raises(RunError, match="begins 2 of them"):
        runs.last_finished(store, first.run_id[:1])
    with pytest.raises(RunError, match="no finished run 'zz'"):
        runs.last_finished(store, "zz")


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("error", "Detectors are named as in the catalogue, however \\['nosuch'\\] is not"),
        ("crash", "exit code 1: ZeroDivisionError: a planted bug"),
        ("killed", r"died with signal 9 \(memory\?\): it wrote nothing"),
        ("incomplete", ": evidence is missing"),
        ("miscounted", "names 41 banners and wrote 40"),
    ],
)
def test_a_failed_run_leaves_its_reason_and_nothing_else(
    store: Store, monkeypatch: pytest.MonkeyPatch, behaviour: str, message: str
) -> None:
    use_fake_worker(monkeypatch, behaviour)
    with pytest.raises(RunError, match=message) as caught:
        run.score(store, detectors=["nosuch"])
    assert set(n_rows(store).values()) == {0}
    shown = store.rows("SELECT state, detail->>'error' AS error FROM run")
    assert shown == [{"state": "failed", "error": str(caught.value)}]
    assert not jobs.folder_of(store, run.RUN).exists()
    with pytest.raises(RunError, match="has none"):
        runs.last_finished(store)


def test_a_crash_keeps_the_workers_traceback(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch, "crash")
    with pytest.raises(process.WorkerCrashedError) as caught:
        run.score(store)
    assert caught.value.log.startswith("Traceback")


@pytest.mark.lakes
def test_a_background_run_tells_how_far_it_is_and_is_cancelled(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch, "hang")
    handle = run.start(store)
    deadline = time.monotonic() + 20
    while "writing result" not in handle.what and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (handle.what, handle.state) == ("writing result", "running")
    assert jobs.current(store, run.RUN) is handle
    assert run.interrupted_runs(store) == []
    with pytest.raises(RunError, match="Only one run at a time per store: the run of all grids is at"):
        run.start(store)
    handle.cancel()
    assert handle.wait(20)
    assert (handle.state, handle.result) == ("cancelled", None)
    assert handle.error is not None
    assert handle.error.startswith("The run was cancelled")
    assert store.rows("SELECT state FROM run") == [{"state": "cancelled"}]
    assert set(n_rows(store).values()) == {0}


def test_a_background_run_finishes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch)
    handle = run.start(store)
    assert handle.wait(30)
    assert (handle.state, handle.done, handle.error) == ("finished", 1.0, None)
    assert handle.result is not None
    assert handle.result.n_banners == 40


def test_setting_cancel_stops_a_run_of_this_thread(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch, "hang")
    cancel = threading.Event()

    def progress(done: float, what: str) -> None:
        if what == "writing result":
            cancel.set()

    with pytest.raises(RunCancelledError):
        run.score(store, progress=progress, cancel=cancel)
    assert store.rows("SELECT state FROM run") == [{"state": "cancelled"}]


def test_a_run_whose_process_is_gone_is_interrupted_and_its_folder_goes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch)
    gone = "01900000-0000-7000-8000-00000000000a"
    with store.transaction() as cursor:
        cursor.execute("INSERT INTO run_event VALUES (?, TIMESTAMP '2026-11-01 00:00:00', 'started', '{}')", [gone])
    left = jobs.folder_of(store, run.RUN) / gone / "heatmaps"
    left.mkdir(parents=True)
    assert [row["run_id"] for row in run.interrupted_runs(store)] == [gone]
    run.score(store)
    assert not left.exists()
    assert [row["run_id"] for row in run.interrupted_runs(store)] == [gone]


def test_what_cannot_be_scored_is_refused_before_anything_is_written(store: Store, place: Place) -> None:
    with pytest.raises(InputError, match="grid 7 has none"):
        run.score(store, grids=[7])
    with pytest.raises(InputError, match="clicks are of 2026-11-01 to 2026-11-02"):
        run.score(store, first_day=date(2027, 1, 1))
    with pytest.raises(InputError, match="2026-11-02 is after 2026-11-01"):
        run.score(store, first_day=date(2026, 11, 2), last_day=date(2026, 11, 1))
    assert store.rows("FROM run_event") == []
    with Store(place("empty")) as empty, pytest.raises(InputError, match="holds no click at all"):
        run.score(empty)
