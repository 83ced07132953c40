"""Folders with files that cannot be used, and clicks of times that cannot be."""

import gzip
import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from core.__main__ import app
from core.clicks.ingest import ingest
from core.errors import InputError
from core.runs import request
from core.store import Store, days, prune
from tests.support.unscored_store import fill

HEADER = "banner_id,grid_id,n_products,domain,click_x_rel,click_y_rel,clicked_at"
NOW = datetime(2026, 11, 20, 12)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(tmp_path / "s.duckdb") as opened:
        yield opened


def write(path: Path, *times: str) -> Path:
    path.write_text("\n".join([HEADER, *(f"b,7,4,d,0.5,0.5,{time}" for time in times or ["2026-10-01"]), ""]))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good logs among everything that a folder of logs may hold besides."""
    inside = tmp_path / "logs"
    inside.mkdir()
    write(inside / "a.csv", "2026-10-01")
    write(inside / "z.csv", "2026-10-02")
    (inside / "empty.csv").touch()
    (inside / "header.csv").write_text(HEADER + "\n")
    (inside / "cut.csv.gz").write_bytes(gzip.compress(write(tmp_path / "w.csv", *["2026-10-01"] * 5000).read_bytes())[:-30])
    pq.write_table(pa.table({name: [1] * 100 for name in HEADER.split(",")}), inside / "broken.parquet")
    (inside / "broken.parquet").write_bytes((inside / "broken.parquet").read_bytes()[:-60] + b"x" * 60)
    (inside / "other.csv").write_text("a,b\n1,2\n")
    (inside / "dir.csv").mkdir()
    for name in ("_SUCCESS", ".part-0.parquet.crc", ".hidden.csv", "part-0.parquet.crc", "notes.md"):
        (inside / name).write_text("x")
    (inside / "gone.csv").symlink_to(tmp_path / "nowhere.csv")
    return inside


def test_every_file_is_tried_and_those_that_fail_are_listed(store: Store, folder: Path) -> None:
    done = ingest(store, [folder, folder / "nothing.csv"])
    assert [Path(file.file).name for file in done.files] == ["a.csv", "z.csv"]
    said = {Path(file.file).name: file.reason for file in done.failed}
    expected = {
        "empty.csv": "0 bytes",
        "header.csv": "no row after its header",
        "cut.csv.gz": "cut off",
        "broken.parquet": "broken.parquet",
        "other.csv": "needs the columns",
        "nothing.csv": "does not exist",
    }
    assert said.keys() == expected.keys()
    assert all(words in said[name] for name, words in expected.items()), said
    assert [file.already_ingested for file in ingest(store, [folder]).files] == [True, True]


def test_the_verb_lists_them_and_fails_only_where_nothing_came_in(folder: Path, tmp_path: Path) -> None:
    where = ["--store", str(tmp_path / "v.duckdb")]
    done = CliRunner().invoke(app, ["ingest", str(folder), *where])
    assert done.exit_code == 0
    assert "5 of 7 files were not taken in" in done.stderr
    assert "empty.csv: " in done.stderr
    told = json.loads(CliRunner().invoke(app, ["ingest", str(folder), *where, "--json"]).stdout)
    assert (len(told["files"]), len(told["failed"]), told["already_ingested"]) == (2, 5, False)
    (folder / "a.csv").unlink()
    (folder / "z.csv").unlink()
    done = CliRunner().invoke(app, ["ingest", str(folder), *where, "--json"])
    assert (done.exit_code, len(json.loads(done.stdout)["failed"])) == (2, 5)
    assert "None of 5 files" in done.stderr


def test_a_file_without_rights_is_one_of_them(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def refuse(path: Path, *args: Any, **more: Any) -> Any:
        if path.name == "a.csv":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **more)

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    done = ingest(store, [folder / "a.csv", folder / "z.csv"])
    assert "Permission denied" in done.failed[0].reason
    assert len(done.files) == 1


def test_times_more_than_a_day_ahead_are_rejected(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days, "now", lambda: NOW)
    good = ["2026-11-21T12:00:00Z", "2026-11-20T13:00:00Z", "2026-11-01", "1971-01-01", "2026-11-02"]
    bad = ["2026-11-21T12:00:01Z", "2099-12-31T23:59:59Z", "1970-01-01", "0001-01-01"]
    done = ingest(store, [write(tmp_path / "a.csv", *good, *bad)])
    assert done.accepted == len(good)
    assert done.rejected == {"time in the future": 2, "time outside 1971..2099": 2}
    counts = tmp_path / "counts.csv"
    counts.write_text("banner_id,grid_id,n_products,domain,row,col,count,day\nc,7,4,d,0,0,5,2026-11-20\nc,7,4,d,0,0,5,2026-11-23\n")
    assert ingest(store, [counts]).rejected == {"time in the future": 1}


def test_days_in_the_future_of_older_stores_are_not_counted_from(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, 100)
    last = store.rows("SELECT max(day) AS day FROM heatmap_day")[0]["day"]
    first = store.rows("SELECT min(day) AS day FROM heatmap_day")[0]["day"]
    before = store.rows("SELECT count(*) AS n FROM heatmap_day")
    with store.transaction() as cursor:
        cursor.execute("INSERT INTO heatmap_day SELECT ingest_id, banner_id, DATE '2099-12-31', 1, [0], [1], NULL FROM heatmap_day LIMIT 1")
    assert days.newest(store) == last
    request.check_request(store, request.Request())
    assert request.Request().window["last_day"] <= date.today() + timedelta(days=2)
    assert request.Request(last_day=date(2099, 12, 31)).window["last_day"] == date(2099, 12, 31)
    done = prune.prune(store, (last - first).days + 1)
    assert (done.first_kept, done.rows["heatmap_day"], done.future_days) == (first, 0, 1)
    assert store.rows("SELECT count(*) AS n FROM heatmap_day WHERE day < DATE '2099-01-01'") == before
    monkeypatch.setattr(days, "now", lambda: datetime(2001, 1, 1))
    with pytest.raises(InputError, match="in the future are left out"):
        request.check_request(store, request.Request())
    assert prune.prune(store, 1).first_kept is None
