"""Runs jobs, here and now or in a thread: one of a kind at a time on a store, whatever thread, process or machine asks.

A job holds the lock `store.locks[kind.name]`, works in `<store>.<kind>/<id>/`, and hangs on the store object: closing the store cancels it.
"""

import contextlib
import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any, cast

from core import logs
from core.errors import HeatproofError, IngestCancelledError, RunCancelledError, RunError, disk_space
from core.jobs.job import Job, Request, Result, State
from core.jobs.kind import Kind
from core.logs.progress import Display
from core.store import Store
from core.store.locks import Lock

NOTED_SHARE = 0.01
"""Progress between two notes of it for other processes."""
NOTE = "progress.json"
CANCELLED = (RunCancelledError, IngestCancelledError, KeyboardInterrupt)


def run(
    store: Store,
    kind: Kind[Request, Any, Result],
    request: Request,
    progress: Display | None = None,
    cancel: threading.Event | None = None,
) -> Result:
    """Runs a job to its end in this thread. Setting `cancel`, or Ctrl-C, stops it within seconds.

    Raises InputError for a request that cannot be carried out, RunError where a job of this kind is in progress or where it failed,
    RunCancelledError (KeyboardInterrupt for Ctrl-C) where it was cancelled.
    """
    job = _open(store, kind, request, cancel)
    if progress:
        job.shown.append(progress)
    return _execute(store, kind, job)


def start(store: Store, kind: Kind[Request, Any, Result], request: Request) -> Job[Request, Result]:
    """Runs a job in a background thread. Raises InputError and RunError as `run`, for what is known at once."""
    job = _open(store, kind, request, None)
    threading.Thread(target=_quietly, args=(store, kind, job), name=f"{kind.name} {job.id}", daemon=True).start()
    return job


def current(store: Store, kind: Kind[Request, Any, Result]) -> Job[Request, Result] | None:
    """The latest job of a kind that was started through this store object, running or ended, until it is dismissed."""
    return cast("Job[Request, Result] | None", store.jobs.get(kind.name))


def all_current(store: Store) -> dict[str, Job[Any, Any]]:
    """`current` of every kind that has one."""
    return cast("dict[str, Job[Any, Any]]", dict(store.jobs))


def dismiss(store: Store, kind: Kind[Any, Any, Any]) -> None:
    """Clears an ended job from `current`; what it wrote stays."""
    job = current(store, kind)
    if job is not None and not job.is_running:
        store.jobs.pop(kind.name, None)


def folder_of(store: Store, kind: Kind[Any, Any, Any]) -> Path:
    """Where jobs of a kind work, a folder each."""
    return store.path.with_name(f"{store.path.stem}.{kind.name}")


def in_progress_elsewhere(store: Store, kind: Kind[Any, Any, Any]) -> bool:
    """Whether another process has a job of this kind in progress."""
    lock = store.locks[kind.name]
    if not store.url.is_shared:
        return False
    if lock.acquire(wait=False):
        lock.release()
        return False
    own = current(store, kind)
    return own is None or not own.is_running


def _open(store: Store, kind: Kind[Request, Any, Result], request: Request, cancel: threading.Event | None) -> Job[Request, Result]:
    """Checks the request, takes the lock, and registers the job."""
    request = kind.check(store, request)
    job: Job[Request, Result] = Job(kind.name, request, str(store.rows("SELECT uuidv7() AS id")[0]["id"]), cancel)
    with store.starting:
        going = current(store, kind)
        if going is not None and going.is_running:
            raise _refused(kind, kind.words(going.request), going.done)
        if not kind.waits and not _taken(store.locks[kind.name]):
            raise _refused_by_another(store, kind)
        store.jobs[kind.name] = job
    try:
        kind.began(store, job)
    except BaseException as error:
        job.end("failed", _words(error), error)
        _release(store, kind, job, is_locked=not kind.waits)
        raise
    logs.event("job_started", kind=kind.name, store=store.url.shown, **kind.facts(job))
    return job


def _taken(lock: Lock) -> bool:
    for pause in (0.0, 0.1, 0.3):  # it may be held for a moment by a look at whether a job is in progress
        time.sleep(pause)
        if lock.acquire(wait=False):
            return True
    return False


def _refused(kind: Kind[Any, Any, Any], what: str, done: float) -> RunError:
    return RunError(f"Only one {kind.title} at a time per store: {what} is at {100 * done:.0f} %. Wait for it or cancel it.")


def _refused_by_another(store: Store, kind: Kind[Any, Any, Any]) -> RunError:
    """The refusal with the name and the progress that the other process noted beside the store, where this machine sees the note."""
    for note in folder_of(store, kind).glob(f"*/{NOTE}"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            found = json.loads(note.read_text())
            return _refused(kind, str(found["what"]), float(found["done"]))
    return RunError(
        f"Only one {kind.title} at a time per store: another process has one in progress on {store.url.shown}. Wait for it or cancel it."
    )


def _execute(store: Store, kind: Kind[Request, Any, Result], job: Job[Request, Result]) -> Result:
    """Runs an opened job, and leaves exactly one end: finished, cancelled or failed."""
    is_locked = not kind.waits
    try:
        if not is_locked:
            is_locked = _wait_for(store.locks[kind.name], job, kind.title)
        try:
            with disk_space.named():
                job.result = _in_folder(store, kind, job)
        except CANCELLED as error:
            sentence = kind.cancelled(job.request)
            _end(store, kind, job, "cancelled", sentence)
            kept = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else RunCancelledError
            raise kept(sentence) from error
        except BaseException as error:
            _end(store, kind, job, "failed", _words(error), error)
            raise
        _end(store, kind, job, "finished")
        return job.result
    finally:
        _release(store, kind, job, is_locked)


def _quietly(store: Store, kind: Kind[Any, Any, Any], job: Job[Any, Any]) -> None:
    """The background thread: the job tells what went wrong, and a bug leaves its traceback on stderr too."""
    with contextlib.suppress(HeatproofError):
        _execute(store, kind, job)


def _wait_for(lock: Lock, job: Job[Any, Any], title: str) -> bool:
    """Waits for the lock; False where the job was cancelled before."""
    while not lock.acquire(wait=False):
        job.report(0.0, f"waiting for another {title}")
        if job.cancelling.wait(0.2):
            return False
    return True


def _in_folder(store: Store, kind: Kind[Request, Any, Result], job: Job[Request, Result]) -> Result:
    """The work in a folder of its own. With the lock held, every other folder is a leftover of a killed process."""
    if job.is_cancelled:
        raise RunCancelledError("cancelled before it began")
    whole = folder_of(store, kind)
    shutil.rmtree(whole, ignore_errors=True)
    folder = whole / job.id
    folder.mkdir(parents=True)
    job.shown.append(_noted(folder / NOTE, kind.words(job.request)))
    try:
        return kind.work(store, job, folder)
    finally:
        shutil.rmtree(whole, ignore_errors=True)


def _noted(file: Path, words: str) -> Display:
    """Notes the progress for other processes, a percent at a time."""
    noted = float("-inf")

    def note(done: float, what: str) -> None:
        nonlocal noted
        if abs(done - noted) >= NOTED_SHARE:
            noted = done
            part = file.with_suffix(".part")
            with contextlib.suppress(FileNotFoundError):  # the folder goes with the end of the job
                part.write_text(json.dumps({"what": words, "done": done}))
                part.replace(file)

    return note


def _end(
    store: Store,
    kind: Kind[Any, Any, Any],
    job: Job[Any, Any],
    state: State,
    error: str | None = None,
    failure: BaseException | None = None,
) -> None:
    """Logs the end and tells the kind, then marks it: a job that is seen as ended has nothing left to write."""
    try:
        about = {"kind": kind.name, "seconds": round(job.seconds, 3), **kind.facts(job)}
        if failure is not None:
            logs.failure("job_failed", failure, **about)
        else:
            logs.event(f"job_{state}", **about)
        kind.ended(store, job, state, error)
    finally:
        job.end(state, error, failure)


def _release(store: Store, kind: Kind[Any, Any, Any], job: Job[Any, Any], is_locked: bool) -> None:
    try:
        if is_locked:
            store.locks[kind.name].release()
    finally:
        job.release()


def _words(error: BaseException) -> str:
    """An error in words; a bug with its type, since its own words alone often say nothing."""
    words = str(error)
    return words if words and isinstance(error, HeatproofError) else f"{type(error).__name__}: {words}".rstrip(": ")
