"""Detectors that read features, in a run: from click bins to stored scores, features kept for the next run."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.banners.fitting import fit_reference
from core.detectors.cosine import Cosine
from core.errors import RunError
from core.features import EXTRACTORS
from core.features.base import Extractor
from core.features.cache import FeatureStore, folder_of
from core.runs import run
from core.scoring.grid import score_deep, score_grid
from core.scoring.judging import PER_LAYOUT
from core.store import Store
from tests.support.banners import drawn, heatmaps, sizes
from tests.support.unscored_store import fill

NAME = "cosine_efficientnet_lite0"


def test_a_run_keeps_features_for_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEATPROOF_THREADS", "1")
    path = tmp_path / "s.duckdb"
    with Store(path) as store:
        fill(store)
        for _ in range(2):
            run.score(store, detectors=["likelihood_ratio", NAME], deep="all")
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

    def source(extractor: Extractor, counts: csr_matrix) -> NDArray[np.float32]:
        asked.append(extractor.name)
        assert (counts != X.counts).nnz == 0
        return features

    everybody = np.ones(n, dtype=bool)
    scored = score_grid(X, fit_reference(X), ["multinomial_10"], lambda what: None)
    score_deep(scored, X, NAME, everybody, everybody, EXTRACTORS["efficientnet_lite0"], source)
    assert asked == ["efficientnet_lite0"]
    np.testing.assert_array_equal(scored.scores[NAME], Cosine().fit(features, products).score(features, products))
    assert scored.scores[NAME].max() < 0.1


def test_an_anchor_rests_on_usable_banners_or_where_a_layout_has_none_on_all() -> None:
    X = heatmaps(drawn(0, sizes(0, 40)), n_products=np.repeat([1, 2], 20))
    features = np.random.default_rng(1).normal(size=(40, 4)).astype(np.float32)
    features[:5] += np.array([9, 0, 0, 0])
    looked = np.arange(40) >= 2
    scored = score_grid(X, fit_reference(X), ["multinomial_10"], lambda what: None)
    score_deep(scored, X, NAME, looked, np.arange(40) < 5, EXTRACTORS["efficientnet_lite0"], lambda extractor, counts: features[looked])
    scores = scored.scores[NAME]
    assert np.isnan(scores[:2]).all()
    assert np.isfinite(scores[2:]).all()
    assert scores[2:5].max() < 0.1 < np.median(scores[5:20])


def test_a_run_leaves_out_whoever_cannot_be_flagged_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEATPROOF_THREADS", "1")
    n_banners = 150  # six layouts of 25
    with Store(tmp_path / "s.duckdb") as store:
        fill(store, n_banners)
        names = ["multinomial_10", "likelihood_ratio", NAME]
        n = {deep: run.score(store, detectors=names, deep=deep).run_id for deep in ("all", "none", "candidates")}
        found = {
            deep: store.rows(
                "SELECT n_detectors, n_left_out, count(*) AS n FROM result WHERE run_id = ? GROUP BY ALL ORDER BY ALL", [run_id]
            )
            for deep, run_id in n.items()
        }
        assert found["all"] == [{"n_detectors": 3, "n_left_out": 0, "n": n_banners}]
        assert found["none"] == [{"n_detectors": 2, "n_left_out": 0, "n": n_banners}]
        left_out, looked = found["candidates"]
        assert (left_out["n_detectors"], left_out["n_left_out"]) == (2, 1)
        assert (looked["n_detectors"], looked["n_left_out"]) == (3, 0)
        assert left_out["n"] + looked["n"] == n_banners
        assert 6 * PER_LAYOUT <= looked["n"] < n_banners
        scored = store.rows("SELECT count(*) AS n FROM score WHERE run_id = ? AND detector = ?", [n["candidates"], NAME])
        assert scored == [{"n": looked["n"]}]
        told = store.rows("SELECT n_scored, fit_s > 0 AS took FROM run_detector WHERE run_id = ? AND detector = ?", [n["candidates"], NAME])
        assert told == [{"n_scored": looked["n"], "took": True}]
        with pytest.raises(RunError, match="only cosine_efficientnet_lite0 was asked for"):
            run.score(store, detectors=[NAME], deep="none")
