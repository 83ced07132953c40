"""The representation audit on a synthetic demo, labelled by its truth, or on any log with its labels: figures and seconds.

    python -m benchmarks.labels.audit --store data/audit.duckdb   the demo of --seed, built where it is not there
    python -m benchmarks.labels.audit --store data/mine.duckdb --log clicks.csv.gz --labels labels.csv

The labels of the demo are synthetic: its truth, said by a reviewer `truth`, faults named. Takes what `python -m core audit` takes, after
the minutes that building and scoring the store takes.
"""

import argparse
import csv
from pathlib import Path

from core.cli.audit import show, to_dict
from core.cli.console import progress_bar
from core.cli.demo import build_demo
from core.clicks.ingest import ingest
from core.jobs import running as jobs
from core.models.audit.job import AUDIT
from core.models.audit.request import AuditRequest
from core.review.label_files import import_labels
from core.runs import run
from core.store import Store


def labels_of(truth: Path) -> Path:
    """The truth of a demo as a file of labels, beside it."""
    with truth.open() as file:
        rows = [(r["banner_id"], r["broken"] in ("1", "true"), r["fault"]) for r in csv.DictReader(file)]
    out = truth.with_suffix(".labels.csv")
    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["banner_id", "label", "reviewer", "labelled_at", "fault"])
        for banner_id, broken, fault in rows:
            writer.writerow([banner_id, "broken" if broken else "ok", "truth", "2026-01-01T00:00:00Z", fault if broken else ""])
    return out


def main() -> None:
    """Builds what is missing, audits, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with progress_bar() as progress:
        if given.log is None and not given.store.exists():
            build_demo(given.store, seed=given.seed, progress=progress)
        with Store(given.store) as store:
            if given.log is not None:
                ingest(store, [given.log])
            if not store.rows("SELECT 1 FROM run_info LIMIT 1"):
                run.score(store, progress=progress)
            import_labels(store, given.labels or labels_of(given.store.with_name(given.store.stem + ".truth.csv")))
            found = jobs.run(store, AUDIT, AuditRequest(), progress)
    show(to_dict(found))


if __name__ == "__main__":
    main()
