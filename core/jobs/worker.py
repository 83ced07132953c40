"""The child's side of a job: reads request.json, writes out/summary.json, reports progress, ends when the parent is gone.

    python -m core.<package>.worker FOLDER

Prints one JSON object a line: {"done": 0..1, "what": …, "numbers": {…}}, or {"error": …} and exit code 2 for what the user can mend.
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
from typing import Any, TextIO, TypeVar

from core.errors import HeatproofError, disk_space
from core.jobs import plain
from core.logs.progress import Progress

Task = TypeVar("Task")
Function = Callable[[Path, Task, Progress], dict[str, Any]]
"""(folder of the job, what to do, progress) -> summary. Files that the parent reads go into `out/` of the folder."""
NICENESS = 10
"""The dashboard and its scoring runs go first."""
REQUEST = "request.json"
PARENT = "parent.pid"

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""
_lines: TextIO | None = None
"""Where the lines go while standard output is somewhere else."""


def write_request(folder: Path, task: Any) -> None:
    """The parent's part: what the child shall do, and whose child it is."""
    (folder / REQUEST).write_text(plain.dump(task))
    (folder / PARENT).write_text(str(os.getpid()))


def main(task: type[Task]) -> Callable[[Function[Task]], None]:
    """Runs a function as the child process of a job, with the folder that the command line names: `main(AuditTask)(audit)`."""
    return lambda function: run(lambda folder: carry_out(folder, task, function))


def carry_out(folder: Path, task: type[Task], function: Function[Task], niceness: int = NICENESS) -> None:
    """Everything but exit codes: the summary, with the seconds it took, is the last file that is written."""
    parent = folder / PARENT
    if parent.exists():
        end_with(int(parent.read_text()))
    os.nice(niceness)
    began, out = time.perf_counter(), folder / "out"
    out.mkdir(exist_ok=True)
    with others_on_stderr():
        summary = function(folder, plain.load(task, (folder / REQUEST).read_text()), say)
        summary = {"seconds": round(time.perf_counter() - began, 3), **summary}
        (out / "summary.part").write_text(json.dumps(summary))
        (out / "summary.part").replace(out / "summary.json")
        say(1.0, "finished")


def say(done: float, what: str, /, **numbers: float) -> None:
    """One line of progress."""
    line = {"done": round(done, 4), "what": what} | ({"numbers": numbers} if numbers else {})
    print(json.dumps(line), flush=True, file=_lines or sys.stdout)


@contextmanager
def others_on_stderr() -> Iterator[None]:
    """Standard output is for the lines of `say` alone meanwhile; what libraries print there goes to standard error."""
    global _lines
    before = _lines
    _lines = before or sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _lines = before


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
