"""Metrics of a store: the numbers that stand in its tables, in a format that Prometheus' own parser reads."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from core import __version__
from core.clicks.job import IngestRequest
from core.errors import StoreError
from core.jobs.job import Job
from core.review import labels
from core.runs.request import Request
from core.store import Store
from core.ui.server import metrics
from tests.conftest import Filled

Values = dict[tuple[str, tuple[str, ...]], float]


KINDS = ("run", "ingest", "map")


def read(store: Store) -> Values:
    """{(name without heatproof_, label values): value}."""
    text = metrics.exposition(metrics.registry(lambda: store, KINDS)).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(s.name.removeprefix("heatproof_"), tuple(s.labels.values())): s.value for s in samples}


def test_metrics_are_what_the_tables_hold(filled: Filled) -> None:
    store = filled(400)
    banner = store.rows("SELECT banner_id FROM banner ORDER BY banner_id LIMIT 2")
    labels.label(store, banner[0]["banner_id"], "broken", "ana", blind=True)
    labels.label(store, banner[0]["banner_id"], "ok", "ana", blind=True)
    labels.label(store, banner[1]["banner_id"], "ok", "ben", blind=True)
    with store.transaction() as cursor:
        long_ago = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=3)
        cursor.execute("INSERT INTO run_event VALUES (?, ?, 'started', NULL)", [str(uuid.uuid4()), long_ago])
    truth = store.rows("SELECT n_banners, n_flagged, finished_at FROM run_info")[0]
    ended = truth["finished_at"].replace(tzinfo=UTC)
    youngest = (datetime.now(UTC) - ended).total_seconds()
    found = read(store)
    oldest = (datetime.now(UTC) - ended).total_seconds()
    rows = store.rows("SELECT n_accepted, n_rejected FROM ingest")[0]
    expected = {
        ("store_up", ()): 1,
        ("runs", ("running",)): 0,
        ("runs", ("interrupted",)): 1,
        ("runs", ("finished",)): 1,
        ("runs", ("failed",)): 1,
        ("runs", ("cancelled",)): 0,
        ("last_run_banners", ()): truth["n_banners"],
        ("last_run_flagged", ()): truth["n_flagged"],
        ("last_run_finished_timestamp_seconds", ()): ended.timestamp(),
        ("ingest_rows_total", ("accepted",)): rows["n_accepted"],
        ("ingest_rows_total", ("rejected",)): rows["n_rejected"],
        ("ingest_files_total", ()): 1,
        ("rejected_rows", ("coordinate outside 0..1",)): 3,
        ("rejected_rows", ("coordinate empty",)): 3,
        ("banners", ()): 400,
        ("labels", ("broken",)): 0,
        ("labels", ("ok",)): 2,
        ("labels", ("unsure",)): 0,
        ("threshold_version", ()): 0,
        ("store_bytes", ()): store.engine.n_bytes(),
    }
    assert {key: found[key] for key in expected} == expected
    assert youngest <= found["last_run_age_seconds", ()] <= oldest
    assert found["process_resident_memory_bytes", ()] > 1e7
    (about,) = [values for name, values in found if name == "build_info"]
    assert {"1.5.5", __version__} <= set(about)


def test_a_job_in_work_says_how_far_it_is(tmp_path: Path) -> None:
    with Store(tmp_path / "s.duckdb") as store:
        run, ingest = Job("run", Request(), "a"), Job("ingest", IngestRequest([]), "b")
        run.report(0.4, "writing")
        ingest.end("finished")
        ingest.release()
        store.jobs.update(run=run, ingest=ingest)
        found = read(store)
        store.jobs.clear()
    running = {values[0]: value for (name, values), value in found.items() if name == "job_running"}
    assert running == {"run": 1, "ingest": 0, "map": 0}
    assert {values: value for (name, values), value in found.items() if name == "job_done_ratio"} == {("run",): 0.4}


def test_an_empty_store_has_no_run_to_speak_of(tmp_path: Path) -> None:
    with Store(tmp_path / "s.duckdb") as store:
        found = read(store)
    assert found["store_up", ()] == 1
    assert not [name for name, _ in found if name.startswith("last_")]


def test_rejected_rows_are_counted_again_after_an_ingest(tmp_path: Path) -> None:
    with Store(tmp_path / "s.duckdb") as store:
        collector = metrics.StoreCollector(lambda: store, KINDS)

        def rejected() -> dict[str, float]:
            (family,) = [f for f in collector.collect() if f.name == "heatproof_rejected_rows"]
            return {s.labels["reason"]: s.value for s in family.samples}

        assert rejected() == {}
        now, ingest_id = datetime.now(UTC).replace(tzinfo=None), str(uuid.uuid4())
        with store.transaction() as cursor:
            cursor.execute("INSERT INTO reject VALUES (?, 'f', 1, 'no \"x\"', NULL, NULL)", [ingest_id])
            cursor.execute("INSERT INTO ingest VALUES (?, 'f', 'h', 1, 1, 0, 1, 0, NULL, NULL, NULL, ?, ?)", [ingest_id, now, now])
        assert rejected() == {'no "x"': 1}
        assert read(store)["rejected_rows", ('no "x"',)] == 1, "quotes survive the format"


def test_of_a_store_that_does_not_answer_there_is_only_that() -> None:
    def gone() -> Store:
        raise StoreError("A store is there, however it is not.")

    text = metrics.exposition(metrics.registry(gone, KINDS)).decode()
    names = {family.name for family in text_string_to_metric_families(text) if family.name.startswith("heatproof_")}
    assert names == {"heatproof_build_info", "heatproof_store_up"}
    assert "heatproof_store_up 0.0" in text
