"""Several processes on one store: what one writes the others see, whole; who has to be alone, is. The long trial is a benchmark."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.dashboard.shared_store import report, trial
from core.errors import RunError
from core.runs import run
from core.store import Store
from core.store.locks import FileLock
from tests.conftest import Place
from tests.support.lakes import Cluster
from tests.support.unscored_store import ROOT, fill, use_fake_worker

HOLDER = """
import sys
from core.store.store import Store
store = Store(sys.argv[1])
lock = store.locks["run"]
assert lock.acquire(wait=False)
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.mark.lakes
def test_a_job_of_another_process_is_left_alone_until_that_is_gone(place: Place, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine == "file":
        pytest.skip("one process owns a file: nobody else gets as far as a lock")
    use_fake_worker(monkeypatch)
    gone = "01900000-0000-7000-8000-00000000000a"
    with Store(place("s")) as store:
        fill(store)
        with store.transaction() as cursor:
            cursor.execute("INSERT INTO run_event VALUES (?, TIMESTAMP '2026-11-01 00:00:00', 'started', '{}')", [gone])
        command = [sys.executable, "-c", HOLDER, str(store.url)]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert run.interrupted_runs(store) == []
        with pytest.raises(RunError, match="Only one run at a time per store: another process has one in progress"):
            run.score(store)
        holder.kill()  # and not by releasing the lock
        holder.communicate()
        assert [row["run_id"] for row in run.interrupted_runs(store)] == [gone]
        assert run.score(store).n_banners == 40


@pytest.mark.slow
def test_two_dashboards_ten_people_an_ingest_and_a_run_at_once(tmp_path: Path, postgres: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    postgres.sql("CREATE DATABASE shared")
    url = postgres.url("shared", tmp_path / "files")
    seen = trial(url, 5, 10, 300, [sys.executable, str(ROOT / "tests" / "support" / "drive_run.py"), url])
    assert report(seen, 5)["failures"] == []
    assert len(seen.pressed) == 10
    assert min(seen.pressed.values()) >= 2
    assert min(seen.n_ingests, seen.n_runs, seen.n_looks) >= 1
    assert len(seen.runs_seen) > 1, "the run appeared while it was watched"


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "g"), FileLock(tmp_path / "g")
    with first:
        assert not first.acquire(wait=False)
        assert not second.acquire(wait=False)
    assert second.acquire(wait=False)
    second.release()
