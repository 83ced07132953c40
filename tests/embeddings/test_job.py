"""Maps of a run's banners, from store to store through the real child process."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from typer.testing import CliRunner

from core.__main__ import app
from core.embeddings import worker as map_worker
from core.embeddings.job import MAP
from core.embeddings.request import MapRequest
from core.errors import InputError, RunError
from core.jobs import running as jobs
from core.review import triage
from core.store import Store
from core.store.queries import embeddings
from core.store.queries.runs import last_finished
from tests.support.stores import filled_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A scored store of 300 banners."""
    return filled_store(tmp_path / "s.duckdb", 300)


def test_a_map_holds_every_banner_and_a_refit_does_not_jump(store: Store) -> None:
    said: list[str] = []
    first = jobs.run(store, MAP, MapRequest(None, "heatmap", "pca"), lambda done, what: said.append(what))
    run_id = last_finished(store)["run_id"]
    about = embeddings.listed(store, run_id)[0]
    assert (about["embedding_id"], about["n_points"], about["n_banners"], about["aligned_to"]) == (first, 300, 300, None)
    assert about["certificate"] is None
    assert 0 < sum(about["shares"]) <= 1
    assert "finding principal components of 300 banners" in said
    points = embeddings.points(store, first, run_id)
    flagged = store.rows("SELECT count(*) AS n FROM result WHERE flagged")[0]["n"]
    assert points.flagged[:flagged].all()
    assert not points.flagged[flagged:].any()
    sql = "SELECT grid_id, n_products FROM result WHERE NOT flagged GROUP BY ALL HAVING count(*) >= 5 ORDER BY ALL"
    anchors = [(a["grid_id"], a["n_products"]) for a in embeddings.anchors(store, first)]
    assert anchors == [(r["grid_id"], r["n_products"]) for r in store.rows(sql)]
    second = jobs.run(store, MAP, MapRequest(None, "heatmap", "pca"))
    again = embeddings.listed(store, run_id)
    assert [m["embedding_id"] for m in again] == [second]
    assert again[0]["aligned_to"] == first
    assert np.allclose(embeddings.points(store, second, run_id).flat, points.flat, atol=1e-4)
    assert not list(store.path.parent.glob("*.map"))


def test_neighbours_are_those_of_the_features(store: Store) -> None:
    embedding_id = jobs.run(store, MAP, MapRequest(None, "heatmap", "pca"))
    points = embeddings.points(store, embedding_id, last_finished(store)["run_id"])
    rows = {r["banner_id"]: np.array(r["near"]) for r in store.rows("SELECT banner_id, near FROM embedding_point")}
    name = "bn-000100"
    row = points.row_of(name)
    assert row is not None
    near = points.nearest(row, {}, limit=5)
    by_hand = sorted((float(np.linalg.norm(rows[name] - v)), other) for other, v in rows.items() if other != name)[:5]
    assert [r["banner_id"] for r in near] == [other for _, other in by_hand]
    assert near[0]["distance"] == pytest.approx(by_hand[0][0], rel=1e-4)
    assert points.nearest(row, {}, state="dismissed") == []
    states = {by_hand[3][1]: "dismissed", by_hand[1][1]: "confirmed", name: "dismissed"}
    assert [r["banner_id"] for r in points.nearest(row, states, state="dismissed")] == [by_hand[3][1]]


def test_what_is_said_of_chosen_banners_is_the_same_by_id_and_by_position(store: Store) -> None:
    run_id = last_finished(store)["run_id"]
    rows = store.rows("SELECT banner_id, position FROM result WHERE position IN (2, 30, 290) ORDER BY position")
    triage.decide(store, run_id, [rows[1]["banner_id"]], "dismiss", "ana")
    ids = [r["banner_id"] for r in rows]
    by_id = embeddings.chosen(store, run_id, ids)
    assert [r["banner_id"] for r in by_id] == ids
    assert [r["state"] for r in by_id] == ["open", "dismissed", "open"]
    assert embeddings.chosen(store, run_id, ids, [r["position"] for r in rows]) == by_id


def test_an_unfolding_brings_its_certificate(store: Store) -> None:
    jobs.run(store, MAP, MapRequest(None, "heatmap", "mvu"))
    about = embeddings.listed(store, last_finished(store)["run_id"])[0]
    proof = json.loads(about["certificate"])
    assert 1 <= proof["ratio"] < 1.01
    assert proof["lower_bound"] is None, "not finite with two-sided bounds, and JSON knows no NaN"
    assert about["n_fitted"] == 300


def test_a_small_sample_keeps_all_flagged_then_decided_then_the_same_share_of_every_grid(store: Store, tmp_path: Path) -> None:
    run = last_finished(store)
    flagged = store.rows("SELECT banner_id FROM result WHERE flagged ORDER BY position")
    kept = store.rows("SELECT banner_id FROM result WHERE NOT flagged ORDER BY banner_id DESC LIMIT 2")
    triage.decide(store, run["run_id"], [r["banner_id"] for r in kept], "confirm", "ana")
    n = len(flagged) + 2 + 100
    embeddings.write_points(store, run, n, tmp_path / "p.parquet")
    found = store.rows(f"SELECT banner_id, grid_id, usable FROM read_parquet('{tmp_path / 'p.parquet'}')")
    assert len(found) == n
    assert [r["banner_id"] for r in found[: len(flagged)]] == [r["banner_id"] for r in flagged]
    assert {r["banner_id"] for r in found[len(flagged) : len(flagged) + 2]} == {r["banner_id"] for r in kept}
    assert not any(r["usable"] for r in found[: len(flagged) + 2]), "neither flagged nor confirmed banners make an anchor"
    share = {r["grid_id"]: r["n"] for r in store.rows("SELECT grid_id, count(*) AS n FROM result WHERE NOT flagged GROUP BY 1")}
    total = sum(share.values())
    for grid, size in share.items():
        drawn = sum(r["grid_id"] == grid for r in found[len(flagged) + 2 :])
        assert abs(drawn - 100 * size / total) <= 2


def test_what_cannot_be_made_is_said_and_leaves_nothing(store: Store) -> None:
    with pytest.raises(InputError, match="A map is made of one of heatmap, "):
        jobs.run(store, MAP, MapRequest(None, "nonsense", "pca"))
    with pytest.raises(InputError, match="by pca or mvu"):
        jobs.run(store, MAP, MapRequest(None, "heatmap", "tsne"))
    with pytest.raises(RunError, match="no finished run"):
        jobs.run(store, MAP, MapRequest("ffffffff", "heatmap", "pca"))
    assert jobs.current(store, MAP) is None
    assert store.rows("SELECT count(*) AS n FROM embedding")[0]["n"] == 0


def test_a_failed_child_is_a_message(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write = embeddings.write_points
    monkeypatch.setattr(embeddings, "write_points", lambda store, run, n, file: write(store, run, 3, file))
    with pytest.raises(RunError, match="more banners than its 3 axes"):
        jobs.run(store, MAP, MapRequest(None, "heatmap", "pca"))
    handle = jobs.current(store, MAP)
    assert handle is not None
    assert handle.state == "failed"
    assert "more banners" in str(handle.error)
    assert store.rows("SELECT count(*) AS n FROM embedding_point")[0]["n"] == 0


def test_a_map_in_work_can_be_cancelled_and_is_the_only_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MAP, "command", ("sh", "-c", "sleep 60"))
    run_id = last_finished(store)["run_id"]
    handle = jobs.start(store, MAP, MapRequest(run_id, "heatmap", "pca"))
    with pytest.raises(RunError, match="Only one map at a time per store: PCA of heatmap is at"):
        jobs.start(store, MAP, MapRequest(run_id, "heatmap", "pca"))
    time.sleep(0.3)
    handle.cancel()
    assert handle.wait(30)
    assert handle.state == "cancelled"
    jobs.dismiss(store, MAP)
    assert jobs.current(store, MAP) is None


def test_clusters_anchors_and_directions_of_three_heaps() -> None:
    rng = np.random.default_rng(0)
    heaps = np.repeat(np.eye(3), 40, axis=0)
    X = np.concatenate([heaps, np.zeros((120, 5))], axis=1) + rng.normal(0, 0.02, (120, 8))
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    near, share = map_worker.strongest_directions(X)
    assert near.shape == (120, map_worker.N_NEAR)
    assert share == pytest.approx(1)
    apart = np.linalg.norm(X[0] - X[50])
    assert np.linalg.norm(near[0] - near[50]) == pytest.approx(apart, rel=1e-4)


def test_the_heatmap_feature_has_hellingers_distances() -> None:
    counts = csr_matrix(np.eye(1600, dtype=np.float32)[[0, 0, 1599]] * [[1], [7], [1]])
    features, weights = map_worker.features_of("heatmap", counts, Path("nowhere"), Path("nowhere"))
    assert weights is None
    assert np.allclose(np.linalg.norm(features, axis=1), 1)
    assert np.allclose(features[0], features[1]), "the number of clicks does not matter"
    assert np.linalg.norm(features[0] - features[2]) == pytest.approx(np.sqrt(2), abs=1e-6)


def test_the_verb_makes_a_map_and_says_what_is_known_of_it(tmp_path: Path) -> None:
    filled_store(tmp_path / "s.duckdb", 60).close()
    done = CliRunner().invoke(app, ["embed", "--store", str(tmp_path / "s.duckdb"), "--method", "mvu", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["feature"], found["method"], found["n_points"], found["n_fitted"]) == ("heatmap", "mvu", 60, 60)
    assert found["certificate"]["ratio"] >= 1
    wrong = CliRunner().invoke(app, ["embed", "--store", str(tmp_path / "s.duckdb"), "--feature", "nonsense"])
    assert wrong.exit_code == 2
    assert "A map is made of one of heatmap" in wrong.stderr
