"""The mechanism of background work, once, by a fake kind with a fake worker."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.__main__ import app
from core.clicks.job import INGEST, IngestRequest
from core.errors import InputError, RunCancelledError, RunError
from core.jobs import process
from core.jobs import running as jobs
from core.jobs.job import Job
from core.runs import run
from core.store import Store
from tests.support.drive_job import HANGING
from tests.support.fake_child import until
from tests.support.fake_kind import FAKE, FakeRequest
from tests.support.unscored_store import ROOT, fill, use_fake_worker

HANG = FakeRequest(behaviour="hang")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    FAKE.ends.clear()
    with Store(tmp_path / "s.duckdb") as store:
        yield store


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Store]:
    FAKE.ends.clear()
    with Store(f"ducklake:sqlite:{tmp_path / 'l.sqlite'}") as store:
        yield store


def free(store: Store) -> bool:
    """Whether the next job may begin, and nothing lies around."""
    lock = store.locks["fake"]
    is_free = lock.acquire(wait=False)
    if is_free:
        lock.release()
    return is_free and not jobs.folder_of(store, FAKE).exists()


def hanging(store: Store) -> Job[FakeRequest, list[int]]:
    job = jobs.start(store, FAKE, HANG)
    until(lambda: job.what.isdigit())
    return job


def test_a_job_goes_from_request_to_result_with_progress(store: Store) -> None:
    seen: list[tuple[float, str]] = []
    assert jobs.run(store, FAKE, FakeRequest(3), lambda done, what: seen.append((done, what))) == [1, 4, 9]
    assert seen[0] == (0.0, "preparing")
    assert [line for line in seen if line[1].startswith("squaring")] == [
        (0.3333, "squaring 1"),
        (0.6667, "squaring 2"),
        (1.0, "squaring 3"),
    ]
    assert seen[-1] == (1.0, "done")
    job = jobs.current(store, FAKE)
    assert job is not None
    assert (job.state, job.result, job.error, FAKE.ends) == ("finished", [1, 4, 9], None, [("finished", None)])
    assert job.numbers == {"loss": 1 / 3}
    assert job.curve("loss") == [(0.3333, 1.0), (0.6667, 0.5), (1.0, 1 / 3)]
    assert job.curve("nothing") == []
    assert free(store)


def test_a_job_in_the_background_is_watched_and_dismissed_once_it_ended(store: Store) -> None:
    job = jobs.start(store, FAKE, FakeRequest(2))
    assert jobs.all_current(store) == {"fake": job}
    assert job.wait(20)
    assert (job.state, job.done, job.result) == ("finished", 1.0, [1, 4])
    jobs.dismiss(store, FAKE)
    assert jobs.current(store, FAKE) is None
    going = hanging(store)
    jobs.dismiss(store, FAKE)
    assert jobs.current(store, FAKE) is going, "what is running is not dismissed"


def test_what_is_left_is_judged_by_the_pace_since_the_first_number(store: Store) -> None:
    job = jobs.start(store, FAKE, FakeRequest(1))
    assert job.wait(20)
    job.report(0.5, "later")
    assert job.seconds_left is None, "no pace where nothing was done since"


def test_a_second_one_is_refused_with_the_name_and_the_progress_of_the_first(store: Store) -> None:
    job = hanging(store)
    for begin in (jobs.start, jobs.run):
        with pytest.raises(RunError) as refused:
            begin(store, FAKE, FakeRequest())
        assert str(refused.value) == "Only one fake job at a time per store: squares up to 4 is at 40 %. Wait for it or cancel it."
    assert jobs.current(store, FAKE) is job


def test_a_cancelled_job_says_what_is_kept_and_frees_everything(store: Store) -> None:
    job = hanging(store)
    assert not free(store)
    job.cancel()
    assert job.wait(20)
    said = "The fake job was cancelled, nothing of it is kept."
    assert (job.state, job.error, job.result, FAKE.ends) == ("cancelled", said, None, [("cancelled", said)])
    assert free(store)
    assert jobs.run(store, FAKE, FakeRequest(1)) == [1]


def test_setting_the_event_cancels_a_job_of_this_thread(store: Store) -> None:
    cancel = threading.Event()

    def progress(done: float, what: str) -> None:
        if what.isdigit():
            cancel.set()

    with pytest.raises(RunCancelledError, match="nothing of it is kept"):
        jobs.run(store, FAKE, HANG, progress, cancel)
    assert free(store)


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("refuse", "^A rule; it was broken. Mend it.$"),
        ("crash", "exit code 1: ZeroDivisionError: a planted bug"),
        ("killed", r"signal 9 \(memory\?\): it wrote nothing"),
    ],
)
def test_a_failed_child_is_a_message_and_leaves_nothing(store: Store, behaviour: str, message: str) -> None:
    with pytest.raises(RunError, match=message) as failed:
        jobs.run(store, FAKE, FakeRequest(behaviour=behaviour))  # type: ignore[arg-type]
    job = jobs.current(store, FAKE)
    assert job is not None
    assert (job.state, job.error, job.failure) == ("failed", str(failed.value), failed.value)
    assert FAKE.ends == [("failed", str(failed.value))]
    assert free(store)


def test_a_crash_keeps_the_childs_traceback(store: Store) -> None:
    with pytest.raises(process.WorkerCrashedError) as caught:
        jobs.run(store, FAKE, FakeRequest(behaviour="crash"))
    assert caught.value.log.startswith("Traceback")


def test_what_a_library_prints_is_no_line_of_progress(store: Store) -> None:
    assert jobs.run(store, FAKE, FakeRequest(2, "chatty")) == [1, 4]


def test_what_cannot_be_done_is_refused_before_anything_is_taken(store: Store) -> None:
    with pytest.raises(InputError, match="0 is less"):
        jobs.start(store, FAKE, FakeRequest(0))
    assert jobs.current(store, FAKE) is None
    assert free(store)


def test_a_job_that_cannot_begin_frees_its_lock(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def began(store: Store, job: object) -> None:
        raise InputError("no")

    with monkeypatch.context() as changed:
        changed.setattr(FAKE, "began", began)
        with pytest.raises(InputError):
            jobs.start(store, FAKE, FakeRequest())
    job = jobs.current(store, FAKE)
    assert job is not None
    assert job.wait(0)
    assert (job.state, job.error) == ("failed", "no")
    assert free(store)


def test_a_bug_while_results_are_taken_in_ends_the_job_with_its_type(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def take_in(*args: object) -> list[int]:
        raise KeyError("x")

    monkeypatch.setattr(FAKE, "take_in", take_in)
    with pytest.raises(KeyError):
        jobs.run(store, FAKE, FakeRequest())
    job = jobs.current(store, FAKE)
    assert job is not None
    assert (job.state, job.error) == ("failed", "KeyError: 'x'")
    assert free(store)


def test_closing_the_store_cancels_its_jobs(tmp_path: Path) -> None:
    with Store(tmp_path / "s.duckdb") as store:
        job = hanging(store)
        folder = jobs.folder_of(store, FAKE)
    assert job.wait(0)
    assert job.state == "cancelled"
    assert not folder.exists()
    with Store(tmp_path / "s.duckdb") as again:
        assert jobs.current(again, FAKE) is None, "jobs belong to the open store, not to the module"


@contextmanager
def other_process(store: Store, name: str) -> Iterator[subprocess.Popen[str]]:
    """Another process with a job of this kind at 40 %; its child's process id is `pid` of a fake job."""
    command = [sys.executable, "-m", "tests.support.drive_job", str(store.url), name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("0.40"):
                break
        until(lambda: '"done": 0.4' in notes(store, name))
        yield process
    finally:
        process.kill()
        process.communicate()


def notes(store: Store, name: str) -> str:
    """What the processes on a store note of their progress."""
    try:
        return " ".join(file.read_text() for file in store.path.parent.glob(f"{store.path.stem}.{name}/*/progress.json"))
    except FileNotFoundError:
        return ""


def scored(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch)
    fill(store)
    run.score(store)


@pytest.mark.parametrize(("name", "what", "title"), [("map", "PCA of heatmap", "map"), ("training", "cluster_count", "training")])
def test_a_job_of_another_process_is_refused_here_and_swept_once_that_was_killed(
    lake: Store, name: str, what: str, title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(lake, monkeypatch)
    kind, request = HANGING[name]
    said = f"Only one {title} at a time per store: {what} is at 40 %. Wait for it or cancel it."
    verb = {"map": ["embed"], "training": ["train", "cluster_count"]}[name]
    with other_process(lake, name) as other:
        with pytest.raises(RunError) as refused:
            jobs.run(lake, kind, request)
        assert str(refused.value) == said
        with pytest.raises(RunError):
            jobs.start(lake, kind, request)
        done = CliRunner().invoke(app, [*verb, "--store", str(lake.url)])
        assert (done.exit_code, said in " ".join(done.stderr.split())) == (2, True), done.output
        left = list(jobs.folder_of(lake, kind).iterdir())
        assert len(left) == 1
        other.kill()
        other.wait()
    assert left[0].exists(), "nobody was there to remove it"
    monkeypatch.setattr(kind, "command", ("sh", "-c", """echo '{"error": "A rule."}'; exit 2"""))
    with pytest.raises(RunError, match="A rule"):
        jobs.run(lake, kind, request)
    assert not jobs.folder_of(lake, kind).exists()


def test_the_child_ends_with_a_parent_that_was_killed(lake: Store) -> None:
    with other_process(lake, "fake") as other:
        (log,) = jobs.folder_of(lake, FAKE).glob("*/worker.log")
        children = Path(f"/proc/{other.pid}/task/{other.pid}/children").read_text().split()
        assert children
        other.send_signal(signal.SIGKILL)
        other.wait()
        until(lambda: not any(Path(f"/proc/{child}/cmdline").exists() and Path(f"/proc/{child}/cmdline").read_text() for child in children))
    assert log.exists()
    assert jobs.run(lake, FAKE, FakeRequest(2)) == [1, 4]
    assert free(lake)


def test_an_interrupt_at_the_keyboard_is_a_cancellation(lake: Store) -> None:
    with other_process(lake, "fake") as other:
        other.send_signal(signal.SIGINT)
        said, _ = other.communicate(timeout=120)
        assert said.strip().splitlines()[-1] == "The fake job was cancelled, nothing of it is kept."
        assert other.returncode == 130
    assert free(lake)


def test_a_verb_that_is_interrupted_says_what_is_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt("The training was stopped, its checkpoint is kept.")

    monkeypatch.setattr(jobs, "run", interrupted)
    done = CliRunner().invoke(app, ["train", "cluster_count", "--store", str(store.path), "--json"])
    assert done.exit_code == 130
    assert "its checkpoint is kept" in done.stderr
    assert "its checkpoint is kept" in done.stdout


def test_two_stores_of_one_process_take_one_lock(lake: Store) -> None:
    with Store(lake.url) as other:
        hanging(lake)
        with pytest.raises(RunError, match="Only one fake job at a time per store: squares up to 4 is at"):
            jobs.run(other, FAKE, FakeRequest())
        assert jobs.in_progress_elsewhere(other, FAKE)
        assert not jobs.in_progress_elsewhere(lake, FAKE)


def test_an_ingest_waits_for_another_and_can_be_cancelled_meanwhile(store: Store, tmp_path: Path) -> None:
    log = tmp_path / "clicks.csv"
    log.write_text("banner_id,grid_id,n_products,domain,click_x_rel,click_y_rel,clicked_at\nb,7,4,d.example,0.5,0.5,2026-10-01T12:00:00Z\n")
    with store.locks["ingest"]:
        job = jobs.start(store, INGEST, IngestRequest([log]))
        until(lambda: job.what == "waiting for another ingest")
        job.cancel()
        assert job.wait(20)
        assert job.state == "cancelled"
        assert not store.locks["ingest"].acquire(wait=False), "the lock of another is not released"
        job = jobs.start(store, INGEST, IngestRequest([log]))
        until(lambda: job.what == "waiting for another ingest")
    assert job.wait(20)
    assert (job.state, store.rows("SELECT count(*) AS n FROM banner")) == ("finished", [{"n": 1}])
