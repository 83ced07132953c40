"""The panel of a background job on a page: its progress with a way to stop it, or how it ended."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.jobs import running as jobs
from core.jobs.job import Job
from core.jobs.kind import Kind
from core.ui.render import text
from core.ui.session import components, state, writes
from core.ui.session.kinds import ACTIONS

EVERY_S = 1.0
AnyKind = Kind[Any, Any, Any]
AnyJob = Job[Any, Any]


def _untitled(request: Any) -> str:
    return ""


@dataclass(frozen=True)
class Words:
    """How a page speaks of a kind of job.

    title: of a request, before the colon; without one the kind's. stop: the button, with the tooltip `kept`. beside: drawn under the
    progress. ended: draws the outcome in place of the usual line, which a finished job has not.
    """

    title: Callable[[Any], str] = _untitled
    stop: str = "Stop"
    kept: str = "Nothing of it is kept"
    beside: Callable[[AnyJob], None] | None = None
    ended: Callable[[AnyJob], None] | None = None


def current(kind: AnyKind) -> AnyJob | None:
    """The latest job of this kind on the dashboard's store."""
    return jobs.current(state.store(), kind)


def is_running(kind: AnyKind) -> bool:
    """Whether this process has a job of this kind in progress."""
    job = current(kind)
    return job is not None and job.is_running


def show(kind: AnyKind, words: Words) -> bool:
    """The progress of the latest job, or how it ended until it is closed. True while it is running."""
    job = current(kind)
    if job is None:
        return False
    if job.is_running:
        watch(kind, words)
        return True
    if words.ended is None and job.state == "finished":
        return False
    (words.ended or outcome(words))(job)
    writes.button(ACTIONS[kind.name], "Close", writes.dismiss, (kind, job.id), key=f"forget_{kind.name}")
    return False


@st.fragment(run_every=EVERY_S)
def watch(kind: AnyKind, words: Words) -> None:
    """Progress of the job, with a way to stop it."""
    job = current(kind)
    if job is None or not job.is_running:
        st.rerun()  # the whole page: it shows the outcome, and polling ends
        return
    left = f", about {text.duration(job.seconds_left)} left" if job.seconds_left is not None else ""
    st.progress(
        min(max(job.done, 0.0), 1.0),
        text.markdown(f"{words.title(job.request) or kind.title.capitalize()}: {job.what} · {100 * job.done:.0f} %{left}"),
    )
    if words.beside is not None:
        words.beside(job)
    writes.button(
        ACTIONS[kind.name], words.stop, writes.cancel, (kind, job.id),
        key=f"cancel_{kind.name}", disabled=job.is_cancelled, help=words.kept,
    )  # fmt: skip


def outcome(words: Words) -> Callable[[AnyJob], None]:
    """Draws why there is no result."""

    def draw(job: AnyJob) -> None:
        title = words.title(job.request)
        why = f"{title}: {job.error}" if title else str(job.error)
        if job.state == "cancelled":
            st.warning(text.markdown(why), icon=":material/block:")
        else:
            components.failed(why)

    return draw
