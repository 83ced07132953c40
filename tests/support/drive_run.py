"""Opens a store and runs the fake worker over it, saying what it does: a process for tests to kill. `python tests/support/drive_run.py
STORE`."""

import sys
from pathlib import Path

from core.runs import run
from core.store import Store

run.RUN.command = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))

with Store(sys.argv[1]) as store:
    print("open", flush=True)
    run.score(store, progress=lambda done, what: print(what, flush=True))
