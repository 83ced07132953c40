"""The worker as its parent sees it: a job folder in, tables and progress lines out."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.detectors import CATALOGUE, default_names
from core.store.engines import FileEngine
from core.store.schema import migrate
from core.store.url import StoreUrl
from tests.support.banners import drawn, sizes

ROOT = Path(__file__).parents[2]
TABLES = ("result", "score", "evidence", "reference", "run_detector", "run_day")
NAMES = ["multinomial_10", "likelihood_ratio"]
DAYS = [np.datetime64("2026-11-01") + k for k in range(4)]


def row(banner_id: str, counts: np.ndarray, day: np.datetime64 = DAYS[0]) -> dict[str, Any]:
    bins = np.flatnonzero(counts)
    clicks = counts[bins].astype(int).tolist()
    return {"banner_id": banner_id, "n_products": 2, "domain": "a.example", "day": day.item(), "bins": bins.tolist(), "counts": clicks}


def write_job(folder: Path, grids: dict[int, list[dict[str, Any]]], **asked: Any) -> Path:
    columns = {"banner_id": pa.string(), "n_products": pa.int16(), "domain": pa.string(), "day": pa.date32()}
    schema = pa.schema([*columns.items(), ("bins", pa.list_(pa.uint16())), ("counts", pa.list_(pa.uint32()))])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "request.json").write_text(json.dumps({"detectors": NAMES, "deep": "none", "fdr": 0.1, "seed": 0, **asked}))
    (folder / "heatmaps").mkdir()
    for grid_id, rows in grids.items():
        at = folder / "heatmaps" / f"grid_id={grid_id}"
        at.mkdir()
        half = len(rows) // 2
        for k, part in enumerate((rows[:half], rows[half:])):
            if part:
                pq.write_table(pa.Table.from_pylist(part, schema=schema), at / f"data_{k}.parquet")
    return folder


def run(job: Path) -> tuple[int, list[dict[str, Any]], str]:
    done = subprocess.run([sys.executable, "-m", "core.scoring.worker", str(job)], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def table(job: Path, name: str) -> pa.Table:
    return pq.ParquetDataset(job / "out" / name, partitioning=None).read()


def finished(job: Path) -> dict[str, Any]:
    code, lines, errors = run(job)
    assert code == 0, errors
    assert lines[-1] == {"done": 1.0, "what": "finished"}
    return json.loads((job / "out" / "summary.json").read_text())


@pytest.fixture(scope="module")
def broken_job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two grids; in the first one 12 of 150 banners have a hot spot from the third day on."""
    rng = np.random.default_rng(0)
    grids: dict[int, list[dict[str, Any]]] = {5: [], 8: []}
    for grid_id, n in ((5, 150), (8, 60)):
        for i, clicks in enumerate(sizes(grid_id, n)):
            for k, day in enumerate(DAYS):
                counts = drawn(1000 * grid_id + 4 * i + k, [max(clicks // 4, 20)])[0]
                if grid_id == 5 and i < 12 and k >= 2:
                    counts[10 * 40 + 30] += 2 * counts.sum()
                grids[grid_id].append(row(f"g{grid_id}-{i:03d}", counts, day))
        rng.shuffle(grids[grid_id])
    job = write_job(tmp_path_factory.mktemp("job") / "job", grids)
    finished(job)
    return job


def test_the_tables_have_the_columns_of_the_store(broken_job: Path) -> None:
    con = duckdb.connect()
    migrate(con, FileEngine(StoreUrl("file", "s.duckdb")).tables_sql)
    for name in TABLES:
        stored = {c: t for c, t, *_ in con.execute(f"DESCRIBE {name}").fetchall() if c != "run_id"}
        assert set(table(broken_job, name).column_names) == set(stored), name
        files = f"read_parquet('{broken_job}/out/{name}/*.parquet')"
        con.execute(f"INSERT INTO {name} BY NAME SELECT gen_random_uuid() AS run_id, * FROM {files}")
        assert con.execute(f"SELECT count(*) > 0 FROM {name}").fetchone() == (True,)


def test_the_summary_adds_up(broken_job: Path) -> None:
    summary = json.loads((broken_job / "out" / "summary.json").read_text())
    result = table(broken_job, "result")
    assert summary["n_banners"] == result.num_rows == 210
    assert summary["n_clicks"] == sum(result["n_clicks"].to_pylist())
    assert summary["n_flagged"] == sum(result["flagged"].to_pylist())
    assert 0 <= summary["n_false_expected"] <= summary["n_flagged"]
    assert (summary["first_day"], summary["last_day"]) == ("2026-11-01", "2026-11-04")
    assert summary["settings"]["detectors"] == NAMES
    assert sorted(result["position"].to_pylist()) == list(range(1, 211))
    assert table(broken_job, "score").num_rows == 2 * 210
    assert set(table(broken_job, "run_detector")["detector"].to_pylist()) == set(NAMES)


def test_flagged_banners_have_a_fault_a_day_it_began_and_evidence(broken_job: Path) -> None:
    result = table(broken_job, "result").to_pylist()
    broken = [r for r in result if r["banner_id"] < "g5-012"]
    found = [r for r in broken if r["flagged"]]
    assert len(found) >= 9
    assert sum(r["flagged"] for r in result) - len(found) <= 5
    assert sum(r["fault"] == "hot_spot" for r in found) >= len(found) - 2
    assert sum(r["since"] == DAYS[2].item() for r in found) >= len(found) - 2
    assert all((r["since"] is not None) == r["flagged"] for r in result)
    evidence = table(broken_job, "evidence").to_pylist()
    assert {e["banner_id"] for e in evidence} == {r["banner_id"] for r in result if r["flagged"]}
    assert len(evidence) == 4 * sum(r["flagged"] for r in result)
    days = {(d["grid_id"], d["day"]): d for d in table(broken_job, "run_day").to_pylist()}
    assert len(days) == 8
    assert days[5, DAYS[0].item()]["n_banners"] == 150
    late = [r for r in result if r["grid_id"] == 5 and r["since"] == DAYS[2].item()]
    assert days[5, DAYS[2].item()]["n_new"] == len(late)
    assert days[5, DAYS[3].item()]["n_broken"] == sum(r["flagged"] for r in result if r["grid_id"] == 5)


def test_references_are_numbered_and_sum_to_one(broken_job: Path) -> None:
    reference = table(broken_job, "reference")
    assert reference["reference_id"].to_pylist() == list(range(reference.num_rows))
    for p in reference["p"].to_pylist():
        assert len(p) == 1600
        assert sum(p) == pytest.approx(1, abs=1e-4)
    assert set(table(broken_job, "result")["reference_id"].to_pylist()) <= set(range(reference.num_rows))


def test_progress_only_grows(tmp_path: Path) -> None:
    rows = [row(f"b{i}", counts) for i, counts in enumerate(drawn(0, sizes(0, 12)))]
    _, lines, _ = run(write_job(tmp_path / "job", {3: rows, 4: rows}))
    done = [line["done"] for line in lines]
    assert done == sorted(done)
    assert all(0 <= d <= 1 for d in done)
    assert any("grid 4 (2 of 2)" in line["what"] for line in lines)


def test_rows_of_one_banner_and_day_add_up(tmp_path: Path) -> None:
    counts = drawn(1, sizes(1, 30))
    whole = [row(f"b{i:02d}", c) for i, c in enumerate(counts)]
    split = []
    for i, c in enumerate(counts):
        first = np.floor(c / 2)
        split += [row(f"b{i:02d}", part) for part in (c - first, first) if part.any()]
    split = split[::-1]
    results = []
    for name, rows in (("whole", whole), ("split", split)):
        job = write_job(tmp_path / name, {3: rows})
        assert finished(job)["n_banners"] == 30
        results.append(table(job, "result").sort_by("banner_id").to_pylist())
    assert [r["n_clicks"] for r in results[0]] == counts.sum(axis=1).astype(int).tolist()
    for a, b in zip(*results, strict=True):
        assert {k: pytest.approx(v, rel=1e-3, abs=1e-4) if isinstance(v, float) else v for k, v in a.items()} == b


TINY: dict[str, Callable[[], dict[int, list[dict[str, Any]]]]] = {
    "one banner": lambda: {3: [row("b", drawn(0, [90])[0])]},
    "one banner, one click": lambda: {3: [row("b", drawn(0, [1])[0])]},
    "two banners": lambda: {3: [row(f"b{i}", c) for i, c in enumerate(drawn(0, [90, 1]))]},
    "30 grids of one to five": lambda: {
        g: [row(f"g{g}-{i}", c, DAYS[i % 4]) for i, c in enumerate(drawn(g, sizes(g, 1 + g % 5)))] for g in range(30)
    },
    "one click each": lambda: {3: [row(f"b{i:02d}", c) for i, c in enumerate(drawn(0, np.ones(40)))]},
}


@pytest.mark.parametrize("kind", list(TINY))
def test_tiny_jobs_are_judged_and_hardly_anything_is_flagged(tmp_path: Path, kind: str) -> None:
    grids = TINY[kind]()
    job = write_job(tmp_path / "job", grids, detectors=None)
    summary = finished(job)
    n = sum(len(rows) for rows in grids.values())
    assert summary["n_banners"] == n
    assert summary["n_flagged"] <= n // 8
    assert summary["settings"]["detectors"] == [name for name in default_names() if not CATALOGUE[name].deep]
    for name in ("result", "score"):
        for column in table(job, name).to_pydict().values():
            assert all(np.isfinite(v) for v in column if isinstance(v, float)), name
    assert all((job / "out" / name).is_dir() for name in TABLES)


def test_what_the_user_can_mend_is_said(tmp_path: Path) -> None:
    code, lines, errors = run(write_job(tmp_path / "a", {3: [row("b", drawn(0, [90])[0])]}, detectors=["multinomial", "crystal_ball"]))
    assert (code, errors) == (2, "")
    assert "'crystal_ball'" in lines[-1]["error"]
    assert "is none" in lines[-1]["error"]
    code, lines, _ = run(write_job(tmp_path / "b", {}))
    assert code == 2
    assert "the job holds none" in lines[-1]["error"]
    assert not list((tmp_path / "a" / "out").iterdir())


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    job = write_job(tmp_path / "job", {3: [row("b", drawn(0, [90])[0])]})
    (job / "heatmaps" / "grid_id=3" / "data_1.parquet").write_text("not Parquet")
    code, _, errors = run(job)
    assert code == 1
    assert "Traceback" in errors
    assert not (job / "out" / "summary.json").exists()
