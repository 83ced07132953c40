"""Detectors that read features, in a run: from click bins to stored scores, features kept for the next run."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core import run
from core.detectors.cosine import Cosine
from core.errors import RunError
from core.features import EXTRACTORS
from core.features.store import FeatureStore, folder_of
from core.reference import fit_reference
from core.scoring import score_grid
from core.store import Store
from tests.banners import drawn, heatmaps, sizes
from tests.unscored_store import fill

NAME = "cosine_efficientnet_lite0"


def test_a_run_keeps_features_for_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEATPROOF_THREADS", "1")
    path = tmp_path / "s.duckdb"
    with Store(path) as store:
        fill(store)
        for _ in range(2):
            run.score(store, detectors=["likelihood_ratio", NAME])
            kept = FeatureStore(folder_of(path), EXTRACTORS["efficientnet_lite0"])
            shards = {shard: shard.stat().st_mtime_ns for shard in kept.folder.glob("*.safetensors")}
            if len(store.rows("SELECT 1 FROM run_info")) == 1:
                first = shards
        assert shards == first
        assert 1 <= len(kept) <= 40
        found = store.rows("SELECT DISTINCT weights, reads, n_scored FROM run_detector WHERE detector = ?", [NAME])
        assert found == [{"weights": EXTRACTORS["efficientnet_lite0"].weights, "reads": "features", "n_scored": 40}]
        runs = store.rows("SELECT banner_id, list(score) AS s FROM score WHERE detector = ? GROUP BY 1", [NAME])
        assert len(runs) == 40
        assert all(r["s"][0] == pytest.approx(r["s"][1]) for r in runs)
        assert all(0 <= r["s"][0] <= 2 for r in runs)


def test_a_run_says_at_once_what_an_extractor_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with Store(tmp_path / "s.duckdb") as store:
        fill(store)
        with pytest.raises(RunError, match=r"resnet50 needs the checkpoint microsoft/resnet-50.*no hub answers"):
            run.score(store, detectors=["likelihood_ratio", "cosine_resnet50"])
        assert store.rows("SELECT * FROM run_info") == []


def test_layouts_are_compared_with_themselves_only() -> None:
    n = 60
    products = np.repeat([1, 2], n // 2)
    X = heatmaps(drawn(0, sizes(0, n)), n_products=products)
    features = (np.eye(4)[products - 1] + 0.05 * np.random.default_rng(0).normal(size=(n, 4))).astype(np.float32)
    asked: list[str] = []

    def source(name: str, counts: csr_matrix) -> NDArray[np.float32]:
        asked.append(name)
        assert counts is X.counts
        return features

    scored = score_grid(X, fit_reference(X), ["multinomial_10", NAME], lambda what: None, source)
    assert asked == ["efficientnet_lite0"]
    np.testing.assert_array_equal(scored.scores[NAME], Cosine().fit(features, products).score(features, products))
    assert scored.scores[NAME].max() < 0.1
