"""Stored features: computed once, exact enough, whole or absent, found again by content."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.sparse import csr_matrix, vstack

from core.banners.images import content_keys
from core.errors import ContractError, StoreError
from core.features import EXTRACTORS
from core.features import cache as feature_store
from core.features.anchors import robust_anchors
from core.features.base import Extractor, Features
from core.features.cache import FeatureStore, folder_of
from core.features.count_sketch import reduce, sketch
from core.features.running import stream

if TYPE_CHECKING:
    from torch import Tensor, nn

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Linear(Extractor):
    """Features that are known: a fixed random map of the shares. Counts the banners it was asked for."""

    width: int = 64
    seed: int = 0
    seen: list[int] = field(default_factory=list, hash=False, compare=False)

    name = "linear"

    @property
    def n_dims(self) -> int:
        return self.width

    @property
    def weights(self) -> str:
        return f"made by seed {self.seed}"

    def why_not(self) -> str | None:
        return None

    def _load(self) -> "nn.Module":
        raise NotImplementedError

    def _forward(self, network: "nn.Module", images: "Tensor") -> "Tensor":
        raise NotImplementedError

    def without_network(self, counts: csr_matrix) -> Iterator[Features]:
        turn = np.random.default_rng(self.seed).normal(size=(1600, self.width)).astype(np.float32)
        for start in range(0, counts.shape[0], self.batch):
            part = counts[start : start + self.batch]
            self.seen.append(part.shape[0])
            yield np.asarray(part @ turn) / 10


def counts(n: int = 50, seed: int = 0) -> csr_matrix:
    return csr_matrix(np.random.default_rng(seed).poisson(0.1, size=(n, 1600)).astype(np.float32))


def test_features_are_computed_once_per_content(tmp_path: Path) -> None:
    extractor, some = Linear(), counts()
    store = FeatureStore(tmp_path, extractor)
    assert store.fill(vstack([some, some[:7]]).tocsr()) == 50
    assert sum(extractor.seen) == 50
    again = FeatureStore(tmp_path, Linear())
    assert again.fill(some[::-1]) == 0
    more = vstack([counts(5, seed=1), some]).tocsr()
    assert again.has(content_keys(more)).tolist() == [False] * 5 + [True] * 50
    assert again.fill(more) == 5
    assert len(again) == 55
    np.testing.assert_allclose(again.of(more), np.concatenate(list(stream(Linear(), more))), rtol=1e-3, atol=1e-3)


def test_keys_may_come_in_any_order_and_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_store, "SHARD_ROWS", 8)
    store, some = FeatureStore(tmp_path, Linear()), counts()
    store.fill(some)
    assert len(list(store.folder.glob("*.safetensors"))) == 7
    wanted = np.array([49, 0, 3, 3, 17])
    plain = np.concatenate(list(stream(Linear(), some)))
    np.testing.assert_allclose(store.read(content_keys(some)[wanted]), plain[wanted], rtol=1e-3, atol=1e-3)
    parts = list(store.blocks(content_keys(some)))
    assert max(len(rows) for rows, _ in parts) <= 8
    assert sorted(np.concatenate([rows for rows, _ in parts]).tolist()) == list(range(50))
    with pytest.raises(ContractError, match=": 2 of 2 heatmaps have none"):
        store.read(content_keys(counts(2, seed=9)))
    assert store.read(content_keys(some[:0])).shape == (0, 64)


def test_a_cosine_against_a_new_anchor_is_the_same_from_stored_features(tmp_path: Path) -> None:
    some = counts(200)
    fresh = np.concatenate(list(stream(Linear(width=300), some)))
    kept = FeatureStore(tmp_path, Linear(width=300)).of(some)
    for rows in (slice(0, 50), slice(50, 200)):
        mean = fresh.mean(axis=0, dtype=np.float64)
        new = robust_anchors(fresh[rows], mean).similarity(fresh)
        stored = robust_anchors(kept[rows], mean).similarity(kept)
        assert np.abs(new - stored).max() <= 1e-3


def test_wide_features_are_kept_as_a_sketch_that_keeps_cosines(tmp_path: Path) -> None:
    some, wide = counts(30), Linear(width=5000)
    store = FeatureStore(tmp_path, wide, n_kept=1024)
    assert store.n_dims == 1024
    assert FeatureStore(tmp_path, EXTRACTORS["vit_base"]).n_dims == 4096
    kept = store.of(some)
    fresh = np.concatenate(list(stream(wide, some)))
    np.testing.assert_allclose(kept, reduce(fresh, 1024), rtol=2e-3, atol=2e-2)

    def cosines(x: Features) -> Features:
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        return x @ x.T

    error = (cosines(kept) - cosines(fresh))[np.triu_indices(30, 1)]
    assert error.std() < 2 / np.sqrt(1024)
    assert abs(error.mean()) < 0.02
    assert np.abs(cosines(kept) - cosines(reduce(fresh, 1024))).max() <= 1e-3
    whole = FeatureStore(tmp_path, wide, n_kept=None)
    assert whole.folder != store.folder
    np.testing.assert_allclose(whole.of(some[:3]), fresh[:3], rtol=1e-3, atol=1e-3)


def test_a_sketch_by_hand() -> None:
    matrix = sketch(5, 2)
    assert (np.abs(matrix.toarray()).sum(axis=1) == 1).all()
    x = np.arange(5, dtype=np.float32)[None]
    np.testing.assert_allclose(reduce(x, 2), x @ matrix.toarray())
    assert reduce(x, None) is x
    assert reduce(x, 5) is x


def test_other_weights_have_features_of_their_own(tmp_path: Path) -> None:
    some = counts(4)
    one, two = FeatureStore(tmp_path, Linear()), FeatureStore(tmp_path, Linear(seed=1))
    one.fill(some)
    assert not two.has(content_keys(some)).any()
    assert np.abs(two.of(some) - one.of(some)).max() > 0.1
    assert json.loads((two.folder / "about.json").read_text())["weights"] == "made by seed 1"


def test_half_written_shards_are_ignored_and_removed_later(tmp_path: Path) -> None:
    store, some = FeatureStore(tmp_path, Linear()), counts(4)
    store.fill(some[:2])
    old, young = store.folder / "a.part", store.folder / "b.part"
    for part in (old, young):
        part.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * feature_store.STALE_S,) * 2)
    again = FeatureStore(tmp_path, Linear())
    assert len(again) == 2
    again.fill(some)
    assert (old.exists(), young.exists(), len(again)) == (False, True, 4)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, Linear())
    store.fill(counts(4))
    shard = next(store.folder.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(StoreError, match=f": {shard}.*Delete it"):
        len(FeatureStore(tmp_path, Linear()))


def test_what_float16_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="float16, up to 65504: linear gave"):
        FeatureStore(tmp_path, Linear()).fill(counts(2) * 1e6)
    assert not list(tmp_path.rglob("*.safetensors"))


SLOW = """
import sys, time
from pathlib import Path
from core.features import cache
from core.features.cache import FeatureStore
from tests.features.test_cache import Linear, counts
cache.SHARD_ROWS = 4
def progress(done, n): print(done, flush=True); time.sleep(0.02)
FeatureStore(Path(sys.argv[1]), Linear(batch=2)).fill(counts(200), progress)
"""


def test_killed_while_filling_it_keeps_whole_shards_and_goes_on(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= 30:
            break
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    some, extractor = counts(200), Linear()
    store = FeatureStore(tmp_path, extractor)
    kept = len(store)
    assert 24 <= kept < 200
    assert store.fill(some) == 200 - kept == sum(extractor.seen)
    np.testing.assert_allclose(store.of(some), np.concatenate(list(stream(replace(extractor), some))), rtol=1e-3, atol=1e-3)


def test_the_folder_lies_beside_the_store() -> None:
    assert folder_of(Path("data/mine.duckdb")) == Path("data/mine.features")
