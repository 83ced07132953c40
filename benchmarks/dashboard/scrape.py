"""What a scrape of /metrics costs on a store with a past. Limit: 20 ms of processor time, at the median.

    python -m benchmarks.dashboard.scrape [--store STORE] [--banners 20000] [--labels 10000] [--repeats 50]

Without --store one is made by SQL in a temporary folder: banners and one finished run as `benchmarks.dashboard.pages` makes them, 1,000
failed runs, labels of ten reviewers, a million rejected rows. Processor time, of all threads: a busy machine does not count. The first
scrape, as one after a label or an ingest, counts labels or rejected rows again. Exit status 1 over the limit.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.dashboard.pages import build
from core.store import Store
from core.ui.server import metrics
from core.ui.session.kinds import KINDS

LIMIT_MS = 20.0
PAST = (
    """INSERT INTO run_event SELECT id, TIMESTAMP '2026-01-01' + INTERVAL (k) HOUR, s.state, NULL
       FROM (SELECT uuid() AS id, k FROM range($runs) r(k)), (VALUES ('started'), ('failed')) s(state)""",
    """INSERT INTO label_event SELECT uuidv7(), TIMESTAMP '2026-10-01' + INTERVAL (k) SECOND, uuid(), banner_id, 'label',
       ['broken', 'ok', 'unsure'][1 + k % 3], 'reviewer ' || k % 10, TRUE, 3.0, NULL, NULL, NULL, NULL, 'page'
       FROM (SELECT banner_id, row_number() OVER () AS k FROM banner LIMIT $labels)""",
    """INSERT INTO reject SELECT (SELECT any_value(ingest_id) FROM ingest), 'log', k, 'reason ' || k % 12, NULL, repeat('x', 80)
       FROM range($rejects) r(k)""",
)


def make(path: Path, banners: int, labels: int) -> None:
    """A store with a past."""
    build(path, banners)
    sizes = {"runs": 1_000, "labels": labels, "rejects": 1_000_000}
    with Store(path) as store, store.cursor() as cursor:
        for sql in PAST:
            cursor.execute(sql, {name: value for name, value in sizes.items() if f"${name}" in sql})


def times_of(scrape: Callable[[], bytes], repeats: int) -> tuple[list[float], list[float]]:
    """Processor and wall milliseconds of each scrape."""
    cpu, wall = [], []
    for _ in range(repeats):
        at = time.process_time(), time.perf_counter()
        scrape()
        cpu.append(1e3 * (time.process_time() - at[0]))
        wall.append(1e3 * (time.perf_counter() - at[1]))
    return cpu, wall


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--store")
    parser.add_argument("--banners", type=int, default=20_000)
    parser.add_argument("--labels", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=50)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where = asked.store or str(Path(folder) / "s.duckdb")
        if asked.store is None:
            make(Path(where), asked.banners, asked.labels)
        with Store(where, create=False) as store:
            registry = metrics.registry(lambda: store, [kind.name for kind in KINDS])
            first, _ = times_of(lambda: metrics.exposition(registry), 1)
            cpu, wall = times_of(lambda: metrics.exposition(registry), asked.repeats)
    middle = statistics.median(cpu)
    print(f"processor time, ms: first {first[0]:.1f}, then median {middle:.1f}, most {max(cpu):.1f}")
    print(f"wall, ms: median {statistics.median(wall):.1f}")
    sys.exit(middle > LIMIT_MS)


if __name__ == "__main__":
    main()
