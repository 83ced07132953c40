"""Uploaded files beside the store until they are ingested: a folder of its own for each content and name, a safe name inside it.

What a browser calls a file is only ever shown and recorded, never a path: it may hold slashes, line breaks, 300 characters or dots alone.
"""

import re
import unicodedata
from hashlib import blake2b
from pathlib import Path

from core.errors import disk_space

NAME = "name.txt"
"""Beside the file: what it was called."""
LONGEST = 80
ENDINGS = re.compile(r"((?:\.(?:csv|tsv|jsonl|ndjson|json|parquet))?(?:\.gz)?)$", re.IGNORECASE)
"""What readers take a file's format from."""


def keep(folder: Path, name: str, data: bytes | memoryview) -> Path:
    """Writes an upload into `folder`, whole or not at all; the same content under the same name again is the same file.

    Raises DiskFullError where it does not fit.
    """
    called = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    own = folder / f"{blake2b(data, digest_size=16).hexdigest()}-{called}"
    target = own / safe_name(name)
    if target.exists():
        return target
    part = own / "upload.part"
    try:
        with disk_space.named():
            own.mkdir(parents=True, exist_ok=True)
            (own / NAME).write_bytes(name.encode("utf-8", "surrogatepass"))
            part.write_bytes(data)
            part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        remove(target)
        raise
    return target


def name_of(path: Path) -> str:
    """What an upload was called; of any other file, its own name."""
    return _called(path) or path.name


def recorded(path: Path) -> str:
    """How a store names a file that it took in: an upload as it was called, any other by its path."""
    return _called(path) or str(path)


def _called(path: Path) -> str | None:
    beside = path.with_name(NAME)
    is_upload = path.parent.parent.suffix == ".uploads" and beside.is_file()
    return beside.read_bytes().decode("utf-8", "replace") if is_upload else None


def remove(path: Path) -> None:
    """Removes an upload with what stands beside it."""
    for file in (path, path.with_name(NAME)):
        file.unlink(missing_ok=True)
    if path.parent.is_dir() and not any(path.parent.iterdir()):
        path.parent.rmdir()


def safe_name(name: str) -> str:
    """A name that every file system takes, with the ending of the original: letters, digits, dots and dashes, at most 100 characters."""
    last = re.split(r"[/\\]", name)[-1].strip()
    found = ENDINGS.search(last)
    ending = found[1].lower() if found else ""
    plain = unicodedata.normalize("NFKD", last[: len(last) - len(ending)]).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", plain).strip("-")[:LONGEST]
    return f"upload-{stem}{ending}" if stem else f"upload{ending}"
