"""The heatmaps of a job folder: grids, or parts of a grid where there are many banners.

heatmaps/grid_id=<id>/*.parquet           or
heatmaps/grid_id=<id>/part=<k>/*.parquet  every row of a banner in the same part
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix

from core.banners.heatmaps import Heatmaps, counts_of_lists
from core.banners.onset import Days
from core.scoring.tables import table


@dataclass(frozen=True)
class Part:
    """A grid, or a part of it: its folder."""

    grid_id: int
    folder: Path

    def within(self, job: Path) -> "Part":
        """This part named from its job folder on: what travels to another process, where the job may lie elsewhere."""
        return Part(self.grid_id, self.folder.relative_to(job))

    def under(self, job: Path) -> "Part":
        """This part where the job lies here."""
        return Part(self.grid_id, job / self.folder)

    def files(self, job: Path) -> list[Path]:
        """Its files, named from the job folder on."""
        return [path.relative_to(job) for path in sorted((job / self.folder).glob("*.parquet"))]

    def n_bytes(self, job: Path) -> int:
        """Size of its files."""
        return sum((job / path).stat().st_size for path in self.files(job))


@dataclass(frozen=True)
class Grid:
    """Clicks of one grid: `heatmaps` sorted by banner_id, summed over days, and the rows as read."""

    heatmaps: Heatmaps
    days: Days


def parts_of(job: Path) -> list[Part]:
    """Parts by grid_id, then by number; those without a row are left out."""
    out = []
    for folder in (job / "heatmaps").glob("grid_id=*"):
        grid_id = int(folder.name.removeprefix("grid_id="))
        inner = sorted(folder.glob("part=*"), key=lambda p: int(p.name.removeprefix("part=")))
        out += [Part(grid_id, at) for at in inner or [folder]]
    return sorted((part for part in out if _has_rows(part)), key=lambda part: part.grid_id)


def _has_rows(part: Part) -> bool:
    """Whether any of its files has a row, by their footers."""
    return any(pq.read_metadata(path).num_rows for path in part.folder.glob("*.parquet"))


def days_of(parts: list[Part]) -> tuple[date, date]:
    """First and last day of the clicks in `parts`, by their files' statistics."""
    bounds: list[date] = []
    for part in parts:
        for path in part.folder.glob("*.parquet"):
            about = pq.read_metadata(path)
            at = about.schema.names.index("day")
            for k in range(about.num_row_groups):
                found = about.row_group(k).column(at).statistics
                bounds += [found.min, found.max] if found is not None and found.has_min_max else _days_in(path)
    return min(bounds), max(bounds)


def _days_in(path: Path) -> list[date]:
    return [day for day in pq.read_table(path, columns=["day"])["day"].unique().to_pylist() if day is not None]


def read_part(part: Part) -> Grid:
    """Reads the rows of one part, in whatever order and however often a banner and day occur."""
    return grid_of(pq.ParquetDataset(part.folder, partitioning=None).read(), part.grid_id)


def grid_of(rows: pa.Table, grid_id: int) -> Grid:
    """The clicks in rows of banner_id, n_products, domain, day, bins and counts, and segment where the log has any."""
    rows = rows.sort_by([("banner_id", "ascending"), ("day", "ascending")])
    encoded = rows["banner_id"].combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy().astype(np.int64)  # 0, 1, … by first appearance, which is ascending
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    counts = counts_of_lists(rows["bins"], rows["counts"])
    summing = csr_matrix((np.ones(len(codes), np.float32), (codes, np.arange(len(codes)))), shape=(len(first), len(codes)))
    heatmaps = Heatmaps(
        banner_id=encoded.dictionary.to_numpy(zero_copy_only=False),
        grid_id=np.full(len(first), grid_id, dtype=np.int64),
        n_products=rows["n_products"].to_numpy()[first].astype(np.int16),
        domain=rows["domain"].to_numpy()[first],
        counts=(summing @ counts).tocsr(),
    )
    return Grid(heatmaps, Days(codes, rows["day"].to_numpy().astype("datetime64[D]"), counts, _segments(rows)))


def _segments(rows: pa.Table) -> np.ndarray | None:
    """(m,) segment names, None where one is unknown; None where there are none at all."""
    if "segment" not in rows.column_names or rows["segment"].null_count == len(rows):
        return None
    encoded = rows["segment"].combine_chunks().dictionary_encode()
    names = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
    return names[encoded.indices.fill_null(len(names) - 1).to_numpy()]


def rows_of(grid: Grid, banners: np.ndarray) -> Grid:
    """The clicks of the banners at `banners` (k,), ascending, alone."""
    at = np.flatnonzero(np.isin(grid.days.codes, banners))
    return Grid(grid.heatmaps.take(banners), grid.days.take(at, np.searchsorted(banners, grid.days.codes[at])))


def table_of(grid: Grid) -> pa.Table:
    """The rows that `grid_of` reads."""
    of, counts = grid.days.codes, grid.days.counts.sorted_indices()
    offsets = pa.array(counts.indptr.astype(np.int32))
    return table(
        "kept",
        {
            "banner_id": pa.array(grid.heatmaps.banner_id, pa.string()).take(pa.array(of)),
            "n_products": grid.heatmaps.n_products[of],
            "domain": pa.array(grid.heatmaps.domain, pa.string()).take(pa.array(of)),
            "day": grid.days.day,
            "segment": pa.nulls(len(of), pa.string()) if grid.days.segment is None else grid.days.segment,
            "bins": pa.ListArray.from_arrays(offsets, pa.array(counts.indices.astype(np.uint16))),
            "counts": pa.ListArray.from_arrays(offsets, pa.array(counts.data.astype(np.uint32))),
        },
    )


Read = Callable[[int], Grid]
