"""The command line: what is printed where, and with which exit code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from core import __version__
from core.__main__ import app
from core.detectors import CATALOGUE
from core.store import Store
from core.store.queries import runs as run
from tests.support.unscored_store import ROOT, fill, use_fake_worker

TRUTH = "banner_id,broken,fault\nbn0039,1,hot_spot\nbn0000,0,\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of 40 unscored banners, closed."""
    path = tmp_path / "s.duckdb"
    with Store(path) as store:
        fill(store)
    return path


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def spawn(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "core", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def test_score_evaluate_export_as_a_person_reads_them(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch)
    scored = invoke("score", "--store", path)
    assert scored.exit_code == 0, scored.output
    assert re.search(r"333519\W+20\W+11\W+55\.0 %", scored.stdout)
    assert re.search(r"all\W+40\W+22\W+55\.0 %", scored.stdout)
    assert "writing the heatmaps" in scored.stderr
    assert "writing the heatmaps" not in scored.stdout
    (tmp_path / "t.csv").write_text(TRUTH)
    evaluated = invoke("evaluate", "--truth", tmp_path / "t.csv", "--store", path)
    assert re.search(r"combined\W+1\.000", evaluated.stdout)
    assert "the right fault in 100.0 %" in evaluated.stdout
    exported = invoke("export", "scores", tmp_path / "x.csv", "--format", "submission", "--store", path)
    assert exported.stdout == f"40 rows in {tmp_path / 'x.csv'}\n"
    assert (tmp_path / "x.csv").read_text().startswith("ID,score\nbn0000,10.0\n")


def test_every_result_has_json(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch)
    scored = json.loads(invoke("score", "--grid", "333519", "--from", "2026-11-01", "--to", "2026-11-02", "--store", path, "--json").stdout)
    assert (scored["n_flagged"], scored["by_grid"]) == (11, [{"grid_id": 333519, "n_banners": 20, "n_flagged": 11, "name": None}])
    (tmp_path / "t.csv").write_text(TRUTH.replace("bn0000", "bn0001"))
    truth = ("--truth", tmp_path / "t.csv", "--run", scored["run_id"])
    evaluated = json.loads(invoke("evaluate", *truth, "--store", path, "--json").stdout)
    assert set(evaluated) >= {"overall", "by_grid", "fault_accuracy"}
    wanted = {"roc_auc", "average_precision", "precision", "recall", "f1", "n", "broken"}
    assert set(evaluated["overall"]["combined"]) == set(evaluated["by_grid"]["333519"]["chi_squared"]) == wanted
    exported = json.loads(invoke("export", "scores", tmp_path / "x.parquet", "--store", path, "--json").stdout)
    assert exported["rows"] == 20


def test_info_names_detectors_versions_and_rows(path: Path) -> None:
    done = spawn("info", "--json", HEATPROOF_STORE=str(path))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [d["name"] for d in found["detectors"]] == list(CATALOGUE)
    assert all(set(d) == {"name", "family", "reads", "default_run"} for d in found["detectors"])
    assert found["versions"]["duckdb"] == "1.5.5"
    assert found["versions"]["heatproof"] == __version__
    assert (found["rows"]["banner"], found["runs"], found["weights"], found["exists"]) == (40, [], [], True)


def test_info_makes_no_store(tmp_path: Path) -> None:
    done = invoke("info", "--store", tmp_path / "none.duckdb", "--json")
    assert json.loads(done.stdout)["exists"] is False
    assert not (tmp_path / "none.duckdb").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["score", "--grid", "abc"], "'abc' is none"),
        (["score", "--grid", "7"], "grid 7 has none"),
        (["score", "--detectors", ","], ": none was named"),
        (["score", "--from", "2027-01-01"], "clicks are of 2026-11-01 to 2026-11-02"),
        (["evaluate", "--truth", "nowhere.csv"], "needs a finished run"),
        (["export", "scores", "x.xlsx"], "not x.xlsx"),
        (["export", "scores", "x.csv"], "needs a finished run"),
        (["restore", "nowhere.duckdb"], "nowhere.duckdb does not exist"),
    ],
)
def test_what_a_user_can_mend_ends_with_two_and_a_message(path: Path, words: list[str], message: str) -> None:
    done = invoke(*words, "--store", path)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_the_real_worker_refuses_an_unknown_detector(path: Path) -> None:
    done = spawn("score", "--detectors", "nosuch", "--store", path)
    assert done.returncode == 2, done.stderr
    assert "'nosuch' is none" in done.stderr
    assert "Traceback" not in done.stderr
    with Store(path) as store:
        assert store.rows("SELECT state FROM run") == [{"state": "failed"}]


def test_a_bug_in_the_worker_ends_with_one_and_its_traceback(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch, "crash")
    done = invoke("score", "--store", path)
    assert done.exit_code == 1
    assert "Traceback" in done.stderr
    assert "a planted bug" in done.stderr


def test_without_a_store_it_says_how_to_make_one(tmp_path: Path) -> None:
    done = spawn("score", "--store", tmp_path / "none.duckdb")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Make one by `ingest FILE` or `demo`" in done.stderr
    assert not (tmp_path / "none.duckdb").exists()


def test_a_busy_store_names_the_process(path: Path) -> None:
    with Store(path):
        done = spawn("score", "--store", path)
    assert done.returncode == 2
    assert f"held by PID {os.getpid()}" in done.stderr


def test_backup_and_restore_go_round(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch)
    invoke("score", "--store", path)
    copy = tmp_path / "copies" / "monday.duckdb"
    assert json.loads(invoke("backup", copy, "--store", path, "--json").stdout)["bytes"] == copy.stat().st_size
    assert invoke("backup", copy, "--store", path).exit_code == 2
    with Store(path) as store:
        before = store.info()["rows"]
    invoke("score", "--store", path)
    assert invoke("restore", copy, "--store", path).exit_code == 0
    with Store(path) as store:
        assert store.info()["rows"] == before
        assert run.last_finished(store)["n_flagged"] == 22
    (kept,) = tmp_path.glob("s.duckdb.before-restore-*")
    with Store(kept) as store:
        assert store.rows("SELECT count(*) AS n FROM run_info") == [{"n": 2}]


def test_a_used_store_is_neither_restored_nor_made_a_demo(path: Path, tmp_path: Path) -> None:
    invoke("backup", tmp_path / "b.duckdb", "--store", path)
    with Store(path):
        done = spawn("restore", tmp_path / "b.duckdb", "--store", path)
    assert done.returncode == 2
    assert f"PID {os.getpid()}" in done.stderr
    assert "holds 40 banners" in invoke("demo", "--store", path).stderr


def test_bare_call_and_wrong_options_explain_themselves() -> None:
    assert "Usage" in invoke().output
    assert invoke("score", "--nosuch").exit_code == 2
    assert invoke("export", "scores", "x.csv", "--format", "xml").exit_code == 2
