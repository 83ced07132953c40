"""The demo: a synthetic log through the ordinary way, with the real worker; and the ordinary way by command line."""

import csv
import json
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from core.__main__ import app
from core.banners.synthetic import GridPlan, write_demo
from core.cli import demo
from core.errors import RunError
from core.runs import run
from core.store import Store

SMALL = (GridPlan(310021, 150, 9), GridPlan(333519, 250, 20))
LOG = """banner_id,grid_id,n_products,domain,click_x_rel,click_y_rel,clicked_at
b1,7,2,=1+1,0.5,0.5,2026-11-01T10:00:00Z
b1,7,2,=1+1,0.0,0.999,2026-11-02T10:00:00Z
b2,7,2,site,1.5,0.5,2026-11-01T10:00:00Z
"""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo of 400 banners instead of 6,030."""
    monkeypatch.setattr(demo, "write_demo", partial(write_demo, plans=SMALL))


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.slow
def test_demo_to_evaluation_with_the_real_worker(tmp_path: Path, small: None) -> None:
    path, truth = tmp_path / "data" / "demo.duckdb", tmp_path / "data" / "demo.truth.csv"
    built = json.loads(invoke("demo", "--store", path, "--seed", 3, "--json").stdout)
    assert (built["banners"], built["run"]["n_banners"], built["truth"]) == (400, 400, str(truth))
    rows = list(csv.DictReader(truth.open()))
    assert set(rows[0]) == {"banner_id", "broken", "fault"}
    assert sum(row["broken"] == "1" for row in rows) == 29
    assert {p.name for p in path.parent.iterdir()} == {"demo.duckdb", "demo.truth.csv"}
    found = json.loads(invoke("evaluate", "--truth", truth, "--store", path, "--json").stdout)
    assert found["overall"]["combined"]["roc_auc"] > 0.9
    assert found["fault_accuracy"] > 0.5
    again = invoke("demo", "--store", path)
    assert (again.exit_code, "holds 400 banners" in again.stderr) == (2, True)


def test_a_demo_that_stops_half_way_leaves_no_store(tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RunError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(run, "score", fail)
        assert invoke("demo", "--store", tmp_path / "d.duckdb").exit_code == 2
    assert list(tmp_path.iterdir()) == []
    assert invoke("demo", "--no-score", "--store", tmp_path / "d.duckdb").exit_code == 0
    with Store(tmp_path / "d.duckdb") as store:
        assert store.info()["rows"]["banner"] == 400
        assert store.info()["rows"]["run_event"] == 0


def test_ingest_says_what_it_took_and_why_not(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(LOG)
    command = ("ingest", tmp_path / "log.csv", "--store", tmp_path / "s.duckdb")
    first = json.loads(invoke(*command, "--json").stdout)
    assert (first["accepted"], first["rejected"], first["already_ingested"]) == (2, {"coordinate outside 0..1": 1}, False)
    assert "Already in the store, nothing changed" in invoke(*command).stdout
    with Store(tmp_path / "s.duckdb") as store:
        assert store.rows("SELECT day::VARCHAR AS day, bins FROM heatmap_day ORDER BY day") == [
            {"day": "2026-11-01", "bins": [20 * 40 + 20]},
            {"day": "2026-11-02", "bins": [39 * 40 + 0]},
        ]


def test_ingest_maps_columns(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(LOG.replace("banner_id", "wer").replace("clicked_at", "wann"))
    command = ("ingest", tmp_path / "log.csv", "--store", tmp_path / "s.duckdb")
    missing = invoke(*command)
    assert (missing.exit_code, "clicked_at cannot be found" in missing.stderr) == (2, True)
    taken = invoke(*command, "--map", "banner_id=wer", "--map", "clicked_at=wann")
    assert (taken.exit_code, "accepted" in taken.stdout) == (0, True)
    assert "'clicked_at' is not" in invoke(*command, "--map", "clicked_at").stderr
