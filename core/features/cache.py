"""Features on disk, computed once per heatmap content, extractor and weights: a folder beside the DuckDB store.

    <folder>/<extractor key>/about.json, <id>.safetensors …

A shard holds `keys` (n, 32) and `features` (n, d) float16, of at most 2,048 rows and 64 MB: it is written under another name, flushed
to the disk and renamed, so it is whole or absent. Shards are never changed. What a killed process left is ignored, and removed after a day.
In and out: float32 rows by content key; memory stays at some shards, whatever the folder holds.
"""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy.sparse import csr_matrix

from core.banners.images import content_keys
from core.errors import ContractError, StoreError
from core.features.base import Extractor, Features
from core.features.count_sketch import KEPT_DIMS, reduce
from core.features.running import stream

Keys = NDArray[Any]
Rows = NDArray[np.int64]
Progress = Callable[[int, int], None]
"""Called with heatmaps done and to do."""

SHARD_BYTES = 64_000_000
SHARD_ROWS = 2048
"""What a killed process loses at most: half a minute's work."""
STALE_S = 86_400


def folder_of(store: Path) -> Path:
    """Where the features of a DuckDB store lie: `<name>.features` beside it."""
    return store.with_suffix(".features")


class FeatureStore:
    """The features of one extractor, as kept: all of them in float16, or a sketch of `n_kept` dimensions."""

    def __init__(self, folder: Path, extractor: Extractor, n_kept: int | None = KEPT_DIMS) -> None:
        self.extractor = extractor
        self.n_kept = n_kept if n_kept is not None and n_kept < extractor.n_dims else None
        self.folder = folder / (extractor.key + (f"-{self.n_kept}" if self.n_kept else ""))

    @property
    def n_dims(self) -> int:
        """Dimensions as kept."""
        return self.n_kept or self.extractor.n_dims

    @property
    def shard_rows(self) -> int:
        return max(1, min(SHARD_ROWS, SHARD_BYTES // (2 * self.n_dims)))

    def fill(self, counts: csr_matrix, progress: Progress = lambda done, n: None) -> int:
        """Computes and keeps the features of those of n heatmaps that lack them; returns how many they were.

        Stopped at any time, it keeps every shard that was finished. Raises InputError where the extractor cannot run here.
        """
        keys, first = np.unique(content_keys(counts), return_index=True)
        todo = np.sort(first[~self.has(keys)])
        for start in range(0, len(todo), self.shard_rows):
            rows = todo[start : start + self.shard_rows]
            kept = np.empty((len(rows), self.n_dims), dtype=np.float16)
            at = 0
            for part in stream(self.extractor, counts[rows]):
                kept[at : at + len(part)] = _halved(reduce(part, self.n_kept), self.extractor.name)
                at += len(part)
                progress(start + at, len(todo))
            self._write(content_keys(counts[rows]), kept)
        return len(todo)

    def has(self, keys: Keys) -> NDArray[np.bool_]:
        """(n,) which keys have features."""
        known, _, _ = self._index
        at = np.minimum(np.searchsorted(known, keys), max(len(known) - 1, 0))
        return np.asarray(known[at] == keys) if len(known) else np.zeros(len(keys), dtype=bool)

    def blocks(self, keys: Keys) -> Iterator[tuple[Rows, Features]]:
        """Features by key, shard by shard: positions in `keys`, and float32 (b, d). Every key comes once, in no order.

        Raises ContractError for a key that has none.
        """
        lacking = ~self.has(keys)
        if lacking.any():
            raise ContractError(
                f"Features are read after they were computed: {lacking.sum()} of {len(keys)} heatmaps have none. Call fill first."
            )
        if not len(keys):
            return
        known, shard_of, row_of = self._index
        at = np.searchsorted(known, keys)
        shards = self._shards()
        for shard in np.unique(shard_of[at]):
            wanted = np.flatnonzero(shard_of[at] == shard)
            features = _read(shards[shard], "features")
            yield wanted, features[row_of[at[wanted]]].astype(np.float32)

    def read(self, keys: Keys) -> Features:
        """(n, d) float32 features in the order of the keys; all in memory, 4 bytes a number."""
        out = np.empty((len(keys), self.n_dims), dtype=np.float32)
        for rows, features in self.blocks(keys):
            out[rows] = features
        return out

    def of(self, counts: csr_matrix, progress: Progress = lambda done, n: None) -> Features:
        """(n, d) features of n heatmaps as kept, computed where they were not."""
        self.fill(counts, progress)
        return self.read(content_keys(counts))

    def __len__(self) -> int:
        return len(self._index[0])

    def _shards(self) -> list[Path]:
        return [path for path, _ in self._known_shards]

    @cached_property
    def _known_shards(self) -> list[tuple[Path, Keys]]:
        return [(path, _read(path, "keys").view("S32").ravel()) for path in sorted(self.folder.glob("*.safetensors"))]

    @cached_property
    def _index(self) -> tuple[Keys, Rows, Rows]:
        """Sorted keys with the shard and the row where each lies; the first of several wins."""
        found = self._known_shards
        if not found:
            return np.empty(0, dtype="S32"), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        keys, first = np.unique(np.concatenate([keys for _, keys in found]), return_index=True)
        shard = np.repeat(np.arange(len(found)), [len(keys) for _, keys in found])
        row = np.concatenate([np.arange(len(keys)) for _, keys in found])
        return keys, shard[first], row[first]

    def _write(self, keys: Keys, features: NDArray[np.float16]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        about = self.folder / "about.json"
        if not about.exists():
            said = {"extractor": self.extractor.name, "weights": self.extractor.weights, "images": asdict(self.extractor.images)}
            said["run_by"] = self.extractor.run_by
            part = about.with_suffix(f".{uuid.uuid4().hex}.part")
            part.write_text(json.dumps({**said, "n_dims": self.n_dims, "sketched_from": self.extractor.n_dims if self.n_kept else None}))
            part.replace(about)
        part = self.folder / f"{uuid.uuid4().hex}.part"
        try:
            save_file({"keys": keys.astype("S32").view(np.uint8).reshape(-1, 32), "features": features}, part)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(part.with_suffix(".safetensors"))
        finally:
            part.unlink(missing_ok=True)
        self._forget()

    def _sweep(self) -> None:
        for path in self.folder.glob("*.part"):
            if time.time() - path.stat().st_mtime > STALE_S:
                path.unlink(missing_ok=True)

    def _forget(self) -> None:
        """The index is read again at the next question."""
        for name in ("_index", "_known_shards"):
            self.__dict__.pop(name, None)


def _halved(features: Features, name: str) -> NDArray[np.float16]:
    limit = float(np.finfo(np.float16).max)
    if features.size and np.abs(features).max() > limit:
        raise ContractError(f"Features are kept in float16, up to {limit:.0f}: {name} gave {np.abs(features).max():.3g}.")
    return features.astype(np.float16)


def _read(path: Path, name: str) -> NDArray[Any]:
    try:
        with safe_open(path, framework="np") as file:
            return np.asarray(file.get_tensor(name))
    except (SafetensorError, OSError) as error:
        raise StoreError(f"Stored features are whole files: {path} is not ({error}). Delete it: they are computed again.") from error
