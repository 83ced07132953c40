"""The job folder of one run: what goes to the worker, the worker's process, and what comes back.

    job.json                         {"detectors": [names] | null, "deep": "all" | "candidates" | "none", "fdr": 0.1, "seed": 0,
                                      "parent_pid": 123,
                                      "features": folder where features are kept from run to run, beside the store,
                                      "weights": folder of networks trained on this store, beside it, or its copy weights/ here,
                                      "engine": "local" | "ray", "ray_address": HOST:PORT | null}
    heatmaps/grid_id=<id>/*.parquet  banner_id, n_products, domain, day, bins, counts; one or more rows a banner and day;
                                     in a cascade heatmaps/grid_id=<id>/part=<k>/*.parquet, all rows of a banner in one part
    known/references.parquet         grid_id, p (1600): references of the grids that earlier finished runs knew; absent in a first run
    worker.log                       what the worker wrote on stderr
    out/<table>/*.parquet            rows for the tables in intake.TABLES, without run_id; a cascade has tier and cleared, for result, too
    out/summary.json                 totals of the run

The child never opens the store. Its process ends when this one does: it watches `parent_pid`.
"""

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any, Literal

import duckdb

from core import days, settings
from core.errors import InputError, RunCancelledError, RunError
from core.masking import without_passwords
from core.queries import selections
from core.store import Store

WORKER = (sys.executable, "-m", "core.worker")
PER_PART = 200_000
"""Banners of a part of a grid in a cascade, about."""
STOP_S = 5.0
"""Seconds a cancelled worker has to end by itself."""

Deep = Literal["all", "candidates", "none"]
"""Banners that deep detectors look at: all; those who could still be flagged and a control sample; none."""
EngineName = Literal["local", "ray"]
"""Where the work goes: processes of this machine, or Ray."""
Progress = Callable[[float, str], None]
"""Called with the share done (0..1) and what is being done."""


class WorkerCrashedError(RunError):
    """The worker ended by a bug or was killed; `log` is the end of what it wrote on stderr."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log


@dataclass(frozen=True)
class Request:
    """What a run shall score. None = every detector of the default run, every grid, from the first or to the last day."""

    detectors: list[str] | None = None
    grids: list[int] | None = None
    first_day: date | None = None
    last_day: date | None = None
    deep: Deep = "candidates"
    fdr: float = settings.FDR
    seed: int = 0
    cascade: bool = False
    """Score in tiers: see `core.cascade`."""
    budget: float | None = None
    """Share of the banners that all detectors may look at in a cascade, 0..1; None = as many as the control sample asks for."""
    budget_s: float | None = None
    """Seconds of processor time that they may take for that; None = no bound."""
    engine: EngineName = "local"
    ray_address: str | None = None
    """HOST:PORT of a Ray cluster; None = one on this machine, for this run."""

    @property
    def window(self) -> dict[str, Any]:
        """Parameters of WINDOW, which ends by default with the last day that can be: a click of the future is not the newest."""
        return {"first_day": self.first_day, "last_day": self.last_day or days.last_possible(), "grids": self.grids}


def weights_folder(store: Path) -> Path:
    """Where the networks that were trained on this store's own banners lie: beside it, as `<name>.weights`."""
    return store.with_suffix(".weights")


WINDOW = """FROM heatmap_day h JOIN banner b USING (banner_id)
    WHERE ($first_day::DATE IS NULL OR h.day >= $first_day) AND h.day <= $last_day
    AND ($grids::BIGINT[] IS NULL OR b.grid_id IN (SELECT unnest($grids::BIGINT[])))"""
BEFORE = "AND h.ingest_id NOT IN (SELECT ingest_id FROM ingest WHERE finished_at > $before::TIMESTAMP)"
"""Leaves out what finished after a moment: pages show a run what was there when it began, so it must not see more."""


def check_request(store: Store, request: Request) -> None:
    """Raises InputError where the store holds nothing that the request asks for."""
    if request.detectors == []:
        raise InputError("A run takes at least one detector, however none was named. Name some, or leave the choice to the default run.")
    if (request.budget is not None or request.budget_s is not None) and not request.cascade:
        raise InputError("A budget limits the last tier of a cascade, however the run has no tiers. Say --cascade too.")
    if request.budget is not None and not 0 < request.budget <= 1:
        raise InputError(f"A budget is more than 0 and at most 100 percent, however it is {100 * request.budget:g}. Give another.")
    if request.ray_address is not None and request.engine != "ray":
        raise InputError(f"An address is that of a Ray cluster, however the engine is {request.engine}. Say --engine ray too.")
    if request.engine == "ray":
        from core import ray_engine

        ray_engine.check(request.ray_address)
    if request.budget_s is not None and not request.budget_s > 0:
        raise InputError(f"A budget is more than 0 seconds, however it is {request.budget_s:g}. Give another.")
    for grid_id in request.grids or []:
        if not store.rows("SELECT 1 FROM banner WHERE grid_id = ? LIMIT 1", [grid_id]):
            known = [row["grid_id"] for row in store.rows("SELECT DISTINCT grid_id FROM banner ORDER BY grid_id LIMIT 20")]
            raise InputError(f"A run takes grids that have clicks, however grid {grid_id} has none. In the store: {known or 'no grid'}.")
    if request.first_day and request.last_day and request.first_day > request.last_day:
        raise InputError(f"A window starts before it ends, however {request.first_day} is after {request.last_day}. Swap the two.")
    with store.cursor() as cursor:
        n_rows = cursor.execute(f"SELECT count(*) {WINDOW}", request.window).fetchall()[0][0]
        first, last = cursor.execute("SELECT min(day), max(day) FROM heatmap_day").fetchall()[0]
    if not n_rows:
        held = f"its clicks are of {first} to {last}" if first else "it holds no click at all"
        late = days.future_words(days.n_future(store)) if request.last_day is None else ""
        raise InputError(f"A run needs clicks in its window; {store.path} has none there: {held}. Ingest a log or widen it. {late}".strip())


def write_job(store: Store, folder: Path, request: Request, before: datetime) -> None:
    """Writes job.json and the heatmaps of all ingests that had finished `before`.

    DuckDB streams the rows: memory stays under its limit however many there are.
    """
    folder.mkdir(parents=True)
    from core.features.store import folder_of  # here: whoever only shows scores does without it

    features = str(folder_of(store.path.resolve()))
    job = {
        "detectors": request.detectors,
        "deep": request.deep,
        "fdr": request.fdr,
        "seed": request.seed,
        "cascade": request.cascade,
        "budget": request.budget,
        "budget_s": request.budget_s,
        "parent_pid": os.getpid(),
        "features": features,
        "weights": str(_weights(store, folder, request)),
        "chosen": chosen(store),
        "engine": request.engine,
        "ray_address": request.ray_address,
    }
    (folder / "job.json").write_text(json.dumps(job))
    target = str(folder / "heatmaps").replace("'", "''")
    columns, by = "b.grid_id, h.banner_id, b.n_products, b.domain, h.day, h.bins, h.counts", "grid_id"
    source = f"SELECT {columns} {WINDOW} {BEFORE}"
    if request.cascade:  # a worker holds a part at a time, however many banners a grid has
        parts = f"SELECT grid_id, ceil(count(*) / {PER_PART})::BIGINT AS n_parts FROM banner GROUP BY grid_id"
        source, by = f"SELECT s.*, hash(banner_id) % n_parts AS part FROM ({source}) s JOIN ({parts}) USING (grid_id)", "grid_id, part"
    with store.cursor() as cursor:
        cursor.execute(f"COPY ({source}) TO '{target}' (FORMAT parquet, PARTITION_BY ({by}))", {**request.window, "before": before})
        cursor.fetchall()
        _write_known(cursor, folder)


def _weights(store: Store, folder: Path, request: Request) -> Path:
    """The folder of the store's own networks: a copy in the job where the work goes to machines that do not see the store."""
    own = weights_folder(store.path.resolve())
    if request.engine == "local" or not own.exists():
        return own
    return Path(shutil.copytree(own, folder / "weights", ignore=shutil.ignore_patterns("*.checkpoint")))


def chosen(store: Store) -> dict[str, Any] | None:
    """The model that somebody chose for runs: its detector, fields and name; None where nobody did."""
    choice = selections.in_use(store)
    return None if choice is None else {"detector": choice.detector, "fields": choice.fields, "candidate": choice.candidate}


KNOWN = """FROM reference r JOIN (SELECT run_id, finished_at, min(finished_at) OVER () AS first_at FROM run_info) i USING (run_id)
    WHERE r.domain IS NULL
    QUALIFY max(r.n_banners) OVER (PARTITION BY r.run_id, r.grid_id) >= $enough OR i.finished_at = i.first_at"""
"""A grid is known from the store's first finished run, or from a later one in which it had enough banners for a reference of its own."""


def _write_known(cursor: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Writes the newest references of every known grid; nothing where no run has finished yet, since nobody is new then."""
    if not cursor.execute(f"SELECT count(*) FROM (SELECT 1 {KNOWN})", {"enough": settings.MIN_BANNERS}).fetchall()[0][0]:
        return
    (folder / "known").mkdir()
    target = str(folder / "known" / "references.parquet").replace("'", "''")
    cursor.execute(
        f"""COPY (SELECT grid_id, p FROM (SELECT r.grid_id, r.p, r.reference_id, i.finished_at {KNOWN})
            QUALIFY finished_at = max(finished_at) OVER (PARTITION BY grid_id) ORDER BY grid_id, reference_id)
            TO '{target}' (FORMAT parquet)""",
        {"enough": settings.MIN_BANNERS},
    )
    cursor.fetchall()


def run_worker(folder: Path, progress: Progress, cancelled: Callable[[], bool], worker: tuple[str, ...]) -> dict[str, Any]:
    """Runs the command `worker` over the folder to its end; returns its summary.

    Raises RunError with the worker's own message, WorkerCrashedError where it died, RunCancelledError where `cancelled` said so.
    """
    command = [*worker, str(folder)]
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=_environment())
    try:
        error = _follow(process, progress, cancelled)
    finally:
        _stop(process)
    if process.returncode == 2 and error:
        raise RunError(error)
    if process.returncode != 0:
        raise _crashed(process.returncode, folder / "worker.log")
    summary: dict[str, Any] = json.loads((folder / "out" / "summary.json").read_text())
    return summary


def _environment() -> dict[str, str]:
    """The child finds this very `core`, wherever the parent was started. It opens no store, so it gets no password of one."""
    root = str(Path(__file__).resolve().parents[1])
    inherited = os.environ.get("PYTHONPATH")
    return {
        **without_passwords(os.environ),
        "PYTHONPATH": os.pathsep.join([root, inherited] if inherited else [root]),
        "PYTHONUNBUFFERED": "1",
    }


def _follow(process: subprocess.Popen[bytes], progress: Progress, cancelled: Callable[[], bool]) -> str:
    """Reads the worker's lines until it closes its output; returns its error message, or an empty text."""
    assert process.stdout is not None
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_lines, args=(process.stdout, lines), daemon=True).start()
    error = ""
    while True:
        if cancelled():
            raise RunCancelledError("The run was cancelled, nothing of it is kept. Start it again when you like.")
        try:
            line = lines.get(timeout=0.1)
        except queue.Empty:
            continue
        if not line:
            process.wait()
            return error
        message = json.loads(line)
        error = message.get("error", error)
        if "done" in message:
            progress(float(message["done"]), str(message.get("what", "")))


def _read_lines(stream: IO[bytes], lines: "queue.SimpleQueue[bytes]") -> None:
    """Puts every line, and an empty one at the end: reading blocks, cancelling must not."""
    for line in stream:
        if line.strip():
            lines.put(line)
    lines.put(b"")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _crashed(code: int, log: Path) -> WorkerCrashedError:
    tail = log.read_text(errors="replace").strip()[-4000:]
    last = tail.splitlines()[-1] if tail else "it wrote nothing"
    how = f"signal {-code} (memory?)" if code < 0 else f"exit code {code}"
    return WorkerCrashedError(f"A run's worker reports its errors, however this one died with {how}: {last}. Nothing of it is kept.", tail)


@dataclass(frozen=True)
class GridCount:
    """Banners and flags of one grid in a run."""

    grid_id: int
    n_banners: int
    n_flagged: int


@dataclass(frozen=True)
class RunSummary:
    """What a finished run found."""

    run_id: str
    first_day: date
    last_day: date
    n_banners: int
    n_clicks: int
    n_flagged: int
    n_false_expected: float
    fdr: float
    seconds: float
    by_grid: list[GridCount]
    version: int | None = None
    """Threshold version that the flags follow; None = the cut without labels."""
    note: str | None = None
    """Why the version in force could not judge this run."""

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {**asdict(self), "first_day": str(self.first_day), "last_day": str(self.last_day)}


def remove_leftovers(runs: Path) -> None:
    """Deletes the job folders of killed processes: only the owner of the store writes here, and none of its runs is going."""
    if runs.exists():
        for folder in runs.iterdir():
            shutil.rmtree(folder, ignore_errors=True)
