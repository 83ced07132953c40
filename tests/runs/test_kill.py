"""A run that is killed leaves nothing half-done, and the next one completes."""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from core.jobs import running as jobs
from core.jobs import worker
from core.runs import import_results, job_folder, request, run
from core.store import Store
from tests.support.unscored_store import ROOT, fill, use_fake_worker

N_BANNERS = 4000
MOMENTS = ["open", "writing the heatmaps for the worker", "writing result", "writing run_day", *["taking the results into the store"] * 6]
"""What the run says before it is killed at random within a fifth of a second: most often while it writes its results."""


def start_and_kill(path: Path, moment: str, after_s: float) -> None:
    """Starts a run and kills it so long after it said `moment`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FAKE_WORKER": "slow"}
    command = [sys.executable, str(ROOT / "tests" / "support" / "drive_run.py"), str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert moment in (line.strip() for line in process.stdout)
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def check_nothing_is_half_done(store: Store) -> int:
    """Every finished run is whole, every other one has no row at all; returns the number of finished runs."""
    states = {row["run_id"]: row["state"] for row in store.rows("SELECT run_id, state FROM run")}
    finished = {run_id for run_id, state in states.items() if state == "finished"}
    assert set(states.values()) <= {"started", "finished"}
    for table in (*import_results.TABLES, "run_info"):
        found = {row["run_id"] for row in store.rows(f"SELECT DISTINCT run_id FROM {table}")}
        may_be_empty = table in ("stranger", "grid_change")  # where no grid is new, and where none changed
        assert found == finished or (may_be_empty and found < finished)
    per_run = store.rows("SELECT count(*) AS n FROM result GROUP BY run_id")
    assert all(row["n"] == N_BANNERS for row in per_run)
    assert len(run.interrupted_runs(store)) == len(states) - len(finished)
    return len(finished)


@pytest.mark.slow
def test_kill_minus_nine_at_random_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.duckdb"
    with Store(path) as store:
        fill(store, N_BANNERS)
    rng = random.Random(5)
    n_finished = n_interrupted = 0
    for moment in MOMENTS:
        start_and_kill(path, moment, rng.uniform(0.0, 0.2))
        with Store(path) as store:
            n_finished = check_nothing_is_half_done(store)
            n_interrupted = len(run.interrupted_runs(store))
    assert n_interrupted >= 3, "the kills came too late to show anything"
    use_fake_worker(monkeypatch)
    with Store(path) as store:
        run.score(store)
        assert check_nothing_is_half_done(store) == n_finished + 1
        assert not jobs.folder_of(store, run.RUN).exists()


def test_an_orphaned_worker_ends_itself(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    with Store(tmp_path / "s.duckdb") as store:
        fill(store)
        folder.mkdir()
        worker.write_request(folder, job_folder.write_job(store, folder, request.Request(), datetime(2100, 1, 1)))
    assert (folder / "parent.pid").read_text() == str(os.getpid())
    (folder / "parent.pid").write_text(str(2**22 + 1))  # above the largest process id there can be
    done = subprocess.run(
        [sys.executable, "-m", "core.scoring.worker", str(folder)], cwd=ROOT, timeout=60, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert not (folder / "out" / "summary.json").exists()
