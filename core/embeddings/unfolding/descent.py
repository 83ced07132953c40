"""L-BFGS for the augmented Lagrangian, with the exact minimum along every direction.

Along Y + a D a squared length is g + 2 a b + a^2 c with g, b, c known from the edges of Y and of D: looking for the best step costs
a few passes over (m,) numbers and no further product with the graph. A library's L-BFGS-B spends three times a loss on its bounds.
**Source** Nocedal, Wright 2006, algorithm 7.4.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from core.embeddings.unfolding.problem import Floats, Problem

MEMORY = 15
LINE_STEPS = 40
SMALL = 1e-3
"""The slope along a direction counts as zero below this share of what it was at its start."""

Pressure = Callable[[Floats], tuple[Floats, Floats]]
"""Squared lengths (m,) to the force on each edge, mult, and its derivative (m,)."""

Solve = Callable[[Floats], Floats]
"""A gradient (n, r) to the step (n, r) that would cancel it, roughly; symmetric and positive definite."""


class Memory:
    """The last steps and changes of the gradient, in float32: they only shape directions, and half the bytes is twice the speed."""

    def __init__(self, size: int) -> None:
        self.steps = np.zeros((MEMORY, size), np.float32)
        self.changes = np.zeros((MEMORY, size), np.float32)
        self.inner = np.ones(MEMORY)
        self.n = 0

    def add(self, step: Floats, change: Floats) -> None:
        """Keeps a pair whose curvature is positive."""
        row = self.n % MEMORY
        self.steps[row], self.changes[row] = step, change
        inner = float(np.dot(self.steps[row], self.changes[row]))
        if inner > 1e-8 * float(np.linalg.norm(self.steps[row])) * float(np.linalg.norm(self.changes[row])):
            self.inner[row] = inner
            self.n += 1

    def direction(self, gradient: Floats, inverse: Solve | None) -> NDArray[np.float32]:
        """Minus the inverse Hessian, as far as known from the last steps and before them from `inverse`, times the gradient (n, r)."""
        q = gradient.ravel().astype(np.float32)
        rows = [k % MEMORY for k in range(max(0, self.n - MEMORY), self.n)]
        shares = {}
        for row in reversed(rows):
            shares[row] = np.float32(np.dot(self.steps[row], q) / self.inner[row])
            q -= shares[row] * self.changes[row]
        if inverse is not None:
            q = inverse(q.reshape(gradient.shape).astype(np.float64)).ravel().astype(np.float32)
        elif rows:
            q *= np.float32(self.inner[rows[-1]] / np.dot(self.changes[rows[-1]], self.changes[rows[-1]]))
        for row in rows:
            q += (shares[row] - np.float32(np.dot(self.changes[row], q) / self.inner[row])) * self.steps[row]
        return -q


def descend(
    problem: Problem, points: Floats, pressure: Pressure, n: int, tolerance: float, inverse: Solve | None = None
) -> tuple[Floats, int]:
    """Places (n_points, r) after at most `n` steps, and their number; ends where the gradient falls below `tolerance` of its pull.

    The function is -|Y|^2 plus a penalty whose derivative by an edge's squared length is `pressure`; `points` must be centred. Where
    the graph is large, `inverse` makes up for directions that the few last steps say nothing about.
    """
    A, At, shape = problem.incidence, problem.transposed, points.shape
    edges = A @ points  # (m, r)
    gradient = _gradient(points, edges, pressure, At)
    memory, done = Memory(points.size), 0
    for done in range(1, n + 1):  # noqa: B007
        way = memory.direction(gradient, inverse).astype(np.float64).reshape(shape)
        way -= way.mean(axis=0)  # rounding in float32 would let the mean drift, and along it the function falls for ever
        slope = float(np.vdot(way, gradient))
        if slope >= 0:  # rounding in the memory: start it anew
            memory, way = Memory(points.size), -(gradient if inverse is None else inverse(gradient))
            slope = float(np.vdot(way, gradient))
        edge_way = A @ way
        step = _best_step(points, way, edges, edge_way, pressure, slope)
        points, edges = points + step * way, edges + step * edge_way
        after = _gradient(points, edges, pressure, At)
        memory.add((step * way).ravel(), (after - gradient).ravel())
        gradient = after
        if float(np.linalg.norm(gradient)) < tolerance * 2 * float(np.linalg.norm(points)):
            break
    points = points - points.mean(axis=0)
    return points, done


def _gradient(points: Floats, edges: Floats, pressure: Pressure, At: NDArray[np.float64]) -> Floats:
    mult, _ = pressure(np.einsum("er,er->e", edges, edges))
    gradient: Floats = At @ (edges * mult[:, None]) - points
    gradient *= 2
    return gradient


def _best_step(points: Floats, way: Floats, edges: Floats, edge_way: Floats, pressure: Pressure, slope: float) -> float:
    """The zero of the slope along `way` by safeguarded Newton steps; the slope at 0 is negative, far out it is positive."""
    g, b, c = (np.einsum("er,er->e", u, v) for u, v in ((edges, edges), (edges, edge_way), (edge_way, edge_way)))
    pull, curve = float(np.vdot(points, way)), float(np.vdot(way, way))
    low, high, step = 0.0, np.inf, 1.0
    for _ in range(LINE_STEPS):
        lean = b + step * c  # half the derivative of the squared lengths
        mult, stiff = pressure(g + step * (b + lean))
        now = 2 * float(mult @ lean) - 2 * (pull + step * curve)
        if abs(now) < -SMALL * slope:
            break
        low, high = (step, high) if now < 0 else (low, step)
        bend = 4 * float(stiff @ (lean * lean)) + 2 * float(mult @ c) - 2 * curve
        step = step - now / bend if bend > 0 else np.inf
        if not low < step < high:
            step = (low + high) / 2 if np.isfinite(high) else 4 * low
    return step
