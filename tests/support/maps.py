"""Synthetic maps and cosine distances for a store of `stores.py`, written straight into its tables: nothing was computed from clicks."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.features.base import Extractor
from core.store import Store
from core.store.queries.runs import finished_runs

if TYPE_CHECKING:
    from torch import Tensor, nn

N_NEAR = 32


def multiply(store: Store, times: int) -> int:
    """Copies every banner with its clicks and result until there are `times` as many; returns how many there are."""
    copies = f"(SELECT unnest(range(1, {times})) AS k)"
    with store.transaction() as cursor:
        cursor.execute(f"INSERT INTO banner SELECT banner_id || '-' || k, * EXCLUDE (banner_id, k) FROM banner, {copies}")
        name = "banner_id || '-' || k AS banner_id"
        cursor.execute(f"INSERT INTO heatmap_day SELECT * EXCLUDE (k) REPLACE ({name}) FROM heatmap_day, {copies}")
        for table in ("result", "heatmap"):
            cursor.execute(f"UPDATE {table} SET position = {times} * (position - 1) + 1")
            cursor.execute(f"INSERT INTO {table} SELECT * EXCLUDE (k) REPLACE ({name}, position + k AS position) FROM {table}, {copies}")
        cursor.execute(f"UPDATE run_info SET n_banners = {times} * n_banners, n_flagged = {times} * n_flagged")
    return int(store.rows("SELECT count(*) AS n FROM result")[0]["n"])


def add_map(store: Store, feature: str = "heatmap", method: str = "pca", seed: int = 0) -> str:
    """A map of the newest run's banners in four heaps, flagged ones first and spread between them; returns its id."""
    run_id = finished_runs(store)[0]["run_id"]
    rows = store.rows("SELECT banner_id, flagged FROM result WHERE run_id = ? ORDER BY NOT flagged, position", [run_id])
    rng, n = np.random.default_rng(seed), len(rows)
    flagged = np.array([r["flagged"] for r in rows])
    heap = np.where(flagged & (rng.random(n) < 0.6), -1, rng.integers(0, 4, n))
    centres = np.array([[-3, -2, 0], [3, -2, 1], [-3, 2, 1], [3, 2, 0], [0, 0, 0]], dtype=np.float32)
    places = (centres[heap] + rng.normal(0, 0.7, (n, 3))).astype(np.float32)
    near = np.zeros((n, N_NEAR), dtype=np.float32)
    near[:, :3] = places / 8
    embedding_id = str(uuid.UUID(int=seed + 500))
    columns = {"point": np.arange(n, dtype=np.int32), "banner_id": [r["banner_id"] for r in rows], "x": places[:, 0], "y": places[:, 1]}
    columns |= {"u": places[:, 0], "v": places[:, 1], "w": places[:, 2], "cluster": heap.astype(np.int16), "near": list(near)}
    proof = '{"ratio": 1.006, "violation_p99": 0.0001, "n_pieces": 1}' if method == "mvu" else None
    with store.transaction() as cursor:
        _insert(cursor, "embedding_point", columns | {"embedding_id": [embedding_id] * n})
        cursor.execute("INSERT INTO embedding_anchor VALUES (?, 333346, 2, 0, 0, 0, 0, 0)", [embedding_id])
        cursor.execute(
            """INSERT INTO embedding SELECT ?, ?, ?, ?, NULL, ?, ?, ?, 4, [0.6, 0.34, 0.04], 0.9, ?, NULL, 1.5, NULL, finished_at
               FROM run_info WHERE run_id = ?""",
            [embedding_id, run_id, feature, method, n, n, n, proof, run_id],
        )
    return embedding_id


def add_cosines(store: Store, names: tuple[str, ...] = ("cosine_one", "cosine_two"), seed: int = 0) -> None:
    """Cosine distances by these detectors: flagged banners are far; of the others the last detector left every second one out."""
    run_id = finished_runs(store)[0]["run_id"]
    rows = store.rows("SELECT banner_id, flagged FROM result WHERE run_id = ? ORDER BY banner_id", [run_id])
    rng = np.random.default_rng(seed)
    flagged = np.array([r["flagged"] for r in rows])
    with store.transaction() as cursor:
        for name in names:
            kept = flagged | (name != names[-1]) | (np.arange(len(rows)) % 2 == 0)
            distance = np.where(flagged, rng.uniform(0.2, 0.6, len(rows)), rng.uniform(0.01, 0.15, len(rows)))[kept]
            banners = [r["banner_id"] for r, k in zip(rows, kept, strict=True) if k]
            n = len(banners)
            cursor.execute("INSERT INTO run_detector VALUES (?, ?, 'features', 'features', 0.5, 0.1, ?, 'none')", [run_id, name, n])
            columns = {"run_id": [run_id] * n, "banner_id": banners, "detector": [name] * n, "score": distance}
            _insert(cursor, "score", columns | {"normalised": np.zeros(n), "p_value": np.full(n, 0.5)})


def _insert(cursor: Any, table: str, columns: dict[str, Any]) -> None:
    cursor.register("batch_to_insert", pa.table({name: pa.array(values) for name, values in columns.items()}))
    cursor.execute(f"INSERT INTO {table} BY NAME SELECT * FROM batch_to_insert")
    cursor.unregister("batch_to_insert")


@dataclass(frozen=True)
class Quarters(Extractor):
    """Features without a network: the clicks in the four quarters of a heatmap."""

    label: str = "one"

    @property
    def name(self) -> str:
        return self.label

    @property
    def n_dims(self) -> int:
        return 4

    @property
    def weights(self) -> str:
        return "none"

    def why_not(self) -> str | None:
        return None

    def _load(self) -> "nn.Module":
        raise NotImplementedError

    def _forward(self, network: "nn.Module", images: "Tensor") -> "Tensor":
        raise NotImplementedError

    def without_network(self, counts: csr_matrix) -> Iterator[NDArray[np.float32]]:
        rows, cols = np.divmod(np.arange(1600), 40)
        quarter = (2 * (rows // 20) + cols // 20)[:, None] == np.arange(4)
        yield np.asarray(counts @ quarter.astype(np.float32))


def quarters(label: str) -> Quarters:
    """The same under another name."""
    return replace(Quarters(), label=label)
