"""Table `grid_change`: grids whose clicks as a whole lie elsewhere since some day, or than an earlier run expected."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.banners.whole_grid import Totals, added, change_of
from core.scoring.tables import table
from core.statistics.arrays import Vector


def change_table(known: Path, totals: Iterable[tuple[int, Totals]]) -> pa.Table:
    """A row a changed grid. `totals`: grid_id and clicks by day of every part; `known`: references of earlier runs, absent in a first."""
    parts: dict[int, list[Totals]] = {}
    for grid_id, of_part in totals:
        parts.setdefault(grid_id, []).append(of_part)
    earlier = _expected(known)
    changes = [change_of(grid_id, added(own), earlier.get(grid_id)) for grid_id, own in sorted(parts.items())]
    found = [change for change in changes if change is not None]
    return table(
        "grid_change",
        {
            "grid_id": [c.grid_id for c in found],
            "since": [c.since.astype(object) for c in found],
            "is_within": [c.is_within for c in found],
            "moved": [c.moved for c in found],
            "n_before": [None if np.isnan(c.n_before) else c.n_before for c in found],
            "n_after": [c.n_after for c in found],
            "fault": [c.diagnosis.fault for c in found],
            "sentence": [c.diagnosis.sentence for c in found],
        },
    )


def _expected(path: Path) -> dict[int, Vector]:
    """What earlier runs expected of each grid as a whole, which is the first of its references."""
    if not path.exists():
        return {}
    found = pq.read_table(path)
    p = found["p"].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float64).reshape(len(found), -1)
    grids, first = np.unique(found["grid_id"].to_numpy(), return_index=True)
    return {int(grid): p[row] for grid, row in zip(grids, first, strict=True)}
