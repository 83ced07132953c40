"""Choosing among self-supervised detectors without labels, from store to store: banners out, a child process that trains and compares,
its report in one transaction. A finished one is never changed; the page shows the latest of its run.

`make` runs here and now, `start` in the background of a dashboard, one at a time on a store. `use` says which model runs take from now on.
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

from core.errors import HeatproofError, InputError, RunCancelledError, RunError, disk_space
from core.jobs import process
from core.jobs.job import Handle, gate_of
from core.jobs.process import Progress
from core.logs.strict_json import to_json
from core.models.audit import queries as audits
from core.review import changes
from core.review.changes import Change, Seen
from core.store import Store, clock
from core.store.locks import Gate
from core.store.queries import runs, selections
from core.store.queries.runs import last_finished
from core.store.queries.selections import Selection

WORKER = (sys.executable, "-m", "core.models.selection.worker")
RATIO = 0.05
"""Share of broken banners that is assumed unless told otherwise."""
LOWEST, HIGHEST = 0.005, 0.5

_handles: dict[Path, "SelectionHandle"] = {}
_opening = threading.Lock()


class SelectionHandle(Handle):
    """A selection of this process, of the run `run_id` as it was scored. Nothing is kept where it is cancelled."""

    def __init__(self, run_id: str, ratio: float, max_steps: int | None, gate: Gate | None = None) -> None:
        super().__init__(gate)
        self.run_id, self.ratio, self.max_steps = run_id, ratio, max_steps


def make(
    store: Store, run_id: str | None = None, ratio: float = RATIO, progress: Progress | None = None, max_steps: int | None = None
) -> Selection:
    """Trains and compares on a finished run (None: the latest) in this thread.

    Raises InputError for a ratio that cannot be, RunError where there is no run or the child failed.
    """
    handle = _open(store, last_finished(store, run_id)["run_id"], ratio, max_steps)
    _execute(store, handle, progress)
    found = selections.latest(store, handle.run_id)
    assert found is not None
    return found


def start(store: Store, run_id: str, ratio: float = RATIO, max_steps: int | None = None) -> SelectionHandle:
    """The same for a run, as scored or as shown, in a background thread. Raises RunError where one is in work."""
    handle = _open(store, runs.scored_by(store, run_id), ratio, max_steps)
    threading.Thread(target=_quietly, args=(store, handle), name=f"selection {handle.run_id}", daemon=True).start()
    return handle


def current(store: Store) -> SelectionHandle | None:
    """The latest that this process began on the store, going or ended."""
    return _handles.get(store.path.resolve())


def forget(store: Store) -> None:
    """Clears an ended one from `current`; its report stays."""
    handle = current(store)
    if handle and handle.state != "running":
        _handles.pop(store.path.resolve(), None)


def use(store: Store, selection: Selection, candidate: int | None, name: str, *, seen: Seen | None = None) -> None:
    """From the next run on, runs take the candidate at this place of a selection beside the default ones; None: none any more.

    Raises InputError for a place that is none. `seen`: {USED: id of the choice that was shown, None for none}; raises ChangedError where
    another one was made since.
    """
    row: dict[str, Any] = {"name": None, "detector": None, "fields": None}
    if candidate is not None:
        if not 0 <= candidate < len(selection.candidates):
            raise InputError(f"A selection has candidates 0 to {len(selection.candidates) - 1}, however it was {candidate}. Choose again.")
        row = selection.candidates[candidate]
    values = [name, None if candidate is None else selection.about["selection_id"], row["name"], row["detector"]]
    fields = None if row["fields"] is None else to_json(row["fields"])
    with store.transaction() as cursor:
        if seen is not None:
            _check_choice(cursor, seen, name)
        at = clock.moment(cursor, "model_choice")
        cursor.execute("INSERT INTO model_choice VALUES (?, ?, ?, ?, ?, ?, ?)", [clock.event_id(at), at, *values, fields])


USED = "the model of runs"


def choice_id(store: Store) -> str | None:
    """The newest choice of a model for runs, also one to take none; None before the first."""
    with store.cursor() as cursor:
        found = _choice(cursor)
    return found[1] if found else None


def _choice(cursor: duckdb.DuckDBPyConnection) -> Change | None:
    sql = "SELECT choice_id::VARCHAR, chosen_by, happened_at, candidate FROM model_choice ORDER BY happened_at DESC, choice_id DESC LIMIT 1"
    found = cursor.execute(sql).fetchall()
    if not found:
        return None
    made_id, who, at, name = found[0]
    return Change(name or "the chosen model", made_id, who, "took into runs" if name else "took out of runs", at)


def _check_choice(cursor: duckdb.DuckDBPyConnection, seen: Seen, me: str) -> None:
    now = _choice(cursor)
    if now is not None and now.event_id not in seen.values():
        raise changes.refuse([now], me)


def _open(store: Store, run_id: str, ratio: float, max_steps: int | None) -> SelectionHandle:
    last_finished(store, run_id)
    if not LOWEST <= ratio <= HIGHEST:
        raise InputError(
            f"The assumed share of broken banners lies between {LOWEST:.1%} and {HIGHEST:.0%}, however it is {ratio:.1%}. Assume another."
        )
    key = store.path.resolve()
    with _opening:
        going = _handles.get(key)
        if going and going.state == "running":
            raise RunError(
                f"A store has one model selection in work at a time, however one is at {going.done:.0%}. Wait for it or stop it."
            )
        gate = gate_of(store, "selection", "A store has one model selection in work at a time")
        handle = _handles[key] = SelectionHandle(run_id, ratio, max_steps, gate)
    return handle


def _execute(store: Store, handle: SelectionHandle, progress: Progress | None) -> None:
    folder = store.path.with_name(store.path.stem + ".selection")

    def report(done: float, what: str) -> None:
        handle.report(done, what)
        if progress:
            progress(done, what)

    try:
        with disk_space.named():
            _make(store, handle, folder, report)
    except (RunCancelledError, KeyboardInterrupt):
        handle.end("cancelled", "Model selection was stopped, nothing of it is kept. Start it again when you like.")
        raise
    except BaseException as error:
        handle.end("failed", str(error) or type(error).__name__)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    handle.end("finished")


def _quietly(store: Store, handle: SelectionHandle) -> None:
    with contextlib.suppress(HeatproofError):
        _execute(store, handle, None)


def _make(store: Store, handle: SelectionHandle, folder: Path, report: Progress) -> None:
    began = time.monotonic()
    report(0.0, "writing banners to learn from and to judge")
    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
    folder.mkdir(parents=True)
    asked = {"seed": 0, "ratio": handle.ratio, "max_steps": handle.max_steps, "parent_pid": os.getpid()}
    (folder / "job.json").write_text(json.dumps(asked))
    found = audits.families_known(audits.chosen(store, handle.run_id))
    run = last_finished(store, handle.run_id)
    selections.write_banners(store, run, found, selections.MOST, folder / "banners.parquet")
    summary = process.run_worker(folder, lambda done, what: report(0.02 + 0.96 * done, what), lambda: handle.is_cancelled, WORKER)
    report(0.98, "taking the report into the store")
    about = {
        "run_id": handle.run_id,
        "ratio": handle.ratio,
        **{name: summary[name] for name in ("n_train", "n_test", "n_broken", "n_ok")},
        "seconds": time.monotonic() - began,
        "settings": to_json({"max_steps": handle.max_steps, "seed": asked["seed"]}),
        "report": to_json({name: summary[name] for name in ("candidates", "selectors", "ensemble")}),
    }
    with store.transaction() as cursor:
        _import(cursor, {**about, "finished_at": clock.moment(cursor, "model_selection")})
    report(1.0, "done")


def _import(cursor: duckdb.DuckDBPyConnection, about: dict[str, Any]) -> None:
    """Inserts a selection inside the caller's transaction."""
    names, places = ", ".join(about), ", ".join("?" * len(about))
    cursor.execute(f"INSERT INTO model_selection (selection_id, {names}) VALUES (uuidv7(), {places})", list(about.values()))
