"""How long a page of the dashboard takes on a large store. Limit: 300 ms at the 95th percentile, warm; 600 on a shared store.

    python -m benchmarks.dashboard.pages [--store STORE] [--banners 1000000] [--days 14] [--repeats 30] [--limit 300] [--json]

The real server is started on the store and driven over HTTP by Streamlit's agent API: each time is a whole rerun of the page as a
session sees it, with every query, figure and picture, until its last element is sent. A browser's own drawing is not in it. Warm: each
view was asked for twice before; "first" is the first of these, in a server that has shown the views above it only. "another … each
time" asks for something that no cache holds yet.

STORE is a file or a URL of a shared store. Where it is not there, or empty, it is made by SQL: a million banners in 50 grids and 400
domains, 14 days each (14 million rows of 4 bins), one finished run with 12 detectors, 6 % flagged, two cosines of 20,000 banners (a run
asks slow detectors about no more), a map of 10,000, and up to 200 labels. Exit status 1 where a view is over the limit.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from core.store import Store

LIMIT_MS = 300.0
WARM_UP = 2
ROOT = Path(__file__).parents[2]

FILL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")


def build(path: Path | str, n: int, days: int = 14) -> None:
    """A store with n banners of so many days, by SQL alone."""
    given = {"n": n, "days": days}
    with Store(path) as store, store.cursor() as cursor:
        cursor.execute("SET memory_limit = '6GB'")  # building sorts many million rows; serving keeps the default
        for statement in FILL.split(";\n"):
            if statement.strip():
                cursor.execute(statement, {name: value for name, value in given.items() if f"${name}" in statement} or None)
        cursor.execute("CHECKPOINT")


class Session:
    """One session of a dashboard on this machine, driven by Streamlit's agent API."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.kept: dict[str, str] = {}

    def ask(self, *, fresh: bool = False, **body: Any) -> dict[str, Any]:
        """Sends one interaction and returns the whole page. Raises RuntimeError where it failed."""
        if fresh:  # a session of its own: filters bound to the URL stay in a session that leaves them out
            self.kept.clear()
        data = json.dumps(self.kept | body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/_stcore/agent/interact", data, {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                waiting, found = answer.status == 202, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"The page refused {body}: {error.read().decode()[:1000]}") from error
        if waiting:
            self.kept["session_id"] = found["session_id"]
            return self.ask()
        if found.get("status") == "error" or "session_id" not in found:
            raise RuntimeError(f"The page failed: {json.dumps(found)[:2000]}")
        self.kept["session_id"] = found["session_id"]
        return found


@contextmanager
def dashboard(store: Path | str) -> Iterator[int]:
    """The dashboard on a store, in a process of its own; gives its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.enableAgentApi", "true"]
    server = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "HEATPROOF_STORE": str(store)}, stdout=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        yield port
    finally:
        server.terminate()
        server.wait(30)


@contextmanager
def served(path: Path | str) -> Iterator[Callable[..., dict[str, Any]]]:
    """The dashboard on that store; gives a function that sends one interaction and returns its answer."""
    with dashboard(path) as port:
        yield Session(port).ask


def views(store: Path | str) -> dict[str, Callable[[int], dict[str, Any]]]:
    """Views by name: from the number of the repetition to what is sent."""
    with Store(store) as opened:
        rows = opened.rows("SELECT banner_id FROM result WHERE flagged ORDER BY hash(banner_id) LIMIT 500")
        n_flagged = opened.rows("SELECT count(*) AS n FROM result WHERE flagged")[0]["n"]
        on_map = opened.rows("SELECT banner_id FROM embedding_point ORDER BY hash(banner_id) LIMIT 500")
    last, pairwise = -(-n_flagged // 50), {"view": ["pairwise"]}
    return {
        "overview": lambda k: {"page": "", "query_params": {}},
        "overview, another filter each time": lambda k: {"page": "", "query_params": {"least": [str(31 + k)]}},
        "triage, first page": lambda k: {"page": "triage", "query_params": {}},
        "triage, last page": lambda k: {"page": "triage", "query_params": {"page": [str(last)]}},
        "triage, filtered": lambda k: {"page": "triage", "query_params": {"grid": ["300049"], "clicks": ["100"], "fault": ["shifted"]}},
        "triage, another page each time": lambda k: {"page": "triage", "query_params": {"page": [str(2 + 17 * k)]}},
        "triage, another filter each time": lambda k: {"page": "triage", "query_params": {"grid": [str(300000 + k)], "clicks": ["100"]}},
        "banner, another one each time": lambda k: {"page": "banner", "query_params": {"banner": [rows[k]["banner_id"]]}},
        "embedding, 10,000 points": lambda k: {"page": "embedding", "query_params": {}},
        "embedding, 10,000 points in 3-D": lambda k: {"page": "embedding", "query_params": {"axes": ["3-D"]}},
        "embedding, another banner found each time": lambda k: {"page": "embedding", "query_params": {"find": [on_map[k]["banner_id"]]}},
        "pairwise, another grid each time": lambda k: {"page": "embedding", "query_params": pairwise | {"pair_grid": [str(300000 + k)]}},
        "detectors": lambda k: {"page": "detectors", "query_params": {}},
    }


def measure(ask: Callable[..., dict[str, Any]], body: Callable[[int], dict[str, Any]], repeats: int) -> list[float]:
    """Milliseconds a repetition, of which the first WARM_UP are not warm."""
    out = []
    for k in range(repeats + WARM_UP):
        began = time.perf_counter()
        ask(fresh=k == 0, **body(k))
        out.append(1000 * (time.perf_counter() - began))
    return out


def decisions(ask: Callable[..., dict[str, Any]], repeats: int) -> list[float]:
    """Confirming the current banner, which shows the next one: a write, and every cached count of the queue is void."""
    out = []
    found = ask(fresh=True, page="triage", query_params={})
    for _ in range(repeats + WARM_UP):
        key = next(a["key"] for a in found["actions"] if str(a.get("key", "")).startswith("confirm_"))
        began = time.perf_counter()
        found = ask(trigger={"key": key})
        out.append(1000 * (time.perf_counter() - began))
    return out


def _is_empty(path: str) -> bool:
    with Store(path) as store:
        return not store.rows("SELECT 1 FROM banner LIMIT 1")


def main() -> int:
    """Builds, measures, prints; 1 where a view is over the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", help="kept and used again")
    parser.add_argument("--banners", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--limit", type=float, default=LIMIT_MS)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = args.store or str(Path(folder) / "million.duckdb")
        if _is_empty(path):
            began = time.perf_counter()
            build(path, args.banners, args.days)
            print(f"built {args.banners:,} banners in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        asked = views(path)
        with served(path) as ask:
            times = {name: measure(ask, body, args.repeats) for name, body in asked.items()}
            times["triage, confirm and show the next"] = decisions(ask, args.repeats)
    table = {name: {"first": t[0], **{f"p{q}": float(np.percentile(t[WARM_UP:], q)) for q in (50, 95)}} for name, t in times.items()}
    if args.json:
        print(json.dumps({"limit_ms": args.limit, "repeats": args.repeats, "views": table}))
    else:
        print(f"{'view':<42}{'first ms':>9}{'p50 ms':>9}{'p95 ms':>9}   limit {args.limit:.0f} ms, {args.repeats} repeats, warm")
        for name, row in table.items():
            words = f"{name:<42}{row['first']:>9.0f}{row['p50']:>9.0f}{row['p95']:>9.0f}"
            print(f"{words}   {'ok' if row['p95'] <= args.limit else 'OVER'}")
    return int(any(row["p95"] > args.limit for row in table.values()))


if __name__ == "__main__":
    sys.exit(main())
