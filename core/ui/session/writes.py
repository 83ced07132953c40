"""Everything that a page changes, in the store or on the machine: each function checks who asks, then does it under their name.

Pages and the other modules of this folder write through here only; a test walks their source to hold it. What a role may not
do is refused here whatever the browser sends; that its button is disabled as well is a courtesy.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core.calibration import publish as calibrate
from core.calibration.publish import Preview
from core.clicks import mappings, undo, uploads
from core.clicks.ingest import Options
from core.clicks.job import INGEST, IngestRequest
from core.clicks.known_files import KnownPath
from core.jobs import running as jobs
from core.jobs.kind import Kind
from core.models.selection import job as model_selection
from core.models.training import job as train_job
from core.review import claims, labels, triage
from core.review.changes import Seen
from core.review.labelling_queue import Mode
from core.store import Store, backup
from core.store.queries.selections import Selection
from core.ui.session import identity, roles, state
from core.ui.session.kinds import ACTIONS
from core.ui.session.roles import Action


def allowed(action: Action, detail: str | None = None) -> tuple[Store, str]:
    """The store and the name to write under. Raises ForbiddenError where the role is too low, and records that."""
    store = state.store()
    return store, roles.require(store, identity.person(), action, detail).name


def button(action: Action, label: str, then: Callable[..., Any], args: tuple[Any, ...] = (), **more: Any) -> bool:
    """`st.button` that calls `then`; disabled, with the reason as its tooltip, for people who may not do the action."""
    why = identity.refused(action)
    if why is not None:
        more |= {"help": why, "disabled": True}
    return st.button(label, on_click=state.act, args=(then, *args), **more)


def decide(run_id: str, seen: Seen, op: triage.Op, *, days: int, note: str | None) -> triage.Batch:
    """One decision about banners of a run, as they were seen. Errors as of `triage.decide`."""
    store, name = allowed("triage", f"{op} {len(seen)} banners")
    return triage.decide(store, run_id, list(seen), op, name, days=days, note=note, seen=seen)


def undo_decision(batch_id: str | None, despite: Seen | None = None) -> triage.Batch | None:
    """Takes the person's last decision back, which was shown as this one. Errors as of `triage.undo`."""
    store, name = allowed("triage", "undo")
    return triage.undo(store, name, batch_id=batch_id, despite=despite)


def label(banner_id: str, value: str, **about: Any) -> labels.Event:
    """What a reviewer says about a banner; `about` as of `labels.label`, whose errors it raises."""
    store, name = allowed("label", f"{value} {banner_id}")
    return labels.label(store, banner_id, value, name, **about)


def adjudicate(banner_id: str, value: str, **about: Any) -> labels.Event:
    """The decision between labels that differ; `about` as of `labels.adjudicate`."""
    store, name = allowed("adjudicate", f"{value} {banner_id}")
    return labels.adjudicate(store, banner_id, value, name, **about)


def show_next(run_id: str, mode: Mode, *, grid: int | None) -> claims.Item | None:
    """Claims the next banner of the reviewer's queue."""
    store, name = allowed("label", "next banner")
    return claims.next_item(store, run_id, name, mode, grid=grid)


def show_again(run_id: str, banner_id: str, mode: Mode, *, beside: bool = False) -> claims.Item:
    """Claims a banner that the reviewer came back to. Errors as of `claims.again`."""
    store, name = allowed("label", f"again {banner_id}")
    return claims.again(store, run_id, name, banner_id, mode, beside=beside)


def skip(item: claims.Item) -> None:
    """Puts a banner aside for this reviewer."""
    store, name = allowed("label", f"skip {item.banner_id}")
    claims.skip(store, item._replace(reviewer=name))


def release(item: claims.Item) -> None:
    """Gives a banner back that was shown and not answered, under the name that it was shown to."""
    store, _ = allowed("label", f"release {item.banner_id}")
    claims.release(store, item)


def undo_review(batch_id: str, action_id: str | None = None, despite: Seen | None = None) -> claims.Undone | None:
    """Takes back what the reviewer did last: a label, a decision between labels, or a skip. Errors as of `claims.undo`."""
    store, name = allowed("label", "undo")
    return claims.undo(store, name, batch_id=batch_id, action_id=action_id, despite=despite)


def publish(seen: Preview, reason: str) -> int:
    """Keeps what was seen as a threshold version and puts it into force; returns its number. Errors as of `publish.publish`."""
    store, name = allowed("publish", f"{seen.request.shots}-shot, {seen.request.method}")
    return calibrate.publish(store, seen, name, reason)


def roll_back(number: int, reason: str, *, active: int) -> None:
    """Brings a threshold version back in place of the active one, 0 for the threshold without labels. Errors as of `publish.roll_back`."""
    store, name = allowed("roll_back", f"to v{number}")
    calibrate.roll_back(store, number, name, reason, active=active)


def start(kind: Kind[Any, Any, Any], request: Any) -> None:
    """Starts a job in the background. Errors as of `jobs.start`."""
    store, _ = allowed(ACTIONS[kind.name], kind.words(request))
    jobs.start(store, kind, request)


def cancel(kind: Kind[Any, Any, Any], job_id: str) -> None:
    """Stops the job whose button was pressed, never one that began since; one that ended meanwhile has nothing to stop."""
    store, _ = allowed(ACTIONS[kind.name], f"cancel {kind.name}")
    job = jobs.current(store, kind)
    if job is not None and job.id == job_id and job.is_running:
        job.cancel()


def dismiss(kind: Kind[Any, Any, Any], job_id: str | None) -> None:
    """Clears the outcome that was shown from every screen, never that of a job that ended since."""
    store, _ = allowed(ACTIONS[kind.name], f"close {kind.name}")
    job = jobs.current(store, kind)
    if job is not None and job.id == job_id:
        jobs.dismiss(store, kind)


def use_model(found: Selection, candidate: int | None, seen: Seen | None = None) -> None:
    """Says which model of a selection runs take from now on, None: none. Errors as of `job.use`."""
    store, name = allowed("train", "use a model in runs" if candidate is not None else "use no chosen model in runs")
    model_selection.use(store, found, candidate, name, seen=seen)


def discard_weights(name: str, weights: str | None = None) -> None:
    """Goes back to the shipped weights of a network. Errors as of `job.discard`."""
    store, _ = allowed("train", f"shipped weights of {name}")
    train_job.discard(store, name, weights)


def keep_upload(upload: Any) -> Path:
    """An upload of `st.file_uploader` as a file beside the store, as of `uploads.keep`; written once, however often the page is drawn."""
    store, _ = allowed("ingest", f"upload {upload.name}")
    kept: dict[str, Path] = st.session_state.setdefault("kept_uploads", {})
    key = f"{upload.file_id} {upload.size}"
    if key not in kept or not kept[key].exists():
        kept[key] = uploads.keep(store.path.with_suffix(".uploads"), upload.name, upload.getbuffer())
    return kept[key]


def ingest(paths: list[Path], mapping: Mapping[str, str], *, owned: bool, known: KnownPath = "refuse", allow_rejects: bool = False) -> None:
    """Starts an ingest in the background; `owned` files are uploads. Errors as of `jobs.start`."""
    store, name = allowed("ingest", ", ".join(map(uploads.name_of, paths)))
    options = Options(known=known, allow_rejects=allow_rejects, uploaded=owned, author=name)
    jobs.start(store, INGEST, IngestRequest(paths, dict(mapping), options))


def save_mapping(name: str, columns: Sequence[str], mapping: Mapping[str, str]) -> None:
    """Saves how a file was read under a name. Errors as of `mappings.save`."""
    store, author = allowed("ingest", f"mapping {name}")
    mappings.save(store, name, columns, mapping, author)


def undo_ingest(ingest_id: str, reason: str) -> undo.Effect:
    """Takes an ingest back. Errors as of `undo.undo`."""
    store, name = allowed("take_back", ingest_id)
    return undo.undo(store, ingest_id, name, reason)


def back_up(target: Path) -> int:
    """Writes a backup; returns its size in bytes. Errors as of `backup.backup`."""
    store, _ = allowed("backup", str(target))
    return backup.backup(store, target)
