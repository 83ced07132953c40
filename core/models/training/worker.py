"""One training from a job folder to weights: banners in as Parquet, no database.

    python -m core.models.training.worker JOBDIR

Reads request.json (a TrainRequest) and, where the network learns from the store's own banners, banners.parquet; writes the weights into the
folder that the request names. `core.jobs.worker` does the rest.
"""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from core.jobs import worker
from core.logs.progress import Progress
from core.models.training.request import TrainRequest
from core.models.training.train import train


def train_network(job: Path, task: TrainRequest, progress: Progress) -> dict[str, Any]:
    """Trains what the task asks for; the weights are complete when it returns."""
    file = job / "banners.parquet"
    path, about = train(task, progress, pq.read_table(file) if file.exists() else None)
    return {"path": str(path), "about": about}


if __name__ == "__main__":
    worker.main(TrainRequest)(train_network)
