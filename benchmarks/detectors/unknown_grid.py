"""Are banners of a new grid told from banners of known grids? Leave-one-grid-out on synthetic demos.

    python -m benchmarks.detectors.unknown_grid [SEED …]          default: demo seeds 0 1 2 3 4

Each grid is left out in turn. References are learned from one half of the other grids' banners, drawn at random, as an earlier run
would; everything is scored on the other half. `new` are banners in order of the grid left out. ROC-AUC of the score against banners
in order of the known grids, and against their broken ones; shares of banners beyond the threshold that the first half's banners set; and
the grid told by company: the share of `new` beyond the cut among 5 banners drawn at random, against 5 of any known grid, broken ones
among them as they come. KERNEL_SD and STRAY of `core.scoring.new_grids` were chosen on seeds 20 and 21. Everything here is synthetic data.
"""

import argparse

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from core.banners.fitting import fit_reference
from core.banners.heatmaps import Heatmaps, heatmaps_of
from core.banners.synthetic import DEMO, make_clicks
from core.scoring.new_grids import Known

COLUMNS = (
    "new against known",
    "lowest grid",
    "new against broken",
    "new beyond threshold",
    "known beyond threshold",
    "broken beyond threshold",
    "5 against 5",
)
COMPANY, N_DRAWS = 5, 500


def auc(high: NDArray[np.float64], low: NDArray[np.float64]) -> float:
    """Chance that one of `high` is above one of `low`, ties half."""
    return float(roc_auc_score(np.repeat([1, 0], [len(high), len(low)]), np.concatenate([high, low])))


def measure(seed: int) -> NDArray[np.float64]:
    """(7 grids, 6) the columns but `lowest grid`, a row a grid left out."""
    log = make_clicks(seed, DEMO)
    heatmaps = heatmaps_of(log.banner, log.points, log.banner_id, log.grid_id, log.n_products, log.domain)
    broken, earlier = log.fault != "", np.random.default_rng(seed).random(len(heatmaps)) < 0.5
    rng = np.random.default_rng([seed, 1])
    return np.array([_leave_out(heatmaps, broken, earlier, g, rng) for g in np.unique(log.grid_id)])


def _leave_out(
    heatmaps: Heatmaps, broken: NDArray[np.bool_], earlier: NDArray[np.bool_], grid: int, rng: np.random.Generator
) -> list[float]:
    other = heatmaps.grid_id != grid
    first = heatmaps.take(np.flatnonzero(earlier & other))
    reference = fit_reference(first)
    wide = [k for k, g in enumerate(reference.groups) if g.domain is None]
    known = Known(np.array([reference.groups[k].grid_id for k in wide]), reference.p[wide]).fit(first.counts)

    def scores(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        return known.judge(heatmaps.counts[np.flatnonzero(mask & ~earlier)])[0]

    new, fine, odd = scores(~other & ~broken), scores(other & ~broken), scores(other & broken)
    of_new, of_known = scores(~other), np.concatenate([fine, odd])
    shares = [np.array([(rng.choice(s, COMPANY) > known.cut_).mean() for _ in range(N_DRAWS)]) for s in (of_new, of_known)]
    return [auc(new, fine), auc(new, odd), *[float((s > known.cut_).mean()) for s in (new, fine, odd)], auc(*shares)]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    table = Table(title="Synthetic demo, one grid left out at a time: means over grids")
    for column in ("seed", *COLUMNS):
        table.add_column(column, justify="right")
    rows = []
    for seed in parser.parse_args().seeds:
        found = measure(seed)
        rows.append([found[:, 0].mean(), found[:, 0].min(), *found[:, 1:].mean(axis=0)])
        table.add_row(str(seed), *[f"{x:.3f}" for x in rows[-1]])
    table.add_section()
    table.add_row("mean", *[f"{x:.3f}" for x in np.mean(rows, axis=0)])
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
