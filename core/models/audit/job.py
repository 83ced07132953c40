"""Audits of what features hold, from store to store: labelled banners out, a child process that learns, its figures in one transaction.

A finished audit is never changed; the page shows the latest one of its run.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from core.features.names import feature_of
from core.features.networks import weight_files
from core.jobs.job import Job
from core.jobs.kind import Kind
from core.logs.strict_json import to_json
from core.models.audit import queries as audits
from core.models.audit.figures import FIGURES, check_labels
from core.models.audit.queries import Audit
from core.models.audit.request import AuditRequest, AuditTask
from core.review import reviewers as drift
from core.store import Store, clock
from core.store.queries import cosines, detectors, runs
from core.store.queries.runs import last_finished


class AuditKind(Kind[AuditRequest, AuditTask, Audit]):
    """Nothing is kept where it is cancelled but features that were computed."""

    name = "audit"
    title = "audit"
    label = "the audit of run {run_id}"
    when_cancelled = "The audit was stopped, nothing of it is kept but features that were computed. Start it again when you like."
    worker = "core.models.audit.worker"
    preparing = "writing the labelled banners and some others"
    taking_in = "taking the figures into the store"

    def check(self, store: Store, request: AuditRequest) -> AuditRequest:
        """Raises InputError where the run has too few labels, RunError where there is no such run."""
        run_id = runs.behind(store, request.run_id)
        used = detectors.used(store, runs.shown_of(store, run_id))
        check_labels(used["n_broken"], used["n_ok"])
        return replace(request, run_id=run_id)

    def prepare(self, store: Store, job: Job[AuditRequest, Audit], folder: Path) -> AuditTask:
        """Writes the banners, and the scores that detectors gave the labelled ones."""
        from core.features.cache import folder_of  # here: whoever only shows an audit does without it

        request, path = job.request, store.path.resolve()
        assert request.run_id is not None
        token = drift.labels_token(store)
        found = audits.families_known(audits.chosen(store, request.run_id))
        audits.write_banners(store, last_finished(store, request.run_id), found, audits.MOST_OTHERS, folder / "banners.parquet")
        combined, names, scores = audits.without_labels(found)
        columns = {"combined": combined, **{name: scores[:, k] for k, name in enumerate(names)}}
        pq.write_table(pa.table(columns), folder / "scores.parquet")
        return AuditTask(
            request.n_trees,
            request.max_steps,
            stored=[feature_of(name) for name in cosines.detectors(store, request.run_id)],
            features=str(folder_of(path)),
            weights=str(weight_files.weights_folder(path)),
            labels_token=token,
            detectors=names,
            n_broken=int(found.broken.sum()),
            n_ok=int((~found.broken).sum()),
            n_named=audits.n_named(store, found.banner_id[found.broken]),
        )

    def take_in(self, store: Store, job: Job[AuditRequest, Audit], task: AuditTask, folder: Path, summary: dict[str, Any]) -> Audit:
        """Inserts the figures."""
        settings = {name: getattr(task, name) for name in ("n_trees", "max_steps", "labels_token", "detectors")}
        settings |= {name: summary[name] for name in ("weights", "seconds_represented")}
        about = {
            "run_id": job.request.run_id,
            **{name: getattr(task, name) for name in ("n_broken", "n_ok", "n_named")},
            **{name: summary[name] for name in ("n_families", "advice", "missing", "left_out")},
            "seconds": job.seconds,
            "settings": to_json(settings),
        }
        with store.transaction() as cursor:
            insert(cursor, {**about, "finished_at": clock.moment(cursor, "audit")}, summary["findings"])
        found = audits.latest(store, str(job.request.run_id))
        assert found is not None
        return found


AUDIT = AuditKind()


def insert(cursor: duckdb.DuckDBPyConnection, about: dict[str, Any], findings: list[dict[str, Any]]) -> None:
    """Inserts an audit inside the caller's transaction."""
    audit_id = cursor.execute("SELECT uuidv7()").fetchall()[0][0]
    row = {"audit_id": audit_id, **about}
    cursor.execute(f"INSERT INTO audit ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    for k, one in enumerate(findings):
        for name in FIGURES:
            cursor.execute(
                "INSERT INTO audit_figure VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [audit_id, k, one["name"], one["score_by"], one["n_dims"], name, *one[name]],
            )
