"""How well broken banners are found where clicks are as unruly as in the field: synthetic field logs, and clicks of real people.

    python -m benchmarks.detectors.field [--seeds 11 12 13] [--real FOLDER]

Field logs come from `core/banners/field.py`; constants were chosen on its seeds 1 and 2, so the seeds here are others. FOLDER holds a
folder a set with clicks.parquet and truth.csv (banner_id, broken); half of the sets were looked at while constants were chosen, and
are marked. Quick detectors of the default run, no label.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_matrix
from sklearn.metrics import average_precision_score, roc_auc_score

from core.banners.field import FieldLog, make_field
from core.banners.fitting import fit_reference
from core.banners.heatmaps import Heatmaps, bins_of
from core.banners.onset import Days
from core.banners.reference import joined
from core.banners.views import learned, views_between, views_of
from core.detectors import CATALOGUE, default_names
from core.scoring.grid import score_grid
from core.scoring.judging import About, Judged, judge
from core.scoring.parts import Grid, grid_of
from core.settings import FDR, N_BINS

NAMES = [name for name in default_names() if not CATALOGUE[name].deep and not CATALOGUE[name].across]
SEEN = {"coltag", "coltag_none", "coltag_20pc_mirrored", "coltag_20pc_shift_fixed40", "fiwi_3users"}
"""Real sets that constants were chosen on."""
LEAST = 30
"""Clicks that a banner of a field log needs to count."""

REAL = """
WITH click AS (SELECT *, clicked_at::DATE AS day,
        least(floor(click_y_rel * 40), 39)::INT * 40 + least(floor(click_x_rel * 40), 39)::INT AS bin
        FROM read_parquet(?) WHERE click_x_rel BETWEEN 0 AND 1 AND click_y_rel BETWEEN 0 AND 1),
    cell AS (SELECT banner_id, any_value(grid_id)::BIGINT AS grid_id, any_value(n_products)::SMALLINT AS n_products,
        any_value(domain) AS domain, day, bin, count(*)::UINTEGER AS n FROM click GROUP BY banner_id, day, bin)
SELECT banner_id, any_value(grid_id) AS grid_id, any_value(n_products) AS n_products, any_value(domain) AS domain, day,
    list(bin::USMALLINT ORDER BY bin) AS bins, list(n ORDER BY bin) AS counts FROM cell GROUP BY banner_id, day"""


def grids_of(log: FieldLog) -> Iterator[Grid]:
    """The clicks of a field log by grid, banner and day."""
    day, bins = log.clicked_at.astype("datetime64[D]"), bins_of(log.points[:, 0], log.points[:, 1])
    of_click, segment = log.grid_id[log.banner], np.unique(log.device, return_inverse=True)
    for grid_id in np.unique(log.grid_id):
        banners, clicks = np.flatnonzero(log.grid_id == grid_id), np.flatnonzero(of_click == grid_id)
        of = np.searchsorted(banners, log.banner[clicks])
        at, row = np.unique(np.stack([of, day[clicks].astype(np.int64), segment[1][clicks]]), axis=1, return_inverse=True)
        row = row.ravel()
        counts = csr_matrix((np.ones(len(clicks), np.float32), (row, bins[clicks])), shape=(at.shape[1], N_BINS))
        counts.sum_duplicates()
        summing = csr_matrix((np.ones(at.shape[1], np.float32), (at[0], np.arange(at.shape[1]))), shape=(len(banners), at.shape[1]))
        columns = (log.banner_id[banners], log.grid_id[banners], log.n_products[banners], log.domain[banners])
        days = Days(at[0], at[1].astype("datetime64[D]"), counts, segment[0].astype(object)[at[2]])
        yield Grid(Heatmaps(*columns, (summing @ counts).tocsr()), days)


def grids_in(folder: Path) -> list[Grid]:
    """The clicks of a real set."""
    rows = duckdb.execute(REAL, [str(folder / "clicks.parquet")]).to_arrow_table()
    return [grid_of(rows.filter(pc.equal(rows["grid_id"], g)), g) for g in sorted(pc.unique(rows["grid_id"]).to_pylist())]


def judged(grids: list[Grid], segments: tuple[str, ...] = ()) -> tuple[Judged, NDArray[np.object_], NDArray[np.float64]]:
    """What a run that knows these segments says of the banners of all grids; their ids and clicks, in the same order."""
    reference = joined([fit_reference(grid.heatmaps) for grid in grids])
    views = views_between(min(grid.days.day.min() for grid in grids), max(grid.days.day.max() for grid in grids), segments)
    parts = [score_grid(g.heatmaps, reference, NAMES, lambda what: None, views=learned(views_of(g.heatmaps, g.days, views))) for g in grids]
    scores = {name: np.concatenate([part.scores[name] for part in parts]) for name in NAMES}
    about = About(*(np.concatenate([getattr(part, c) for part in parts]) for c in About._fields))
    return judge(scores, about, FDR), np.concatenate([part.banner_id for part in parts]), about.n_clicks


def row(found: Judged, broken: NDArray[np.bool_], counted: NDArray[np.bool_]) -> list[str]:
    """Cells of the table: how many are broken and flagged, real and stated share of false flags, F1, ROC-AUC, average precision."""
    flagged, broken, combined = found.flagged & counted, broken & counted, found.combined[counted]
    hits, truth = int((flagged & broken).sum()), broken[counted]
    both = truth.any() and not truth.all()
    return [
        f"{broken.sum()} of {counted.sum():,}",
        f"{flagged.sum()}",
        f"{1 - hits / flagged.sum():.2f}" if flagged.any() else "-",
        f"{(1 - found.p_broken)[flagged].mean():.2f}" if flagged.any() else "-",
        f"{2 * hits / (flagged.sum() + broken.sum()):.2f}" if broken.any() else "-",
        f"{roc_auc_score(truth, combined):.3f}" if both else "-",
        f"{average_precision_score(truth, combined):.2f}" if both else "-",
    ]


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13], help="seeds of the field logs")
    parser.add_argument("--real", type=Path, help="folder of real sets; none are scored where it is not given")
    asked = parser.parse_args()
    table = Table(
        "log", "broken", "flagged", "false", "stated", "F1", "ROC-AUC", "AP", title=f"Field logs: banners of {LEAST} clicks or more"
    )
    for seed in asked.seeds:
        log = make_field(seed)
        for segments, what in (((), "without device"), (("desktop", "phone"), "with device")):
            found, banner_id, n_clicks = judged(list(grids_of(log)), segments)
            broken = np.isin(banner_id.astype(str), log.banner_id[log.fault != ""].astype(str))
            table.add_row(f"field {seed}, {what}", *row(found, broken, n_clicks >= LEAST))
    for folder in sorted(asked.real.iterdir()) if asked.real else []:
        if not (folder / "truth.csv").exists():
            continue
        found, banner_id, _ = judged(grids_in(folder))
        truth = duckdb.execute("SELECT banner_id FROM read_csv(?) WHERE broken::INT = 1", [str(folder / "truth.csv")]).fetchall()
        broken = np.isin(banner_id.astype(str), [str(one[0]) for one in truth])
        table.add_row(f"{folder.name}{' *' if folder.name in SEEN else ''}", *row(found, broken, np.ones(len(broken), dtype=bool)))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
