"""A synthetic day of clicks as Parquet, for measurements of size: many banners of few clicks, some of them broken.

GRIDS grids of four layouts each, the 40 domains of `core.banners.synthetic`, clicks a banner log-normal around PER_BANNER, BROKEN of the
banners with one of the ten fault families. A file holds all clicks of its banners, as a log that is spread by banner does, in the order of
time.
"""

from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.banners.layouts import Layout, Points, make_layout
from core.banners.synthetic import FAULTS, Domains, make_domains
from core.settings import n_threads
from core.statistics.arrays import Vector

DAY = np.datetime64("2026-11-01T00:00:00", "ms")
GRIDS = 50
PER_FILE = 1_000_000
"""Banners a file."""
PER_BANNER, SPREAD = 20, 1.0
"""Mean clicks a banner, and the standard deviation of their logarithm."""
BROKEN = 0.01


@dataclass(frozen=True)
class World:
    """What all files of a day have in common: layouts by grid and number of products, domains, and each grid's share of the banners."""

    layouts: list[dict[int, Layout]]
    domains: Domains
    share: Vector


def make_world(seed: int) -> World:
    """The grids and domains of a seed."""
    rng = np.random.default_rng(seed)
    layouts = [{n: make_layout(rng, n) for n in sorted(rng.choice(np.arange(1, 7), 4, replace=False).tolist())} for _ in range(GRIDS)]
    share = (1 + rng.permutation(GRIDS)) ** -0.5
    return World(layouts, make_domains(rng), share / share.sum())


def write_day(folder: Path, n_banners: int, seed: int = 0) -> list[Path]:
    """Writes the day, a process a core, and beside each `<k>.parquet` its truth as `<k>.truth` (banner_id, fault); returns the logs."""
    folder.mkdir(parents=True, exist_ok=True)
    world = make_world(seed)
    n_files = -(-n_banners // PER_FILE)
    sizes = [n_banners // n_files + (k < n_banners % n_files) for k in range(n_files)]
    jobs = [(folder / f"{k:03d}.parquet", world, size, seed, k) for k, size in enumerate(sizes)]
    with get_context("fork").Pool(min(n_threads(), n_files)) as pool:
        return pool.starmap(write_file, jobs, chunksize=1)


def write_file(path: Path, world: World, n_banners: int, seed: int, part: int) -> Path:
    """Writes the clicks of `n_banners` banners, and their truth; the same for the same seed and part."""
    rng = np.random.default_rng([seed, part])
    grid = rng.choice(GRIDS, n_banners, p=world.share)
    domain = rng.choice(len(world.domains.share), n_banners, p=world.domains.share)
    n_products = np.array([list(own) for own in world.layouts])[grid, rng.integers(4, size=n_banners)]
    n_clicks = np.maximum(np.rint(rng.lognormal(np.log(PER_BANNER) - SPREAD**2 / 2, SPREAD, n_banners)).astype(np.int64), 1)
    fault = np.where(rng.random(n_banners) < BROKEN, rng.integers(len(FAULTS), size=n_banners), -1)
    fault[(n_products == 1) & (fault == list(FAULTS).index("missing_product"))] = -1
    banner = np.repeat(np.arange(n_banners, dtype=np.int32), n_clicks)
    points = np.empty((len(banner), 2), dtype=np.float32)
    starts = np.concatenate([[0], np.cumsum(n_clicks)])
    order = np.lexsort((n_products, grid))
    bounds = np.flatnonzero(np.diff(grid[order] * 10 + n_products[order], prepend=-1, append=-1))
    for a, b in pairwise(bounds):
        own = np.sort(order[a:b])
        layout = world.layouts[grid[own[0]]][int(n_products[own[0]])]
        rows = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in own])
        points[rows] = _clicks(rng, layout, world.domains, domain[own], np.repeat(np.arange(len(own)), n_clicks[own]))
    for i in np.flatnonzero(fault >= 0):
        layout = world.layouts[grid[i]][int(n_products[i])]
        others = list(world.layouts[(grid[i] + 1 + rng.integers(GRIDS - 1)) % GRIDS].values())
        kind = list(FAULTS.values())[fault[i]]
        points[starts[i] : starts[i + 1]] = kind(rng, world.domains.drawn(rng, layout, int(domain[i])), others, int(n_clicks[i]))
    ids = pa.array([f"{part:03x}{x:013x}" for x in rng.integers(0, 2**52, n_banners)])
    at = (DAY + (np.clip(rng.normal(15, 4.5, len(banner)), 0, 23.99) * 3_600_000).astype("timedelta64[ms]")).astype("datetime64[ms]")
    by_time = np.argsort(at)
    names = pa.array(world.domains.name, pa.string())
    rows_of = banner[by_time]
    columns = {
        "banner_id": pa.DictionaryArray.from_arrays(rows_of, ids),
        "grid_id": 300_000 + grid[rows_of],
        "n_products": n_products[rows_of].astype(np.int16),
        "domain": pa.DictionaryArray.from_arrays(domain[rows_of].astype(np.int32), names),
        "click_x_rel": points[by_time, 0],
        "click_y_rel": points[by_time, 1],
        "clicked_at": at[by_time],
    }
    pq.write_table(pa.table(columns), path, row_group_size=PER_FILE)
    kinds = pa.array([*FAULTS, ""])
    pq.write_table(
        pa.table({"banner_id": ids, "fault": kinds.take(pa.array(np.where(fault < 0, len(FAULTS), fault)))}), path.with_suffix(".truth")
    )
    return path


def _clicks(rng: np.random.Generator, layout: Layout, domains: Domains, domain: NDArray[np.int64], banner: NDArray[np.int64]) -> Points:
    """Clicks inside the banner of a layout's ok banners: as `Domains.drawn` draws each, for all at once. `banner` (n,) says whose."""
    n_banners, n_spots = len(domain), len(layout.spots)
    liked = rng.gamma(8, 1 / 8, (n_banners, layout.product.max() + 2))
    upto = np.cumsum(layout.weights * liked[:, layout.product], axis=1)
    upto = (upto / upto[:, -1:]).astype(np.float32)
    u = rng.random(len(banner), dtype=np.float32)
    spot = np.zeros(len(banner), dtype=np.int64)
    for k in range(n_spots - 1):
        spot += u > upto[banner, k]
    stretch = domains.stretch[domain]
    centre = (
        0.5 + (layout.spots[None, :, :2] - 0.5) * stretch[:, None] + (domains.move[domain] + rng.normal(0, 0.006, (n_banners, 2)))[:, None]
    )
    centre, sd = centre[banner, spot], layout.spots[spot, 2:]
    noisy = rng.random(len(banner)) < (layout.noise + domains.noise[domain])[banner]
    points = np.where(noisy[:, None], rng.random((len(banner), 2)), centre + sd * rng.normal(size=centre.shape))
    for _ in range(6):
        out = np.flatnonzero(((points < 0) | (points > 1)).any(axis=1))
        points[out] = centre[out] + sd[out] * rng.normal(size=(len(out), 2))
    return np.clip(points, 0, 1)
