"""One training from a job folder to weights: banners in as Parquet, no database.

    python -m core.models.training.worker JOBDIR

Reads job.json and, where the network learns from the store's own banners, banners.parquet; writes the weights beside the store and last
out/summary.json. Prints one JSON object a line: {"done": 0..1, "what": …}, or {"error": …} and exit code 2 for what the user can mend.
"""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq

from core.jobs.worker import asked_of, run, say
from core.models.training.train import train

NICENESS = 10
"""A training takes minutes or hours: the dashboard and its scoring runs go first."""


def main(job: Path) -> None:
    """Trains what the job in `job` asks for; the weights are complete before summary.json appears."""
    asked = asked_of(job)
    os.nice(NICENESS)
    file = job / "banners.parquet"
    done = train(
        asked["name"],
        Path(asked["store"]),
        synthetic=asked["synthetic"],
        steps=asked["steps"],
        seed=asked["seed"],
        out=Path(asked["weights"]),
        progress=say,
        banners=pq.read_table(file) if file.exists() else None,
    )
    (job / "out").mkdir(exist_ok=True)
    (job / "out" / "summary.json").write_text(json.dumps({"path": str(done.path), "about": {k: str(v) for k, v in done.about.items()}}))
    say(1.0, "finished")


if __name__ == "__main__":
    run(main)
