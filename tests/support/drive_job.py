"""Runs a job that hangs at 40 %, for tests to watch from another process and to kill: `python -m tests.support.drive_job STORE KIND`.

Prints what the job says. An interrupt from the keyboard is told with its message and exit code 130.
"""

import sys
from typing import Any

from core.embeddings.job import MAP
from core.embeddings.request import MapRequest
from core.jobs import running as jobs
from core.jobs.kind import Kind
from core.models.training.job import TRAINING
from core.models.training.request import TrainRequest
from core.store import Store
from tests.support.fake_kind import FAKE, FakeRequest

HANG = """
import os, time
from core.jobs.worker import end_with, say
end_with(os.getppid())
say(0.4, "hanging")
time.sleep(3600)
"""
HANGING: dict[str, tuple[Kind[Any, Any, Any], Any]] = {
    "fake": (FAKE, FakeRequest(behaviour="hang")),
    "map": (MAP, MapRequest(None, "heatmap", "pca")),
    "training": (TRAINING, TrainRequest("cluster_count")),
}


def main(url: str, name: str) -> None:
    """Until it is killed."""
    kind, request = HANGING[name]
    if name != "fake":
        kind.command, kind.share = (sys.executable, "-c", HANG), (0.0, 1.0)  # type: ignore[misc]
    with Store(url) as store:
        try:
            jobs.run(store, kind, request, lambda done, what: print(f"{done:.2f} {what}", flush=True))
        except KeyboardInterrupt as error:
            print(error, flush=True)
            sys.exit(130)


if __name__ == "__main__":
    main(*sys.argv[1:])
