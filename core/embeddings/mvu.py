"""Maximum variance unfolding: a map that keeps the distances between neighbours and spreads everything else as far as it can."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from core.embeddings.base import Embedding, fix_signs
from core.embeddings.unfolding.certificate import Certificate, certify, upper_bound
from core.embeddings.unfolding.exact import solve_exactly
from core.embeddings.unfolding.graph import make_graph
from core.embeddings.unfolding.neighbours import Neighbours, rebuilding_weights
from core.embeddings.unfolding.preview import unfold_coarsely
from core.embeddings.unfolding.problem import Floats, Problem, make_problem
from core.embeddings.unfolding.scaled import solve_scaled
from core.errors import ContractError

Tier = Literal["auto", "exact", "scaled", "preview"]
MOST_EXACT = 1000
"""The exact tier's matrices grow with the square of the edges: 0.35 GB and a minute here."""

FAR = 0.99
"""A new row farther from all others than this quantile of the edges lies outside the map."""


class Placement(NamedTuple):
    """Places (n, n_axes) and whether a row is farther from every known one than nearly all neighbours are from each other (n,)."""

    points: Floats
    is_outside: NDArray[np.bool_]


@dataclass
class MVU(Embedding):
    """Maximises the variance of the places while every edge of the neighbourhood graph keeps its length.

    An edge's squared length stays within (1 - slack) and 1 times its input value; slack 1 leaves only the upper bound. `tier`:
    `exact` (interior point, at most 1000 rows), `scaled` (thousands), `preview` (under a second, edges off), `auto` (exact up to
    `exact_up_to` rows). New rows are rebuilt from `n_rebuild` neighbours; an equal row gets the place of its twin. Learns `X_`
    (different rows), `certificate_`, `multipliers_`, `n_pieces_` of the graph before bridges, `n_iterations_`.
    **Source** Weinberger, Saul 2004; Weinberger, Sha, Zhu, Saul 2006; Kulis, Surendran, Platt 2007. **Differs**: two-sided bounds,
    five bridges between pieces, a certificate with every map.
    """

    name: ClassVar[str] = "mvu"
    n_axes: int = 3
    k: int = 6
    slack: float = 0.1
    n_bridges: int = 5
    rank: int = 10
    tier: Tier = "auto"
    exact_up_to: int = 500
    max_iterations: int = 12_000
    n_rebuild: int = 12
    max_columns: int = 4096
    seed: int = 0

    def _fit(self, X: NDArray[Any]) -> None:
        rows, self.twin_ = _merged(X)
        n = len(rows)
        if n <= self.n_axes:
            raise ContractError(f"MVU with {self.n_axes} axes needs more different rows than axes: there are {n}. Add banners.")
        if self.tier == "exact" and n > MOST_EXACT:
            raise ContractError(f"The exact tier takes at most {MOST_EXACT} different rows: there are {n}. Choose tier scaled.")
        self.X_, self.n_features_ = X[rows], X.shape[1]
        graph = make_graph(self._search(), self.k, self.n_bridges)
        problem = make_problem(n, graph.i, graph.j, graph.squared, self.slack)
        self.n_pieces_ = graph.n_pieces
        self.far_ = float(np.quantile(graph.squared, FAR))
        with threadpool_limits(1):  # the same map on any number of cores; small matrices also wait for each other's threads
            self._keep(problem, self._unfold(problem))

    def _search(self) -> Neighbours:
        """Made once: the search holds a narrow copy of the rows."""
        made: Neighbours | None = getattr(self, "_made", None)
        if made is None or made.X is not self.X_:
            made = self._made = Neighbours(self.X_, self.seed, self.max_columns)
        return made

    def _unfold(self, problem: Problem) -> Floats:
        """(n, r) places; sets the multipliers, the iterations and `bound_`."""
        tier = self.tier if self.tier != "auto" else "exact" if problem.n_points <= self.exact_up_to else "scaled"
        if tier == "exact":
            exact = solve_exactly(problem)
            self.multipliers_, self.n_iterations_ = exact.multipliers, exact.n_iterations
            self.bound_ = upper_bound(problem, exact.multipliers, (0.0, 1e-6))
            values, vectors = np.linalg.eigh(exact.K)
            return vectors * np.sqrt(np.maximum(values, 0))
        start = unfold_coarsely(problem)
        if tier == "preview":
            self.multipliers_, self.n_iterations_ = np.ones(problem.n_edges), 0
            self.bound_ = upper_bound(problem, self.multipliers_, (0.0,))
            return start
        scaled = solve_scaled(problem, start, rank=self.rank, seed=self.seed, max_iterations=self.max_iterations)
        self.multipliers_, self.n_iterations_, self.bound_ = scaled.multipliers, scaled.n_iterations, scaled.upper_bound
        return scaled.points

    def _keep(self, problem: Problem, places: Floats) -> None:
        """Turns to principal axes, and keeps the first ones to look at."""
        self._certificate = certify(problem, places, self.bound_)
        self.certificate_values_ = np.array(self._certificate)
        values, vectors = np.linalg.eigh(places.T @ places)
        kept = places @ vectors[:, ::-1][:, : self.n_axes]
        shares = values[::-1][: self.n_axes] / values.sum()
        missing = self.n_axes - kept.shape[1]
        kept, self.shares_ = np.pad(kept, ((0, 0), (0, missing))), np.pad(shares, (0, missing))
        self.places_ = kept * fix_signs(kept)
        self.points_ = self.places_[self.twin_]

    @property
    def certificate_(self) -> Certificate:
        """How good the map provably is; read it with `shares_`, what the axes shown leave out."""
        return Certificate(*(float(v) for v in self.certificate_values_))

    def place(self, X: NDArray[Any]) -> Placement:
        """Places of rows (n, d), and which of them lie outside the map."""
        places = self.transform(X)
        _, squared = self._search().nearest(X, 1)
        return Placement(places, squared[:, 0] > self.far_)

    def _transform(self, X: NDArray[Any]) -> Floats:
        if not len(X):
            return np.empty((0, self.n_axes))
        rows, squared = self._search().nearest(X, min(self.n_rebuild, len(self.X_)))
        places = np.empty((len(X), self.n_axes))
        for at, (query, near, away) in enumerate(zip(X, rows, squared, strict=True)):
            places[at] = self.places_[near[0]] if away[0] == 0 else rebuilding_weights(query, self.X_[near]) @ self.places_[near]
        return places

    def _turn(self, rotation: Floats, shift: Floats) -> None:
        self.places_ = self.places_ @ rotation + shift
        self.points_ = self.places_[self.twin_]


def _merged(X: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (u,) that differ from all before them, and for every row (n,) which of those it equals; -0.0 equals 0.0."""
    seen: dict[bytes, int] = {}
    twin = np.array([seen.setdefault((row + 0.0).tobytes(), len(seen)) for row in X], dtype=np.int64)
    _, rows = np.unique(twin, return_index=True)
    return rows.astype(np.int64), twin
