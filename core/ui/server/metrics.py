"""The state of a store and of this process's jobs as Prometheus metrics, read again for each scrape. What is not known is left out."""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import duckdb
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core import __version__
from core.calibration import versions
from core.errors import HeatproofError
from core.jobs import running as jobs
from core.jobs.job import Job
from core.runs import run
from core.store import Store, clock
from core.store.queries import health, operations, runs
from core.store.schema import STEPS

CONTENT_TYPE = CONTENT_TYPE_LATEST
LIBRARIES = ("streamlit", "duckdb", "torch")
STATES = ("running", "interrupted", "finished", "failed", "cancelled")
Families = Iterator[Metric]


class StoreCollector(Collector):
    """Metrics of the store that `opened` gives. `kinds`: names of the kinds of jobs that this process may have on it."""

    def __init__(self, opened: Callable[[], Store], kinds: Iterable[str]) -> None:
        self._opened, self._kinds = opened, tuple(kinds)
        self._known: dict[str, tuple[str, dict[str, int]]] = {}

    def describe(self) -> Iterable[Metric]:
        """Nothing: else registering it would open the store."""
        return []

    def collect(self) -> Families:
        """All of them; of a store that does not answer only that it does not."""
        yield _info()
        try:
            found = [*self._store(self._opened())]
        except (HeatproofError, duckdb.Error):
            yield gauge("store_up", "1 where the store opens and answers, else 0.", 0)
            return
        yield gauge("store_up", "1 where the store opens and answers, else 0.", 1)
        yield from found

    def _store(self, store: Store) -> Families:
        yield from run_metrics(store)
        rejected = self._counted(
            "rejected", store, runs.ingests_token, lambda s: {row["reason"]: row["n"] for row in health.reject_reasons(s)}
        )
        yield from ingest_metrics(store, rejected)
        labels = self._counted("labels", store, operations.labels_token, operations.labels_by_value)
        yield by("labels", "Reviewers' newest labels.", "label", {name: labels.get(name, 0) for name in ("broken", "ok", "unsure")})
        version = versions.in_force(store)
        yield gauge(
            "threshold_version",
            "Number of the active threshold version; 0: the threshold without labels.",
            version["number"] if version else 0,
        )
        yield gauge("store_bytes", "Size of the store on disk.", store.engine.n_bytes())
        yield from job_metrics(self._kinds, jobs.all_current(store))

    def _counted(self, name: str, store: Store, token: Callable[[Store], str], count: Callable[[Store], dict[str, int]]) -> dict[str, int]:
        """What is counted over many rows: again only once the token, which is cheap, is another one."""
        now = f"{store.url} {token(store)}"
        if self._known.get(name, ("", {}))[0] != now:
            self._known[name] = now, count(store)
        return self._known[name][1]


def registry(opened: Callable[[], Store], kinds: Iterable[str]) -> CollectorRegistry:
    """A registry of its own: this process's memory, processor time and open files, and the store's metrics."""
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    made.register(StoreCollector(opened, kinds))
    return made


def exposition(made: CollectorRegistry) -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(made)


def run_metrics(store: Store) -> Families:
    """Runs by state, and the newest finished one as it is shown: under the active version."""
    states = operations.runs_by_state(store)
    started = states.get("started", 0)
    interrupted = len(run.interrupted_runs(store)) if started else 0
    states |= {"running": started - interrupted, "interrupted": interrupted}
    yield by("runs", "Scoring runs by state; interrupted: their process is gone.", "state", {name: states.get(name, 0) for name in STATES})
    row = operations.newest_run(store)
    if row is not None:
        age_s = max((clock.now() - row["finished_at"]).total_seconds(), 0.0)  # the machine's clock may have been set back since
        yield gauge("last_run_age_seconds", "Seconds since the newest finished run ended.", age_s)
        yield gauge("last_run_finished_timestamp_seconds", "When the newest finished run ended.", _epoch(row["finished_at"]))
        yield gauge("last_run_seconds", "How long the newest finished run took.", row["seconds"])
        yield gauge("last_run_banners", "Banners that the newest finished run scored.", row["n_banners"])
        yield gauge("last_run_flagged", "Banners of it that are flagged.", row["n_flagged"])


def ingest_metrics(store: Store, rejected: dict[str, int]) -> Families:
    """What came in. Totals never fall; the rows that were rejected are kept, by reason, until `prune` deletes them."""
    totals = operations.ingest_totals(store)
    rows = CounterMetricFamily("heatproof_ingest_rows", "Rows of click logs by what became of them.", labels=["outcome"])
    for outcome in ("accepted", "rejected"):
        rows.add_metric([outcome], totals[outcome])
    yield rows
    yield CounterMetricFamily("heatproof_ingest_files", "Click logs taken in.", value=totals["n"])
    yield by("rejected_rows", "Rejected rows that are kept, by reason.", "reason", rejected)
    yield gauge("banners", "Banners that ever had a click.", totals["banners"])
    if totals["finished_at"] is not None:
        yield gauge("last_ingest_finished_timestamp_seconds", "When the newest ingest ended.", _epoch(totals["finished_at"]))


def job_metrics(kinds: Iterable[str], found: Mapping[str, Job[Any, Any]]) -> Families:
    """Jobs of this process: whether one is running, and the share of it that is done."""
    running = {name: job for name, job in found.items() if job.is_running}
    yield by(
        "job_running", "1 where this process has a job of this kind in progress.", "job", {name: int(name in running) for name in kinds}
    )
    yield by("job_done_ratio", "Share of a running job that is done.", "job", {name: job.done for name, job in running.items()})


def gauge(name: str, words: str, value: float) -> Metric:
    """One number."""
    return GaugeMetricFamily(f"heatproof_{name}", words, value=value)


def by(name: str, words: str, label: str, values: Mapping[str, float]) -> Metric:
    """One number a label value."""
    family = GaugeMetricFamily(f"heatproof_{name}", words, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _info() -> Metric:
    about: dict[str, Any] = {"heatproof": __version__, "python": platform.python_version(), "schema": STEPS[-1].__name__}
    about |= {name: metadata.version(name) for name in LIBRARIES}
    family = GaugeMetricFamily("heatproof_build_info", "1; versions of Heatproof, of its tables and of libraries.", labels=list(about))
    family.add_metric(list(about.values()), 1)
    return family


def _epoch(moment: datetime) -> float:
    return moment.replace(tzinfo=UTC).timestamp()
