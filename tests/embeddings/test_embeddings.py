"""Maps: principal components and unfoldings against slow twins and cases known by analysis."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.manifold import trustworthiness

from benchmarks.unfolding.manifolds import heat, swiss
from core.embeddings.alignment import fit_alignment
from core.embeddings.base import Embedding
from core.embeddings.clusters import cluster
from core.embeddings.mvu import MVU
from core.embeddings.pca import PCA
from core.embeddings.unfolding.graph import make_graph
from core.embeddings.unfolding.neighbours import Neighbours, rebuilding_weights
from core.errors import ContractError

METHODS: list[Embedding] = [PCA(2), MVU(2, k=4), MVU(2, k=4, tier="scaled"), MVU(2, k=4, tier="preview")]


def name(method: Embedding) -> str:
    return f"{method.name}-{getattr(method, 'tier', '')}"


def fresh(method: Embedding) -> Embedding:
    return type(method)(**{f: getattr(method, f) for f in method.__dataclass_fields__ if f != "name"})


@pytest.mark.parametrize("method", METHODS, ids=name)
def test_rows_that_were_fitted_keep_their_place_when_placed_again(method: Embedding) -> None:
    X = heat(60)
    fitted = fresh(method).fit(X)
    assert vars(fitted)["points_"].shape == (60, 2)
    np.testing.assert_allclose(fitted.transform(X), vars(fitted)["points_"], atol=1e-12)


@pytest.mark.parametrize("method", METHODS, ids=name)
def test_a_row_is_placed_alone_as_in_a_batch(method: Embedding) -> None:
    X = heat(70)
    fitted = fresh(method).fit(X[:60])
    together = fitted.transform(X[60:])
    np.testing.assert_allclose(np.concatenate([fitted.transform(X[k : k + 1]) for k in range(60, 70)]), together, atol=1e-12)
    assert fitted.transform(X[:0]).shape == (0, 2)


@pytest.mark.parametrize("method", METHODS, ids=name)
def test_two_fits_are_equal_to_the_last_digit(method: Embedding) -> None:
    X = heat(60)
    np.testing.assert_array_equal(vars(fresh(method).fit(X))["points_"], vars(fresh(method).fit(X))["points_"])


@pytest.mark.parametrize("method", METHODS, ids=name)
def test_state_survives_a_file_without_pickle(method: Embedding) -> None:
    X = heat(70)
    fitted = fresh(method).fit(X[:60])
    file = io.BytesIO()
    np.savez(file, **fitted.state())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        loaded = type(method).from_state(dict(arrays))
    np.testing.assert_array_equal(loaded.transform(X[60:]), fitted.transform(X[60:]))
    assert loaded == fitted
    with pytest.raises(ContractError, match="loads its own state:"):
        (MVU if method.name == "pca" else PCA).from_state(fitted.state())


@pytest.mark.parametrize("method", METHODS, ids=name)
def test_alignment_turns_a_refit_onto_the_earlier_map_and_new_rows_with_it(method: Embedding) -> None:
    X = heat(70)
    before = fresh(method).fit(X[:60])
    turned = vars(before)["points_"] @ np.array([[0.0, -1.0], [-1.0, 0.0]]) + [5.0, -2.0]
    expected = before.transform(X[60:]) @ np.array([[0.0, -1.0], [-1.0, 0.0]]) + [5.0, -2.0]
    after = fresh(method).fit(X[:60]).align(np.arange(40), turned[:40])
    np.testing.assert_allclose(vars(after)["points_"], turned, atol=1e-9)
    np.testing.assert_allclose(after.transform(X[60:]), expected, atol=1e-9)


@pytest.mark.parametrize("method", METHODS, ids=name)
def test_what_cannot_be_placed_is_refused_with_the_reason(method: Embedding) -> None:
    X = heat(60)
    with pytest.raises(ContractError, match="Call fit first"):
        fresh(method).transform(X)
    with pytest.raises(ContractError, match="needs finite features"):
        fresh(method).fit(np.where(np.arange(1600) == 3, np.nan, X).astype(np.float32))
    with pytest.raises(ContractError, match="2 axes:"):
        fresh(method).fit(np.arange(5))
    with pytest.raises(ContractError, match="fitted on 1600 columns: X has 3"):
        fresh(method).fit(X).transform(X[:, :3])
    with pytest.raises(ContractError, match=r"needs|reads|fitted"):
        fresh(method).fit(X[:1])


def test_pca_is_the_singular_value_decomposition_both_ways_of_computing() -> None:
    rng = np.random.default_rng(0)
    for shape in [(200, 30), (20, 300)]:  # randomised; by the Gram matrix
        X = rng.standard_normal(shape) * 0.5 ** np.arange(shape[1])
        U, s, _ = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
        pca = PCA(2).fit(X)
        np.testing.assert_allclose(np.abs(pca.points_), np.abs(U[:, :2] * s[:2]), rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(pca.shares_, (s**2 / (s**2).sum())[:2], rtol=1e-8)
        assert (pca.points_[np.abs(pca.points_).argmax(axis=0), [0, 1]] > 0).all()


def test_pca_reads_half_floats_from_a_memory_map(tmp_path: Path) -> None:
    X = np.random.default_rng(0).standard_normal((15, 9000)).astype(np.float16)
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", np.float16, "r", shape=X.shape)
    np.testing.assert_allclose(PCA(2).fit(mapped).points_, PCA(2).fit(X.astype(np.float64)).points_, atol=1e-9)


@pytest.mark.parametrize("columns", [8, 600])
def test_neighbours_are_those_of_the_full_distance_matrix(columns: int) -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((700, 5)) @ rng.standard_normal((5, columns)) + 100
    slow = np.array([[((a - b) ** 2).sum() for b in X] for a in X[:50]])
    rows, squared = Neighbours(X, max_columns=300).nearest(X[:50], 5)
    np.testing.assert_array_equal(rows, np.argsort(slow, axis=1)[:, :5])
    np.testing.assert_allclose(squared, np.sort(slow, axis=1)[:, :5], rtol=1e-12)
    others, _ = Neighbours(X, max_columns=300).nearest(X[:50], 5, without=np.arange(50))
    np.testing.assert_array_equal(others, np.argsort(slow, axis=1)[:, 1:6])


def test_weights_rebuild_a_point_inside_its_neighbours() -> None:
    corners = np.array([[0.0, 0], [1, 0], [0, 1]])
    weights = rebuilding_weights(np.array([0.25, 0.5]), corners)
    np.testing.assert_allclose(weights, [0.25, 0.25, 0.5], atol=2e-3)
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(rebuilding_weights(corners[0], corners[[0, 0]]), [0.5, 0.5])


def bridges_by_hand(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], n: int) -> set[tuple[int, int]]:
    """The shortest pair whose ends are free, n times over."""
    apart = np.array([[((p - q) ** 2).sum() for q in b] for p in a])
    pairs = set()
    for _ in range(n):
        i, j = np.unravel_index(apart.argmin(), apart.shape)
        pairs.add((int(i), int(j)))
        apart[i], apart[:, j] = np.inf, np.inf
    return pairs


def test_pieces_are_joined_by_the_shortest_pairs_with_ends_of_their_own() -> None:
    rng = np.random.default_rng(2)
    X = np.concatenate([rng.standard_normal((30, 2)), rng.standard_normal((40, 2)) + 50])
    graph = make_graph(Neighbours(X), 6, 5)
    assert graph.n_pieces == 2
    across = {(int(i), int(j) - 30) for i, j in zip(graph.i, graph.j, strict=True) if i < 30 <= j}
    assert across == bridges_by_hand(X[:30], X[30:], 5)
    assert (graph.i < graph.j).all()
    assert len({*zip(graph.i.tolist(), graph.j.tolist(), strict=True)}) == len(graph.i)
    np.testing.assert_allclose(graph.squared, np.square(X[graph.i] - X[graph.j]).sum(axis=1))


def test_many_pieces_become_one() -> None:
    centres = np.random.default_rng(3).uniform(0, 1e4, (25, 2))
    X = np.repeat(centres, 6, axis=0) + np.random.default_rng(4).standard_normal((150, 2))
    mvu = MVU(2, k=3).fit(X)
    assert mvu.n_pieces_ >= 25
    assert mvu.certificate_.ratio == pytest.approx(1, abs=1e-4)


def test_points_on_a_line_stay_on_it_in_order() -> None:
    at = np.sort(np.random.default_rng(5).uniform(0, 10, 40))
    mvu = MVU(2, k=4, slack=1).fit(at[:, None] * [0.6, 0.8, 0.0])
    assert mvu.shares_[0] > 1 - 1e-6
    order = np.abs(np.diff(mvu.points_[:, 0]))
    np.testing.assert_allclose(order, np.diff(at), atol=1e-3)
    assert mvu.certificate_.variance == pytest.approx(np.square(at - at.mean()).sum(), rel=1e-6)


def test_a_ring_of_equal_edges_becomes_the_regular_polygon() -> None:
    angle = 2 * np.pi * np.arange(24) / 24
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    folded = np.column_stack([ring[:, 0], np.abs(ring[:, 1]), 0.2 * np.sign(ring[:, 1] + 1e-9)])
    flat, squashed = MVU(2, k=2, slack=1).fit(ring), MVU(2, k=2, slack=1).fit(folded)
    np.testing.assert_allclose(np.linalg.norm(flat.points_, axis=1), 1, atol=1e-4)
    assert squashed.certificate_.variance > np.square(folded - folded.mean(axis=0)).sum()


def test_a_swiss_roll_is_unrolled() -> None:
    X = swiss(600)
    rolled, unrolled = PCA(2).fit(X), MVU(2).fit(X)
    assert trustworthiness(X, unrolled.points_, n_neighbors=12) > 0.99 > trustworthiness(X, rolled.points_, n_neighbors=12)
    assert unrolled.shares_.sum() > 0.99


def test_equal_rows_share_a_place_and_outsiders_are_named() -> None:
    X = heat(60)
    mvu = MVU(2, k=4).fit(np.concatenate([X, X[:7]]))
    np.testing.assert_array_equal(mvu.points_[60:], mvu.points_[:7])
    assert len(mvu.X_) == 60
    placed = mvu.place(np.concatenate([X[:5], 1 - X[:1]]))
    assert placed.is_outside.tolist() == [False] * 5 + [True]


def test_choices_that_cannot_work_say_so() -> None:
    with pytest.raises(ContractError, match="slack of an edge must be above 0 and at most 1, not 0"):
        MVU(slack=0).fit(heat(30))
    with pytest.raises(ContractError, match="exact tier takes at most 1000 different rows: there are 1001"):
        MVU(tier="exact").fit(np.arange(1001.0)[:, None])
    with pytest.raises(ContractError, match="same rows and axes:"):
        fit_alignment(np.zeros((3, 2)), np.zeros((4, 2)))


@given(seed=st.integers(0, 999), n=st.integers(12, 40), slack=st.sampled_from([0.02, 0.1, 0.5, 1.0]), pieces=st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_every_unfolding_keeps_its_promises(seed: int, n: int, slack: float, pieces: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 4)) + 30 * rng.integers(0, pieces, (n, 1))
    mvu = MVU(3, k=4, slack=slack).fit(X)
    reached = mvu.certificate_
    assert reached.violation_max < 1e-5
    assert reached.ratio > 1 - 1e-5
    np.testing.assert_allclose(mvu.points_.mean(axis=0), 0, atol=1e-8 * np.sqrt(reached.variance))
    assert (np.diff(mvu.shares_) <= 1e-12).all()
    assert 0 < mvu.shares_.sum() <= 1 + 1e-12
    if slack == 1:
        assert reached.variance * (1 + 1e-5) >= np.square(X - X.mean(axis=0)).sum()  # the data themselves are an unfolding


@given(seed=st.integers(0, 999), n=st.integers(3, 20), r=st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_alignment_undoes_any_turn_mirroring_and_shift(seed: int, n: int, r: int) -> None:
    rng = np.random.default_rng(seed)
    points, turn = rng.standard_normal((n, r)), np.linalg.qr(rng.standard_normal((r, r)))[0]
    found = fit_alignment(points, points @ turn + 3)
    assert found.rmse < 1e-10
    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(r), atol=1e-12)


def test_clusters_are_ordered_by_size_and_lone_points_have_none() -> None:
    rng = np.random.default_rng(6)
    points = np.concatenate([rng.normal(0, 1, (30, 2)), rng.normal(40, 1, (60, 2)), [[-90.0, 90.0]]])
    found = cluster(points, smallest=10)
    assert set(found[:30]) <= {1, -1}
    assert set(found[30:90]) <= {0, -1}
    assert (found[:90] >= 0).mean() > 0.8
    assert found[90] == -1
    with pytest.raises(ContractError, match="least size lies between 2 and"):
        cluster(points[:5])
