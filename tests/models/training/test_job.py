"""Trainings of the dashboard, through the real child process."""

from pathlib import Path

import pytest

from core.errors import InputError, RunError
from core.features.networks import weight_files
from core.features.networks.weight_files import read_about
from core.jobs import running as jobs
from core.models.training import job as train_job
from core.models.training.job import TRAINING
from core.models.training.request import TrainRequest
from core.store import Store
from tests.support import fake_child
from tests.support.stores import filled_store

LIMIT_S = 120


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with just enough banners to learn from."""
    return filled_store(tmp_path / "s.duckdb", 520)


@pytest.mark.slow
def test_a_network_learns_from_an_open_store_and_its_weights_are_used(store: Store) -> None:
    handle = jobs.start(store, TRAINING, TrainRequest("ssad_clicks", steps=4))
    with pytest.raises(RunError, match="Only one training at a time per store: ssad_clicks is at"):
        jobs.start(store, TRAINING, TrainRequest("simclr", steps=1))
    assert handle.wait(LIMIT_S)
    assert handle.state == "finished", handle.error
    assert [done for done, _ in handle.curve("loss")] == [0.25, 0.5, 0.75, 1.0]
    assert all(0 < loss < 5 for _, loss in handle.curve("loss"))
    weights = weight_files.weights_folder(store.path) / "ssad_clicks.safetensors"
    assert read_about(weights)["banners"] == "of the store"
    assert handle.result is not None
    assert handle.result.about["steps"] == 4
    row = next(r for r in train_job.networks(store.path) if r["name"] == "ssad_clicks")
    assert (row["is_own"], row["about"]["steps"], row["stopped_at"]) == (True, "4", None)
    assert not list(store.path.parent.glob("*.training"))
    train_job.discard(store, "ssad_clicks")
    assert not next(r for r in train_job.networks(store.path) if r["name"] == "ssad_clicks")["is_own"]
    kept = [p.name for p in weights.parent.iterdir()]
    assert kept == [f"ssad_clicks-{row['weights'].split()[1]}.safetensors"], "under another name"
    with pytest.raises(InputError, match="runs by the shipped ones"):
        train_job.discard(store, "ssad_clicks")
    assert store.rows("SELECT count(*) AS n FROM banner")[0]["n"] == 520, "the store stayed open"
    jobs.dismiss(store, TRAINING)
    assert jobs.current(store, TRAINING) is None


def test_progress_names_loss_and_what_is_left(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [f"say({k / 10}, 'step {k} of 10', loss={1 / k:.4f}); time.sleep(0.3)" for k in (6, 7, 8)]
    fake_child.use(TRAINING, tmp_path, monkeypatch, *said, "time.sleep(60)")
    handle = jobs.start(store, TRAINING, TrainRequest("cluster_count"))
    for _ in range(200):
        if handle.done == 0.8 or handle.wait(0.05):
            break
    assert handle.curve("loss") == [(0.6, 0.1667), (0.7, 0.1429), (0.8, 0.125)]
    assert handle.seconds_left is not None
    assert 0.2 < handle.seconds_left < 20, "of what this training did, not of what a stopped one did before it"
    assert not list(store.path.parent.glob("s.training/*/banners.parquet")), "it draws its images"
    handle.cancel()
    assert handle.wait(20)
    assert (handle.state, str(handle.error)[:38]) == ("cancelled", "The training was stopped before its fi")
    assert not list(store.path.parent.glob("*.training"))


def test_a_stopped_training_says_that_it_goes_on(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = "p = pathlib.Path(asked['out']); p.mkdir(exist_ok=True); (p / 'simclr.checkpoint').write_text('x')"
    fake_child.use(TRAINING, tmp_path, monkeypatch, write, "say(0.5, 'half')", "time.sleep(60)")
    handle = jobs.start(store, TRAINING, TrainRequest("simclr"))
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
    fake_child.use(TRAINING, tmp_path, monkeypatch, "refuse('A rule; it was broken. Mend it.')")
    handle = jobs.start(store, TRAINING, TrainRequest("simclr"))
    assert handle.wait(20)
    assert (handle.state, handle.error) == ("failed", "A rule; it was broken. Mend it.")
    fake_child.use(TRAINING, tmp_path, monkeypatch, "1 / 0")
    handle = jobs.start(store, TRAINING, TrainRequest("simclr"))
    assert handle.wait(20)
    assert handle.state == "failed"
    assert "ZeroDivisionError" in str(handle.error)


def test_what_cannot_be_trained_is_said_at_once(tmp_path: Path) -> None:
    with Store(tmp_path / "empty.duckdb") as empty:
        with pytest.raises(InputError, match=r"needs 500 banners; .* holds 0"):
            jobs.start(empty, TRAINING, TrainRequest("simclr"))
        with pytest.raises(InputError, match="'resnet' is none of them"):
            jobs.start(empty, TRAINING, TrainRequest("resnet"))
        with pytest.raises(InputError, match="1 step or more; 0 was given"):
            jobs.start(empty, TRAINING, TrainRequest("cluster_count", steps=0))
        assert jobs.current(empty, TRAINING) is None


def test_every_network_has_weights_to_name(tmp_path: Path) -> None:
    rows = train_job.networks(tmp_path / "s.duckdb")
    assert [r["name"] for r in rows] == ["cluster_count", "cluster_location", "simclr", "ssad_clicks", "vit_small"]
    assert all(r["about"]["command"].startswith("python -m core train") and not r["is_own"] for r in rows)
