"""Audits of what features hold, from store to store: labelled banners out, a child process that learns, its figures in one transaction.

A finished audit is never changed; the page shows the latest one of its run. `make` runs here and now, `start` in the background of a
dashboard, one at a time on a store.
"""

import contextlib
import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import HeatproofError, RunCancelledError, RunError, disk_space
from core.features.networks import weight_files
from core.jobs import process
from core.jobs.job import Handle, gate_of
from core.jobs.process import Progress
from core.logs.strict_json import to_json
from core.models.audit import queries as audits
from core.models.audit.figures import FIGURES, N_TREES, check_labels
from core.review import reviewers as drift
from core.store import Store, clock
from core.store.locks import Gate
from core.store.queries import detectors, runs
from core.store.queries.detectors import Labelled
from core.store.queries.runs import last_finished

WORKER = (sys.executable, "-m", "core.models.audit.worker")
COSINE = "cosine_"

_handles: dict[Path, "AuditHandle"] = {}
_opening = threading.Lock()


class AuditHandle(Handle):
    """An audit of this process, of the run `run_id` as it was scored; `summary` once finished. Nothing is kept where it is cancelled."""

    def __init__(self, run_id: str, n_trees: int, max_steps: int | None, gate: Gate | None = None) -> None:
        super().__init__(gate)
        self.run_id, self.n_trees, self.max_steps = run_id, n_trees, max_steps


def make(store: Store, run_id: str | None = None, progress: Progress | None = None, n_trees: int = N_TREES) -> audits.Audit:
    """Audits a finished run (None: the latest) in this thread.

    Raises InputError where there are too few labels, RunError where there is no run or the child failed.
    """
    handle = _open(store, last_finished(store, run_id)["run_id"], n_trees, None)
    _execute(store, handle, progress)
    found = audits.latest(store, handle.run_id)
    assert found is not None
    return found


def start(store: Store, run_id: str, *, n_trees: int = N_TREES, max_steps: int | None = None) -> AuditHandle:
    """Audits a run, as scored or as shown, in a background thread. Raises InputError for too few labels, RunError where one is in work."""
    handle = _open(store, runs.scored_by(store, run_id), n_trees, max_steps)
    threading.Thread(target=_quietly, args=(store, handle), name=f"audit {handle.run_id}", daemon=True).start()
    return handle


def current(store: Store) -> AuditHandle | None:
    """The latest audit that this process began on the store, going or ended."""
    return _handles.get(store.path.resolve())


def forget(store: Store) -> None:
    """Clears an ended audit from `current`; its figures stay."""
    handle = current(store)
    if handle and handle.state != "running":
        _handles.pop(store.path.resolve(), None)


def check(store: Store, run_id: str) -> None:
    """Raises InputError where a run has too few labels for an audit."""
    used = detectors.used(store, runs.shown_of(store, run_id))
    check_labels(used["n_broken"], used["n_ok"])


def _open(store: Store, run_id: str, n_trees: int, max_steps: int | None) -> AuditHandle:
    last_finished(store, run_id)
    check(store, run_id)
    key = store.path.resolve()
    with _opening:
        going = _handles.get(key)
        if going and going.state == "running":
            raise RunError(f"A store has one audit in work at a time, however one is at {going.done:.0%}. Wait for it or stop it.")
        gate = gate_of(store, "audit", "A store has one audit in work at a time")
        handle = _handles[key] = AuditHandle(run_id, n_trees, max_steps, gate)
    return handle


def _execute(store: Store, handle: AuditHandle, progress: Progress | None) -> None:
    folder = store.path.with_name(store.path.stem + ".audit")

    def report(done: float, what: str) -> None:
        handle.report(done, what)
        if progress:
            progress(done, what)

    try:
        with disk_space.named():
            _make(store, handle, folder, report)
    except (RunCancelledError, KeyboardInterrupt):
        handle.end(
            "cancelled", "The audit was stopped, nothing of it is kept but features that were computed. Start it again when you like."
        )
        raise
    except BaseException as error:
        handle.end("failed", str(error) or type(error).__name__)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    handle.end("finished")


def _quietly(store: Store, handle: AuditHandle) -> None:
    with contextlib.suppress(HeatproofError):
        _execute(store, handle, None)


def _make(store: Store, handle: AuditHandle, folder: Path, report: Progress) -> None:
    began = time.monotonic()
    report(0.0, "writing the labelled banners and some others")
    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
    folder.mkdir(parents=True)
    token = drift.labels_token(store)
    found = audits.families_known(audits.chosen(store, handle.run_id))
    names = _write_job(store, handle, found, folder)
    summary = process.run_worker(folder, lambda done, what: report(0.02 + 0.96 * done, what), lambda: handle.is_cancelled, WORKER)
    report(0.98, "taking the figures into the store")
    settings = {"n_trees": handle.n_trees, "max_steps": handle.max_steps, "labels_token": token, "detectors": names}
    about = {
        "run_id": handle.run_id,
        "n_broken": int(found.broken.sum()),
        "n_ok": int((~found.broken).sum()),
        "n_named": audits.n_named(store, found.banner_id[found.broken]),
        **{name: summary[name] for name in ("n_families", "advice", "missing", "left_out")},
        "seconds": time.monotonic() - began,
        "settings": to_json(settings | {"weights": summary["weights"], "seconds_represented": summary["seconds_represented"]}),
    }
    with store.transaction() as cursor:
        _import(cursor, {**about, "finished_at": clock.moment(cursor, "audit")}, summary["findings"])
    report(1.0, "done")


def _write_job(store: Store, handle: AuditHandle, found: Labelled, folder: Path) -> list[str]:
    """Writes job.json, the banners and what detectors say of the labelled ones; returns the names of these detectors."""
    from core.features.cache import folder_of  # here: whoever only shows an audit does without it

    path = store.path.resolve()
    rows = store.rows("SELECT detector FROM run_detector WHERE run_id = ? AND starts_with(detector, ?)", [handle.run_id, COSINE])
    asked = {
        "seed": 0,
        "n_trees": handle.n_trees,
        "max_steps": handle.max_steps,
        "stored": [row["detector"].removeprefix(COSINE) for row in rows],
        "features": str(folder_of(path)),
        "weights": str(weight_files.weights_folder(path)),
        "parent_pid": os.getpid(),
    }
    (folder / "job.json").write_text(json.dumps(asked))
    audits.write_banners(store, last_finished(store, handle.run_id), found, audits.MOST_OTHERS, folder / "banners.parquet")
    combined, names, scores = audits.without_labels(found)
    columns = {"combined": combined, **{name: scores[:, k] for k, name in enumerate(names)}}
    pq.write_table(pa.table(columns), folder / "scores.parquet")
    return names


def _import(cursor: duckdb.DuckDBPyConnection, about: dict[str, Any], findings: list[dict[str, Any]]) -> None:
    """Inserts an audit inside the caller's transaction."""
    audit_id = cursor.execute("SELECT uuidv7()").fetchall()[0][0]
    row = {"audit_id": audit_id, **about}
    cursor.execute(f"INSERT INTO audit ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    for k, one in enumerate(findings):
        for name in FIGURES:
            cursor.execute(
                "INSERT INTO audit_figure VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [audit_id, k, one["name"], one["score_by"], one["n_dims"], name, *one[name]],
            )
