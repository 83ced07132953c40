"""A worker process: started on a folder, followed line by line, stopped when cancelled."""

import json
import os
import queue
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from core.errors import RunCancelledError, RunError
from core.errors.masking import without_passwords
from core.logs.progress import Progress

STOP_S = 5.0
"""Seconds to wait after SIGTERM before SIGKILL."""


class WorkerCrashedError(RunError):
    """The worker ended by a bug or was killed; `log` is the end of what it wrote on stderr."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log


def follow(command: tuple[str, ...], folder: Path, progress: Progress, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Runs a command with the folder as its last argument to its end; returns its summary.

    Raises RunError with the worker's own message, WorkerCrashedError where it died, RunCancelledError where `cancelled` returned True.
    """
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, str(folder)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=_environment()
        )
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
    root = str(Path(__file__).resolve().parents[2])
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
            raise RunCancelledError("The worker was stopped.")
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
            progress(float(message["done"]), str(message.get("what", "")), **message.get("numbers", {}))


def _read_lines(stream: IO[bytes], lines: "queue.SimpleQueue[bytes]") -> None:
    """Queues every line, and an empty one at the end: reading blocks, cancelling must not."""
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
    return WorkerCrashedError(
        f"A worker process reports its errors; this one died with {how}: {last}. Nothing of it is in the store. Start it again.", tail
    )
