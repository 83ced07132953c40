"""Sections of the Data page: bring clicks in, run, rejects, store."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import streamlit as st

from core.clicks.ingest_results import IngestResult, NothingIngestedError
from core.clicks.job import INGEST, IngestRequest
from core.errors import HeatproofError, InputError
from core.jobs.job import Job
from core.runs import run as runner
from core.runs.request import Request
from core.runs.run import RUN
from core.store.queries import health, runs
from core.ui.data import upload
from core.ui.render import report, text
from core.ui.session import components, identity, job_panel, roles, state, writes
from core.ui.session.job_panel import Words

KINDS = ["csv", "gz", "json", "jsonl", "ndjson", "parquet", "tsv"]
NEXT = {
    "unusable": "",
    "known": "Choose the file again, and above the button whether it replaces what was ingested or is counted in addition.",
    "rejected": "Mend the log, map its columns, or tick the box above the button to take in what is left.",
}


def ingest_section() -> None:
    """Files or a path, what would happen to them, and the ingest itself."""
    if job_panel.show(INGEST, INGEST_WORDS):
        return
    why = identity.refused("ingest")  # a preview would show any file of the machine
    if why is not None:
        components.empty("Click logs are brought in by others", text.markdown(why))
        return
    left, right = st.columns(2, gap="large")
    with left:
        uploads = st.file_uploader(
            "Click logs",
            type=KINDS,
            accept_multiple_files=True,
            key=f"uploads_{st.session_state.get('upload_round', 0)}",
            help="CSV, JSON lines or Parquet, also packed with gzip",
        )
    with right:
        path = st.text_input(
            "… or a path on this machine", key="path", placeholder="/data/clicks/2026-11-14.parquet, or a folder", max_chars=1000
        )
    if uploads:
        chosen, owned = [writes.keep_upload(upload) for upload in uploads], True
    elif path.strip():
        chosen, owned = [Path(path.strip()).expanduser()], False
    else:
        st.caption(
            "One row a click: banner_id, grid_id, n_products, domain, click_x_rel, click_y_rel, clicked_at. "
            "Other names are recognised or can be mapped."
        )
        return
    upload.preview_and_start(chosen, owned)


def outcome(job: Job[IngestRequest, IngestResult]) -> None:
    """How an ingest ended."""
    result = job.failure.result if isinstance(job.failure, NothingIngestedError) else job.result
    if result is None:
        job_panel.outcome(Words())(job)
        return
    if job.result is not None:
        known = " It was in the store before: nothing changed." if result.already_ingested else ""
        names = text.markdown(", ".join(job.request.names))
        st.success(
            f"{names}: {text.plural(result.accepted, 'row')} accepted, {sum(result.rejected.values()):,} rejected.{known}",
            icon=":material/check_circle:",
        )
    for file in result.files:
        for note in file.notes:
            st.info(text.markdown(note), icon=":material/info:")
        if file.cause:
            st.warning(f"{text.markdown(Path(file.file).name or file.file)}: likeliest cause of its rejects: {text.markdown(file.cause)}")
    if result.failed:
        lines = "".join(
            f"\n- {text.markdown(Path(file.file).name or file.file)}: {text.markdown(file.reason)} {NEXT[file.kind]}"
            for file in result.failed
        )
        (st.warning if job.result else st.error)(f"Not taken in:{lines}", icon=":material/error:")
    if job.result is not None:
        writes.button("score", "Score all banners", start_run, key="score_next", type="primary", icon=":material/play_arrow:")


INGEST_WORDS = Words(
    title=lambda request: f"Ingesting {', '.join(request.names)}",
    stop="Cancel",
    kept="The file in work leaves nothing behind",
    ended=outcome,
)
RUN_WORDS = Words(stop="Cancel", kept="Nothing of a cancelled run is kept")


def runs_section() -> None:
    """Start a run, watch it, see those before."""
    if not job_panel.show(RUN, RUN_WORDS):
        ready = runs.has_banners(state.store())
        writes.button(
            "score", "Score all banners", start_run, type="primary", icon=":material/play_arrow:", key="start_run", disabled=not ready,
            help="Every grid, every day, the detectors of the default run" if ready else "Ingest clicks first",
        )  # fmt: skip
    rows = runs.run_states(state.store())
    if not rows:
        components.empty("No run yet", "A run scores every banner and flags those that look broken.")
        return
    dead = {r["run_id"] for r in runner.interrupted_runs(state.store())}
    st.dataframe([run_row(r, r["run_id"] in dead) for r in rows], hide_index=True, alt="Runs, newest first")


def start_run() -> None:
    """Starts a run in the background, and shows it."""
    writes.start(RUN, Request())
    ingested = job_panel.current(INGEST)
    writes.dismiss(INGEST, None if ingested is None else ingested.id)
    st.session_state["tab"] = "Runs"


def run_row(row: dict[str, Any], interrupted: bool) -> dict[str, str]:
    """A run in words; what only a finished run knows is unknown for the others."""
    finished = row["state"] == "finished"
    detail = json.loads(row["detail"]) if row["detail"] else {}
    state_words = "interrupted: its process is gone" if interrupted else "running" if row["state"] == "started" else row["state"]
    window = f"{text.day(row['first_day'])} to {text.day(row['last_day'])}" if finished else text.UNKNOWN
    return {
        "when": text.ago(row["state_at"]),
        "state": state_words,
        "window": window,
        "banners": text.number(row["n_banners"]),
        "flagged": text.number(row["n_flagged"]),
        "detectors": text.number(row["n_detectors"]) if finished else text.UNKNOWN,
        "took": text.duration(row["seconds"]),
        "message": str(detail.get("error", "")) if isinstance(detail, dict) else "",
        "at": text.absolute(row["state_at"]),
    }


def rejects_section() -> None:
    """Rejected rows by reason, sample lines, and a file of them."""
    ingests = health.ingests(state.store())
    if not ingests:
        components.empty("Nothing was ingested", "Rejected rows are listed here by reason, with their lines.")
        return
    labels = {"": "all ingests"} | {
        r["ingest_id"]: f"{Path(r['source']).name} · {text.ago(r['finished_at'])} · {r['n_rejected']:,} rejected" for r in ingests
    }
    ingest_id = st.selectbox("Ingest", list(labels), format_func=lambda key: labels[key], key="reject_ingest", width=480) or None
    reasons = health.reject_reasons(state.store(), ingest_id)
    if not reasons:
        st.success("No row was rejected.", icon=":material/check_circle:")
        return
    total = sum(r["n"] for r in reasons)
    left, right = st.columns([0.38, 0.62], gap="large")
    with left:
        shown = [{"reason": r["reason"], "rows": text.number(r["n"]), "share": text.percent(r["n"] / total)} for r in reasons]
        picked = st.dataframe(
            shown, hide_index=True, alt="Rejected rows by reason", key="reasons", on_select="rerun", selection_mode="single-row"
        )
        chosen = [reasons[k]["reason"] for k in picked["selection"]["rows"] if k < len(reasons)]
    with right:
        lines = health.rejects(state.store(), ingest_id, chosen[0] if chosen else None)
        st.caption(
            f"First {len(lines):,} of {sum(r['n'] for r in reasons if not chosen or r['reason'] == chosen[0]):,} rows"
            + (f": {text.markdown(chosen[0])}" if chosen else "")
        )
        st.dataframe([r | {"source": Path(r["source"]).name} for r in lines], hide_index=True, alt="Rejected rows", height=330)
    st.download_button(
        f"CSV of all {total:,}", lambda: report.csv_file(health.rejects(state.store(), ingest_id, None, 1_000_000)),
        "heatproof-rejects.csv", "text/csv", icon=":material/download:", on_click="ignore",
    )  # fmt: skip


def store_section() -> None:
    """Size, rows, versions, backup."""
    facts = state.store().info()
    first, second, third, fourth = st.columns(4)
    first.metric("Size", text.size(facts["bytes"]), border=True)
    second.metric("Banners", text.number(facts["rows"].get("banner")), border=True)
    third.metric("Banner days", text.number(facts["rows"].get("heatmap_day")), border=True)
    fourth.metric("Decisions", text.number(facts["rows"].get("triage_event")), border=True)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("##### Rows")
        st.dataframe(
            [{"table": name, "rows": text.number(n)} for name, n in facts["rows"].items()], hide_index=True, alt="Rows by table", height=300
        )
    with right:
        st.markdown("##### Backup")
        st.caption("A consistent copy, also while people work. To restore, stop the app first: `python -m core restore FILE`.")
        named = state.store().path.with_name(f"backup-{datetime.now(UTC):%Y%m%d-%H%M}.duckdb")
        st.session_state.setdefault("backup_path", str(named))  # once: a name that follows the clock would replace one being typed
        target = st.text_input("Backup file", key="backup_path", max_chars=1000)
        writes.button("backup", "Back up", back_up, (target,), icon=":material/save:", key="back_up")
        st.markdown("##### Versions")
        st.caption(f"DuckDB {text.markdown(facts['duckdb'])} · tables {text.markdown(', '.join(facts['steps']))}")
        st.caption(f"Store: {text.markdown(facts['store'])}")
    if state.person().role == "admin":
        refused_writes()


def refused_writes() -> None:
    """What users were not allowed to do, for admins."""
    rows = roles.refusals(state.store())
    if not rows:
        return
    st.markdown("##### Refused")
    shown = [r | {"happened_at": text.absolute(r["happened_at"]), "name": r["name"] or "not signed in"} for r in rows]
    st.dataframe(shown, hide_index=True, alt="Refused writes, newest first", height=240)


def back_up(target: str) -> None:
    """Writes a backup, and says where and how large."""
    if not target.strip():
        raise InputError("A backup needs a file name: none was given. Write one.")
    try:
        n_bytes = writes.back_up(Path(target.strip()).expanduser())
    except OSError as error:
        raise HeatproofError(f"A backup needs a folder that can be written: {target}: {error.strerror}. Name another one.") from error
    st.toast(f"Backed up {text.size(n_bytes)} to {text.markdown(target)}.", icon=":material/save:")
