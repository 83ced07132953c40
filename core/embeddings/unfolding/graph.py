"""The neighbourhood graph that an unfolding keeps: k nearest neighbours, joined into one piece."""

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial.distance import cdist

from core.embeddings.unfolding.neighbours import Neighbours
from core.embeddings.unfolding.problem import Floats, Ints

MANY_PIECES = 20
"""Above this many pieces not every pair is bridged: only each piece's nearest ones and a spanning tree."""

NEAREST_PIECES = 3


class Graph(NamedTuple):
    """Edges i < j (m,), sorted, each once, with exact squared lengths (m,); how many pieces the graph had before bridges."""

    i: Ints
    j: Ints
    squared: Floats
    n_pieces: int


def make_graph(search: Neighbours, k: int, n_bridges: int) -> Graph:
    """Joins every point to its k nearest (either way round), and every pair of pieces by `n_bridges` edges with ends of their own.

    One bridge alone would let the pieces be pulled into a straight string. Equal rows should be merged before.
    """
    n = len(search.X)
    rows, squared = search.nearest(search.X, min(k, n - 1), without=np.arange(n))
    i, j, squared = _once(np.repeat(np.arange(n), rows.shape[1]), rows.ravel(), squared.ravel())
    n_pieces, piece = connected_components(coo_matrix((np.ones(len(i)), (i, j)), shape=(n, n)), directed=False)
    if n_pieces == 1:
        return Graph(i, j, squared, 1)
    bridges = [_bridges(search.X, piece == a, piece == b, n_bridges, search) for a, b in _pairs(search.X, piece, n_pieces)]
    parts = [np.concatenate(part) for part in zip((i, j, squared), *bridges, strict=True)]
    return Graph(*_once(*parts), n_pieces)


def _once(i: Ints, j: Ints, squared: Floats) -> tuple[Ints, Ints, Floats]:
    """Each edge once, the smaller end first, sorted."""
    ends = np.column_stack([np.minimum(i, j), np.maximum(i, j)]).astype(np.int64)
    ends, first = np.unique(ends, axis=0, return_index=True)
    return ends[:, 0].copy(), ends[:, 1].copy(), squared[first]


def _pairs(X: NDArray[Any], piece: Ints, n_pieces: int) -> list[tuple[int, int]]:
    """Pairs of pieces to bridge."""
    if n_pieces <= MANY_PIECES:
        return list(combinations(range(n_pieces), 2))
    centres = np.stack([X[piece == a].mean(axis=0, dtype=np.float64) for a in range(n_pieces)])
    apart = cdist(centres, centres)
    tree = minimum_spanning_tree(apart).tocoo()
    pairs = {(min(a, b), max(a, b)) for a, b in zip(tree.row.tolist(), tree.col.tolist(), strict=True)}
    for a, near in enumerate(np.argsort(apart, axis=1, kind="stable")[:, 1 : 1 + NEAREST_PIECES].tolist()):
        pairs |= {(min(a, b), max(a, b)) for b in near}
    return sorted(pairs)


def _bridges(X: NDArray[Any], in_a: NDArray[np.bool_], in_b: NDArray[np.bool_], n: int, search: Neighbours) -> tuple[Ints, Ints, Floats]:
    """The n shortest pairs between two pieces, taken greedily, no point twice."""
    few, many = sorted([np.flatnonzero(in_a), np.flatnonzero(in_b)], key=len)
    n = min(n, len(few))
    # With fewer than n points taken, the shortest free pair of a point is among its n nearest.
    rows, squared = Neighbours(X[many], search.seed, search.max_columns).nearest(X[few], n)
    ends: list[tuple[int, int, float]] = []
    taken_few, taken_many = set[int](), set[int]()
    for flat in np.argsort(squared, axis=None, kind="stable").tolist():
        a, rank = divmod(flat, n)
        b = int(rows[a, rank])
        if a not in taken_few and b not in taken_many:
            ends.append((int(few[a]), int(many[b]), float(squared[a, rank])))
            taken_few.add(a)
            taken_many.add(b)
        if len(ends) == n:
            break
    a_, b_, s_ = zip(*ends, strict=True)
    return np.array(a_, np.int64), np.array(b_, np.int64), np.array(s_)
