"""Speed of the count statistics and of the template bank, each beside one bare CSR product of the same shape, in one run.

    python -m benchmarks.detectors.statistics [--banners 100000] [--clicks 180]

Synthetic banners drawn from seven demo-like references. Limits: 100,000 banners/s for multinomial, chi-squared and KL at three
resolutions together; 5,000 banners/s for a bank of 2,000 templates.
"""

import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_matrix

from core import settings
from core.banners import templates
from core.banners.fitting import fit_reference
from core.banners.heatmaps import Heatmaps, bins_of
from core.banners.reference import Reference
from core.banners.synthetic import DEMO, GridPlan, make_clicks
from core.banners.templates import NOISE
from core.detectors import make

STATISTICS = [f"{name}{size}" for name in ("multinomial", "chi_squared", "kl_divergence") for size in ("", "_20", "_10")]
BANK = 2_000
REPEATS = 3


def main(banners: Annotated[int, typer.Option()] = 100_000, clicks: Annotated[int, typer.Option()] = 180) -> None:
    """Prints banners a second, and the time as a multiple of the bare product."""
    reference = _references()
    heatmaps = _draw(reference, banners, clicks)
    few = heatmaps.take(np.arange(min(banners, 20_000)))
    rng = np.random.default_rng(0)
    table = Table("what", "banners", "seconds", "banners/s", "bare product s", "ratio", "limit", title="Synthetic banners")
    matrix = rng.random((1600, len(STATISTICS)), dtype=np.float32)
    bare = _best(lambda fresh: _product(fresh, matrix), heatmaps)
    own = _best(lambda fresh: _statistics(fresh, reference), heatmaps)
    _row(table, "9 statistics", len(heatmaps), own, bare, 100_000)
    matrix = rng.random((1600, BANK), dtype=np.float32)
    bare = _best(lambda fresh: _product(fresh, matrix), few)
    own = _best(lambda fresh: _bank(fresh, reference), few)
    _row(table, f"bank of {BANK:,}", len(few), own, bare, 5_000)
    console = Console()
    console.print(table)
    console.print(f"{settings.n_threads()} threads, {heatmaps.counts.nnz / len(heatmaps):.0f} filled cells a banner, best of {REPEATS}")


def _row(table: Table, what: str, n: int, own: float, bare: float, limit: int) -> None:
    reached = "reached" if n / own >= limit else "missed"
    table.add_row(what, f"{n:,}", f"{own:.2f}", f"{n / own:,.0f}", f"{bare:.2f}", f"{own / bare:.1f}", f"{limit:,} {reached}")


def _best(function: Callable[[Heatmaps], object], heatmaps: Heatmaps) -> float:
    seconds = []
    for _ in range(REPEATS):
        fresh = heatmaps.take(np.arange(len(heatmaps)))  # nothing kept from an earlier repeat
        start = time.perf_counter()
        function(fresh)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _references() -> Reference:
    plans = tuple(GridPlan(p.grid_id, 120, 6) for p in DEMO)
    log = make_clicks(0, plans)
    bins = bins_of(log.points[:, 0], log.points[:, 1])
    counts = csr_matrix((np.ones(len(bins), np.float32), (log.banner, bins)), shape=(len(log.banner_id), 1600))
    counts.sum_duplicates()
    return fit_reference(Heatmaps(log.banner_id, log.grid_id, log.n_products, log.domain, counts))


def _draw(reference: Reference, n: int, clicks: int) -> Heatmaps:
    rng = np.random.default_rng(1)
    grids = [k for k, g in enumerate(reference.groups) if g.n_products is None]
    rows = np.sort(rng.integers(0, len(grids), n))
    bins = np.empty((n, clicks), dtype=np.int32)
    for k, row in enumerate(grids):
        bins[rows == k] = rng.choice(1600, ((rows == k).sum(), clicks), p=reference.p[row])
    counts = csr_matrix((np.ones(n * clicks, np.float32), bins.ravel(), np.arange(n + 1) * clicks), shape=(n, 1600))
    counts.sum_duplicates()
    grid_id = np.array([reference.groups[k].grid_id for k in grids])[rows]
    ids = np.array([f"b{i}" for i in range(n)], dtype=object)
    return Heatmaps(ids, grid_id, np.zeros(n, np.int16), np.full(n, "", dtype=object), counts)


def _product(heatmaps: Heatmaps, matrix: NDArray[np.float32]) -> object:
    return [heatmaps.counts[k : k + 4096] @ matrix for k in range(0, len(heatmaps), 4096)]


def _statistics(heatmaps: Heatmaps, reference: Reference) -> None:
    groups = np.zeros(len(heatmaps), np.int64)
    for name in STATISTICS:
        make(name, reference=reference).fit(heatmaps, groups).score(heatmaps, groups)


def _bank(heatmaps: Heatmaps, reference: Reference) -> None:
    """Scores against a bank filled up to BANK templates with other layouts."""
    groups = np.zeros(len(heatmaps), np.int64)
    detector = make("likelihood_ratio", reference=reference).fit(heatmaps, groups)
    own = [k for k, g in enumerate(reference.groups) if g.n_products is None]
    missing = BANK - min(len(detector.bank(row).details) for row in own) + len(detector.others)
    rng = np.random.default_rng(2)
    templates.MAX_OTHER = BANK  # a real bank takes fewer layouts of other grids; the limit is stated for 2,000 templates
    extra = {10_000 + k: rng.dirichlet(np.full(1600, 0.5)) + NOISE / 1600 for k in range(max(missing, 0))}
    make("likelihood_ratio", reference=reference, others=extra).fit(heatmaps, groups).score(heatmaps, groups)


if __name__ == "__main__":
    typer.run(main)
