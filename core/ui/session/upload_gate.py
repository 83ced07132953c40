"""Who may send files to the server, and how many at once: decided before a byte of them is read.

Streamlit keeps an upload in memory until its session ends. So no more than `AT_ONCE` come in at a time, and what is kept and under way
together is at most `ROOM` times the largest file; a page releases its files as soon as their ingest has begun.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import streamlit as st
from starlette.requests import HTTPConnection
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core import logs
from core.errors import HeatproofError
from core.ui.session import caller, roles

ROUTE = re.compile(r"/_stcore/upload_file/(?P<session>[^/]+)/[^/]+/?$")
AT_ONCE = 2
ROOM = 2
N_KEPT = 200
FRAME_BYTES = 1024 * 1024
"""What a form adds to its file, as Streamlit allows for it."""


class Refusal(NamedTuple):
    """A response in the place of the upload."""

    status: int
    why: str


class Uploads:
    """Uploads under way in this process. Used from the server's event loop only."""

    def __init__(self) -> None:
        self._under_way: list[int] = []

    def refusal(self, method: str, path: str, connection: HTTPConnection) -> Refusal | None:
        """Why a request to the upload route is not taken; None where it is, and for other routes."""
        found = ROUTE.search(path)
        if found is None or method == "OPTIONS":
            return None
        try:
            owner = caller.owner(found["session"], connection)
            if owner is None:
                return Refusal(403, "An upload belongs to an open page of the same sign-in: this request names none. Reload the page.")
            why = roles.refusal(owner, "ingest") or roles.refusal(caller.person(connection), "ingest")
        except HeatproofError as error:
            why = str(error)
        if why is not None:
            return Refusal(403, why)
        return self._too_much(connection) if method == "PUT" else None

    @contextmanager
    def under_way(self, connection: HTTPConnection) -> Iterator[None]:
        """While an upload comes in, its size counts."""
        size = announced(connection)
        self._under_way.append(size)
        try:
            yield
        finally:
            self._under_way.remove(size)

    def _too_much(self, connection: HTTPConnection) -> Refusal | None:
        size = announced(connection)
        if size > max_bytes() + FRAME_BYTES:
            return Refusal(
                413, f"An upload has at most {st.get_option('server.maxUploadSize')} MB: name a path, or use `ingest`, for more."
            )
        kept, n_kept = held()
        if len(self._under_way) >= AT_ONCE or n_kept >= N_KEPT or kept + sum(self._under_way) + size > ROOM * (max_bytes() + FRAME_BYTES):
            return Refusal(429, "Uploads take turns in the memory of the dashboard: it is full. Begin their ingest, or try again later.")
        return None


def announced(connection: HTTPConnection) -> int:
    """Bytes that a request says it has; as many as are allowed where it does not say, or says nonsense."""
    length = connection.headers.get("content-length", "")
    return int(length[:20]) if length.isascii() and length.isdigit() else max_bytes() + FRAME_BYTES


def max_bytes() -> int:
    """The largest file, in bytes."""
    return int(st.get_option("server.maxUploadSize")) * 1024 * 1024


def held() -> tuple[int, int]:
    """Bytes and number of uploads that the server keeps in memory."""
    manager = runtime.get_instance().uploaded_file_mgr if runtime.exists() else None
    return (manager._total_bytes, manager._file_count) if isinstance(manager, MemoryUploadedFileManager) else (0, 0)


def release() -> None:
    """Frees the memory of this session's uploads: their files are on the disk."""
    context = get_script_run_ctx()
    if context is not None and runtime.exists():
        context.uploaded_file_mgr.remove_session_files(context.session_id)
        logs.detail("uploads_released", bytes_left=held()[0])
