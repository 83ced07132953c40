"""What a variational autoencoder draws of one banner, from a job folder: Parquet in, Parquet out, no database.

    python -m core.models.latent.worker JOBDIR

Reads request.json (a LatentRequest) and banners.parquet (banner_id, n_products, bins, counts; the banner to draw is the first row, the
others, one or more, are of its grid). Trains `vae` on all of them and writes out/drawn.parquet: the banner as the network sees it, its
reconstruction, then for every two entries of its code what is drawn where they take each of LEAST..MOST and the others keep theirs.
`core.jobs.worker` does the rest.
"""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.banners.heatmaps import counts_of_lists
from core.detectors import make
from core.detectors.vae import Vae
from core.jobs import worker
from core.logs.progress import Progress, no_progress
from core.models.latent.request import LEAST, MOST, LatentRequest
from core.scoring.grid import IMAGES
from core.statistics.arrays import Image

TRAINED_SHARE = 0.9


def draw(job: Path, task: LatentRequest, progress: Progress) -> dict[str, Any]:
    """Draws the first banner in the folder `job`; returns what is known of it."""
    banners = pq.read_table(job / "banners.parquet")
    X, layouts = seen(banners)
    vae = trained(X, layouts, task.seed, task.max_steps, progress)
    progress(TRAINED_SHARE, "drawing")
    code = vae.encode(X[:1], layouts[:1])[0]
    errors = vae.score(X, layouts)
    drawn = np.concatenate([X[:1], vae.reconstruct(X[:1], layouts[:1]), lattice(vae, code, layouts[0], list(range(LEAST, MOST + 1)))])
    flat = pa.array(drawn.astype(np.float16).ravel())
    pq.write_table(pa.table({"image": pa.FixedSizeListArray.from_arrays(flat, drawn[0].size)}), job / "out" / "drawn.parquet")
    return {
        "code": [float(value) for value in code],
        "error": float(errors[0]),
        "smaller_share": float((errors[1:] < errors[0]).mean()),
        "n_fitted": len(X),
        "losses": [float(value) for value in vae.losses_],
    }


def seen(banners: pa.Table) -> tuple[Image, NDArray[np.int64]]:
    """(n, 1, 40, 40) square roots of the smoothed shares, each image of length 1, and the layouts (n,), a code a number of products.

    At length 1 the squares of an image are shares of clicks, however bright its brightest cell is: two images are drawn on one scale.
    """
    X = IMAGES.make(counts_of_lists(banners["bins"], banners["counts"]))
    length = np.sqrt(np.square(X).sum(axis=(1, 2, 3), keepdims=True, dtype=np.float64))
    layouts = np.unique(banners["n_products"].to_numpy(), return_inverse=True)[1].astype(np.int64)
    return np.asarray(X / np.maximum(length, 1e-9), dtype=np.float32), layouts


def trained(X: Image, layouts: NDArray[np.int64], seed: int, max_steps: int | None, progress: Progress = no_progress) -> Vae:
    """The catalogue's `vae`, fitted."""

    def report(done: float, what: str, /, **numbers: float) -> None:
        progress(TRAINED_SHARE * done, what, **numbers)

    fields: dict[str, Any] = {"seed": seed, "progress": report}
    vae: Vae = make("vae", **fields, **({"max_steps": max_steps} if max_steps else {}))
    return vae.fit(X, layouts)


def lattice(vae: Vae, code: NDArray[np.float32], layout: int, values: list[int]) -> Image:
    """(pairs * len(values)², 1, 40, 40) images of the code with two entries changed: pairs in the order of combinations, then
    the first entry's value, then the second's."""
    codes = []
    for pair in itertools.combinations(range(len(code)), 2):
        for taken in itertools.product(values, repeat=2):
            changed = code.copy()
            changed[list(pair)] = taken
            codes.append(changed)
    return vae.decode(np.stack(codes), np.full(len(codes), layout))


if __name__ == "__main__":
    worker.main(LatentRequest)(draw)
