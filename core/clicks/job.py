"""Ingests in the background of the dashboard. A job belongs to the process, not to a browser tab: reload, and it is still there."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from core.clicks import uploads
from core.clicks.ingest import Options, ingest
from core.clicks.ingest_results import FailedFile, IngestResult, NothingIngestedError
from core.errors import HeatproofError, InputError
from core.store import Store

State = Literal["running", "finished", "failed", "cancelled"]


class IngestJob:
    """Files on their way into the store. Read from any thread: done 0..1, state, error, result once finished, failed files."""

    def __init__(self, store: Store, paths: list[Path], mapping: Mapping[str, str], options: Options) -> None:
        self.names = [uploads.name_of(path) for path in paths]
        self.started_at = datetime.now(UTC).replace(tzinfo=None)
        self.done = 0.0
        self.state: State = "running"
        self.error: str | None = None
        self.result: IngestResult | None = None
        self.failed: list[FailedFile] = []
        self._store, self._paths, self._mapping, self._options = store, paths, dict(mapping), options
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)

    def start(self) -> None:
        """Begins; returns at once."""
        self._thread.start()

    def cancel(self) -> None:
        """Asks the ingest to stop; files already taken in stay."""
        self._cancelled.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits for the end; False where it is not reached in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            given: dict[str, Any] = {"progress": self._report, "cancel": self._cancelled, "options": self._options}
            self.result = ingest(self._store, self._paths, mapping=self._mapping, **given)
            self.failed = self.result.failed
            self.state = "finished"
        except NothingIngestedError as error:
            self.failed, self.state = error.result.failed, "failed"
        except HeatproofError as error:
            self.error, self.state = str(error), "cancelled" if self._cancelled.is_set() else "failed"
        except BaseException as error:
            self.error, self.state = (
                f"{type(error).__name__}: the ingest stopped by a bug, its traceback is in the log of the app.",
                "failed",
            )
            raise
        finally:
            if self._options.uploaded:  # copies of uploads; a path of the user's own is never touched
                for path in self._paths:
                    uploads.remove(path)

    def _report(self, done: float) -> None:
        self.done = done


_jobs: dict[str, IngestJob] = {}
"""The latest ingest of this process by store."""


def current(store: Store) -> IngestJob | None:
    """The latest ingest of this process into the store, going or ended."""
    return _jobs.get(str(store.path))


def start(store: Store, paths: list[Path], mapping: Mapping[str, str], options: Options) -> IngestJob:
    """Starts an ingest; uploaded files are deleted at its end. Raises InputError while another one is going."""
    going = current(store)
    if going and going.state == "running":
        raise InputError(
            f"A store takes in one batch at a time; {', '.join(going.names)} is at {going.done:.0%}. Wait for it or cancel it."
        )
    job = IngestJob(store, paths, mapping, options)
    _jobs[str(store.path)] = job
    job.start()
    return job


def forget(store: Store) -> None:
    """Clears an ended job from the page."""
    job = current(store)
    if job and job.state != "running":
        _jobs.pop(str(store.path), None)
