"""Places without a single edge that is too long, close to places with a few.

Points with |y_i - y_j|^2 <= upper_e for all edges form a convex set, so that moving the ends of every long edge towards each other,
over and over, leads into it; shrinking the whole map until its worst edge fits would cost that edge's excess everywhere.
**Source** simultaneous projections (Cimmino 1938; Bauschke, Borwein 1996).
"""

import numpy as np

from core.embeddings.unfolding.problem import Floats, Problem

MOST_PULLS = 200
BEYOND = 1.9
"""An edge is pulled by this times its excess: between 1 and 2 projections still converge, and mostly sooner."""

MARGIN = 1e-5
"""Edges are pulled to this share inside their bounds, so that the pulling comes to an end; the rest is shrunk away."""


def pull_in(problem: Problem, points: Floats) -> Floats:
    """Places (n, r) with no edge above its upper bound; lower bounds are not looked at."""
    A, target = problem.incidence, problem.upper * (1 - MARGIN)
    for _ in range(MOST_PULLS):
        squared = problem.squared_lengths(points)
        long = np.flatnonzero(squared > problem.upper)
        if not len(long):
            break
        pulled = A[long]
        excess = 1 - np.sqrt(target[long] / squared[long])
        n_edges = np.maximum(abs(pulled).T @ np.ones(len(long)), 1)  # (n,) long edges at each point
        points = points - BEYOND / 2 * (pulled.T @ ((pulled @ points) * excess[:, None])) / n_edges[:, None]
    points = points - points.mean(axis=0)
    worst = float((problem.squared_lengths(points) / problem.upper).max())
    return points / np.sqrt(max(1.0, worst))
