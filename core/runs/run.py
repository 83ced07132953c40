"""One scoring run from store to store: the only place where computing and database meet.

A run is append-only. `started` is written first; the results, the `finished` event and the totals appear in one
transaction, or not at all.
"""

import threading
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import duckdb

from core import logs
from core.calibration import verdicts, versions
from core.errors import HeatproofError, InputError, RunCancelledError
from core.errors.masking import masked
from core.jobs import running as jobs
from core.jobs.job import Job, State
from core.jobs.kind import Kind
from core.logs.progress import Display
from core.logs.strict_json import to_json
from core.runs import import_results, job_folder
from core.runs import request as runs_request
from core.runs.request import GridCount, Request, RunSummary
from core.scoring.task import RunTask
from core.store import Store, clock

APART = timedelta(seconds=1)
"""Least time between the ends of two runs: pages tell runs apart by the second in which they finished."""
RunJob: TypeAlias = Job[Request, RunSummary]


class RunKind(Kind[Request, RunTask, RunSummary]):
    """Its id is the run_id. Nothing is kept of a cancelled or failed run but its events."""

    name = "run"
    title = "run"
    when_cancelled = "The run was cancelled, nothing of it is kept. Start it again when you like."
    worker = "core.scoring.worker"
    preparing = "writing the heatmaps for the worker"
    share = (0.05, 0.9)

    def check(self, store: Store, request: Request) -> Request:
        """Raises InputError where the store holds nothing that the request asks for."""
        runs_request.check_request(store, request)
        return request

    def words(self, request: Request) -> str:
        """What it scores."""
        return "the run of all grids" if request.grids is None else f"the run of grid {', '.join(map(str, request.grids))}"

    def facts(self, job: RunJob) -> dict[str, Any]:
        """What was asked for, and what was found."""
        found = {} if job.result is None else {"banners": job.result.n_banners, "flagged": job.result.n_flagged}
        return {"run_id": job.id, "detectors": job.request.detectors, "grids": job.request.grids, **found}

    def began(self, store: Store, job: RunJob) -> None:
        """Writes the `started` event, in turn: an ingest is whole in the store before this moment, or finishes after it."""
        request = job.request
        with store.transaction() as cursor:
            job.started_at = clock.moment(cursor, "run_event", "ingest")
            detail = {**request.window, "last_day": request.last_day, "detectors": request.detectors}
            _event(cursor, job.id, job.started_at, "started", detail)

    def prepare(self, store: Store, job: RunJob, folder: Path) -> RunTask:
        """Writes the heatmaps."""
        return job_folder.write_job(store, folder, job.request, job.started_at)

    def take_in(self, store: Store, job: RunJob, task: RunTask, folder: Path, summary: dict[str, Any]) -> RunSummary:
        """Takes the results in, again where another threshold version came into force meanwhile."""
        while True:
            try:
                return _import(store, job, folder, summary)
            except _OvertakenError:
                job.report(self.share[1], "taking the results in again: another threshold version came into force")

    def ended(self, store: Store, job: RunJob, state: State, error: str | None) -> None:
        """Writes the end of a run that did not finish. A store that cannot take it finds the run as interrupted later."""
        if state == "finished":
            return
        try:
            with store.transaction() as cursor:
                _event(cursor, job.id, clock.moment(cursor, "run_event"), state, {"error": masked(error or state)})
        except (HeatproofError, duckdb.Error) as unwritten:
            logs.failure("run_end_unwritten", unwritten, run_id=job.id)


RUN = RunKind()


def score(store: Store, progress: Display | None = None, cancel: threading.Event | None = None, **options: Any) -> RunSummary:
    """Runs to the end in this thread; `options` are the fields of a Request. Errors as of `jobs.run`."""
    return jobs.run(store, RUN, Request(**options), progress, cancel)


def start(store: Store, **options: Any) -> RunJob:
    """Runs in a background thread; `options` are the fields of a Request. Errors as of `jobs.start`."""
    return jobs.start(store, RUN, Request(**options))


def interrupted_runs(store: Store) -> list[dict[str, Any]]:
    """Runs that started and never ended, since their process is gone: run_id, started_at, detail, newest first.

    A store has one run at a time: an unended one is alive where it is this process's own, or the newest while another one holds the lock.
    """
    own = jobs.current(store, RUN)
    alive = own.id if own is not None and own.is_running else _alive_elsewhere(store)
    sql = """SELECT run_id::VARCHAR AS run_id, state_at AS started_at, detail FROM run
        WHERE state = 'started' AND run_id IS DISTINCT FROM ?::UUID ORDER BY state_at DESC"""
    return store.rows(sql, [alive])


def _alive_elsewhere(store: Store) -> str | None:
    """The run that another process has in progress."""
    if not store.url.is_shared:
        return None
    newest = store.rows("SELECT run_id::VARCHAR AS id FROM run WHERE state = 'started' ORDER BY state_at DESC LIMIT 1")
    return str(newest[0]["id"]) if newest and jobs.in_progress_elsewhere(store, RUN) else None


class _OvertakenError(Exception):
    """A threshold version came into force while results were taken in."""


def _import(store: Store, job: RunJob, folder: Path, summary: dict[str, Any]) -> RunSummary:
    """Takes the results in and judges them by the active version. Raises _OvertakenError where another one came in between."""
    with store.bulk() as begun:
        cursor = begun.cursor
        import_results.import_tables(cursor, folder, job.id, summary["n_banners"])
        if job.is_cancelled:
            raise RunCancelledError("cancelled while its results were taken in")
        seen = versions.in_force_id(cursor)
        begun.take_turn()
        with store.cursor() as now:
            if versions.in_force_id(now) != seen:
                raise _OvertakenError
            finished_at = max(clock.moment(now, "run_event"), clock.moment(now, "run_info", step=APART))
        return _judged(cursor, _finish(cursor, job, finished_at, summary))


def _finish(cursor: duckdb.DuckDBPyConnection, job: RunJob, finished_at: datetime, summary: dict[str, Any]) -> RunSummary:
    """Writes the totals and the `finished` event."""
    _event(cursor, job.id, finished_at, "finished", {})
    seconds = job.seconds
    row = {
        "run_id": job.id,
        "started_at": job.started_at,
        "finished_at": finished_at,
        "first_day": summary["first_day"],
        "last_day": summary["last_day"],
        "grids": job.request.grids,
        "n_banners": summary["n_banners"],
        "n_clicks": summary["n_clicks"],
        "n_flagged": summary["n_flagged"],
        "n_false_expected": summary["n_false_expected"],
        "fdr": job.request.fdr,
        "seconds": seconds,
        "settings": to_json({**summary["settings"], "duckdb": duckdb.__version__}),
    }
    cursor.execute(f"INSERT INTO run_info ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    return RunSummary(
        run_id=job.id,
        first_day=date.fromisoformat(summary["first_day"]),
        last_day=date.fromisoformat(summary["last_day"]),
        n_banners=summary["n_banners"],
        n_clicks=summary["n_clicks"],
        n_flagged=summary["n_flagged"],
        n_false_expected=summary["n_false_expected"],
        fdr=job.request.fdr,
        seconds=seconds,
        by_grid=_by_grid(cursor, job.id),
    )


def _by_grid(cursor: duckdb.DuckDBPyConnection, result_id: str) -> list[GridCount]:
    sql = """SELECT grid_id, count(*), count_if(flagged), any_value(name) FROM result LEFT JOIN grid_name USING (grid_id)
        WHERE run_id = ? GROUP BY grid_id ORDER BY grid_id"""
    return [GridCount(*row) for row in cursor.execute(sql, [result_id]).fetchall()]


def _judged(cursor: duckdb.DuckDBPyConnection, summary: RunSummary) -> RunSummary:
    """The run judged by the active version; one that asks for detectors which this run lacks leaves it as it is, and says so."""
    try:
        shown = verdicts.show_in_force(cursor, summary.run_id)
    except InputError as error:
        return replace(summary, note=f"The flags follow the threshold without labels. {error}")
    if shown is None:
        return summary
    by_grid = _by_grid(cursor, shown.result_id)
    return replace(summary, by_grid=by_grid, n_flagged=shown.n_flagged, n_false_expected=shown.n_false_expected, version=shown.number)


def _event(cursor: duckdb.DuckDBPyConnection, run_id: str, at: datetime, state: str, detail: dict[str, Any]) -> None:
    cursor.execute("INSERT INTO run_event VALUES (?, ?, ?, ?)", [run_id, at, state, to_json(detail)])
