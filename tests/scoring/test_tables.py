"""Tables of a run keep their types however little there is: whichever grids have no flag or no row, in tiers or not, on any engine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.calibration.new_flags import _insert
from core.clicks.ingest import ingest
from core.errors import ContractError
from core.jobs import executors
from core.jobs.executors import Engine, Here, Local
from core.runs import import_results, run
from core.scoring import tiers as cascade
from core.scoring import worker
from core.scoring.tables import SCHEMAS, table, table_of_rows, write
from core.store import Store
from core.store.engines import FileEngine
from core.store.schema import migrate
from core.store.url import StoreUrl
from tests.conftest import Place
from tests.jobs.test_ray_executor import needs_ray
from tests.scoring.test_tiers import NAMES
from tests.scoring.test_worker import DAYS, row, write_job
from tests.support.banners import drawn, mirrored, sizes

EMPTY = {"none": (), "first": (5,), "middle": (8,), "last": (9,), "first two": (5, 8), "all": (5, 8, 9)}
"""Which of three grids have no broken banner."""
WRITTEN = {*import_results.TABLES}


def clean_or_broken(empty: tuple[int, ...]) -> dict[int, list[dict[str, Any]]]:
    """Three grids of 50 banners, four of which are mirrored except on the grids `empty`, whose banners are all equal."""
    grids = {}
    for grid_id in (5, 8, 9):
        counts = drawn(grid_id, sizes(grid_id, 50) + 60)
        if grid_id in empty:
            counts[:] = counts[0]
        else:
            counts[:4] = mirrored(counts[:4])
        grids[grid_id] = [row(f"g{grid_id}-{i:02d}", clicks, DAYS[i % 2]) for i, clicks in enumerate(counts)]
    return grids


def done(job: Path, monkeypatch: pytest.MonkeyPatch, engine: Callable[[Path], Engine] = Here) -> Path:
    """A job after the worker's work, which is done in this process on the engine."""
    monkeypatch.setattr(executors, "local", lambda job, folders: engine(job))
    worker.main(job)
    return job


def flagged_grids(job: Path) -> set[int]:
    result = pq.ParquetDataset(job / "out" / "result", partitioning=None).read().to_pylist()
    return {r["grid_id"] for r in result if r["flagged"]}


def check_schemas(job: Path, names: set[str]) -> None:
    for name in names:
        files = sorted((job / "out" / name).glob("*.parquet"))
        assert files, name
        for file in files:
            assert pq.read_schema(file).remove_metadata().equals(SCHEMAS[name]), file


def imported(job: Path, store: Store) -> dict[str, int]:
    """Rows of the tables after the import into a store."""
    n = pq.ParquetDataset(job / "out" / "result", partitioning=None).read().num_rows
    cleared = job / "out" / "cleared"
    n += pq.ParquetDataset(cleared, partitioning=None).read().num_rows if cleared.exists() else 0
    run_id = "00000000-0000-7000-8000-000000000001"
    with store.transaction() as cursor:
        import_results.import_tables(cursor, job, run_id, n)
    return {name: store.rows(f"SELECT count(*) AS n FROM {name}")[0]["n"] for name in import_results.TABLES}


@pytest.mark.parametrize("tiers", [False, True], ids=["whole", "tiers"])
@pytest.mark.parametrize("which", list(EMPTY))
def test_types_do_not_depend_on_which_grids_have_flags(which: str, tiers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = done(write_job(tmp_path / "job", clean_or_broken(EMPTY[which]), detectors=NAMES, cascade=tiers), monkeypatch)
    check_schemas(job, WRITTEN | ({"tier", "cleared"} if tiers else set()))
    assert flagged_grids(job) >= {5, 8, 9} - set(EMPTY[which])
    with Store(tmp_path / "s.duckdb") as store:
        rows = imported(job, store)
    assert rows["result"] == 150
    assert (rows["heatmap"] > 0) == (rows["evidence"] > 0) == (which != "all")


@pytest.mark.parametrize("tiers", [False, True], ids=["whole", "tiers"])
def test_types_do_not_depend_on_the_number_of_processes(tiers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade, "CONTROL", 10)
    monkeypatch.setattr(cascade, "LEARNED", 15)
    asked = {"detectors": NAMES, "cascade": tiers}
    job = done(write_job(tmp_path / "job", clean_or_broken((5,)), **asked), monkeypatch, lambda job: Local(job, 2))
    check_schemas(job, WRITTEN | ({"tier", "cleared"} if tiers else set()))


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("tiers", [False, True], ids=["whole", "tiers"])
def test_types_do_not_depend_on_ray(tiers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEATPROOF_THREADS", "2")
    asked = {"detectors": NAMES, "cascade": tiers, "engine": "ray", "ray_address": None}
    job = done(write_job(tmp_path / "job", clean_or_broken((5,)), **asked), monkeypatch)
    check_schemas(job, WRITTEN | ({"tier", "cleared"} if tiers else set()))


@pytest.mark.lakes
@pytest.mark.parametrize("which", ["first", "all"])
def test_every_store_takes_grids_without_flags(which: str, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = done(write_job(tmp_path / "job", clean_or_broken(EMPTY[which]), detectors=NAMES, cascade=True), monkeypatch)
    with Store(place("s")) as store:
        assert imported(job, store)["result"] == 150


@pytest.mark.parametrize("tiers", [False, True], ids=["whole", "tiers"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_grid_without_a_row_is_left_out(at: int, tiers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grids = clean_or_broken((5, 8, 9))
    job = write_job(tmp_path / "job", grids, detectors=NAMES, cascade=tiers)
    for file in (job / "heatmaps" / f"grid_id={list(grids)[at]}").iterdir():
        pq.write_table(pq.read_table(file).slice(0, 0), file)
    done(job, monkeypatch)
    check_schemas(job, WRITTEN)
    assert pq.read_table(job / "out" / "result").num_rows == 100


def test_declared_types_are_those_of_the_store() -> None:
    con = duckdb.connect()
    migrate(con, FileEngine(StoreUrl("file", "s.duckdb")).tables_sql)
    of_store = {**{name: name for name in (*import_results.TABLES, "tier")}, "point": "embedding_point", "anchor": "embedding_anchor"}
    for name, stored in of_store.items():
        columns = {c: t for c, t, *_ in con.execute(f"DESCRIBE {stored}").fetchall() if c not in ("run_id", "embedding_id")}
        con.register("empty", SCHEMAS[name].empty_table())
        declared = {c: t for c, t, *_ in con.execute("DESCRIBE FROM empty").fetchall()}
        assert declared == {c: "VARCHAR" if t == "JSON" else t for c, t in columns.items()}, name
        con.unregister("empty")


def test_the_insert_of_newly_flagged_banners_takes_none() -> None:
    con = duckdb.connect()
    con.execute("CREATE TABLE fresh_since (banner_id VARCHAR, since DATE)")
    _insert(con.cursor(), "INSERT INTO fresh_since BY NAME FROM found", table_of_rows("since", []), [])
    assert con.execute("SELECT count(*) FROM fresh_since").fetchone() == (0,)


@pytest.fixture
def values() -> dict[str, Any]:
    return {"banner_id": np.array([], dtype=object), "position": np.array([], dtype=np.int64), "bins": [], "counts": []}


def test_a_table_of_nothing_has_its_types(values: dict[str, Any], tmp_path: Path) -> None:
    made = table("heatmap", values)
    assert made.schema == SCHEMAS["heatmap"]
    assert pq.read_schema(write(made, "heatmap", tmp_path / "new" / "0.parquet")).remove_metadata() == SCHEMAS["heatmap"]


def test_other_columns_values_and_schemas_are_refused(values: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="Missing or not among them: bins, extra"):
        table("heatmap", {**{k: v for k, v in values.items() if k != "bins"}, "extra": []})
    with pytest.raises(ContractError, match="A value does not fit"):
        table("heatmap", {"banner_id": ["a"], "position": [2**40], "bins": [[1]], "counts": [[1]]})
    with pytest.raises(ContractError, match="declares"):
        write(pa.table({"banner_id": pa.nulls(0)}), "heatmap", tmp_path / "0.parquet")


@pytest.mark.parametrize("numbers", [("1", "2"), ("2", "1")], ids=["clean grid first", "clean grid last"])
def test_a_log_whose_first_grid_is_clean_is_scored(numbers: tuple[str, str], tmp_path: Path) -> None:
    rows = [line.split(",") for line in (Path(__file__).parents[1] / "data/first_grid_clean/clicks.csv").read_text().splitlines()]
    renumbered = {"grid_id": "grid_id", "1": numbers[0], "2": numbers[1]}
    file = tmp_path / "clicks.csv"
    file.write_text("\n".join(",".join([r[0], renumbered[r[1]], *r[2:]]) for r in rows))
    with Store(tmp_path / "s.duckdb") as store:
        ingest(store, [file])
        summary = run.score(store, deep="none")
    assert {str(g.grid_id): (g.n_banners, g.n_flagged) for g in summary.by_grid} == {numbers[0]: (6, 0), numbers[1]: (12, 1)}
