"""Child processes of jobs for tests: a few lines of Python in the place of the real worker."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.jobs.kind import Kind

HEAD = """
import json, pathlib, sys, time
job = pathlib.Path(sys.argv[1])
asked = json.loads((job / "request.json").read_text())
def say(done, what="", **numbers):
    print(json.dumps({"done": done, "what": what, "numbers": numbers}), flush=True)
def refuse(message):
    print(json.dumps({"error": message}), flush=True)
    sys.exit(2)
def finish(**summary):
    (job / "out").mkdir(exist_ok=True)
    (job / "out" / "summary.json").write_text(json.dumps(summary))
"""


def use(kind: Kind[Any, Any, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Jobs of this kind run these lines, which may call say, refuse and finish; `asked` is the request."""
    script = folder / f"fake_{kind.name}.py"
    script.write_text("\n".join([HEAD, *lines]))
    monkeypatch.setattr(kind, "command", (sys.executable, str(script)))


def until(reached: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Waits for something that another thread or process brings about."""
    end = time.monotonic() + limit_s
    while not reached():
        assert time.monotonic() < end, "not reached in time"
        time.sleep(0.02)
