"""Click logs that are one JSON list, or an object with a list inside, as exports of web tools are: read as one object a line.

The list is streamed: a file larger than memory is read all the same. Row k of the list counts as line k.
"""

import io
import json
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any, cast

import ijson

from core.errors import InputError

SEEN = 2_000
"""Events of the parser within which the list must begin."""
N_KEYS = 1_000
"""Objects that columns are looked for in."""


def prefix_of(file: IO[bytes]) -> str | None:
    """Where the first list of objects in a JSON document is, in the words of ijson: "item" at the top, "results.item" under a key.

    None where the document holds none near its beginning, or is no JSON.
    """
    try:
        for prefix, event, _ in islice(ijson.parse(file, multiple_values=True), SEEN):
            if event == "start_map" and prefix.split(".")[-1] == "item":
                return prefix
    except ijson.JSONError:
        return None
    return None


def keys_of(file: IO[bytes], prefix: str) -> list[str]:
    """Keys of the first objects of the list, in order of appearance."""
    keys: dict[str, None] = {}
    try:
        for item in islice(ijson.items(file, prefix), N_KEYS):
            keys.update(dict.fromkeys(item) if isinstance(item, dict) else {})
    except ijson.JSONError:
        pass  # what is wrong with the list is said where all of it is read
    return list(keys)


class Lines(io.RawIOBase):
    """The items of a list as lines of UTF-8 text. Raises InputError where the document is damaged or ends too soon."""

    def __init__(self, file: IO[bytes], prefix: str, name: str) -> None:
        super().__init__()
        self._file, self._name, self._held = file, name, b""
        self._items = cast(Iterator[Any], ijson.items(file, prefix, use_float=True))

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At least one line, about `size` bytes; empty at the end."""
        out = []
        n = 0
        while n < max(size, 1):
            try:
                line = json.dumps(next(self._items), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
            except StopIteration:
                break
            except ijson.JSONError as error:
                raise InputError(f"{self._name} is a JSON list that is damaged or cut off: {error}. Export it again.") from error
            out.append(line)
            n += len(line)
        return b"".join(out)

    def close(self) -> None:
        """Closes the file, too."""
        self._file.close()
        super().close()
