"""A shared store by night and day at once: two dashboards with ten people who label, while logs are taken in and runs are made.

    python -m benchmarks.dashboard.shared_store ducklake:sqlite:/tmp/shared/heat.sqlite [--minutes 5] [--users 10] [--banners 2000] [--json]

The store has to be new. It is filled with synthetic banners that were scored; then two real servers are started on it. Every user has a
session and a name of their own: they label what the Label page shows, and look at the overview in between. Beside them two processes
take in one synthetic log after another and make one run after another (`score --deep none`); a third asks all the time whether any run
that is listed as finished lacks a part.

Exit status 1 where anything failed: an error on a page or in a process, a label that was pressed and is not in the store exactly once, a
banner that two people were shown at once, or half a run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.dashboard.pages import ROOT, Session, dashboard
from core.store import Store
from tests.support.stores import fill_store

THINKS_S = 1.0
"""How long a user looks at a banner: the page takes no answer that came before a user could have seen it."""
LEAST = 2
"""Labels of every user, on a machine of any speed."""
HALVES = """SELECT i.run_id::VARCHAR AS run_id, i.n_banners, i.n_flagged,
    (SELECT count(*) FROM result r WHERE r.run_id = i.run_id) AS results,
    (SELECT count(*) FROM heatmap h WHERE h.run_id = i.run_id) AS heatmaps,
    (SELECT count(DISTINCT banner_id) FROM score s WHERE s.run_id = i.run_id) AS scored FROM run_info i"""
TWICE = """SELECT a.banner_id FROM shown a JOIN shown b ON a.banner_id = b.banner_id AND a.reviewer < b.reviewer
    AND a.batch_id <> b.batch_id AND abs(epoch(a.happened_at) - epoch(b.happened_at)) < 300
    WHERE NOT EXISTS (FROM label_event l WHERE l.batch_id IN (a.batch_id, b.batch_id)
                      AND l.happened_at <= greatest(a.happened_at, b.happened_at))
      AND NOT EXISTS (FROM claim_event c WHERE c.batch_id IN (a.batch_id, b.batch_id) AND c.op <> 'show'
                      AND c.happened_at <= greatest(a.happened_at, b.happened_at))"""


@dataclass
class Seen:
    """What happened: labels pressed by user, milliseconds an answer took, ingests and runs that ended well, looks at runs, failures."""

    pressed: Counter[str] = field(default_factory=Counter)
    label_ms: list[float] = field(default_factory=list)
    page_ms: list[float] = field(default_factory=list)
    n_ingests: int = 0
    n_runs: int = 0
    n_looks: int = 0
    runs_seen: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)


def label_for(name: str, port: int, until: float, seen: Seen) -> None:
    """One user until the time is up and LEAST labels are given."""
    session = Session(port)
    try:
        session.ask(page="label", query_params={})
        found = session.ask(widget_state={"author": name})
        while time.monotonic() < until or seen.pressed[name] < LEAST:
            time.sleep(THINKS_S)
            key = next((a["key"] for a in found["actions"] if str(a.get("key", "")).startswith("ok_")), None)
            if key is None:
                raise RuntimeError(f"{name} has no banner to label: {[a.get('key') for a in found['actions']]}")
            began = time.perf_counter()
            found = session.ask(trigger={"key": key})
            seen.label_ms.append(1000 * (time.perf_counter() - began))
            if '"type": "error"' in json.dumps(found["tree"]) or key in {a.get("key") for a in found["actions"]}:
                raise RuntimeError(f"{name}'s answer was not taken: {json.dumps(found['tree'])[:3000]}")
            seen.pressed[name] += 1
            if seen.pressed[name] % 5 == 0:
                began = time.perf_counter()
                Session(port).ask(page="", query_params={})
                seen.page_ms.append(1000 * (time.perf_counter() - began))
    except Exception as error:  # whatever it is, it is a failure of the trial
        seen.failures.append(f"{name}: {error}")


def repeat(commands: Any, until: float, seen: Seen, count: str) -> None:
    """Runs one command after another, at least one, until the time is up."""
    for command in commands:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            seen.failures.append(f"{' '.join(command[1:5])}: {done.stderr[-2000:]}")
        else:
            setattr(seen, count, getattr(seen, count) + 1)
        if time.monotonic() >= until:
            return


def watch(store: Store, stop: threading.Event, seen: Seen) -> None:
    """Asks whether a finished run is whole, as long as the others work."""
    while not stop.is_set():
        try:
            rows = store.rows(HALVES)
        except Exception as error:
            seen.failures.append(f"watching: {error}")
            return
        seen.n_looks += 1
        seen.runs_seen |= {row["run_id"] for row in rows}
        seen.failures += [
            f"half a run: {row}"
            for row in rows
            if not (row["results"] == row["scored"] == row["n_banners"] and row["heatmaps"] == row["n_flagged"])
        ]
        time.sleep(0.2)


def logs(folder: Path, url: str) -> Any:
    """Commands that each take another synthetic log in: 200 new banners with 20 clicks each."""
    for k in range(10_000):
        rng = np.random.default_rng(k)
        places = rng.random((4000, 2))
        lines = [f"new{k}-{i % 200},333346,3,site.example,{x:.4f},{y:.4f},2026-11-15" for i, (x, y) in enumerate(places)]
        path = folder / f"log{k}.csv"
        path.write_text("\n".join(["banner_id,grid_id,n_products,domain,click_x_rel,click_y_rel,clicked_at", *lines, ""]))
        yield [sys.executable, "-m", "core", "ingest", str(path), "--store", url]


def trial(url: str, seconds: float, n_users: int, n_banners: int, score: list[str], n_servers: int = 2) -> Seen:
    """Everything at once for so long. `score` is the command that makes a run."""
    seen, stop = Seen(), threading.Event()
    with Store(url) as store, tempfile.TemporaryDirectory() as folder:
        fill_store(store, n_banners, 0, False)
        with dashboard(url) as first, dashboard(url) as second:
            ports = (first, second)[:n_servers]
            for port in ports:  # what is imported with the first page is not part of anybody's wait
                Session(port).ask(page="label", query_params={})
            until = time.monotonic() + seconds
            watcher = threading.Thread(target=watch, args=(store, stop, seen))
            watcher.start()
            with ThreadPoolExecutor(n_users + 2) as pool:
                jobs = [pool.submit(label_for, f"user{k}", ports[k % len(ports)], until, seen) for k in range(n_users)]
                jobs.append(pool.submit(repeat, logs(Path(folder), url), until, seen, "n_ingests"))
                jobs.append(pool.submit(repeat, iter(lambda: score, None), until, seen, "n_runs"))
                for job in jobs:
                    job.result()
            stop.set()
            watcher.join()
        check(store, seen)
    return seen


def check(store: Store, seen: Seen) -> None:
    """Compares what the store holds in the end with what was done."""
    held = Counter({row["reviewer"]: row["n"] for row in store.rows("SELECT reviewer, count(*) AS n FROM label_event GROUP BY reviewer")})
    if held != seen.pressed:
        seen.failures.append(f"pressed {dict(sorted(seen.pressed.items()))}, in the store {dict(sorted(held.items()))}")
    doubled = store.rows("SELECT batch_id FROM label_event GROUP BY batch_id HAVING count(*) > 1")
    shown_twice = store.rows(TWICE)
    seen.failures += [f"labelled twice: {row}" for row in doubled] + [f"shown to two people at once: {row}" for row in shown_twice]
    n_finished = store.rows("SELECT count(*) AS n FROM run WHERE state = 'finished'")[0]["n"]
    if n_finished != seen.n_runs + 1:  # and the one that the store was filled with
        seen.failures.append(f"{seen.n_runs} runs ended well, {n_finished} are finished")
    n_ingests = store.rows("SELECT count(*) AS n FROM ingest")[0]["n"]
    if n_ingests != seen.n_ingests + 1:
        seen.failures.append(f"{seen.n_ingests} ingests ended well, {n_ingests} are in the store")


def report(seen: Seen, seconds: float) -> dict[str, Any]:
    """Numbers of a trial."""
    times: dict[str, Any] = dict.fromkeys(("label_ms", "page_ms"))
    for name in times:
        if values := getattr(seen, name):
            times[name] = {"p50": round(float(np.median(values))), "p95": round(float(np.quantile(values, 0.95)))}
    kept = {"ingests": seen.n_ingests, "runs": seen.n_runs, "runs_seen": len(seen.runs_seen), "looks": seen.n_looks}
    return {"seconds": seconds, "labels": sum(seen.pressed.values()), **kept, **times, "failures": seen.failures}


def main() -> int:
    """Runs the trial and prints what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help="URL of a new shared store")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--banners", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    score = [sys.executable, "-m", "core", "score", "--deep", "none", "--store", args.store]
    found = report(trial(args.store, 60 * args.minutes, args.users, args.banners, score), 60 * args.minutes)
    if args.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:<12}{value}")
    return int(bool(found["failures"]))


if __name__ == "__main__":
    sys.exit(main())
