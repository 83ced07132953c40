"""The unfolding problem put to general conic solvers: Clarabel (interior point) and SCS (splitting).

Centring is left to afterwards: with K1 = 0 no positive definite K is feasible and both lose digits. 1'K1 is fixed above 0 instead; the
centred matrix P K P has the same edges, and the trace of K less that constant.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, vstack

from core.embeddings.unfolding.problem import Problem

Floats = NDArray[np.float64]


def clarabel_solution(problem: Problem) -> Floats:
    """(n, n) K at Clarabel's own accuracy."""
    import clarabel

    n, up = problem.n_points, True
    A, b, n_inequalities = _constraints(problem, up)
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    cones = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(n_inequalities), clarabel.PSDTriangleConeT(n)]
    free = csc_matrix((A.shape[1], A.shape[1]))
    found = clarabel.DefaultSolver(free, -_trace(n, up), A, b, cones, settings).solve()
    return _matrix(np.array(found.x), n, up)


def scs_solution(problem: Problem, accuracy: float = 1e-4) -> Floats:
    """(n, n) K at SCS's accuracy `accuracy`."""
    import scs

    n, up = problem.n_points, False
    A, b, n_inequalities = _constraints(problem, up)
    data = {"A": A, "b": b, "c": -_trace(n, up)}
    cone = {"z": 1, "l": n_inequalities, "s": [n]}
    found = scs.SCS(data, cone, eps_abs=accuracy, eps_rel=accuracy, verbose=False, max_iters=100_000).solve()
    return _matrix(np.array(found["x"]), n, up)


def _order(n: int, up: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the stored triangle, column by column: Clarabel keeps the upper one, SCS the lower one."""
    columns, rows = np.tril_indices(n) if up else np.triu_indices(n)
    return rows, columns


def _position(n: int, up: bool) -> NDArray[np.int64]:
    """(n, n) where an entry of a symmetric matrix is stored."""
    rows, columns = _order(n, up)
    at = np.empty((n, n), dtype=np.int64)
    at[rows, columns] = at[columns, rows] = np.arange(len(rows))
    return at


def _trace(n: int, up: bool) -> Floats:
    rows, columns = _order(n, up)
    return (rows == columns).astype(np.float64)


def _constraints(problem: Problem, up: bool) -> tuple[csc_matrix, Floats, int]:
    """A x + s = b: 1'K1 = n times the mean bound, the edges' bounds, K psd; x is the triangle with off-diagonal entries times sqrt 2."""
    n, m, at = problem.n_points, problem.n_edges, _position(problem.n_points, up)
    size, half = n * (n + 1) // 2, np.sqrt(0.5)
    off = np.where(np.eye(n, dtype=bool), 1.0, half)
    sums = csc_matrix((off.ravel(), (np.zeros(n * n, dtype=np.int64), at.ravel())), shape=(1, size))
    e, i, j = np.arange(m), problem.i, problem.j
    values = np.concatenate([np.ones(2 * m), np.full(m, -2 * half)])
    g = csc_matrix((values, (np.tile(e, 3), np.concatenate([at[i, i], at[j, j], at[i, j]]))), shape=(m, size))
    psd = csc_matrix((-np.ones(size), (np.arange(size), np.arange(size))), shape=(size, size))
    parts, sides = [sums, g], [np.array([n * problem.upper.mean()]), problem.upper]
    if problem.is_two_sided:
        parts, sides = [*parts, -g], [*sides, -problem.lower]
    return vstack([*parts, psd]).tocsc(), np.concatenate([*sides, np.zeros(size)]), (len(parts) - 1) * m


def _matrix(x: Floats, n: int, up: bool) -> Floats:
    off = np.where(np.eye(n, dtype=bool), 1.0, np.sqrt(0.5))
    P = np.eye(n) - 1 / n
    return P @ (x[_position(n, up)] * off) @ P
