"""A set of banners of a run as a short word for an address: which positions of the run, a bit each, compressed."""

import base64
import binascii
import zlib
from collections.abc import Sequence

import numpy as np

from core.errors import InputError

MOST_BYTES = 2_000_000
"""Bits for sixteen million banners: what claims to be more is none of ours."""
NEXT_STEP = "Select the banners again on the Embedding page."


def encode(run_id: str, positions: Sequence[int]) -> str:
    """The word for banners at these positions (1-based) of a run; a kilobyte or two for ten thousand banners."""
    bits = np.zeros(max(positions, default=0) + 1, dtype=np.uint8)
    bits[list(positions)] = 1
    return f"{_stamp(run_id)}.{base64.urlsafe_b64encode(zlib.compress(np.packbits(bits).tobytes(), 9)).decode().rstrip('=')}"


def decode(run_id: str, word: str) -> list[int]:
    """The positions, ascending. Raises InputError for a word that is damaged, or was made for another run."""
    stamp, _, packed = word.partition(".")
    try:
        reader = zlib.decompressobj()
        raw = reader.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)), MOST_BYTES)
        if not reader.eof:
            raise ValueError("the end is missing")
    except (binascii.Error, zlib.error, ValueError) as error:
        raise InputError(f"A selection of banners is written as the Embedding page does, but this one is damaged. {NEXT_STEP}") from error
    if stamp != _stamp(run_id):
        raise InputError(f"A selection holds places of one run, but this one is of another run than the one shown. {NEXT_STEP}")
    return [int(k) for k in np.flatnonzero(np.unpackbits(np.frombuffer(raw, dtype=np.uint8)))]


def _stamp(run_id: str) -> str:
    return f"{zlib.crc32(run_id.encode()):08x}"
