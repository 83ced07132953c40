"""What the bytes of a text are like: read once, for its hash, and to learn whether DuckDB may read it as it is."""

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

Tick = Callable[[float], None]
Seen = Callable[[bytes], None]

MAX_LINE = 65_536
"""Bytes of the longest line that is read; a longer one is rejected."""

CHUNK = 1 << 20


@dataclass(frozen=True)
class Profile:
    """`n_lines` counts physical lines, `ended`: the last one is whole; `plain`: DuckDB may read the text as it is."""

    n_lines: int
    quoted: bool
    plain: bool
    ended: bool


def profile(opened: Callable[[], BinaryIO], plain: bool, delimiter: str, size: float, tick: Tick, seen: Seen) -> Profile:
    """Reads all of a text of about `size` bytes once; `seen` gets them in order. One that is not `plain` stays so."""
    n_lines = n_quotes = n_returns = n_pairs = 0
    odd = [b"\x00", b"\x01", b"\x02", b"\n\r\n"]
    odd += [mark for mark in (b' "', b'" ', b'\t"', b'"\t') if delimiter.encode() not in mark]
    last_newline, offset, last, end = -1, 0, b"\n", b"\n"
    for chunk in _decoded(opened, size, tick):
        if chunk is None:
            plain = False
            continue
        seen(chunk)
        ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == 10) + offset
        gaps = np.diff(ends, prepend=last_newline)
        edge = last + chunk
        n_lines += len(ends)
        n_quotes += chunk.count(b'"')
        n_returns += chunk.count(b"\r")
        n_pairs += edge.count(b"\r\n")
        plain &= not any(mark in edge for mark in odd)
        plain &= not len(gaps) or (gaps.min() > 1 and gaps.max() <= MAX_LINE)
        if len(ends):
            last_newline = int(ends[-1])
        offset += len(chunk)
        plain &= offset - last_newline <= MAX_LINE
        last, end = chunk[-1:], edge[-2:]
    n_lines += last != b"\n"
    plain &= n_returns == 0 or n_returns == n_pairs == n_lines - (last != b"\n")
    return Profile(n_lines=n_lines, quoted=n_quotes > 0, plain=bool(plain), ended=end.strip(b"\0")[-1:] in b"\r\n")


def _decoded(opened: Callable[[], BinaryIO], size: float, tick: Tick) -> Iterator[bytes | None]:
    """Chunks of the text; None once where it turns out not to be UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    valid, done = True, 0
    with opened() as file:
        while chunk := file.read(CHUNK):
            done += len(chunk)
            tick(min(done / size, 1.0))
            try:
                if valid and not (chunk.isascii() and not decoder.getstate()[0]):
                    decoder.decode(chunk)
            except UnicodeDecodeError:
                valid = False
                yield None
            yield chunk
    if valid and decoder.getstate()[0]:
        yield None
