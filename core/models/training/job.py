"""Trainings: banners out of the store, a child process that learns, weights beside the store.

A training that was stopped, or whose process is gone, goes on from its last checkpoint when it is started again.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from core.errors import ChangedError, InputError, RunError
from core.features.networks import weight_files
from core.features.networks.weight_files import digest, find_weights, read_about
from core.jobs import running as jobs
from core.jobs.job import Job
from core.jobs.kind import Kind
from core.models.training.request import TrainRequest
from core.store import Store


@dataclass(frozen=True)
class Trained:
    """Where the weights are, and what is known of them."""

    path: Path
    about: dict[str, Any]


class TrainingKind(Kind[TrainRequest, TrainRequest, Trained]):
    """Its checkpoint is kept where it is cancelled."""

    name = "training"
    title = "training"
    label = "{name}"
    worker = "core.models.training.worker"
    preparing = "reading banners"
    taking_in = ""
    share = (0.0, 1.0)

    def check(self, store: Store, request: TrainRequest) -> TrainRequest:
        """Raises InputError for an unknown network, another's backbone, too few banners and steps that cannot be."""
        from core.models.training.train import check_banners, plan_of  # here: pages do without the catalogue of detectors

        if request.steps is not None and request.steps < 1:
            raise InputError(f"A training takes 1 step or more; {request.steps} was given. Leave it out for the usual number.")
        plan_of(request)
        if self._reads_store(request):
            check_banners(store.rows("SELECT count(*) AS n FROM banner")[0]["n"], store.path)
        return request if request.out else replace(request, out=str(weight_files.weights_folder(store.path.resolve())))

    def cancelled(self, request: TrainRequest) -> str:
        """Whether there is a checkpoint to go on from."""
        if not _checkpoint(request).exists():
            return "The training was stopped before its first checkpoint, nothing of it is kept. Start it again when you like."
        return "The training was stopped, its checkpoint is kept. Started again with the same choices, it goes on from there."

    def prepare(self, store: Store, job: Job[TrainRequest, Trained], folder: Path) -> TrainRequest:
        """Writes the banners where the network learns from the store's own."""
        from core.models.training.train import read_banners

        if self._reads_store(job.request):
            pq.write_table(read_banners(store), folder / "banners.parquet")
        return job.request

    def take_in(self, store: Store, job: Job[TrainRequest, Trained], task: TrainRequest, folder: Path, summary: dict[str, Any]) -> Trained:
        """The weights are in their place already."""
        return Trained(Path(summary["path"]), summary["about"])

    def _reads_store(self, request: TrainRequest) -> bool:
        from core.models.training.train import recipe_of

        return recipe_of(request.name).reads_banners and not request.synthetic


TRAINING = TrainingKind()


def _checkpoint(request: TrainRequest) -> Path:
    return Path(str(request.out)) / f"{request.name}.checkpoint"


def networks(store: Path) -> list[dict[str, Any]]:
    """A row a network that can be trained: name, reads_banners, steps, file and digest of the weights in use, whether they are the store's
    own, what was written about them (`about`), and when a stopped training left its checkpoint (`stopped_at`, None: there is none)."""
    from core.models.training.train import NETWORKS

    own = weight_files.weights_folder(store.resolve())
    rows = []
    for name, recipe in NETWORKS.items():
        path, checkpoint = find_weights(name, own), own / f"{name}.checkpoint"
        rows.append(
            {
                "name": name,
                "reads_banners": recipe.reads_banners,
                "steps": recipe.plan.steps,
                "weights": f"{path.name} {digest(path)}",
                "is_own": path.parent == own,
                "about": read_about(path),
                "stopped_at": _time_of(checkpoint) if checkpoint.exists() else None,
            }
        )
    return rows


def state_of_weights(store: Path) -> str:
    """Changes whenever weights or checkpoints beside the store do: a cheap cache key for `networks`."""
    folder = weight_files.weights_folder(store.resolve())
    return " ".join(sorted(f"{p.name}@{p.stat().st_mtime_ns}" for p in folder.iterdir())) if folder.exists() else ""


def discard(store: Store, name: str, weights: str | None = None) -> None:
    """Goes back to the shipped weights of a network: the store's own are kept under another name that nothing reads.

    `weights`: file and hash as they were shown. Raises InputError for an unknown network and where there are none, RunError while it is
    in training, ChangedError where it was trained again since.
    """
    from core.models.training.train import recipe_of

    recipe_of(name)
    going = jobs.current(store, TRAINING)
    if going is not None and going.is_running and going.request.name == name:
        raise RunError(f"Weights are put aside between trainings: {name} is at {100 * going.done:.0f} %. Wait for it or cancel it.")
    own = weight_files.weights_folder(store.path.resolve()) / f"{name}.safetensors"
    if not own.exists():
        raise InputError(f"Only weights of the store's own can be put aside; {own} is not there: {name} runs by the shipped ones.")
    if weights is not None and weights != f"{own.name} {digest(own)}":
        raise ChangedError(f"{name} was trained again since its weights were shown: {weights} is no longer in use. Nothing was put aside.")
    own.replace(own.with_name(f"{name}-{digest(own)}.safetensors"))


def _time_of(file: Path) -> datetime:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).replace(tzinfo=None)
