"""Maps of a run's banners, from store to store: which banners, a child process that computes, and the result in one transaction.

A finished map is never changed; the page shows the latest one of its run, feature and method. `make` runs here and now, `start` in the
background of a dashboard.
"""

import contextlib
import json
import os
import shutil
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from core.errors import HeatproofError, InputError, RunCancelledError, RunError, disk_space
from core.features.networks import weight_files
from core.jobs import process
from core.jobs.job import Handle
from core.jobs.process import Progress
from core.logs.strict_json import to_json
from core.store import Store, clock
from core.store.queries import embeddings, runs
from core.store.queries.runs import last_finished

METHODS = ("pca", "mvu")
MAX_POINTS = 10_000
"""What a browser still turns and selects at once. All flagged banners are kept, then all decided ones, then a sample of every grid."""

WORKER = (sys.executable, "-m", "core.embeddings.worker")

_handles: dict[Path, "MapHandle"] = {}
_opening = threading.Lock()


@dataclass(frozen=True)
class MapRequest:
    """Which map: of a finished run, by the name of a feature, by `pca` or `mvu`."""

    run_id: str
    feature: str
    method: str


class MapHandle(Handle):
    """A map being made by this process; features that were computed stay where it is cancelled."""

    def __init__(self, embedding_id: str, request: MapRequest) -> None:
        super().__init__()
        self.embedding_id, self.request = embedding_id, request


def features() -> list[str]:
    """Names of the features that a map can be made of: `heatmap`, which needs no network, then the extractors of the catalogue."""
    from core.features import EXTRACTORS  # here: whoever only shows a map does without it

    return [embeddings.HEATMAP, *EXTRACTORS]


def make(store: Store, feature: str, method: str, run_id: str | None = None, progress: Progress | None = None) -> str:
    """Makes the map of a finished run (None: the latest) in this thread; returns its embedding_id.

    Raises InputError for an unknown feature or method, RunError where there is no run or the child failed.
    """
    handle = _open(store, MapRequest(last_finished(store, run_id)["run_id"], feature, method))
    _execute(store, handle, progress)
    return handle.embedding_id


def about(store: Store, embedding_id: str) -> dict[str, Any]:
    """What is known of a finished map, for people and machines."""
    found = embeddings.about(store, embedding_id)
    proof = json.loads(found["certificate"]) if found["certificate"] else None
    return found | {"certificate": proof, "finished_at": str(found["finished_at"])}


def start(store: Store, request: MapRequest) -> MapHandle:
    """Makes it in a background thread. Raises InputError for an unknown feature or method, RunError where a map is being made."""
    handle = _open(store, replace(request, run_id=runs.scored_by(store, request.run_id)))
    threading.Thread(target=_quietly, args=(store, handle), name=f"map {handle.embedding_id}", daemon=True).start()
    return handle


def current(store: Store) -> MapHandle | None:
    """The latest map that this process began on the store, going or ended."""
    return _handles.get(store.path.resolve())


def forget(store: Store) -> None:
    """Clears an ended map from `current`."""
    handle = current(store)
    if handle and handle.state != "running":
        _handles.pop(store.path.resolve(), None)


def _open(store: Store, request: MapRequest) -> MapHandle:
    if request.feature not in features():
        raise InputError(f"A map is made of one of {', '.join(features())}, however {request.feature!r} was asked for. Check the spelling.")
    if request.method not in METHODS:
        raise InputError(f"A map is made by {' or '.join(METHODS)}, however {request.method!r} was asked for. Choose one of them.")
    key = store.path.resolve()
    with _opening:
        going = _handles.get(key)
        if going and going.state == "running":
            raise RunError(f"A store has one map in work at a time, however one is at {going.done:.0%}. Wait for it or cancel it.")
        handle = MapHandle(str(store.rows("SELECT uuidv7() AS id")[0]["id"]), request)
        _handles[key] = handle
    return handle


def _execute(store: Store, handle: MapHandle, progress: Progress | None) -> None:
    folder = store.path.with_name(store.path.stem + ".maps") / handle.embedding_id

    def report(done: float, what: str) -> None:
        handle.report(done, what)
        if progress:
            progress(done, what)

    try:
        with disk_space.named():
            _make(store, handle, folder, report)
    except (RunCancelledError, KeyboardInterrupt):
        handle.end("cancelled", "The map was cancelled. Features that were computed are kept; make it again when you like.")
        raise
    except BaseException as error:
        handle.end("failed", str(error) or type(error).__name__)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()  # unless something else lies in it
    handle.end("finished")


def _quietly(store: Store, handle: MapHandle) -> None:
    with contextlib.suppress(HeatproofError):
        _execute(store, handle, None)


def _make(store: Store, handle: MapHandle, folder: Path, report: Progress) -> None:
    began = time.monotonic()
    report(0.0, "choosing banners and writing their heatmaps")
    run = last_finished(store, handle.request.run_id)
    previous = _write_job(store, handle.request, folder, run)
    summary = process.run_worker(folder, lambda done, what: report(0.05 + 0.9 * done, what), lambda: handle.is_cancelled, WORKER)
    report(0.95, "taking the map into the store")
    with store.transaction() as cursor:
        _import(cursor, handle, folder, summary, run["n_banners"], previous if summary["is_aligned"] else None, time.monotonic() - began)
    report(1.0, "done")


def _write_job(store: Store, request: MapRequest, folder: Path, run: dict[str, Any]) -> str | None:
    """Writes job.json, the points and the earlier map of the same feature and method; returns that one's id."""
    from core.features.cache import folder_of

    folder.mkdir(parents=True)
    folders = {"features": str(folder_of(store.path.resolve())), "weights": str(weight_files.weights_folder(store.path.resolve()))}
    asked = {"feature": request.feature, "method": request.method, "seed": 0, "parent_pid": os.getpid(), **folders}
    (folder / "job.json").write_text(json.dumps(asked))
    embeddings.write_points(store, run, MAX_POINTS, folder / "points.parquet")
    previous = embeddings.latest_of_any_run(store, request.feature, request.method)
    if previous:
        embeddings.write_places(store, previous, folder / "previous.parquet")
    return previous


def _import(
    cursor: duckdb.DuckDBPyConnection,
    handle: MapHandle,
    folder: Path,
    summary: dict[str, Any],
    n_banners: int,
    aligned_to: str | None,
    seconds: float,
) -> None:
    """Inserts the map inside the caller's transaction."""
    for table, order in (("point", "ORDER BY point"), ("anchor", "")):
        source = str(folder / "out" / f"{table}.parquet").replace("'", "''")
        rows = f"SELECT $id::UUID AS embedding_id, * FROM read_parquet('{source}') {order}"
        cursor.execute(f"INSERT INTO embedding_{table} BY NAME {rows}", {"id": handle.embedding_id})
    row = {
        "embedding_id": handle.embedding_id,
        **{name: getattr(handle.request, name) for name in ("run_id", "feature", "method")},
        **{name: summary[name] for name in ("weights", "n_points", "n_fitted", "n_clusters", "shares", "near_share")},
        "n_banners": n_banners,
        "certificate": to_json(summary["certificate"]) if summary["certificate"] else None,
        "aligned_to": aligned_to,
        "seconds": seconds,
        "settings": to_json(summary["settings"]),
        "finished_at": clock.moment(cursor, "embedding"),
    }
    cursor.execute(f"INSERT INTO embedding ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
