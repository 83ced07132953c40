"""A disk without free space, recognised at any depth of an error's chain."""

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import DiskFullError

FULL = (errno.ENOSPC, errno.EDQUOT)
WORDS = re.compile(r"no space left on device|disk quota exceeded|database or disk is full|could not extend file", re.IGNORECASE)
NAMED = re.compile(r"""(?:file|directory)\s+["']([^"']+)["']""")


@contextmanager
def named() -> Iterator[None]:
    """Raises DiskFullError in the place of any error that a full disk led to."""
    try:
        yield
    except Exception as error:
        if isinstance(error, DiskFullError) or (found := full_disk(error)) is None:
            raise
        raise found from error


def full_disk(error: BaseException | None) -> DiskFullError | None:
    """The message about a full disk where one led to this error; None for any other."""
    while error is not None:
        if isinstance(error, DiskFullError):
            return error
        if (isinstance(error, OSError) and error.errno in FULL) or WORDS.search(str(error)):
            return DiskFullError(message(_place(error)))
        error = error.__cause__ or error.__context__
    return None


def message(place: str | None) -> str:
    """The rule, the disk and the next step."""
    where = f"the disk of {place}" if place else "the disk"
    free = f"has {_free(place):,.1f} MB left" if place and _free(place) is not None else "has none left"
    return (
        f"Writing needs free space: {where} {free}. Nothing of this step was kept, and everything acknowledged before it is in the store. "
        "Free some space there, then do it again."
    )


def _place(error: BaseException) -> str | None:
    """The file that could not be written."""
    if isinstance(error, OSError) and isinstance(error.filename, str):
        return error.filename
    found = NAMED.search(str(error))
    return found[1] if found else None


def _free(place: str) -> float | None:
    """Free megabytes where a file lies or would lie; None where that cannot be told."""
    folder = next((folder for folder in [Path(place), *Path(place).parents] if folder.exists()), None)
    return shutil.disk_usage(folder).free / 1e6 if folder else None
