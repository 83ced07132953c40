"""From files to the store: the sample log, repeating, duplicates, cancelling, dying half-way."""

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.clicks.ingest import Options, ingest
from core.clicks.preview import preview
from core.errors import IngestCancelledError, InputError
from core.store import Store
from tests.conftest import Place

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT.parent / "shared" / "data" / "clicks-sample.csv.gz"
HEADER = "click_id,banner_id,grid_id,n_products,domain,click_x_rel,click_y_rel,clicked_at"
HOSTILE = [
    "<script>alert(1)</script>",
    "\"quoted\" 'it''s'",
    "'; DROP TABLE banner; --",
    "=1+1",
    "@SUM(A1)",
    "ünï 😀",
    "../../etc/passwd",
    "%s {x}",
]


@pytest.fixture
def store(place: Place) -> Any:
    with Store(place("store")) as opened:
        yield opened


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([HEADER, *rows, ""]))
    return path


def row(click_id: str = "", banner: str = "b", grid: str = "7", x: str = "0.5") -> str:
    return f"{click_id},{banner},{grid},4,d.example,{x},0.25,2026-10-01T12:00:00Z"


def contents(store: Store) -> dict[str, int]:
    return {name: n for name, n in store.info()["rows"].items() if name in ("ingest", "reject", "banner", "heatmap_day", "click_seen")}


@pytest.mark.skipif(not SAMPLE.exists(), reason="the sample log is not on this machine")
def test_the_sample_log_is_accounted_for_exactly(store: Store) -> None:
    expected = json.loads(SAMPLE.with_name("clicks-sample.expected.json").read_text())
    result = ingest(store, [SAMPLE])
    assert result.accepted == expected["accepted"]
    assert result.rejected == expected["rejected"]
    assert result.to_dict()["n_rows"] == expected["rows"]
    assert store.rows("SELECT count(*) AS banners, count(DISTINCT grid_id) AS grids FROM banner") == [
        {"banners": expected["banners"], "grids": expected["grids"]}
    ]
    before = contents(store)
    again = ingest(store, [SAMPLE]).to_dict()
    assert (again["accepted"], again["rejected"], again["already_ingested"]) == (0, {}, True)
    assert contents(store) == before


def test_the_same_bytes_under_another_name_change_nothing(store: Store, tmp_path: Path) -> None:
    first = ingest(store, [write(tmp_path / "a.csv", row(), row(x="7"))]).to_dict()
    second = ingest(store, [write(tmp_path / "b.csv", row(), row(x="7"))]).to_dict()
    assert (first["accepted"], first["already_ingested"]) == (1, False)
    assert (second["accepted"], second["already_ingested"]) == (0, True)
    assert second["files"][0]["ingest_id"] == first["files"][0]["ingest_id"]
    json.dumps([first, second])


def test_the_same_bytes_read_by_another_mapping_need_a_choice(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", row())
    ingest(store, [path])
    assert ingest(store, [path], mapping={"banner_id": "banner_id"}).already_ingested
    swapped = {"banner_id": "domain", "domain": "banner_id"}
    with pytest.raises(InputError, match=r"is in the store with other columns.*--replace"):
        ingest(store, [path], mapping=swapped)
    for known, n_clicks in (("rotating", 1), ("add", 2)):
        ingest(store, [path], mapping=swapped if known == "rotating" else None, options=Options(known=known))  # type: ignore[arg-type]
        assert store.rows("SELECT sum(n_clicks)::BIGINT AS n FROM heatmap_day") == [{"n": n_clicks}]


@pytest.mark.lakes
def test_a_click_id_counts_once_within_a_file_and_over_files(store: Store, tmp_path: Path) -> None:
    result = ingest(store, [write(tmp_path / "a.csv", row("c1", x="9"), row("c1"), row("c2"), row("c1"), row(), row())])
    assert (result.accepted, result.rejected) == (4, {"coordinate outside 0..1": 1, "duplicate click_id": 1})
    result = ingest(store, [write(tmp_path / "b.csv", row("c2"), row("c3"), row("c3"), row())])
    assert (result.accepted, result.rejected) == (2, {"duplicate click_id": 2})
    lines = store.rows("SELECT line, value FROM reject WHERE reason = 'duplicate click_id' ORDER BY ingest_id, line")
    assert [(r["line"], r["value"]) for r in lines] == [(5, "c1"), (2, "c2"), (4, "c3")]
    assert contents(store)["click_seen"] == 3


def test_a_rejected_click_is_not_remembered_as_seen(store: Store, tmp_path: Path) -> None:
    ingest(store, [write(tmp_path / "a.csv", row("c1", x="9"))], options=Options(allow_rejects=True))
    assert ingest(store, [write(tmp_path / "b.csv", row("c1"))]).accepted == 1


def test_a_banner_keeps_the_grid_that_it_has_where_that_is_asked_for(store: Store, tmp_path: Path) -> None:
    strict = {"banners": "strict"}
    result = ingest(store, [write(tmp_path / "a.csv", row(grid="8"), row(), row())], mapping=strict)
    other = "banner_id belongs to another grid_id, n_products or domain"
    assert (result.accepted, result.rejected) == (2, {other: 1})
    result = ingest(
        store, [write(tmp_path / "b.csv", row(grid="8"), row(grid="8"), row())], mapping=strict, options=Options(allow_rejects=True)
    )
    assert (result.accepted, result.rejected) == (1, {other: 2})
    assert store.rows("SELECT banner_id, grid_id FROM banner") == [{"banner_id": "b", "grid_id": 7}]


def test_a_banner_without_an_accepted_click_is_not_kept(store: Store, tmp_path: Path) -> None:
    ingest(store, [write(tmp_path / "a.csv", row(banner="only bad", x="x"), row())])
    assert store.rows("SELECT banner_id FROM banner") == [{"banner_id": "b"}]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_hostile_strings_are_stored_as_they_are(store: Store, tmp_path: Path, kind: str) -> None:
    columns = {"banner_id": HOSTILE, "grid_id": [7] * len(HOSTILE), "n_products": [4] * len(HOSTILE), "domain": HOSTILE}
    columns |= {"x": [0.5] * len(HOSTILE), "y": [0.5] * len(HOSTILE), "time": ["2026-10-01"] * len(HOSTILE)}
    table, path = pa.table(columns), tmp_path / f"it's.{kind}"
    if kind == "parquet":
        pq.write_table(table, path)
    else:
        import csv

        with path.open("w", newline="") as file:
            csv.writer(file).writerows([table.column_names, *(r.values() for r in table.to_pylist())])
    assert ingest(store, [path]).accepted == len(HOSTILE)
    found = store.rows("SELECT banner_id, domain FROM banner")
    assert sorted(r["banner_id"] for r in found) == sorted(HOSTILE)
    assert sorted(r["domain"] for r in found) == sorted(text.lower() for text in HOSTILE)


@pytest.mark.lakes
def test_rows_stand_sorted_and_parts_do_not_show(store: Store, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clicks(tmp_path / "a.parquet", 5_000)
    ingest(store, [path])
    columns = "SELECT banner_id, day, n_clicks, bins, counts FROM heatmap_day"
    whole = store.rows(f"{columns} ORDER BY {'day, ' if store.url.is_shared else ''}rowid")  # a lake keeps days apart
    key = ("day", "banner_id") if store.url.is_shared else ("banner_id", "day")
    assert [tuple(r[name] for name in key) for r in whole] == sorted({tuple(r[name] for name in key) for r in whole})
    monkeypatch.setattr("core.clicks.validate.MAX_KEYS", 700)
    with Store(place("other")) as other:
        ingest(other, [path])
        assert other.rows(f"{columns} ORDER BY ALL") == sorted(whole, key=lambda r: (r["banner_id"], r["day"]))


def test_progress_rises_to_one_in_the_callers_thread(store: Store, tmp_path: Path) -> None:
    told: list[tuple[float, int]] = []
    paths = [clicks(tmp_path / f"{i}.parquet", 2_000, seed=i) for i in range(2)]
    ingest(store, paths, progress=lambda done: told.append((done, threading.get_ident())))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == pytest.approx(1.0)
    assert {thread for _, thread in told} == {threading.get_ident()}


@pytest.mark.parametrize("at", [0.0, 0.3, 0.6, 0.9])
def test_cancelling_leaves_nothing_and_repeating_completes(store: Store, tmp_path: Path, at: float) -> None:
    path, cancel = clicks(tmp_path / "a.parquet", 20_000), threading.Event()
    empty = contents(store)
    with pytest.raises(IngestCancelledError):
        ingest(store, [path], progress=lambda done: cancel.set() if done >= at else None, cancel=cancel)
    assert contents(store) == empty
    assert ingest(store, [path]).accepted == 20_000


def test_an_ingest_can_follow_reads_and_writes_of_other_threads(store: Store, tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{i}.csv", *(row(f"c{i}-{k}", banner=f"b{k}") for k in range(50))) for i in range(4)]
    results: list[int] = []
    threads = [threading.Thread(target=lambda p=path: results.append(ingest(store, [p, paths[0]]).accepted)) for path in paths]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(results) == 200
    assert contents(store) | {"heatmap_day": 0} == {"ingest": 4, "reject": 0, "banner": 50, "heatmap_day": 0, "click_seen": 200}


def test_the_preview_judges_the_beginning_and_writes_nothing(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", row("c1"), row("c1"), row(x="9"))
    shown = preview(store, path)
    assert (shown.format, shown.layout, shown.whole, shown.problem) == ("CSV", "relative", True, None)
    assert (shown.n_rows, shown.accepted, shown.rejected) == (3, 1, {"coordinate outside 0..1": 1, "duplicate click_id": 1})
    assert shown.rows[0]["banner_id"] == "b"
    assert [r["line"] for r in shown.rejects] == [3, 4]
    assert contents(store) == dict.fromkeys(contents(store), 0)
    assert "'gone' is not among" in (preview(store, path, {"click_x_rel": "gone"}).problem or "")
    long = preview(store, clicks(tmp_path / "long.parquet", 11_000))
    assert (long.whole, long.n_rows) == (False, 10_000)


def clicks(path: Path, n: int, seed: int = 0) -> Path:
    """n clean clicks on 60 banners and 5 days."""
    rng = np.random.default_rng(seed)
    banner = rng.integers(0, 60, n)
    columns = {
        "banner_id": [f"b{i:02d}" for i in banner],
        "grid_id": 700 + banner % 3,
        "n_products": 1 + banner % 4,
        "domain": [f"site{i % 5}.example" for i in banner],
        "click_x_rel": rng.random(n),
        "click_y_rel": rng.random(n),
        "clicked_at": np.datetime64("2026-10-01", "us") + rng.integers(0, 5 * 86_400, n).astype("timedelta64[s]"),
    }
    pq.write_table(pa.table(columns), path)
    return path


CHILD = """
import sys
from pathlib import Path
from core.clicks.ingest import ingest
from core.store import Store
with Store(Path(sys.argv[1])) as store:
    print("open", flush=True)
    ingest(store, [Path(sys.argv[2])])
    print("done", flush=True)
"""


def test_killed_at_any_moment_a_file_is_whole_in_the_store_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rng = np.random.default_rng(1)
    place = rng.random((30_000, 2)).round(5)
    bad = np.where(rng.random(30_000) < 0.01, "x", "")
    write(path, *(f"c{i},b{i % 300:03d},7,4,d,{x}{bad[i]},{y},2026-10-{1 + i % 9:02d}" for i, (x, y) in enumerate(place)))
    with Store(tmp_path / "whole.duckdb") as store:
        started = time.monotonic()
        ingest(store, [path])
        took, whole = time.monotonic() - started, contents(store)
    moments = random.Random(2)
    for k in range(10):
        target = tmp_path / f"{k}.duckdb"
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(target), str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        time.sleep(moments.random() * took * 1.2)
        child.kill()
        child.communicate()
        with Store(target) as store:
            assert contents(store) in (whole, dict.fromkeys(whole, 0))
            ingest(store, [path])
            assert contents(store) == whole
        assert not target.with_suffix(".scratch").exists()
