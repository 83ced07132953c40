"""Maps of a run's banners, from store to store: which banners, a child process that computes, and the result in one transaction.

A finished map is never changed; the page shows the latest one of its run, feature and method.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from core.embeddings.request import METHODS, MapRequest, MapTask
from core.errors import InputError
from core.features.networks import weight_files
from core.jobs.job import Job
from core.jobs.kind import Kind
from core.logs.strict_json import to_json
from core.store import Store, clock
from core.store.queries import embeddings
from core.store.queries.runs import behind, last_finished

MAX_POINTS = 10_000
"""What a browser still turns and selects at once. All flagged banners are kept, then all decided ones, then a sample of every grid."""


def features() -> list[str]:
    """Names of the features that a map can be made of: `heatmap`, which needs no network, then the extractors of the catalogue."""
    from core.features import EXTRACTORS  # here: whoever only shows a map does without it

    return [embeddings.HEATMAP, *EXTRACTORS]


class MapKind(Kind[MapRequest, MapTask, str]):
    """Its result is the embedding_id. Features that were computed stay where it is cancelled."""

    name = "map"
    title = "map"
    when_cancelled = "The map was cancelled. Features that were computed are kept; make it again when you like."
    worker = "core.embeddings.worker"
    preparing = "choosing banners and writing their heatmaps"
    taking_in = "taking the map into the store"
    share = (0.05, 0.95)

    def check(self, store: Store, request: MapRequest) -> MapRequest:
        """Raises InputError for an unknown feature or method, RunError where there is no such run."""
        if request.feature not in features():
            raise InputError(f"A map is made of one of {', '.join(features())}; {request.feature!r} is none of them. Check the spelling.")
        if request.method not in METHODS:
            raise InputError(f"A map is made by {' or '.join(METHODS)}; {request.method!r} is neither. Choose one of them.")
        return replace(request, run_id=behind(store, request.run_id))

    def words(self, request: MapRequest) -> str:
        """MVU of efficientnet_lite0."""
        return f"{request.method.upper()} of {request.feature}"

    def prepare(self, store: Store, job: Job[MapRequest, str], folder: Path) -> MapTask:
        """Writes the points and the earlier map of the same feature and method."""
        from core.features.cache import folder_of

        request, path = job.request, store.path.resolve()
        embeddings.write_points(store, last_finished(store, request.run_id), MAX_POINTS, folder / "points.parquet")
        previous = embeddings.latest_of_any_run(store, request.feature, request.method)
        if previous:
            embeddings.write_places(store, previous, folder / "previous.parquet")
        folders = str(folder_of(path)), str(weight_files.weights_folder(path))
        return MapTask(request.feature, request.method, *folders, previous)

    def take_in(self, store: Store, job: Job[MapRequest, str], task: MapTask, folder: Path, summary: dict[str, Any]) -> str:
        """Inserts the map."""
        n_banners = last_finished(store, job.request.run_id)["n_banners"]
        with store.transaction() as cursor:
            _insert_tables(cursor, job.id, folder / "out")
            row = {
                "embedding_id": job.id,
                "run_id": job.request.run_id,
                **{name: getattr(task, name) for name in ("feature", "method")},
                **{name: summary[name] for name in ("weights", "n_points", "n_fitted", "n_clusters", "shares", "near_share")},
                "n_banners": n_banners,
                "certificate": to_json(summary["certificate"]) if summary["certificate"] else None,
                "aligned_to": task.previous if summary["is_aligned"] else None,
                "seconds": job.seconds,
                "settings": to_json(summary["settings"]),
                "finished_at": clock.moment(cursor, "embedding"),
            }
            cursor.execute(f"INSERT INTO embedding ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
        return job.id


MAP = MapKind()


def about(store: Store, embedding_id: str) -> dict[str, Any]:
    """What is known of a finished map, for people and machines."""
    found = embeddings.about(store, embedding_id)
    proof = json.loads(found["certificate"]) if found["certificate"] else None
    return found | {"certificate": proof, "finished_at": str(found["finished_at"])}


def _insert_tables(cursor: duckdb.DuckDBPyConnection, embedding_id: str, out: Path) -> None:
    for table, order in (("point", "ORDER BY point"), ("anchor", "")):
        source = str(out / f"{table}.parquet").replace("'", "''")
        rows = f"SELECT $id::UUID AS embedding_id, * FROM read_parquet('{source}') {order}"
        cursor.execute(f"INSERT INTO embedding_{table} BY NAME {rows}", {"id": embedding_id})
