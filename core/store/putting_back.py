"""Putting one DuckDB file in the place of another: a kill at any moment leaves the old store or the new one, never a mixture.

What is to come lies ready as `NAME.part`. Writing `NAME.restoring`, which names where the old files go, decides: before it the old store
is untouched, after it the new one is put in place, by this process or by the next one that opens the store.

A DuckDB file comes with its write-ahead log `NAME.wal`, which must never meet another file than its own.
"""

import fcntl
import json
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import StoreBusyError
from core.store import clock


def part_of(path: Path) -> Path:
    """Where the new file lies until it is put in place."""
    return path.with_name(path.name + ".part")


def log_of(path: Path) -> Path:
    """A file's write-ahead log."""
    return path.with_name(path.name + ".wal")


def plan_of(path: Path) -> Path:
    """What decides that the new file is to be put in place."""
    return path.with_name(path.name + ".restoring")


def put_back(path: Path) -> Path | None:
    """Puts `NAME.part` in the place of the store, whatever is there; returns where that went with its log, None where nothing was.

    The caller has the store `held`.
    """
    aside = _free_name(path) if path.exists() or path.is_symlink() or log_of(path).exists() else None
    plan = plan_of(path)
    draft = plan.with_name(plan.name + ".part")
    draft.write_text(json.dumps({"aside": aside and aside.name}))
    _sync(part_of(path))
    _sync(draft)
    draft.replace(plan)
    _sync(path.parent)
    _carry_out(path)
    return aside


def finish(path: Path) -> None:
    """Ends what a killed process had decided. Raises StoreBusyError while that process is still at it."""
    if plan_of(path).exists():
        with held(path):
            _carry_out(path)


def _carry_out(path: Path) -> None:
    """Each step is done once, whichever process began it: the new file is put in place last."""
    try:
        name = json.loads(plan_of(path).read_text())["aside"]
    except FileNotFoundError:
        return  # another process has just ended it
    if part_of(path).exists() and name:
        aside = path.with_name(name)
        if log_of(path).exists():
            log_of(path).rename(log_of(aside))
        if path.exists() or path.is_symlink():
            path.rename(aside)
    if part_of(path).exists():
        part_of(path).rename(path)
    _sync(path.parent)
    plan_of(path).unlink(missing_ok=True)
    _sync(path.parent)


def _free_name(path: Path) -> Path:
    """A name with the time that neither a file nor a log has."""
    stem = f"{path.name}.before-restore-{clock.now():%Y%m%d-%H%M%S}"
    names = (path.with_name(stem if k == 1 else f"{stem}-{k}") for k in range(1, 10_000))
    return next(name for name in names if not name.exists() and not log_of(name).exists())


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keeps other processes from the store meanwhile, by the lock that DuckDB takes and by one of those who restore.

    Raises StoreBusyError where another process has either.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    guard_path = path.with_name(path.name + ".restore.lock")
    guard = os.open(guard_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    store = os.open(path, os.O_RDWR | os.O_CLOEXEC) if path.is_file() else -1
    try:
        _lock(guard, path, "being restored by")
        if store >= 0:
            _lock(store, path, "held by")
        yield
    finally:
        guard_path.unlink(missing_ok=True)
        if store >= 0:
            os.close(store)
        os.close(guard)


def _lock(file: int, path: Path, how: str) -> None:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StoreBusyError(
            f"A store is restored while no process uses it: {path} is {how} {_holder(file)}. Stop that process, then restore again."
        ) from error


def _holder(file: int) -> str:
    """Who holds the lock, as far as this machine knows."""
    asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    pid = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, asked))[4]
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        words = ""
    return f"PID {pid} ({words[:120]})" if words else f"PID {pid}"


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
