"""Procrustes alignment: the turn, mirroring and shift that bring one map closest to another."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import orthogonal_procrustes

from core.embeddings.unfolding.problem import Floats
from core.errors import ContractError


class Alignment(NamedTuple):
    """`points @ rotation + shift`: rotation (r, r) orthogonal, shift (r,); root mean square distance left over."""

    rotation: Floats
    shift: Floats
    rmse: float


def fit_alignment(points: Floats, to: Floats) -> Alignment:
    """Aligns points (n, r) to the places `to` (n, r) of the same rows; no scaling, so distances stay.

    Raises ContractError for other shapes or no rows. **Source** Schoenemann 1966.
    """
    if points.shape != to.shape or points.ndim != 2 or not len(points):
        raise ContractError(f"Maps are aligned over the same rows and axes: their shapes are {points.shape} and {to.shape}.")
    here, there = points.mean(axis=0), to.mean(axis=0)
    rotation, _ = orthogonal_procrustes(points - here, to - there)
    shift = there - here @ rotation
    left = points @ rotation + shift - to
    return Alignment(rotation, shift, float(np.sqrt(np.square(left).sum(axis=1).mean())))
