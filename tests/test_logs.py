"""Events as lines on stderr: what a line holds, who is left alone, and which events a store's life leaves."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core import logs, settings
from core.__main__ import app
from core.calibration import publish
from core.clicks.ingest import ingest
from core.errors import ForbiddenError, InputError, RunError
from core.review import labels
from core.runs import run
from core.store import Store, copy, prune
from core.store.backup import backup, restore
from core.store.queries import runs
from core.ui.session import roles
from core.ui.session.roles import Person
from tests.support.stores import filled_store
from tests.support.unscored_store import fill, use_fake_worker

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Afterwards nothing is logged any more."""
    yield
    monkeypatch.delenv("HEATPROOF_LOG", raising=False)
    monkeypatch.delenv("HEATPROOF_LOG_LEVEL", raising=False)
    logs.configure(None)
    logs.logger.propagate = True


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Lines:
    """The lines since it was last asked, read as JSON, at every level."""
    monkeypatch.setenv("HEATPROOF_LOG", "json")
    monkeypatch.setenv("HEATPROOF_LOG_LEVEL", "debug")
    logs.configure(None)
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_json_line_is_one_line_whatever_it_holds(lines: Lines) -> None:
    logs.event("ingest_finished", file="two\nlines \"quoted\" 'ü'", rejected={"no x": 2}, seconds=0.5, missing=None)
    (line,) = lines()
    assert line.pop("time").endswith("+00:00")
    told = {"level": "info", "event": "ingest_finished", "file": "two\nlines \"quoted\" 'ü'", "rejected": {"no x": 2}, "seconds": 0.5}
    assert line == told


def test_a_bug_has_its_traceback_and_an_error_for_the_user_has_none(lines: Lines) -> None:
    logs.failure("page_failed", RunError("A run ends: this one did not."))
    try:
        [][1]
    except IndexError as error:
        logs.failure("page_failed", error, page="triage")
    expected, bug = lines()
    assert (expected["level"], expected["error"]) == ("warning", "A run ends: this one did not.")
    assert "traceback" not in expected
    assert (bug["level"], bug["page"]) == ("error", "triage")
    assert "IndexError: list index out of range" in bug["traceback"]


def test_a_text_line_can_be_read_and_taken_apart(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEATPROOF_LOG", raising=False)
    logs.configure("text")
    logs.event("run_finished", run_id="01a", file="my file.csv", banners=40, rejected={"no x": 2})
    logs.detail("label_written", label="ok")  # below the level
    date, time, *rest = capsys.readouterr().err.rstrip("\n").split(" ", 2)
    assert (len(date), len(time)) == (10, 8)
    assert rest == ['INFO    run_finished run_id=01a file="my file.csv" banners=40 rejected={"no x": 2}']


@pytest.mark.parametrize(("variable", "read"), [("HEATPROOF_LOG", settings.log_format), ("HEATPROOF_LOG_LEVEL", settings.log_level)])
def test_a_value_that_there_is_not_is_refused(variable: str, read: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "loud")
    with pytest.raises(InputError, match=f"{variable} is one of .+, not 'loud'"):
        read()


def test_nobody_who_asked_for_no_log_gets_one(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEATPROOF_LOG", raising=False)
    logs.configure(None)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    logs.failure("run_failed", ValueError("a bug"))
    assert capsys.readouterr().err == ""


def test_a_stores_life_leaves_its_events(lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch)
    log = tmp_path / "clicks.csv"
    header = "banner_id,grid_id,n_products,domain,click_x_rel,click_y_rel,clicked_at"
    log.write_text(f"{header}\nb,7,4,d.example,0.5,0.5,2026-10-01T12:00:00Z\nb,7,4,d.example,1.5,0.5,2026-10-01T12:00:00Z\n")
    with Store(tmp_path / "a.duckdb") as store:
        fill(store)
        ingest(store, [log])
        ingest(store, [log])
        (tmp_path / "none.csv").write_text("what,is,this\n1,2,3\n")
        with pytest.raises(InputError):
            ingest(store, [tmp_path / "none.csv"])
        summary = run.score(store)
        labels.label(store, "b", "ok", "ana@example.org", blind=True)
        with pytest.raises(ForbiddenError):
            roles.require(store, Person("ben@example.org", "viewer", "sign-in"), "ingest", "/logs")
        copy.copy(store, tmp_path / "b.duckdb")
        n_bytes = backup(store, tmp_path / "c.duckdb")
        prune.prune(store, 1)
    restore(tmp_path / "c.duckdb", tmp_path / "b.duckdb")
    found = [{key: value for key, value in line.items() if key not in ("time", "level", "seconds")} for line in lines()]
    by_name = {line["event"]: line for line in found}
    names = [line["event"] for line in found if line["event"] != "store_opened"]
    assert names == [
        "ingest_finished", "ingest_finished", "ingest_failed", "job_started", "job_finished", "label_written", "refused", "copy_finished",
        "backup_finished", "prune_finished", "restore_finished",
    ]  # fmt: skip
    assert len(found[0]["steps"]) > 10
    assert found[1]["rejected"] == {"coordinate outside 0..1": 1}
    assert (found[1]["accepted"], found[1]["already_ingested"]) == (1, False)
    assert (found[2]["accepted"], found[2]["already_ingested"]) == (0, True)
    assert "cannot be found" in by_name["ingest_failed"]["error"]
    finished = {"event": "job_finished", "kind": "run", "run_id": summary.run_id, "banners": 41, "flagged": summary.n_flagged}
    assert by_name["job_finished"] == finished
    assert by_name["refused"] == {"event": "refused", "action": "ingest", "role": "viewer"}
    assert by_name["backup_finished"]["bytes"] == n_bytes
    assert "example.org" not in json.dumps(found), "who it was stands in the store"


def test_a_failed_run_says_so(lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path / "a.duckdb") as store:
        fill(store)
        use_fake_worker(monkeypatch, "error")
        with pytest.raises(RunError):
            run.score(store)
    *_, failed = lines()
    assert (failed["event"], failed["kind"], failed["level"]) == ("job_failed", "run", "warning")
    assert failed["seconds"] > 0
    assert "however None is not" in failed["error"]


def test_a_version_is_logged_without_its_author(lines: Lines, tmp_path: Path) -> None:
    with filled_store(tmp_path / "a.duckdb", 80) as store:
        run_id = runs.last_finished(store)["run_id"]
        before = store.rows("SELECT count(*) AS n FROM threshold_event")[0]["n"]
        for row in store.rows("SELECT banner_id, flagged FROM result WHERE run_id = ?", [run_id]):
            labels.label(store, row["banner_id"], "broken" if row["flagged"] else "ok", "ana", blind=True)
        seen = publish.prepare(store, publish.Request(shots=0, method="manual", value=0.5))
        number = publish.publish(store, seen, "ana@example.org", "because ana said so")
        publish.roll_back(store, 0, "ana@example.org", "back")
        assert store.rows("SELECT count(*) AS n FROM threshold_event")[0]["n"] == before + 2
    *_, published, back = lines()
    assert (published["event"], published["version"], published["method"]) == ("version_published", number, "manual")
    assert (back["event"], back["version"]) == ("version_rolled_back", 0)
    assert "ana" not in json.dumps([published, back])


def test_the_command_line_logs_only_where_it_is_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(tmp_path / "a.duckdb").close()
    monkeypatch.delenv("HEATPROOF_LOG", raising=False)
    verb = ["backup", "--store", str(tmp_path / "a.duckdb")]
    assert CliRunner().invoke(app, [*verb, str(tmp_path / "b.duckdb")]).exit_code == 0
    monkeypatch.setenv("HEATPROOF_LOG", "json")
    asked = CliRunner().invoke(app, [*verb, str(tmp_path / "c.duckdb")])
    assert [json.loads(line)["event"] for line in asked.stderr.splitlines() if line.startswith("{")] == ["store_opened", "backup_finished"]
    monkeypatch.setenv("HEATPROOF_LOG", "loud")
    wrong = CliRunner().invoke(app, [*verb, str(tmp_path / "d.duckdb")])
    assert (wrong.exit_code, "not 'loud'" in wrong.stderr) == (2, True)
    assert not (tmp_path / "d.duckdb").exists()
