"""Speed and memory of an ingest beside the bare GROUP BY that makes the same bins, in one run.

    python -m benchmarks.size.ingest [--clicks 20000000] [--repeats 3]

The log: 110,000 banners of 7 grids, log-normal clicks a banner, 14 days, in the order of time, Parquet with the columns
that `ingest` needs, no click_id; once more with a click_id, once more with twice the clicks. Each measurement is a process of its
own, bare and own take turns, the fastest of the repeats counts.

bare      SELECT banner_id, day, bin, count(*) GROUP BY ALL, day and bin computed from the raw columns, no check, its result drained
          by count, sum and max; same DuckDB, threads and memory limit as the store
bare kept the same into a temporary table
own       `ingest` into a new store: hash of the file, every check, rows sorted and compressed on disk, committed

Limits: own at no less than 0.6 of the speed of bare; at most 2 GB; twice the clicks in at most 2.2 times the time.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from rich.console import Console
from rich.table import Table

from core import settings
from core.clicks.ingest import ingest
from core.store import Store

N_BANNERS = 110_000
GRIDS = np.array([333346, 333519, 333601, 333602, 333603, 333604, 333605])
N_DAYS = 14
CHUNK = 1_000_000
BIN = "CAST(least(39, floor(click_y_rel * 40)) * 40 + least(39, floor(click_x_rel * 40)) AS USMALLINT)"
BARE = f"SELECT banner_id, CAST(clicked_at AS DATE) AS day, {BIN} AS bin, count(*) AS n FROM read_parquet('{{}}') GROUP BY ALL"
Measured = dict[str, float]


def make_log(path: Path, n: int, seed: int = 0) -> None:
    """n clicks around four products a banner."""
    rng = np.random.default_rng(seed)
    weight = rng.lognormal(0, 0.9, N_BANNERS)
    edges = np.cumsum(weight / weight.sum())
    ids = pa.array([f"bn{i:06d}" for i in range(N_BANNERS)])
    domains = pa.array([f"site{i:02d}.example" for i in range(40)])
    grid, products, domain = rng.integers(0, 7, N_BANNERS), rng.integers(1, 7, N_BANNERS), rng.integers(0, 40, N_BANNERS)
    centres = rng.random((2, N_BANNERS, 4))
    span_us = N_DAYS * 86_400_000_000
    writer = None
    for start in range(0, n, CHUNK):
        size = min(CHUNK, n - start)
        banner = np.minimum(np.searchsorted(edges, rng.random(size)), N_BANNERS - 1)
        product = rng.integers(0, 4, size)
        x, y = (np.clip(centres[axis, banner, product] + rng.normal(0, 0.06, size), 0, 1).round(5) for axis in (0, 1))
        at_us = np.sort(rng.integers(start * span_us // n, (start + size) * span_us // n, size))
        columns = {
            "banner_id": ids.take(pa.array(banner)),
            "grid_id": GRIDS[grid[banner]],
            "n_products": products[banner].astype(np.int16),
            "domain": domains.take(pa.array(domain[banner])),
            "click_x_rel": x,
            "click_y_rel": y,
            "clicked_at": np.datetime64("2026-10-01", "us") + at_us.astype("timedelta64[us]"),
        }
        batch = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, batch.schema)
        writer.write_table(batch, row_group_size=250_000)
    if writer:
        writer.close()


def add_click_ids(source: Path, target: Path) -> None:
    """The same log with a click_id of 32 characters each."""
    with duckdb.connect() as con:
        columns = "md5(CAST(file_row_number AS VARCHAR)) AS click_id, * EXCLUDE (file_row_number)"
        con.execute(f"COPY (SELECT {columns} FROM read_parquet('{source}', file_row_number = true)) TO '{target}' (FORMAT parquet)")


def run_bare(path: Path, folder: Path, *, keep: bool) -> int:
    """Number of groups."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": settings.memory_limit(), "threads": settings.n_threads(), "temp_directory": str(folder / "bare.tmp"),
    }  # fmt: skip
    with duckdb.connect(str(folder / "bare.duckdb"), config=config) as con:
        query = BARE.format(path)
        if keep:
            con.execute(f"CREATE TEMP TABLE bare AS {query}")
            return int(con.execute("SELECT count(*) FROM bare").fetchall()[0][0])
        return int(con.execute(f"SELECT count(*), sum(n), max(banner_id), max(day), max(bin) FROM ({query})").fetchall()[0][0])


def run_own(path: Path, folder: Path) -> int:
    """Number of rows of heatmap_day."""
    with Store(folder / "store.duckdb") as store:
        result = ingest(store, [path])
        assert not result.rejected
        return int(store.info()["rows"]["heatmap_day"])


RUNS: dict[str, Callable[[Path, Path], int]] = {
    "bare": lambda path, folder: run_bare(path, folder, keep=False),
    "bare kept": lambda path, folder: run_bare(path, folder, keep=True),
    "own": run_own,
}


def measure_here(what: str, path: Path) -> None:
    """Prints wall and processor seconds and the peak memory of this process."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        rows = RUNS[what](path, Path(folder))
        took = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "rows": rows}
        print(json.dumps(took | {"peak_mb": peak_mb()}))


def peak_mb() -> float:
    """Largest resident size of this process so far. Not getrusage: its peak is inherited from the parent."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def measure(what: str, path: Path) -> Measured:
    """The same in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.size.ingest", "--what", what, "--log", str(path)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def best(jobs: list[tuple[str, Path]], repeats: int) -> list[Measured]:
    """Fastest wall and processor time of each job, all jobs taking turns; the largest peak."""
    found: list[list[Measured]] = [[] for _ in jobs]
    for _ in range(repeats):
        for index, job in enumerate(jobs):
            found[index].append(measure(*job))
    fold = {"wall_s": min, "cpu_s": min, "peak_mb": max, "rows": max}
    return [{key: fold[key](one[key] for one in runs) for key in fold} for runs in found]


def main(
    clicks: Annotated[int, typer.Option()] = 20_000_000,
    repeats: Annotated[int, typer.Option()] = 3,
    what: Annotated[str | None, typer.Option(hidden=True)] = None,
    log: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Prints seconds, peak memory and ratios."""
    if what and log:
        measure_here(what, log)
        return
    with tempfile.TemporaryDirectory() as folder:
        plain, with_id, twice = (Path(folder) / f"{name}.parquet" for name in ("plain", "with_id", "twice"))
        make_log(plain, clicks)
        add_click_ids(plain, with_id)
        make_log(twice, 2 * clicks)
        jobs = [("bare", plain), ("bare kept", plain), ("own", plain), ("own", with_id), ("own", twice), ("bare", twice)]
        show(jobs, best(jobs, repeats), clicks)


def show(jobs: list[tuple[str, Path]], found: list[Measured], clicks: int) -> None:
    """The table and the three limits."""
    bare = found[0]
    table = Table(
        "what", "log", "rows out", "wall s", "cpu s", "peak MB", "speed of bare (wall)", "(cpu)", title=f"{clicks:,} clicks, Parquet"
    )
    for (name, path), one in zip(jobs, found, strict=True):
        peer = found[-1] if path.stem == "twice" else bare
        ratios = [f"{peer[key] / one[key]:.2f}" for key in ("wall_s", "cpu_s")]
        table.add_row(
            name, path.stem, f"{one['rows']:,.0f}", f"{one['wall_s']:.2f}", f"{one['cpu_s']:.2f}", f"{one['peak_mb']:.0f}", *ratios
        )
    console = Console(width=140)
    console.print(table)
    own, own_twice = found[2], found[4]
    peak = max(one["peak_mb"] for (name, _), one in zip(jobs, found, strict=True) if name == "own")
    for text, value, limit, is_kept in (
        ("own beside bare, wall", bare["wall_s"] / own["wall_s"], "at least 0.6", bare["wall_s"] / own["wall_s"] >= 0.6),
        ("the same with click_id", bare["wall_s"] / found[3]["wall_s"], "no limit", True),
        ("peak memory of own, MB", peak, "at most 2048", peak <= 2048),
        ("twice the clicks, time", own_twice["wall_s"] / own["wall_s"], "at most 2.2", own_twice["wall_s"] <= 2.2 * own["wall_s"]),
    ):
        console.print(f"{text}: {value:.2f} ({limit}): {'kept' if is_kept else 'MISSED'}")


if __name__ == "__main__":
    typer.run(main)
