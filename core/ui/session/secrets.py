"""Settings that decide who may do what, as the running server reads them: the secrets, and the address that it listens on.

Streamlit reads both files again when they change. A server keeps what would open it: the address it was started with, and that there is
a sign-in. Its secrets may change, and a process that has seen a sign-in refuses all requests while one of its settings is missing.
"""

from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError
from streamlit.runtime.secrets import secrets_singleton

from core import logs
from core.errors import HeatproofError, InputError
from core.ui.session.sign_in import Kept


class Serving:
    """What a server process keeps until it ends."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.kept = Kept()
        self.stamp: list[tuple[int, ...] | None] = []
        """Which files the secrets were read from."""
        self.problem: str | None = None
        """Why no request is answered, as it was logged last."""


_serving: Serving | None = None


def begin() -> None:
    """The server starts: from now on nothing that was seen is done without."""
    global _serving
    _serving = Serving(str(st.get_option("server.address") or ""))
    why_closed()


def address() -> str:
    """The address that the server listens on, empty for every one: that of its start, not of a changed file."""
    return _serving.address if _serving else str(st.get_option("server.address") or "")


def read() -> dict[str, Any]:
    """All secrets; empty where there never was a file of them. Raises InputError or HeatproofError where no request may be answered."""
    try:
        found = _read()
        if _serving:
            _serving.kept.check(found)
    except HeatproofError as error:
        _log_once(error)
        raise
    _log_once(None)
    return found


def why_closed() -> str | None:
    """Why no request is answered, for the operator; None where the settings can be used."""
    try:
        read()
    except HeatproofError as error:
        return str(error)
    return None


def _log_once(error: HeatproofError | None) -> None:
    if _serving is None or _serving.problem == (str(error) if error else None):
        return
    _serving.problem = str(error) if error else None
    if error:
        logs.failure("sign_in_closed", error)
    else:
        logs.event("sign_in_open_again")


def _read() -> dict[str, Any]:
    """The secrets as they stand in their files. One that cannot be read must not count as none: that would turn the sign-in off."""
    if _serving and (stamp := [_stamp(path) for path in st.get_option("secrets.files")]) != _serving.stamp:
        secrets_singleton._reset()  # Streamlit would notice within seconds, and of a file that is gone not for sure
        _serving.stamp = stamp
    try:
        return st.secrets.to_dict()
    except StreamlitSecretNotFoundError as error:
        files = [path for path in st.get_option("secrets.files") if Path(path).exists()]
        if files:
            raise InputError(f"Secrets are readable TOML: {', '.join(files)} is not, {error}. Correct it.") from error
        return {}
    except (OSError, ValueError) as error:
        raise HeatproofError(f"The dashboard cannot read its secrets: {error}. Correct the file and its permissions.") from error


def _stamp(path: str) -> tuple[int, ...] | None:
    try:
        facts = Path(path).stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size, facts.st_mode
