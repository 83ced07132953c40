"""What PCA and MVU share: fit, transform, alignment to an earlier map, state without pickle."""

import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from core.embeddings.alignment import fit_alignment
from core.embeddings.unfolding.problem import Floats, Ints
from core.errors import ContractError


@dataclass
class Embedding(ABC):
    """Places rows of features on a map. Fields are hyper-parameters, `fit` learns attributes ending in `_`.

    **Shape** X is (n, d) of any float type, finite; places are (n, n_axes) float64.
    `points_` (n, n_axes) are the places of the rows fitted, `shares_` (n_axes,) the share of the variance on each axis before any
    alignment.
    """

    name: ClassVar[str]

    @abstractmethod
    def _fit(self, X: NDArray[Any]) -> None: ...

    @abstractmethod
    def _transform(self, X: NDArray[Any]) -> Floats: ...

    @abstractmethod
    def _turn(self, rotation: Floats, shift: Floats) -> None:
        """Replaces every place y, known and to come, by y @ rotation + shift."""

    @final
    def fit(self, X: NDArray[Any]) -> Self:
        """Learns the map of rows X (n, d). Raises ContractError for fewer than three different rows and for values that are not finite."""
        self._fit(_checked(X, self.name))
        return self

    @final
    def transform(self, X: NDArray[Any]) -> Floats:
        """(n, n_axes) places of rows, seen before or not; a row gets the same place alone and in a batch.

        Raises ContractError before fit and for another number of columns.
        """
        X = _checked(X, self.name)
        width = getattr(self, "n_features_", None)
        if width is None:
            raise ContractError(f"{self.name} places rows after fit: fit was not called. Call fit first.")
        if X.shape[1] != width:
            raise ContractError(f"{self.name} was fitted on {width} columns: X has {X.shape[1]}. Use the features it was fitted on.")
        return self._transform(X)

    @final
    def align(self, rows: Ints, places: Floats) -> Self:
        """Turns, mirrors and moves the map so that its points `rows` (k,) come closest to `places` (k, n_axes) of an earlier map.

        Distances stay. Without it, refits jump: axes swap and change sign. Raises ContractError where the shapes do not fit.
        """
        points: Floats = vars(self)["points_"]
        turn = fit_alignment(points[rows], places)
        self._turn(turn.rotation, turn.shift)
        return self

    @final
    def state(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, for npz or safetensors: fields as JSON in `fields` (bytes as uint8), learned attributes by name."""
        fields = json.dumps({"name": self.name, **asdict(self)}).encode()
        learned = {k: np.asarray(v) for k, v in vars(self).items() if k.endswith("_") and not k.startswith("_")}
        return {"fields": np.frombuffer(fields, np.uint8), **learned}

    @classmethod
    def from_state(cls, state: dict[str, NDArray[Any]]) -> Self:
        """The embedding that gave `state`. Raises ContractError for the state of another method."""
        fields = json.loads(np.asarray(state["fields"], np.uint8).tobytes())
        name = fields.pop("name")
        if name != cls.name:
            raise ContractError(f"{cls.name} loads its own state: this is one of {name}. Load it as {name}.")
        made = cls(**fields)
        for key, value in state.items():
            if key != "fields":
                setattr(made, key, value.item() if value.ndim == 0 else value)
        return made


def fix_signs(points: Floats) -> Floats:
    """(n_axes,) of +1 and -1 that make the largest entry of every axis positive."""
    return np.where(points[np.abs(points).argmax(axis=0), np.arange(points.shape[1])] < 0, -1.0, 1.0)


def _checked(X: NDArray[Any], name: str) -> NDArray[Any]:
    if not isinstance(X, np.ndarray) or X.ndim != 2 or X.dtype.kind != "f":
        got = f"{X.dtype} of shape {X.shape}" if isinstance(X, np.ndarray) else type(X).__name__
        raise ContractError(f"{name} reads a float array with 2 axes: it got {got}.")
    for a in range(0, len(X), 1024):  # by blocks: X may be larger than memory
        if not np.isfinite(X[a : a + 1024]).all():
            raise ContractError(f"{name} needs finite features: rows {a} to {a + 1023} hold others. Leave such banners out.")
    return X
