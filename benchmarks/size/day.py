"""A whole day on one machine: a log is written, taken in, scored in tiers and shown, with time, memory and disk of each.

    python -m benchmarks.size.day [MILLION …] [--folder FOLDER] [--limit 8] [--budget PERCENT] [--seed 0] [--json]

Sizes are in million banners, of 20 clicks each on average (`benchmarks.size.day_log`; synthetic): default 0.25 and 2.5, the whole day is
25. Each stage is a command of its own, as a person types it: `ingest`, `score --cascade --deep none`, and the dashboard until its overview
is complete. Writing the log is measured apart: in production another system writes it. Everything runs in a memory group of `--limit` GB
where this machine
lets us make one (cgroups, as root); what goes over is killed. Peak: resident memory of the whole process tree, shared pages once, seen
every half second. Disk: everything in FOLDER, the log left out, after the stage and at its highest.

Limits: the whole day, without writing, in 45 minutes and under 8 GB; time grows with at most the 1.1th power of the banners.
"""

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.dashboard.pages import Session, dashboard
from benchmarks.size.day_log import write_day

EVERY_S = 0.5
GROUPS = ((Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"), (Path("/sys/fs/cgroup"), "memory.max"))
"""Where cgroups of version 1 and 2 are, and their file for the limit."""
CLEAR = 30
"""Clicks from which on a broken banner can be expected to be found."""
out = Console(highlight=False)


@dataclass
class Stage:
    """What one stage took: wall time and processor time in s, peak memory of the tree in GB, disk after it and at its highest in GB."""

    name: str
    wall_s: float = 0.0
    processor_s: float = 0.0
    peak_gb: float = 0.0
    disk_gb: float = 0.0
    peak_disk_gb: float = 0.0


def limit_memory(gb: float) -> str | None:
    """Puts this process and all it starts into a memory group; returns why not where that cannot be."""
    for base, name in GROUPS:
        if not (base / "cgroup.procs").exists():
            continue
        group = base / f"heatproof-day-{os.getpid()}"
        try:
            group.mkdir()
            (group / name).write_text(str(int(gb * 2**30)))
            (group / "cgroup.procs").write_text(str(os.getpid()))
        except OSError as error:
            return str(error)
        return None
    return "no cgroups here"


@contextmanager
def measured(name: str, folder: Path) -> Iterator[Stage]:
    """Fills in a stage while the block runs."""
    stage, done, began = Stage(name), threading.Event(), time.perf_counter()
    before = _processor_s()

    def watch() -> None:
        while not done.wait(EVERY_S):
            stage.peak_gb = max(stage.peak_gb, _tree_gb())
            stage.peak_disk_gb = max(stage.peak_disk_gb, _disk_gb(folder))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield stage
    finally:
        done.set()
        watcher.join()
        stage.wall_s, stage.processor_s, stage.disk_gb = time.perf_counter() - began, _processor_s() - before, _disk_gb(folder)
        stage.peak_disk_gb = max(stage.peak_disk_gb, stage.disk_gb)


def _processor_s() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _tree_gb() -> float:
    own = psutil.Process()
    total = 0
    for process in [own, *own.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue  # gone meanwhile
    return total / 2**30


def _disk_gb(folder: Path) -> float:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue  # gone meanwhile
    return total / 2**30


def run(*arguments: str) -> dict[str, Any]:
    """One command of the command line, to its end; returns what it says as JSON."""
    command = [sys.executable, "-m", "core", *arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=Path(__file__).parents[2])
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def show(store: Path) -> dict[str, float]:
    """Milliseconds of the overview and the triage page, asked for the third time. Raises RuntimeError where one fails."""
    with dashboard(store) as port:
        ask = Session(port).ask
        ask(fresh=True, page="", query_params={})
        pages: dict[str, Callable[[], Any]] = {
            "overview": lambda: ask(page="", query_params={}),
            "triage": lambda: ask(page="triage", query_params={}),
        }
        return {name: _third(page) for name, page in pages.items()}


def _third(page: Callable[[], Any]) -> float:
    page(), page()
    began = time.perf_counter()
    page()
    return 1000 * (time.perf_counter() - began)


def found(store: Path, log: Path) -> dict[str, float]:
    """Flags against the truth: banners flagged, share of these that are broken, shares of the broken of CLEAR clicks and of all found."""
    sql = f"""SELECT count_if(flagged), count_if(flagged AND t.fault <> '') / greatest(count_if(flagged), 1),
        count_if(flagged AND t.fault <> '' AND n_clicks >= {CLEAR}) / greatest(count_if(t.fault <> '' AND n_clicks >= {CLEAR}), 1),
        count_if(flagged AND t.fault <> '') / count_if(t.fault <> '')
        FROM result JOIN read_parquet('{log}/*.truth') t USING (banner_id)"""
    with duckdb.connect(str(store), read_only=True) as con:
        n, precise, clear, every = con.execute(sql).fetchall()[0]
    return {"flagged": n, "broken among the flagged": precise, f"found of {CLEAR} clicks or more": clear, "found of all": every}


def one_day(million: float, folder: Path, budget: float | None, seed: int) -> tuple[list[Stage], dict[str, float], dict[str, float]]:
    """All stages of one size, milliseconds a page, and what was found."""
    log, work = folder / f"log-{million:g}-{seed}", folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    store = work / "day.duckdb"
    with measured("log written", work) as written:
        if not log.exists():
            write_day(log.with_suffix(".new"), round(million * 1e6), seed)
            log.with_suffix(".new").rename(log)
    with measured("ingest", work) as taken:
        n = run("ingest", str(log), "--store", str(store))["accepted"]
    out.print(f"{million:g} million banners, {n:,} clicks taken in after {taken.wall_s:,.0f} s")
    with measured("score", work) as scored:
        run("score", "--cascade", "--deep", "none", *(["--budget", str(budget)] if budget else []), "--store", str(store))
    out.print(f"scored after {scored.wall_s:,.0f} s")
    with measured("first page", work) as shown, dashboard(store) as port:
        Session(port).ask(fresh=True, page="", query_params={})
    return [written, taken, scored, shown], show(store), found(store, log)


def main() -> None:
    """Measures every size and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("million", nargs="*", type=float, default=[0.25, 2.5])
    parser.add_argument("--folder", type=Path, help="logs are kept here and used again")
    parser.add_argument("--limit", type=float, default=8.0)
    parser.add_argument("--budget", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    why_not = limit_memory(args.limit)
    out.print("memory is limited" if why_not is None else f"memory is not limited: {why_not}", style="dim")
    days: dict[float, tuple[list[Stage], dict[str, float], dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for million in args.million:
            days[million] = one_day(million, args.folder or Path(temporary), args.budget, args.seed)
    if args.json:
        print(json.dumps({f"{m:g}": [[asdict(s) for s in stages], pages, flags] for m, (stages, pages, flags) in days.items()}))
        return
    for million, (stages, pages, flags) in days.items():
        _print(million, stages, pages, flags)
    if len(days) > 1:
        low, high = min(days), max(days)
        slope = math.log(_total(days[high][0]) / _total(days[low][0])) / math.log(high / low)
        out.print(f"time grows with the {slope:.2f}th power of the banners, {low:g} to {high:g} million")


def _total(stages: list[Stage]) -> float:
    """Wall time without writing the log."""
    return sum(stage.wall_s for stage in stages[1:])


def _print(million: float, stages: list[Stage], pages: dict[str, float], flags: dict[str, float]) -> None:
    table = Table(
        "stage", *(("wall, s", "processor, s", "peak, GB", "disk, GB", "disk at its highest, GB")), title=f"{million:g} million banners"
    )
    for s in [*stages, _sum(stages[1:])]:
        table.add_row(s.name, f"{s.wall_s:,.0f}", f"{s.processor_s:,.0f}", *(f"{x:.2f}" for x in (s.peak_gb, s.disk_gb, s.peak_disk_gb)))
    out.print(table)
    out.print("pages, third time: " + ", ".join(f"{name} {ms:.0f} ms" for name, ms in pages.items()))
    out.print("flags: " + ", ".join(f"{name} {value:,.0f}" if value > 1 else f"{name} {value:.1%}" for name, value in flags.items()))


def _sum(stages: list[Stage]) -> Stage:
    return Stage(
        "in all, without writing",
        _total([Stage(""), *stages]),
        sum(stage.processor_s for stage in stages),
        max(stage.peak_gb for stage in stages),
        stages[-1].disk_gb,
        max(stage.peak_disk_gb for stage in stages),
    )


if __name__ == "__main__":
    main()
