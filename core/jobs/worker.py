"""What child processes share: progress as lines of JSON, errors for the user by exit code, an end when the parent is gone.

Prints one JSON object a line: {"done": 0..1, "what": …}, or {"error": …} and exit code 2 for what the user can mend.
"""

import ctypes
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from core.errors import HeatproofError, disk_space

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""
_lines: TextIO | None = None
"""Where the lines go while standard output is somewhere else."""


def say(done: float, what: str) -> None:
    """One line of progress."""
    print(json.dumps({"done": round(done, 4), "what": what}), flush=True, file=_lines or sys.stdout)


@contextmanager
def others_on_stderr() -> Iterator[None]:
    """Standard output is for the lines of `say` alone meanwhile; what libraries print there goes to standard error."""
    global _lines
    _lines = sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _lines = None


def asked_of(job: Path) -> dict[str, Any]:
    """The job's job.json. From now on this process ends when the parent named there does: an orphan's results would belong to nobody."""
    asked: dict[str, Any] = json.loads((job / "job.json").read_text())
    if "parent_pid" in asked:
        end_with(int(asked["parent_pid"]))
    return asked


def run(main: Callable[[Path], None]) -> None:
    """Runs `main` with the job folder that the command line names."""
    try:
        with disk_space.named():
            main(Path(sys.argv[1]))
    except HeatproofError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        sys.exit(2)


def end_with(parent_pid: int) -> None:
    """From now on this process ends when that parent does."""
    threading.Thread(target=_wait_for, args=(parent_pid,), daemon=True).start()


def end_at_once_with(parent_pid: int) -> None:
    """From now on this process, forked by the main thread of that parent, is killed when that one ends: on Linux by the kernel, at once."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    end_with(parent_pid)  # elsewhere, and where the parent was gone before


def _wait_for(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(1)
    os._exit(1)
