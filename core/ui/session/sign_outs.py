"""Sign-ins that were ended before their time: their cookie is a valid one still, and is refused from then on.

Kept in a file beside the store, so that a restart, or another dashboard on the same store, refuses them too. It holds digests only.
Bounded: past `LIMIT` the oldest half goes, and every sign-in as old as those is refused instead: too many, never too few.
"""

import hashlib
import json
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from core import logs
from core.store.locks import FileLock

LIMIT = 10_000
KEPT_S = 31 * 24 * 3600.0
"""Longer than a cookie's signature is accepted, whatever `sign_in_hours` is or becomes."""
NAMES = ("iss", "sub", "aud", "iat", "auth_time", "nonce", "jti", "sid", "provider")
"""Claims that tell one sign-in from every other: two of the same person differ at least in their nonce."""


def key_of(claims: Mapping[str, Any]) -> str:
    """A sign-in's digest, the same for each of its tabs and copies of its cookie."""
    told = json.dumps([claims.get(name) for name in NAMES], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()


def issued_at(claims: Mapping[str, Any]) -> float:
    """Seconds since 1970; 0 where the token does not say."""
    issued = claims.get("iat")
    return float(issued) if isinstance(issued, int | float) else 0.0


class SignOuts:
    """The ended sign-ins of one file. Safe to share between threads."""

    def __init__(self, file: Path, limit: int = LIMIT) -> None:
        self._file, self._limit = file, limit
        self._lock = threading.Lock()
        self._turn = FileLock(file.with_name(file.name + ".lock"))
        self._ended: dict[str, float] = {}
        self._floor = 0.0
        self._stamp: tuple[int, int] | None = None

    def add(self, claims: Mapping[str, Any]) -> None:
        """Ends a sign-in. Where the file cannot be written, this process refuses it all the same, and the log says so."""
        with self._lock:
            self._ended[key_of(claims)] = issued_at(claims)
            try:
                self._write()
            except OSError as error:
                self._shrink()
                logs.failure("sign_out_not_kept", error, file=str(self._file))

    def has(self, claims: Mapping[str, Any]) -> bool:
        """Whether a sign-in was ended."""
        with self._lock:
            self._read()
            return key_of(claims) in self._ended or 0.0 < issued_at(claims) <= self._floor

    def _write(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._turn.acquire()
        try:
            self._stamp = None
            self._read()  # what another dashboard ended meanwhile stays
            self._shrink()
            self._save()
        finally:
            self._turn.release()

    def _save(self) -> None:
        part = self._file.with_name(self._file.name + ".part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"before": self._floor, "ended": self._ended}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._file)

    def _read(self) -> None:
        """Takes in what the file holds, where it changed."""
        try:
            facts = self._file.stat()
            if (facts.st_mtime_ns, facts.st_size) == self._stamp:
                return
            kept = json.loads(self._file.read_text())
            ended = {str(key): float(issued) for key, issued in kept["ended"].items()}
            before = float(kept["before"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            logs.failure("sign_outs_unreadable", error, file=str(self._file))
            self._floor = max(self._floor, time.time())  # which sign-ins ended is not known: everybody signs in again
            self._set_aside()
            return
        self._stamp = facts.st_mtime_ns, facts.st_size
        self._ended |= ended
        self._floor = max(self._floor, before)

    def _set_aside(self) -> None:
        """Keeps a damaged file under another name. Where that fails, it is read again with the next request, and refuses again."""
        with suppress(OSError):
            self._file.replace(self._file.with_name(self._file.name + ".damaged"))
            self._save()

    def _shrink(self) -> None:
        cutoff = time.time() - KEPT_S
        self._ended = {key: issued for key, issued in self._ended.items() if issued > cutoff}
        if len(self._ended) > self._limit:
            newest = sorted(self._ended.items(), key=lambda one: one[1])[-self._limit // 2 :]
            dropped = self._ended.keys() - dict(newest).keys()
            self._floor = max(self._floor, *(self._ended[key] for key in dropped))
            self._ended = dict(newest)
