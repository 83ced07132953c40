"""Principal components: randomised where rows are many, by the Gram matrix where columns are many more than rows."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn import decomposition

from core.embeddings.base import Embedding, fix_signs
from core.embeddings.unfolding.problem import Floats
from core.errors import ContractError

GRAM_RATIO = 4
"""With more than this many columns a row, the (n, n) Gram matrix is smaller work than any pass over the columns."""

BLOCK = 4096


@dataclass
class PCA(Embedding):
    """**Score** none. Places are projections on the `n_axes` directions of largest variance; new rows are projected the same way."""

    name: ClassVar[str] = "pca"
    n_axes: int = 3
    seed: int = 0

    def _fit(self, X: NDArray[Any]) -> None:
        if min(X.shape) < self.n_axes:
            raise ContractError(f"PCA with {self.n_axes} axes needs as many rows and columns: X is {X.shape[0]} by {X.shape[1]}.")
        self.n_features_ = X.shape[1]
        self.mean_ = X.mean(axis=0, dtype=np.float64)
        gram = X.shape[1] > GRAM_RATIO * X.shape[0]
        self.axes_, self.shares_ = self._by_gram(X) if gram else self._randomised(X)
        self.shift_ = np.zeros(self.n_axes)
        points = self._transform(X)
        signs = fix_signs(points)
        self.axes_ = self.axes_ * signs
        self.points_ = points * signs

    def _randomised(self, X: NDArray[Any]) -> tuple[Floats, Floats]:
        wide = X if X.dtype == np.float32 else X.astype(np.float64)
        found = decomposition.PCA(self.n_axes, svd_solver="randomized", iterated_power=7, random_state=self.seed).fit(wide)
        return found.components_.T.astype(np.float64), found.explained_variance_ratio_.astype(np.float64)

    def _by_gram(self, X: NDArray[Any]) -> tuple[Floats, Floats]:
        """X is read by blocks of columns, so that it may be a memory map of half floats."""
        n, d = X.shape
        blocks = [slice(a, a + BLOCK) for a in range(0, d, BLOCK)]
        G = np.zeros((n, n))
        for block in blocks:
            centred = X[:, block].astype(np.float64) - self.mean_[block]
            G += centred @ centred.T
        values, vectors = np.linalg.eigh(G)
        values, vectors = values[::-1][: self.n_axes], vectors[:, ::-1][:, : self.n_axes]
        if values[-1] <= 1e-12 * values[0]:
            raise ContractError(
                f"PCA with {self.n_axes} axes needs rows that spread so far: they lie in fewer dimensions. Ask for fewer axes."
            )
        axes = np.concatenate([(X[:, b].astype(np.float64) - self.mean_[b]).T @ vectors for b in blocks]) / np.sqrt(values)
        return axes, values / np.trace(G)

    def _transform(self, X: NDArray[Any]) -> Floats:
        # Row by row: the rounding of one product over all rows would depend on how many there are.
        places = [(row.astype(np.float64) - self.mean_) @ self.axes_ + self.shift_ for row in X]
        return np.stack(places) if places else np.empty((0, self.n_axes))

    def _turn(self, rotation: Floats, shift: Floats) -> None:
        self.axes_ = self.axes_ @ rotation
        self.shift_ = self.shift_ @ rotation + shift
        self.points_ = self.points_ @ rotation + shift
