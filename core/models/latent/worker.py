"""What a variational autoencoder draws of one banner, from a job folder: Parquet in, Parquet out, no database.

    python -m core.models.latent.worker JOBDIR

Reads job.json (seed, values, max_steps or null) and banners.parquet (banner_id, n_products, bins, counts; the banner to draw is the
first row, the others, one or more, are of its grid). Trains `vae` on all of them and writes out/drawn.parquet: the banner as the network
sees it, its reconstruction, then for every two entries of its code what is drawn where they take each of `values` and the others keep
theirs. Last comes out/summary.json. Prints one JSON object a line: {"done": 0..1, "what": …}, or {"error": …} and exit code 2.
"""

import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.banners.heatmaps import counts_of_lists
from core.banners.images import Image
from core.detectors import make
from core.detectors.vae import Vae
from core.jobs.worker import asked_of, run, say
from core.scoring.grid import IMAGES

NICENESS = 10
"""The dashboard and its scoring runs go first."""
TRAINED_SHARE = 0.9


def main(job: Path) -> None:
    """Draws what the job in `job` asks for; every file is complete before summary.json appears."""
    asked = asked_of(job)
    os.nice(NICENESS)
    start = time.perf_counter()
    banners = pq.read_table(job / "banners.parquet")
    X, layouts = seen(banners)
    vae = trained(X, layouts, int(asked["seed"]), asked.get("max_steps"))
    say(TRAINED_SHARE, "drawing")
    code = vae.encode(X[:1], layouts[:1])[0]
    errors = vae.score(X, layouts)
    drawn = np.concatenate([X[:1], vae.reconstruct(X[:1], layouts[:1]), lattice(vae, code, layouts[0], asked["values"])])
    (job / "out").mkdir(exist_ok=True)
    flat = pa.array(drawn.astype(np.float16).ravel())
    pq.write_table(pa.table({"image": pa.FixedSizeListArray.from_arrays(flat, drawn[0].size)}), job / "out" / "drawn.parquet")
    summary = {
        "code": [float(value) for value in code],
        "error": float(errors[0]),
        "smaller_share": float((errors[1:] < errors[0]).mean()),
        "n_fitted": len(X),
        "losses": [float(value) for value in vae.losses_],
        "seconds": time.perf_counter() - start,
    }
    (job / "out" / "summary.json").write_text(json.dumps(summary))
    say(1.0, "finished")


def seen(banners: pa.Table) -> tuple[Image, NDArray[np.int64]]:
    """(n, 1, 40, 40) square roots of the smoothed shares, each image of length 1, and the layouts (n,), a code a number of products.

    At length 1 the squares of an image are shares of clicks, however bright its brightest cell is: two images are drawn on one scale.
    """
    X = IMAGES.make(counts_of_lists(banners["bins"], banners["counts"]))
    length = np.sqrt(np.square(X).sum(axis=(1, 2, 3), keepdims=True, dtype=np.float64))
    layouts = np.unique(banners["n_products"].to_numpy(), return_inverse=True)[1].astype(np.int64)
    return np.asarray(X / np.maximum(length, 1e-9), dtype=np.float32), layouts


def trained(X: Image, layouts: NDArray[np.int64], seed: int, max_steps: int | None) -> Vae:
    """The catalogue's `vae`, fitted."""
    fields: dict[str, Any] = {"seed": seed, "progress": lambda done, what: say(TRAINED_SHARE * done, what)}
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
    run(main)
