"""One scoring run from store to store: the only place where computing and database meet.

A run is append-only. `started` is written first; the results, the `finished` event and the totals appear in one
transaction, or not at all. `score` runs here and now; `start` runs in the background of a dashboard.
"""

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb

from core import logs
from core.calibration import verdicts, versions
from core.errors import HeatproofError, InputError, RunCancelledError, RunError, disk_space
from core.errors.masking import masked
from core.jobs import process
from core.jobs.job import Handle, gate_of
from core.jobs.process import Progress
from core.logs.strict_json import to_json
from core.runs import import_results, job_folder
from core.runs import request as runs_request
from core.runs.request import Deep, EngineName, GridCount, Request, RunSummary
from core.store import Store, clock
from core.store.locks import Gate

APART = timedelta(seconds=1)
"""Least time between the ends of two runs: pages tell runs apart by the second in which they finished."""
_handles: dict[Path, "RunHandle"] = {}
_opening = threading.Lock()


class RunHandle(Handle):
    """A run of this process; `summary` once finished."""

    def __init__(self, run_id: str, request: Request, gate: Gate | None = None) -> None:
        super().__init__(gate)
        self.run_id = run_id
        self.request = request
        self.summary: RunSummary | None = None


def score(
    store: Store,
    *,
    detectors: Iterable[str] | None = None,
    grids: Iterable[int] | None = None,
    first_day: date | None = None,
    last_day: date | None = None,
    deep: Deep = "candidates",
    cascade: bool = False,
    budget: float | None = None,
    budget_s: float | None = None,
    engine: EngineName = "local",
    ray_address: str | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> RunSummary:
    """Runs to the end in this thread, in tiers where it is a `cascade`. Setting `cancel` stops it within seconds.

    `budget`: share of the banners, 0..1, that all detectors may look at in a cascade, `budget_s`: processor seconds that they may take for
    it; None = as many as the control sample asks for.
    `engine`: where the work goes: processes of this machine, or Ray, at `ray_address` (HOST:PORT) or on this machine for this run alone.

    Raises InputError where there is nothing to score, RunError where the run failed, RunCancelledError where it was cancelled.
    """
    request = replace(_request(detectors, grids, first_day, last_day, deep), cascade=cascade, budget=budget, budget_s=budget_s)
    handle = _open(store, replace(request, engine=engine, ray_address=ray_address))
    return _execute(store, handle, progress, cancel)


def start(
    store: Store,
    *,
    detectors: Iterable[str] | None = None,
    grids: Iterable[int] | None = None,
    first_day: date | None = None,
    last_day: date | None = None,
    deep: Deep = "candidates",
) -> RunHandle:
    """Runs in a background thread. Raises InputError at once where there is nothing to score, RunError where a run is going."""
    handle = _open(store, _request(detectors, grids, first_day, last_day, deep))
    threading.Thread(target=_execute_quietly, args=(store, handle), name=f"run {handle.run_id}", daemon=True).start()
    return handle


def current(store: Store) -> RunHandle | None:
    """The latest run that this process started on the store, going or ended."""
    return _handles.get(store.path.resolve())


def interrupted_runs(store: Store) -> list[dict[str, Any]]:
    """Runs that started and never ended, since their process is gone: run_id, started_at, detail, newest first.

    A store has one run at a time: an unended one is alive where it is this process's own, or the newest while another one holds the gate.
    """
    own = current(store)
    alive = own.run_id if own and own.state == "running" else _alive_elsewhere(store)
    sql = """SELECT run_id::VARCHAR AS run_id, state_at AS started_at, detail FROM run
        WHERE state = 'started' AND run_id IS DISTINCT FROM ?::UUID ORDER BY state_at DESC"""
    return store.rows(sql, [alive])


def _alive_elsewhere(store: Store) -> str | None:
    """The run that another process has in work."""
    if not store.url.is_shared:
        return None
    newest = store.rows("SELECT run_id::VARCHAR AS id FROM run WHERE state = 'started' ORDER BY state_at DESC LIMIT 1")
    gate = store.engine.gate("run")
    if not newest or gate.acquire(wait=False):
        if newest:
            gate.release()
        return None
    return str(newest[0]["id"])


def _request(
    detectors: Iterable[str] | None, grids: Iterable[int] | None, first_day: date | None, last_day: date | None, deep: Deep
) -> Request:
    names = None if detectors is None else list(detectors)
    return Request(names, None if grids is None else list(grids), first_day, last_day, deep)


def _open(store: Store, request: Request) -> RunHandle:
    """Checks the request, clears what killed runs left, writes the `started` event."""
    runs_request.check_request(store, request)
    key = store.path.resolve()
    with _opening:
        going = _handles.get(key)
        if going and going.state == "running":
            raise RunError(f"A store has one run at a time, however {going.run_id} is at {going.done:.0%}. Wait for it or cancel it.")
        run_id = str(store.rows("SELECT uuidv7() AS run_id")[0]["run_id"])
        handle = RunHandle(run_id, request, gate_of(store, "run", "A store has one run at a time"))
        _handles[key] = handle
    try:
        job_folder.remove_leftovers(_runs_folder(store))
        with store.transaction() as cursor:
            # in turn: an ingest is whole in the store before this moment, or finishes after it
            handle.started_at = clock.moment(cursor, "run_event", "ingest")
            _event(
                cursor,
                handle.run_id,
                handle.started_at,
                "started",
                {**request.window, "last_day": request.last_day, "detectors": request.detectors},
            )
    except BaseException as error:
        handle.end("failed", str(error))
        raise
    logs.event("run_started", run_id=handle.run_id, store=store.url.shown, detectors=request.detectors, grids=request.grids)
    return handle


def _execute(store: Store, handle: RunHandle, progress: Progress | None, cancel: threading.Event | None) -> RunSummary:
    """Runs, and leaves exactly one end: finished, cancelled or failed."""
    folder = _runs_folder(store) / handle.run_id

    def report(done: float, what: str) -> None:
        handle.report(done, what)
        if progress:
            progress(done, what)

    def cancelled() -> bool:
        return handle.is_cancelled or (cancel is not None and cancel.is_set())

    try:
        with disk_space.named():
            handle.summary = _run(store, handle, folder, report, cancelled)
    except (RunCancelledError, KeyboardInterrupt) as error:
        logs.event("run_cancelled", run_id=handle.run_id)
        _end(store, handle, "cancelled", str(error) or "The run was interrupted at the keyboard, nothing of it is kept.")
        raise
    except BaseException as error:
        logs.failure("run_failed", error, run_id=handle.run_id)
        _end(store, handle, "failed", str(error) or type(error).__name__)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()  # unless something else lies in it
    found = handle.summary
    logs.event("run_finished", run_id=found.run_id, banners=found.n_banners, flagged=found.n_flagged, seconds=round(found.seconds, 3))
    handle.end("finished")
    return found


def _execute_quietly(store: Store, handle: RunHandle) -> None:
    """The background thread: the handle tells what went wrong, and a bug leaves its traceback on stderr too."""
    with contextlib.suppress(HeatproofError):
        _execute(store, handle, None, None)


def _run(store: Store, handle: RunHandle, folder: Path, report: Progress, cancelled: Callable[[], bool]) -> RunSummary:
    began = time.monotonic()
    report(0.0, "writing the heatmaps for the worker")
    job_folder.write_job(store, folder, handle.request, handle.started_at)
    summary = process.run_worker(folder, lambda done, what: report(0.05 + 0.85 * done, what), cancelled, job_folder.WORKER)
    report(0.9, "taking the results into the store")
    while True:
        try:
            finished = _import(store, handle, folder, summary, began, cancelled)
        except _OvertakenError:
            report(0.9, "taking the results in again: another threshold version came into force")
            continue
        report(1.0, "done")
        return finished


class _OvertakenError(Exception):
    """A threshold version came into force while results were taken in."""


def _import(
    store: Store, handle: RunHandle, folder: Path, summary: dict[str, Any], began: float, cancelled: Callable[[], bool]
) -> RunSummary:
    """Takes the results in and judges them by the version in force. Raises _OvertakenError where another one came in between."""
    with store.bulk() as begun:
        cursor = begun.cursor
        import_results.import_tables(cursor, folder, handle.run_id, summary["n_banners"])
        if cancelled():
            raise RunCancelledError("The run was cancelled, nothing of it is kept. Start it again when you like.")
        seen = versions.in_force_id(cursor)
        begun.take_turn()
        with store.cursor() as now:
            if versions.in_force_id(now) != seen:
                raise _OvertakenError
            finished_at = max(clock.moment(now, "run_event"), clock.moment(now, "run_info", step=APART))
        return _judged(cursor, _finish(cursor, handle, finished_at, summary, time.monotonic() - began))


def _finish(
    cursor: duckdb.DuckDBPyConnection, handle: RunHandle, finished_at: datetime, summary: dict[str, Any], seconds: float
) -> RunSummary:
    """Writes the totals and the `finished` event."""
    _event(cursor, handle.run_id, finished_at, "finished", {})
    row = {
        "run_id": handle.run_id,
        "started_at": handle.started_at,
        "finished_at": finished_at,
        "first_day": summary["first_day"],
        "last_day": summary["last_day"],
        "grids": handle.request.grids,
        "n_banners": summary["n_banners"],
        "n_clicks": summary["n_clicks"],
        "n_flagged": summary["n_flagged"],
        "n_false_expected": summary["n_false_expected"],
        "fdr": handle.request.fdr,
        "seconds": seconds,
        "settings": to_json({**summary["settings"], "duckdb": duckdb.__version__}),
    }
    cursor.execute(f"INSERT INTO run_info ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    return RunSummary(
        run_id=handle.run_id,
        first_day=date.fromisoformat(summary["first_day"]),
        last_day=date.fromisoformat(summary["last_day"]),
        n_banners=summary["n_banners"],
        n_clicks=summary["n_clicks"],
        n_flagged=summary["n_flagged"],
        n_false_expected=summary["n_false_expected"],
        fdr=handle.request.fdr,
        seconds=seconds,
        by_grid=_by_grid(cursor, handle.run_id),
    )


def _by_grid(cursor: duckdb.DuckDBPyConnection, result_id: str) -> list[GridCount]:
    sql = "SELECT grid_id, count(*), count_if(flagged) FROM result WHERE run_id = ? GROUP BY grid_id ORDER BY grid_id"
    return [GridCount(*row) for row in cursor.execute(sql, [result_id]).fetchall()]


def _judged(cursor: duckdb.DuckDBPyConnection, summary: RunSummary) -> RunSummary:
    """The run judged by the version in force; one that asks for detectors which this run lacks leaves it as it is, and says so."""
    try:
        shown = verdicts.show_in_force(cursor, summary.run_id)
    except InputError as error:
        return replace(summary, note=f"The flags follow the cut without labels. {error}")
    if shown is None:
        return summary
    by_grid = _by_grid(cursor, shown.result_id)
    return replace(summary, by_grid=by_grid, n_flagged=shown.n_flagged, n_false_expected=shown.n_false_expected, version=shown.number)


def _end(store: Store, handle: RunHandle, state: Literal["failed", "cancelled"], error: str) -> None:
    """Writes the end of a run that did not finish. The handle ends even where the store cannot take the event, which is logged."""
    try:
        with store.transaction() as cursor:
            _event(cursor, handle.run_id, clock.moment(cursor, "run_event"), state, {"error": masked(error)})
    except (HeatproofError, duckdb.Error) as unwritten:  # the next start finds the run as interrupted
        logs.failure("run_end_unwritten", unwritten, run_id=handle.run_id)
    finally:
        handle.end(state, error)


def _event(cursor: duckdb.DuckDBPyConnection, run_id: str, at: datetime, state: str, detail: dict[str, Any]) -> None:
    cursor.execute("INSERT INTO run_event VALUES (?, ?, ?, ?)", [run_id, at, state, to_json(detail)])


def _runs_folder(store: Store) -> Path:
    return store.path.with_name(store.path.stem + ".runs")
