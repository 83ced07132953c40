"""Work spread over processes: the same results as in one, in order, few at a time; errors, ends and what must not be left behind."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.banners.fitting import fit_reference
from core.banners.reference import Reference
from core.detectors import CATALOGUE, default_names
from core.errors import InputError
from core.jobs import executors
from core.jobs.executors import ElsewhereError, Here, Local, LostProcessError, one_thread
from core.scoring import tiered_run
from core.scoring import tiers as cascade
from core.scoring.grid import GridScorer, quiet
from core.scoring.parts import parts_of, read_part
from core.scoring.task import RunTask
from core.scoring.tiered_part import Learned
from tests.scoring.test_tiers import NAMES, banners
from tests.scoring.test_worker import ROOT, table, write_job

EXACT = ("result", "score", "reference", "run_day", "evidence", "heatmap", "stranger")
"""Tables of a run that hold no seconds."""


def nothing_read(item: Any) -> list[Path]:
    return []


def double(given: int, item: int, job: Path, step: executors.Step) -> tuple[int, int]:
    step(f"item {item}")
    return given * item, os.getpid()


def refuse(given: None, item: int, job: Path, step: executors.Step) -> int:
    if item == 3:
        raise InputError("Items are not 3, however this one is. Leave it out.")
    return item


def die(given: None, item: int, job: Path, step: executors.Step) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def mark(given: None, item: int, job: Path, step: executors.Step) -> int:
    (job / f"{item}").touch()
    return item


def threads(given: None, item: int, job: Path, step: executors.Step) -> tuple[int, int]:
    import torch

    return torch.get_num_threads(), int(os.environ["HEATPROOF_THREADS"])


def test_results_come_in_order_from_other_processes(tmp_path: Path) -> None:
    steps: list[str] = []
    found = list(Local(tmp_path, 3).spread(double, 10, range(20), nothing_read, steps.append))
    assert [value for value, _ in found] == [10 * k for k in range(20)]
    assert os.getpid() not in {pid for _, pid in found}
    assert sorted(steps) == sorted(f"item {k}" for k in range(20))


def test_one_piece_stays_in_this_process(tmp_path: Path) -> None:
    assert list(Local(tmp_path, 3).spread(double, 10, [4], nothing_read)) == [(40, os.getpid())]


def test_few_pieces_are_ahead_of_whoever_takes_the_results(tmp_path: Path) -> None:
    others = children_of(os.getpid())  # of tests before: a database, a browser
    found = Local(tmp_path, 2).spread(mark, None, range(50), nothing_read)
    assert [next(found) for _ in range(5)] == list(range(5))
    assert len(list(tmp_path.iterdir())) <= 5 + 2 * 2 + executors.AHEAD
    children = children_of(os.getpid()) - others
    assert len(children) == 2
    found.close()  # type: ignore[attr-defined]
    assert not children & children_of(os.getpid())


@pytest.mark.parametrize("made", [Here(Path()), Local(Path(), 2)])
def test_an_error_is_raised_as_it_was_and_ends_the_others(made: executors.Engine) -> None:
    before = children_of(os.getpid())
    with pytest.raises(InputError, match="Items are not 3, however this one is") as raised:
        list(made.spread(refuse, None, range(9), nothing_read))
    if isinstance(made, Local):
        assert isinstance(raised.value.__cause__, ElsewhereError)
        assert "in refuse" in str(raised.value.__cause__)
    assert children_of(os.getpid()) == before


def test_a_killed_process_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(LostProcessError, match=r"ended with code -9 \(memory\?\)"):
        list(Local(tmp_path, 2).spread(die, None, range(4), nothing_read))


@pytest.mark.parametrize("n", [1, 2])
def test_every_piece_has_one_thread_and_the_rest_of_the_run_all(tmp_path: Path, n: int) -> None:
    import torch

    before = torch.get_num_threads(), os.environ.get("HEATPROOF_THREADS")
    assert set(Local(tmp_path, n).spread(threads, None, range(3), nothing_read)) == {(1, 1)}
    assert (torch.get_num_threads(), os.environ.get("HEATPROOF_THREADS")) == before


ORPHANS = """
import time
from pathlib import Path
from core.jobs.executors import Local
from tests.jobs.test_executors import nothing_read, say_and_wait
list(Local(Path(), 2).spread(say_and_wait, None, range(2), nothing_read, lambda pid: print(pid, flush=True)))
"""


def say_and_wait(given: None, item: int, job: Path, step: executors.Step) -> None:
    step(str(os.getpid()))
    time.sleep(3600)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_their_parent_however_that_ends(how: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", ORPHANS], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    children = {int(parent.stdout.readline()) for _ in range(2)}
    assert children == children_of(parent.pid)
    parent.send_signal(how)
    parent.wait()
    assert parent.stdout.read() == ""  # until the last one that could write there has ended
    parent.stdout.close()
    assert not any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_text() for pid in children)


def children_of(pid: int) -> set[int]:
    return {int(found) for path in Path(f"/proc/{pid}/task").glob("*/children") for found in path.read_text().split()}


@pytest.fixture
def grids(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[dict[str, Any]]]:
    monkeypatch.setattr(cascade, "CONTROL", 100)
    monkeypatch.setattr(cascade, "LEARNED", 100)
    return {5: banners(5, 500, 20), 8: banners(8, 60, 0), 9: banners(9, 320, 9)}


def test_a_cascade_over_processes_is_that_of_one_process_to_the_last_digit(tmp_path: Path, grids: dict[int, Any]) -> None:
    asked = RunTask(fdr=0.1, deep="none")
    totals = []
    for name in ("one", "three"):
        job = write_job(tmp_path / name, grids, detectors=NAMES)
        engine = Here(job) if name == "one" else Local(job, 3)
        totals.append(tiered_run.score(job, parts_of(job), NAMES, [], asked, engine))
    assert totals[0] == totals[1]
    for name in (*EXACT, "cleared"):
        assert table(tmp_path / "one", name).equals(table(tmp_path / "three", name)), name
    assert table(tmp_path / "one", "cleared").num_rows > 200


WORKER = """
import sys
from core.jobs import executors
executors.SMALL = int(sys.argv[2])
from core.jobs.worker import run
from core.scoring.worker import main
run(main)
"""


def test_a_whole_run_over_processes_is_that_of_one_process_to_the_last_digit(tmp_path: Path, grids: dict[int, Any]) -> None:
    names, told = [*NAMES, "kl_divergence", "knn"], {}
    for name, small in (("one", 1_000_000), ("several", 0)):
        job = write_job(tmp_path / name, grids, detectors=names)
        command = [sys.executable, "-c", WORKER, str(job), str(small)]
        environment = {**os.environ, "HEATPROOF_THREADS": "3"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        told[name] = [json.loads(line) for line in done.stdout.splitlines()]
    for name in EXACT:
        assert table(tmp_path / "one", name).equals(table(tmp_path / "several", name)), name
    for lines in told.values():
        shares = [line["done"] for line in lines]
        assert shares == sorted(shares)
    one, several = (sorted(line["what"] for line in told[name]) for name in ("one", "several"))
    assert one == several
    assert "scoring grid 8 (2 of 3): knn learns" in one


def test_fitted_detectors_travel(tmp_path: Path) -> None:
    job = write_job(tmp_path / "job", {5: banners(5, 80, 5), 8: banners(8, 40, 0)})
    heatmaps = [read_part(part).heatmaps for part in parts_of(job)]
    found = [fit_reference(X) for X in heatmaps]
    reference = Reference([g for r in found for g in r.groups], np.concatenate([r.p for r in found]))
    quick = [name for name in default_names() if not CATALOGUE[name].deep]
    with one_thread():
        scorer = GridScorer(5, reference, quick).fit(heatmaps[0], quiet)
        expected = scorer.score(heatmaps[0], quiet)
        sent = pickle.dumps(scorer)
        again = pickle.loads(sent).with_reference(reference).score(heatmaps[0], quiet)
    for name in quick:
        assert np.array_equal(expected.scores[name], again.scores[name]), name
    assert expected.diagnoses == again.diagnoses
    assert expected.weights == again.weights
    learned = Learned.__new__(Learned)
    learned.__setstate__({"reference": reference, "scorers": {5: pickle.loads(sent)}})
    assert learned.scorers[5].reference is reference
    assert sorted(learned.scorers[5].others_) == sorted(scorer.others_) != []
