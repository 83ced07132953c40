"""Runs over Ray: the same as over processes of this machine, also where a process is killed; what is missing is said."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from core.errors import InputError
from core.features.networks import weight_files
from core.features.networks.weight_files import digest, find_weights
from core.jobs import ray_executor
from core.jobs.executors import ElsewhereError, Here, Step, untold
from core.jobs.ray_executor import RayEngine, check, fresh_folder, started
from core.runs import job_folder, request, run
from core.scoring import tiered_run
from core.scoring import tiers as cascade
from core.scoring.grid import Detectors
from core.scoring.parts import parts_of
from core.scoring.task import RunTask
from core.store import Store
from tests.jobs.test_executors import EXACT, double, nothing_read, refuse, threads
from tests.scoring.test_tiers import NAMES, banners, store
from tests.scoring.test_worker import ROOT, finished, table, write_job

__all__ = ["store"]
needs_ray = pytest.mark.skipif(ray_executor.find_spec("ray") is None, reason="Ray is not installed: pip install -r requirements-ray.txt")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Ray on this machine with two processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEATPROOF_THREADS", "2")
        with started(tmp_path_factory.mktemp("cluster"), None):
            yield


@dataclass
class Killing(RayEngine):
    """Kills the process that is at the second piece of `look_at` when that has done its work, once."""

    marks: Path = Path()

    def spread(self, work: Any, given: Any, items: Sequence[Any], reads: Callable[[Any], list[Path]], told: Step = untold) -> Iterator[Any]:
        return super().spread(killed_once, (work, given, self.marks, items[1]), items, reads, told)


def killed_once(given: Any, item: Any, job: Path, step: Step) -> Any:
    work, inner, marks, victim = given
    result = work(inner, item, job, step)
    (marks / f"{work.__name__}-{os.getpid()}-{os.urandom(4).hex()}").touch()
    if work is tiered_run.look_at and item.folder == victim.folder and not (marks / "killed").exists():
        (marks / "killed").write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return result


def always_killed(given: None, item: int, job: Path, step: Step) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def write(given: str, item: int, job: Path, step: Step) -> str:
    """Reads its file and writes another."""
    (job / "out").mkdir()
    (job / "out" / f"{item}.txt").write_text(given)
    return (job / "in" / f"{item}.txt").read_text()


@needs_ray
@pytest.mark.slow
def test_a_cascade_over_ray_with_a_killed_process_is_that_of_one_process(cluster: None, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(cascade, "CONTROL", 100)
    monkeypatch.setattr(cascade, "LEARNED", 100)
    names, marks = [*NAMES, "knn"], tmp_path / "marks"
    marks.mkdir()
    totals = []
    for name in ("one", "ray"):
        job = write_job(tmp_path / name, {5: banners(5, 500, 20), 8: banners(8, 60, 0), 9: banners(9, 320, 9)}, detectors=names)
        engine = Here(job) if name == "one" else Killing(job, marks)
        totals.append(tiered_run.score(job, parts_of(job), names, [], RunTask(fdr=0.1, deep="none"), engine))
    assert totals[0] == totals[1]
    for name in (*EXACT, "cleared"):
        assert table(tmp_path / "one", name).equals(table(tmp_path / "ray", name)), name
    done = [path.name.split("-")[0] for path in marks.iterdir()]
    assert done.count("look_at") == 3 + 1, "the lost piece was done again, and no other"
    assert int((marks / "killed").read_text()) not in (os.getpid(), 0)


@needs_ray
@pytest.mark.slow
def test_files_travel_and_results_come_in_order(cluster: None, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for k in range(9):
        (tmp_path / "in" / f"{k}.txt").write_text(f"content {k}")
    found = list(RayEngine(tmp_path).spread(write, "given", range(9), lambda k: [Path("in") / f"{k}.txt"]))
    assert found == [f"content {k}" for k in range(9)]
    assert [(tmp_path / "out" / f"{k}.txt").read_text() for k in range(9)] == ["given"] * 9
    assert {pid for _, pid in RayEngine(tmp_path).spread(double, 2, range(9), nothing_read)}.isdisjoint({os.getpid()})
    assert set(RayEngine(tmp_path).spread(threads, None, range(3), nothing_read)) == {(1, 1)}


@needs_ray
@pytest.mark.slow
def test_networks_of_the_store_travel(cluster: None, tmp_path: Path) -> None:
    job = write_job(tmp_path / "job", {5: banners(5, 80, 5), 8: banners(8, 60, 0)})
    (job / "weights").mkdir()
    shipped = find_weights("ssad_clicks")
    save_file({name: 0.9 * w for name, w in load_file(shipped).items()}, job / "weights" / shipped.name)
    samples = tiered_run.draw_samples(job, parts_of(job), 0, [], Here(job))
    reference = tiered_run._fit_references(samples, Here(job))
    detectors = Detectors.of(["ssad_clicks"], RunTask(weights=str(job / "weights")), job)
    assert detectors.own_weights == Path("weights")
    one, ray = (
        [
            scored
            for _, scored, _ in engine.spread(tiered_run.fit_grid, (reference, detectors), samples, lambda sample: detectors.files(job))
        ]
        for engine in (Here(job), RayEngine(job))
    )
    for here, there in zip(one, ray, strict=True):
        assert here.scores["ssad_clicks"].tolist() == there.scores["ssad_clicks"].tolist()
        assert here.weights == there.weights == {"ssad_clicks": f"{shipped.name} {digest(job / 'weights' / shipped.name)}"}
    assert digest(shipped) not in str(one[0].weights)


@needs_ray
@pytest.mark.slow
def test_errors_are_raised_as_they_were(cluster: None, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Items are not 3, however this one is") as raised:
        list(RayEngine(tmp_path).spread(refuse, None, range(9), nothing_read))
    assert isinstance(raised.value.__cause__, ElsewhereError)
    assert "in refuse" in str(raised.value.__cause__)


LOSS = """
from core.jobs.worker import run, say
from core.jobs.ray_executor import started
from tests.jobs.test_ray_executor import always_killed, nothing_read

def main(job):
    with started(job, None) as engine:
        say(0.5, "working")
        list(engine.spread(always_killed, None, range(1), nothing_read))

run(main)
"""


@needs_ray
@pytest.mark.slow
def test_loss_has_an_end_and_is_told_on_standard_error_only(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LOSS, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == '{"done": 0.5, "what": "working"}\n'
    assert "Ray lost the process of a piece of work 4 times" in done.stderr.strip().splitlines()[-1]


@needs_ray
@pytest.mark.slow
def test_a_whole_run_asks_for_ray_in_its_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEATPROOF_THREADS", "2")
    grids = {5: banners(5, 150, 8), 8: banners(8, 60, 0)}
    finished(write_job(tmp_path / "local", grids))
    summary = finished(write_job(tmp_path / "ray", grids, engine="ray", ray_address=None))
    assert summary["settings"]["engine"] == "ray"
    for name in EXACT:
        assert table(tmp_path / "local", name).equals(table(tmp_path / "ray", name)), name
    assert not [path for path in Path(ray_executor.tempfile.gettempdir()).glob("heatproof-ray-*") if not alive(path)]


def alive(path: Path) -> bool:
    return Path(f"/proc/{path.name.split('-')[-2]}").exists()


def test_what_killed_processes_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_executor.tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name in (f"h-{gone.pid}-a", f"h-{os.getpid()}-b", f"other-{gone.pid}-c"):
        (tmp_path / name).mkdir()
    made = fresh_folder("h")
    assert {path.name for path in tmp_path.iterdir()} == {f"h-{os.getpid()}-b", f"other-{gone.pid}-c", made.name}


def test_ray_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_executor, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"which is not installed\. Run `pip install -r requirements-ray\.txt`"):
        check(None)


def test_an_address_is_a_host_and_a_port_that_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_executor, "find_spec", lambda name: name)
    for odd in ("localhost", "ray://localhost:10001", ":6379", "localhost:x"):
        with pytest.raises(InputError, match=r"A Ray address is HOST:PORT; .* is not"):
            check(odd)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        check(f"127.0.0.1:{port}")
    with pytest.raises(InputError, match=f"No Ray cluster answers at 127.0.0.1:{port}"):
        check(f"127.0.0.1:{port}")


def test_a_job_for_ray_takes_the_networks_of_the_store_along(store: Store, tmp_path: Path) -> None:
    own = weight_files.weights_folder(store.path.resolve())
    own.mkdir()
    (own / "ssad_clicks.safetensors").write_bytes(b"trained here")
    (own / "simclr.checkpoint").write_bytes(b"half-way")
    for name in ("local", "ray"):
        (tmp_path / name).mkdir()
    for engine, expected in (("local", own), ("ray", tmp_path / "ray" / "weights")):
        task = job_folder.write_job(store, tmp_path / engine, request.Request(engine=engine), datetime(2100, 1, 1))  # type: ignore[arg-type]
        assert task.weights == str(expected)
    assert [path.name for path in (tmp_path / "ray" / "weights").iterdir()] == ["ssad_clicks.safetensors"]
    assert not (tmp_path / "local" / "weights").exists()


def test_a_run_says_at_once_that_nobody_answers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_executor, "find_spec", lambda name: name)
    with pytest.raises(InputError, match=r"answers at 127\.0\.0\.1:1"):
        run.score(store, engine="ray", ray_address="127.0.0.1:1")
    with pytest.raises(InputError, match=r": the engine is local\. Say --engine ray too"):
        run.score(store, ray_address="127.0.0.1:1")
    assert store.rows("FROM run_event") == []
