"""Whether a file was ingested before: by what it holds once it is unpacked, by what it begins with, and by where it lies.

The hash is taken while the file is read for its lines anyway. Ingests from before `ingest_file` are known by the hash of their packed
bytes: that is taken in a pass of its own, only where such an ingest has a packed file of the same size.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from core.clicks.cancellable import Work
from core.clicks.columns import Match, matched_before
from core.clicks.source import Source, read_bytes
from core.clicks.uploads import name_of
from core.errors import InputError

KnownPath = Literal["refuse", "replace", "add", "rotating"]
"""What becomes of a file that is known with other content: `replace` takes the earlier ingest back, `add` counts both, `rotating` replaces
where the file has grown or its columns are read otherwise, and adds where its name is used again."""

ACTIVE = """SELECT ingest_id::VARCHAR, source, path, content_hash, text_hash, coalesce(n_text, n_bytes), n_bytes, mapping::VARCHAR,
    finished_at, n_accepted FROM ingest_current WHERE undone_at IS NULL ORDER BY finished_at, ingest_id"""


@dataclass(frozen=True)
class KnownFile:
    """A file whose clicks are in the store. `path` and `text_hash` are None for ingests that did not keep them."""

    ingest_id: str
    source: str
    path: str | None
    content_hash: str
    text_hash: str | None
    n_text: int
    n_bytes: int
    mapping: str | None
    finished_at: datetime
    n_accepted: int

    @property
    def place(self) -> str:
        """Where it lies, as `place_of` says it."""
        return self.path or place_of(Path(self.source))

    def holds(self, digest: str | None) -> bool:
        """Whether its bytes have this hash, under any mapping."""
        if self.text_hash is not None or digest is None:
            return self.text_hash == digest
        fields = json.loads(self.mapping or "{}")
        layout = "binned" if "count" in fields else "pixels" if "click_x_px" in fields else "relative"
        return self.content_hash == _hash_of(digest, layout, fields)

    def __str__(self) -> str:
        return f"{self.source}, ingest {self.ingest_id} of {self.finished_at:%Y-%m-%d %H:%M} UTC with {self.n_accepted:,} rows"


@dataclass
class Content:
    """SHA-256 of a file's unpacked bytes, and of its beginnings of `lengths` bytes. `add` takes the bytes in order."""

    lengths: list[int]
    beginnings: dict[int, str] = field(default_factory=dict)
    n_bytes: int = 0

    def __post_init__(self) -> None:
        self.lengths = sorted(set(self.lengths))
        self._hash = hashlib.sha256()

    def add(self, chunk: bytes) -> None:
        """Takes the next bytes."""
        view, start = memoryview(chunk), self.n_bytes
        end = start + len(chunk)
        first, last = bisect_right(self.lengths, start), bisect_right(self.lengths, end)
        for length in self.lengths[first:last]:
            self._hash.update(view[self.n_bytes - start : length - start])
            self.n_bytes = length
            self.beginnings[length] = self._hash.hexdigest()
        self._hash.update(view[self.n_bytes - start :])
        self.n_bytes = end

    @property
    def digest(self) -> str:
        """Of everything so far, in hexadecimal."""
        return self._hash.hexdigest()


class KnownFileError(InputError):
    """A file is known with other content, and nothing said what to do with it. `next_step` names the options of the command line."""

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(what)
        self.next_step = next_step


def place_of(path: Path, uploaded: bool = False) -> str:
    """Where a file lies, links resolved: a log and its packed copy have the same place. Of an upload only the name is known."""
    text = name_of(path) if uploaded else str(path.resolve())
    text = text[:-3] if text.lower().endswith(".gz") else text
    return f"upload:{text}" if uploaded else text


def content_hash(digest: str, found: Match) -> str:
    """Of the bytes and of what their columns mean."""
    return _hash_of(digest, found.layout, found.meaning)


def _hash_of(digest: str, layout: str, fields: dict[str, Any]) -> str:
    meaning = json.dumps([layout, sorted(fields.items())])
    return hashlib.sha256(f"{digest} {meaning}".encode()).hexdigest()


def active(work: Work) -> list[KnownFile]:
    """Files whose ingests were not taken back, oldest first."""
    return [KnownFile(*row) for row in work.rows(ACTIVE)]


@dataclass(frozen=True)
class Recognised:
    """`same`: the ingest of this very content, read by the same columns. `grown`: ingests whose whole content this file begins with.
    `others`: ingests of this content by other columns, else of other content at the same place.
    """

    same: KnownFile | None = None
    grown: tuple[KnownFile, ...] = ()
    others: tuple[KnownFile, ...] = ()
    remapped: bool = False


def recognise(known: Iterable[KnownFile], content: Content, source: Source, found: Match, place: str, work: Work) -> Recognised:
    """Compares a file that was read with those in the store."""
    known = list(known)
    packed = _packed_digest(known, source, work)
    equal = [k for k in known if k.holds(content.digest) or (packed and k.text_hash is None and k.holds(packed))]
    readings = [found, *matched_before(source.names, found)]
    meanings = {content_hash(digest, reading) for digest in (content.digest, packed) if digest for reading in readings}
    same = next((k for k in equal if k.content_hash in meanings), None)
    if same or equal:
        return Recognised(same, others=() if same else tuple(equal), remapped=not same)
    grown = [k for k in known if 0 < k.n_text < content.n_bytes and k.holds(content.beginnings.get(k.n_text))]
    return Recognised(None, tuple(grown), tuple(k for k in known if k.place == place and k not in grown))


def _packed_digest(known: list[KnownFile], source: Source, work: Work) -> str | None:
    """SHA-256 of a packed file as it lies on the disk, where an ingest from before could have it."""
    if not source.gz or not any(k.text_hash is None and k.n_bytes == source.n_bytes for k in known):
        return None
    digest = hashlib.sha256()
    read_bytes(source.path, work.tick, digest.update)
    return digest.hexdigest()


def to_replace(name: str, found: Recognised, choice: KnownPath) -> list[KnownFile]:
    """Ingests that this one takes the place of. Raises KnownFileError where the file is known with other content and `choice` is refuse.

    A file that has grown replaces everything that it begins with; any other the newest ingest of its place, or of its content.
    """
    newest = found.grown or found.others[-1:]
    if not newest or choice == "add":
        return []
    if choice == "refuse":
        raise KnownFileError(f"{said(name, found)} Nothing was taken in.", _next_step(found))
    return list(newest if choice == "replace" or found.grown or found.remapped else [])


def said(name: str, found: Recognised) -> str | None:
    """What is known of a file, in a sentence; None where nothing is."""
    if found.same:
        return f"{name} is in the store: {found.same}."
    if found.grown:
        return f"{name} is a newer version of a file in the store: it begins with all of {found.grown[-1]}."
    if not found.others:
        return None
    more = f" (the newest of {len(found.others)})" if len(found.others) > 1 else ""
    how = "is in the store with other columns" if found.remapped else "was ingested before with other content"
    return f"{name} {how}: {found.others[-1]}{more}."


def _next_step(found: Recognised) -> str:
    replace = "--replace takes that ingest back and this file in, in one step"
    if found.grown:
        return f"{replace}; --add would count the clicks that both have twice."
    if found.remapped:
        return f"{replace}; --add would count every click twice."
    return (
        f"If it is a corrected version, {replace}. If the name is used again for other clicks, as log rotation does, --add counts both; "
        "--rotating decides for a nightly job: a file that has grown replaces, any other is added."
    )
