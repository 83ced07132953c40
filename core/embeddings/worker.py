"""One map of banners from a job folder to their places: Parquet in, Parquet out, no database.

    python -m core.embeddings.worker JOBDIR

Reads request.json (a MapTask), points.parquet (banner_id, grid_id, n_products, usable, bins, counts) and, where an earlier map is there to
be followed, previous.parquet (banner_id, x, y, u, v, w); writes out/point.parquet and out/anchor.parquet. `core.jobs.worker` does the rest.
"""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn import decomposition

from core.banners.heatmaps import counts_of_lists
from core.banners.images import smoothed
from core.embeddings.alignment import fit_alignment
from core.embeddings.base import Embedding
from core.embeddings.clusters import cluster
from core.embeddings.mvu import MVU
from core.embeddings.pca import PCA
from core.embeddings.request import MapTask
from core.errors import InputError
from core.features import EXTRACTORS, make_extractor
from core.features.anchors import robust_anchors, unit
from core.features.cache import FeatureStore
from core.features.trained_here import OwnExtractor
from core.jobs import worker
from core.logs.progress import Progress, no_progress
from core.scoring import tables
from core.scoring.tables import N_NEAR
from core.statistics.arrays import Matrix

HEATMAP = "heatmap"
"""The feature that needs no network: square roots of the smoothed shares, whose distances are Hellinger's."""
HEATMAP_NOISE = 1.2 / 40
"""Its smoothing in sides of the banner, a little more than a cell: neighbouring cells of sparse heatmaps shall resemble each other."""

N_AXES = 3
MOST_UNFOLDED = 2000
"""Points that an unfolding is fitted on; the others are placed among them, which takes a millisecond each instead of its square."""

LEAST_OF_LAYOUT, MOST_ANCHORS = 5, 60
LEAST_SHARED = 10
"""Banners that two maps must have in common before one is turned to the other."""
SMALLEST_CLUSTER = 15

FEATURES_SHARE, FITTED_SHARE, PLACED_SHARE = 0.55, 0.85, 0.95


def make_map(job: Path, task: MapTask, progress: Progress) -> dict[str, Any]:
    """Makes the map of the points in the folder `job`; returns what is known of it."""
    start = time.perf_counter()
    points = pq.read_table(job / "points.parquet")
    counts = counts_of_lists(points["bins"], points["counts"])
    features, weights = features_of(task.feature, counts, Path(task.features), Path(task.weights), progress)
    X = unit(features).astype(np.float32)
    embedding, places, n_fitted = fitted(task.method, X, task.seed, progress)
    of_layouts, anchors = anchors_of(X, points)
    placed = np.concatenate([places, embedding.transform(anchors)]) if len(anchors) else places
    progress(PLACED_SHARE, "clusters, neighbours")
    flat, deep, is_aligned = followed(placed, points["banner_id"].to_numpy(zero_copy_only=False), job / "previous.parquet")
    clusters = cluster(places, smallest=SMALLEST_CLUSTER) if len(X) > SMALLEST_CLUSTER else np.full(len(X), -1)
    near, near_share = strongest_directions(X)
    n = len(X)
    columns = {"banner_id": points["banner_id"], **_columns(flat[:n], deep[:n]), "cluster": clusters, "near": list(near)}
    tables.write(tables.table("point", {"point": np.arange(n), **columns}), "point", job / "out" / "point.parquet")
    tables.write(tables.table("anchor", {**of_layouts, **_columns(flat[n:], deep[n:])}), "anchor", job / "out" / "anchor.parquet")
    return {
        "weights": weights,
        "n_points": n,
        "n_fitted": n_fitted,
        "n_clusters": int(clusters.max()) + 1,
        "shares": [float(share) for share in vars(embedding)["shares_"]],
        "near_share": near_share,
        "certificate": certificate_of(embedding),
        "is_aligned": is_aligned,
        "settings": {"seconds": round(time.perf_counter() - start, 3), "n_dims": X.shape[1], "seed": task.seed},
    }


def features_of(
    name: str, counts: csr_matrix, folder: Path, own_weights: Path, progress: Progress = no_progress
) -> tuple[NDArray[np.floating], str | None]:
    """(n, d) features by name, and their weights; read where they are kept, computed and kept where they are not.

    Networks take weights from the folder `own_weights` where it has them, as in a run.

    Raises InputError for an unknown name and where the extractor cannot run here.
    """
    if name == HEATMAP:
        progress(0.0, "smoothing the heatmaps")
        return np.sqrt(smoothed(counts, HEATMAP_NOISE)), None
    own = {"own_weights": own_weights} if isinstance(EXTRACTORS.get(name), OwnExtractor) else {}
    extractor = make_extractor(name, **own)
    reason = extractor.why_not()
    if reason is not None:
        raise InputError(reason)

    def told(done: int, n: int) -> None:
        progress(FEATURES_SHARE * done / n, f"computing {name}: {done:,} of {n:,} banners that have none yet")

    progress(0.0, f"reading features of {name}")
    return FeatureStore(folder, extractor).of(counts, told), extractor.weights


def fitted(method: str, X: NDArray[np.float32], seed: int, progress: Progress) -> tuple[Embedding, Matrix, int]:
    """The fitted map, places (n, 3) of all rows, and how many rows it was fitted on: the first ones.

    Raises InputError for fewer banners than a map needs.
    """
    if len(X) <= N_AXES:
        raise InputError(f"A map needs more banners than its {N_AXES} axes; this run has {len(X)}. Score more of them.")
    n_fitted = len(X) if method == "pca" else min(len(X), MOST_UNFOLDED)
    progress(FEATURES_SHARE, f"{'finding principal components of' if method == 'pca' else 'unfolding'} {n_fitted:,} banners")
    embedding = (PCA(n_axes=N_AXES, seed=seed) if method == "pca" else MVU(n_axes=N_AXES, seed=seed)).fit(X[:n_fitted])
    places = [vars(embedding)["points_"]]
    for start in range(n_fitted, len(X), 500):
        share = (start - n_fitted) / max(1, len(X) - n_fitted)
        progress(FITTED_SHARE + (PLACED_SHARE - FITTED_SHARE) * share, f"placing the other {len(X) - n_fitted:,} banners among them")
        places.append(embedding.transform(X[start : start + 500]))
    return embedding, np.concatenate(places), n_fitted


def anchors_of(X: NDArray[np.float32], points: pa.Table) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Layouts (grid_id, n_products) with enough usable banners, the largest ones, and their robust mean directions (k, d)."""
    grid, products = points["grid_id"].to_numpy(), points["n_products"].to_numpy()
    usable = points["usable"].to_numpy(zero_copy_only=False)
    layouts, code = np.unique(np.stack([grid, products]), axis=1, return_inverse=True)
    sizes = np.bincount(code[usable], minlength=layouts.shape[1])
    kept = [int(k) for k in np.argsort(-sizes, kind="stable")[:MOST_ANCHORS] if sizes[k] >= LEAST_OF_LAYOUT]
    nothing = np.zeros(X.shape[1])
    found = [robust_anchors(X[usable & (code == k)], nothing).directions for k in kept]
    directions = np.concatenate(found).astype(np.float32) if found else np.empty((0, X.shape[1]), np.float32)
    return {"grid_id": layouts[0, kept].astype(np.int64), "n_products": layouts[1, kept].astype(np.int16)}, directions


def followed(places: Matrix, banner_id: NDArray[Any], previous: Path) -> tuple[Matrix, Matrix, bool]:
    """Maps with two and with three axes, each turned to the earlier map where enough of the first rows' banners are in both."""
    flat, deep = places[:, :2], places
    if not previous.exists():
        return flat, deep, False
    earlier = pq.read_table(previous)
    at = {name: k for k, name in enumerate(earlier["banner_id"].to_pylist())}
    rows = np.array([k for k, name in enumerate(banner_id) if name in at], dtype=np.int64)
    if len(rows) < LEAST_SHARED:
        return flat, deep, False
    to = np.array([at[banner_id[k]] for k in rows])

    def turned(own: Matrix, names: tuple[str, ...]) -> Matrix:
        turn = fit_alignment(own[rows], np.stack([earlier[name].to_numpy().astype(np.float64)[to] for name in names], axis=1))
        return own @ turn.rotation + turn.shift

    return turned(flat, ("x", "y")), turned(deep, ("u", "v", "w")), True


def strongest_directions(X: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """(n, N_NEAR) projections on the directions of largest variance, 0 beyond what there are, and the share of the variance they hold."""
    k = min(N_NEAR, *X.shape)
    found = decomposition.PCA(k, svd_solver="randomized", random_state=0).fit(X)
    near = np.zeros((len(X), N_NEAR), dtype=np.float32)
    near[:, :k] = found.transform(X)
    return near, float(found.explained_variance_ratio_.sum())


def certificate_of(embedding: Embedding) -> dict[str, float | None] | None:
    """The certificate of an unfolding with what is not finite as None, and the pieces that its graph fell into; None for PCA."""
    if not isinstance(embedding, MVU):
        return None
    values = {name: float(value) for name, value in embedding.certificate_._asdict().items()}
    return {name: value if math.isfinite(value) else None for name, value in values.items()} | {"n_pieces": int(embedding.n_pieces_)}


def _columns(flat: Matrix, deep: Matrix) -> dict[str, NDArray[np.float32]]:
    names = dict(zip("xyuvw", [*flat.T, *deep.T], strict=True))
    return {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in names.items()}


if __name__ == "__main__":
    worker.main(MapTask)(make_map)
