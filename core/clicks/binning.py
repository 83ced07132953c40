"""From clicks to bins: one number a click, sorted, then counted where equal numbers stand together.

key = banner code * 2**32 + day * 2**16 + segment code * 2**11 + bin, day since 1970-01-01. Sorting numbers and counting runs is
much cheaper than grouping text, and the sorted order is the order of the store.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from core.errors import InputError

BLOCK = 1 << 19
"""Keys counted at a time: small enough for the caches."""

SCHEMA = pa.schema(
    [
        ("banner_id", pa.string()),
        ("day", pa.date32()),
        ("segment", pa.string()),
        ("n_clicks", pa.uint32()),
        ("bins", pa.list_(pa.uint16())),
        ("counts", pa.list_(pa.uint32())),
    ]
)
BIN_BITS = 11
"""Bits of a key that hold the bin; the next five hold the segment."""


@dataclass
class Heat:
    """Keys (n,) int64, ascending; `counts` (n,) int64 clicks each, or None where each is one click."""

    keys: np.ndarray
    counts: np.ndarray | None = None

    def sort(self) -> None:
        """Brings the keys, and their counts with them, into ascending order, in place."""
        if self.counts is None:
            self.keys.sort()
            return
        order = np.argsort(self.keys, kind="stable")
        self.keys, self.counts = self.keys[order], self.counts[order]


def heat_batches(heat: Heat, banner_ids: pa.Array, segments: pa.Array | None = None) -> Iterator[pa.RecordBatch]:
    """Rows of `heatmap_day` (SCHEMA) from sorted keys, by banner code, day and segment; `banner_ids` and `segments` by code. One block is
    counted ahead."""
    segments = pa.nulls(1, pa.string()) if segments is None else segments
    with ThreadPoolExecutor(1) as pool:
        ahead: deque[Future[pa.RecordBatch]] = deque()
        start, n = 0, len(heat.keys)
        while start < n or ahead:
            while start < n and len(ahead) < 2:
                stop = _edge(heat.keys, min(start + BLOCK, n))
                counts = None if heat.counts is None else heat.counts[start:stop]
                ahead.append(pool.submit(_batch, heat.keys[start:stop], counts, banner_ids, segments))
                start = stop
            yield ahead.popleft().result()


def _edge(keys: np.ndarray, stop: int) -> int:
    """The first place from `stop` on where another banner or day begins."""
    if stop == len(keys):
        return stop
    return int(np.searchsorted(keys, ((keys[stop - 1] >> 16) + 1) << 16, side="left"))


def _batch(keys: np.ndarray, counts: np.ndarray | None, banner_ids: pa.Array, segments: pa.Array) -> pa.RecordBatch:
    first = np.concatenate([[0], np.flatnonzero(keys[1:] != keys[:-1]) + 1])  # (cells,) where each cell's clicks begin
    cells = keys[first]
    n = np.diff(first, append=len(keys)) if counts is None else np.add.reduceat(counts, first)
    heatmap = cells >> BIN_BITS
    begin = np.concatenate([[0], np.flatnonzero(heatmap[1:] != heatmap[:-1]) + 1])  # (rows,) where each heatmap's cells begin
    clicks = np.add.reduceat(n, begin)
    if clicks.max() >= 2**32:
        raise InputError(f"A banner has fewer than 2**32 clicks a day: counts add up to {clicks.max()}. Check the count column.")
    offsets = pa.array(np.append(begin, len(cells)).astype(np.int32))
    return pa.record_batch(
        [
            banner_ids.take(pa.array(cells[begin] >> 32)),
            pa.array((cells[begin] >> 16 & 0xFFFF).astype(np.int32)).cast(pa.date32()),
            segments.take(pa.array(heatmap[begin] & 0x1F)),
            pa.array(clicks.astype(np.uint32)),
            pa.ListArray.from_arrays(offsets, pa.array((cells & (1 << BIN_BITS) - 1).astype(np.uint16))),
            pa.ListArray.from_arrays(offsets, pa.array(n.astype(np.uint32))),
        ],
        schema=SCHEMA,
    )
