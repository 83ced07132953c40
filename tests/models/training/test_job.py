"""Trainings of the dashboard, through the real child process."""

import json
from pathlib import Path

import pytest

from core.errors import InputError, RunError
from core.features.networks import weight_files
from core.features.networks.weight_files import read_about
from core.models.training import job as train_job
from core.models.training.job import TrainRequest
from core.store import Store
from tests.support.stores import filled_store

LIMIT_S = 120


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with just enough banners to learn from."""
    return filled_store(tmp_path / "s.duckdb", 520)


def fake_worker(folder: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Trainings of this test run these lines of Python instead, with `job` as their folder."""
    script = folder / "fake.py"
    begin = ["import json, sys, time, pathlib", "job = pathlib.Path(sys.argv[1])", "asked = json.loads((job / 'job.json').read_text())"]
    script.write_text("\n".join([*begin, *lines]))
    monkeypatch.setattr(train_job, "WORKER", (train_job.WORKER[0], str(script)))


@pytest.mark.slow
def test_a_network_learns_from_an_open_store_and_its_weights_are_used(store: Store) -> None:
    handle = train_job.start(store, TrainRequest("ssad_clicks", steps=4))
    with pytest.raises(RunError, match="one network at a time, however ssad_clicks is at"):
        train_job.start(store, TrainRequest("simclr", steps=1))
    assert handle.wait(LIMIT_S)
    assert handle.state == "finished", handle.error
    assert [done for done, _ in handle.losses] == [0.25, 0.5, 0.75, 1.0]
    assert all(0 < loss < 5 for _, loss in handle.losses)
    weights = weight_files.weights_folder(store.path) / "ssad_clicks.safetensors"
    assert read_about(weights)["banners"] == "of the store"
    assert handle.about["steps"] == "4"
    row = next(r for r in train_job.networks(store.path) if r["name"] == "ssad_clicks")
    assert (row["is_own"], row["about"]["steps"], row["stopped_at"]) == (True, "4", None)
    assert not list(store.path.parent.glob("*.trainings"))
    train_job.discard(store, "ssad_clicks")
    assert not next(r for r in train_job.networks(store.path) if r["name"] == "ssad_clicks")["is_own"]
    kept = [p.name for p in weights.parent.iterdir()]
    assert kept == [f"ssad_clicks-{row['weights'].split()[1]}.safetensors"], "under another name"
    with pytest.raises(InputError, match="runs by the shipped ones"):
        train_job.discard(store, "ssad_clicks")
    assert store.rows("SELECT count(*) AS n FROM banner")[0]["n"] == 520, "the store stayed open"
    train_job.forget(store)
    assert train_job.current(store) is None


def test_progress_names_loss_and_what_is_left(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [json.dumps({"done": k / 10, "what": f"step {k} of 10, loss {1 / k:.4f}"}) for k in (6, 7, 8)]
    fake_worker(tmp_path, monkeypatch, *[f"print({line!r}, flush=True); time.sleep(0.3)" for line in said], "time.sleep(60)")
    handle = train_job.start(store, TrainRequest("cluster_count"))
    for _ in range(200):
        if handle.done == 0.8 or handle.wait(0.05):
            break
    assert handle.losses == [(0.6, 0.1667), (0.7, 0.1429), (0.8, 0.125)]
    assert handle.left_s is not None
    assert 0.2 < handle.left_s < 20, "of what this training did, not of what a stopped one did before it"
    assert not (store.path.parent / "s.trainings" / "cluster_count" / "banners.parquet").exists(), "it draws its images"
    handle.cancel()
    assert handle.wait(20)
    assert (handle.state, str(handle.error)[:38]) == ("cancelled", "The training was stopped before its fi")
    assert not list(store.path.parent.glob("*.trainings"))


def test_a_stopped_training_says_that_it_goes_on(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = "p = pathlib.Path(asked['weights']); p.mkdir(exist_ok=True); (p / 'simclr.checkpoint').write_text('x')"
    fake_worker(tmp_path, monkeypatch, write, "print(json.dumps({'done': 0.5, 'what': 'half'}), flush=True)", "time.sleep(60)")
    handle = train_job.start(store, TrainRequest("simclr"))
    for _ in range(200):
        if handle.done == 0.5 or handle.wait(0.05):
            break
    handle.cancel()
    assert handle.wait(20)
    assert "goes on from there" in str(handle.error)
    row = next(r for r in train_job.networks(store.path) if r["name"] == "simclr")
    assert row["stopped_at"] is not None
    assert not row["is_own"]


def test_a_child_s_own_message_and_a_crash_are_both_told(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_worker(tmp_path, monkeypatch, "print(json.dumps({'error': 'Rule, however not. Mend it.'}), flush=True)", "sys.exit(2)")
    handle = train_job.start(store, TrainRequest("simclr"))
    assert handle.wait(20)
    assert (handle.state, handle.error) == ("failed", "Rule, however not. Mend it.")
    fake_worker(tmp_path, monkeypatch, "1 / 0")
    handle = train_job.start(store, TrainRequest("simclr"))
    assert handle.wait(20)
    assert handle.state == "failed"
    assert "ZeroDivisionError" in str(handle.error)


def test_what_cannot_be_trained_is_said_at_once(tmp_path: Path) -> None:
    with Store(tmp_path / "empty.duckdb") as empty:
        with pytest.raises(InputError, match=r"needs 500 banners: .* holds 0"):
            train_job.start(empty, TrainRequest("simclr"))
        with pytest.raises(InputError, match=": 'resnet' is none"):
            train_job.start(empty, TrainRequest("resnet"))
        with pytest.raises(InputError, match="1 step or more, however 0"):
            train_job.start(empty, TrainRequest("cluster_count", steps=0))
        assert train_job.current(empty) is None


def test_every_network_has_weights_to_name(tmp_path: Path) -> None:
    rows = train_job.networks(tmp_path / "s.duckdb")
    assert [r["name"] for r in rows] == ["cluster_count", "cluster_location", "simclr", "ssad_clicks", "vit_small"]
    assert all(r["about"]["command"].startswith("python -m core train") and not r["is_own"] for r in rows)
