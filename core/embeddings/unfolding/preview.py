"""A coarse unfolding in under a second, and the start of the scaled tier: bottom Laplacian eigenvectors and one small problem.

    max tr Z - nu sum_e (q_e' Z q_e - d_e^2)^2   over Z psd (m, m),   q_e = row e of A Q,   Q (n, m) the bottom eigenvectors

**Source** Weinberger, Sha, Zhu, Saul 2006 (graph-Laplacian regularisation). **Differs**: Z = BB' with B square, which has the same
optimum (a square factor has no false one), so that L-BFGS replaces a conic solver.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import eigsh

from core.embeddings.unfolding.problem import Floats, Problem
from core.embeddings.unfolding.stiffness import inverse_of

N_VECTORS = 20
MISFIT = 0.05
"""Share of the edges' squared lengths by which they may be off before the penalty outweighs the variance."""

RESCALINGS = 2
BLOCK = 512


def bottom_eigenvectors(laplacian: csc_matrix, m: int) -> tuple[Floats, Floats]:
    """The m smallest eigenvalues above the constant vector's and their vectors (n, m), signs fixed; the graph must be connected."""
    n = laplacian.shape[0]
    shift = -1e-6 * float(laplacian.diagonal().mean())
    if n <= max(3 * m, 60):
        values, vectors = np.linalg.eigh(laplacian.toarray())
    else:
        start = np.random.default_rng(0).standard_normal(n)
        values, vectors = eigsh(laplacian, k=m + 1, sigma=shift, which="LM", v0=start, OPinv=inverse_of(laplacian, shift))
        order = np.argsort(values)
        values, vectors = values[order], vectors[:, order]
    kept = vectors[:, 1 : m + 1]
    signs = np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])])
    return values[1 : m + 1], kept * signs


def unfold_coarsely(problem: Problem, n_vectors: int = N_VECTORS) -> Floats:
    """(n, min(n_vectors, n - 1)) places, columns by falling variance. Edges are off their lengths: look, do not measure."""
    scale = float(problem.upper.mean())
    m = min(n_vectors, problem.n_points - 1)
    _, Q = bottom_eigenvectors(problem.laplacian(np.ones(problem.n_edges)).tocsc(), m)
    Z = solve_small(problem.incidence @ Q, problem.upper / scale)
    values, vectors = np.linalg.eigh(Z * scale)
    return (Q @ (vectors * np.sqrt(np.maximum(values, 0))))[:, ::-1]


def solve_small(q: Floats, squared: Floats) -> Floats:
    """(m, m) Z of the penalised problem, for rows q (E, m) and squared lengths (E,); nu is set from tr Z, `RESCALINGS` times."""
    m = q.shape[1]
    up, across = np.triu_indices(m)
    twice = np.where(up == across, 1.0, 2.0)
    H, h = np.zeros((len(up), len(up))), np.zeros(len(up))
    for a in range(0, len(q), BLOCK):  # by blocks, which stay in the cache
        part = q[a : a + BLOCK]
        pairs = part[:, up] * part[:, across] * twice  # (block, m(m+1)/2): q_e' Z q_e = pairs @ upper triangle of Z
        H += pairs.T @ pairs
        h += pairs.T @ squared[a : a + BLOCK]
    B = np.eye(m) * np.sqrt(squared.sum() / np.square(q).sum())
    for _ in range(1 + RESCALINGS):
        nu = np.square(B).sum() / (2 * MISFIT * np.square(squared).sum())

        def loss(flat: Floats, nu: float = nu) -> tuple[float, Floats]:
            B = flat.reshape(m, m)
            z = (B @ B.T)[up, across]
            pull = H @ z
            G = np.zeros((m, m))
            G[up, across] = 2 * nu * (pull - h)  # already counts both triangles
            value = -np.square(B).sum() + nu * (z @ pull - 2 * h @ z + squared @ squared)
            return float(value), (-2 * B + (G + G.T) @ B).ravel()

        B = minimize(loss, B.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500, "maxcor": 20, "ftol": 1e-12}).x.reshape(m, m)
    return B @ B.T
