"""What a selector is told of a trained model."""

import math
from dataclasses import dataclass

import numpy as np

from core.errors import ContractError
from core.statistics.arrays import Matrix, Vector


@dataclass(frozen=True)
class Candidate:
    """One trained model: embeddings of the images it learned from, train (n, d), of these augmented (m, d), and of those to be judged,
    test (t, d), with their scores (t,), higher = more anomalous.

    `mixed` marks the model whose augmentation was drawn for each image, the baseline that chooses nothing. Raises ContractError
    where shapes do not fit or a set is empty.
    """

    name: str
    train: Matrix
    augmented: Matrix
    test: Matrix
    scores: Vector
    mixed: bool = False

    def __post_init__(self) -> None:
        sets = (self.train, self.augmented, self.test)
        if any(z.ndim != 2 or not len(z) for z in sets) or len({z.shape[1] for z in sets}) > 1:
            shapes = ", ".join(str(z.shape) for z in sets)
            raise ContractError(f"A candidate's embeddings are three sets (n, d) of one d: {self.name} has {shapes}. Embed all three.")
        if self.scores.shape != (len(self.test),):
            shape = self.scores.shape
            raise ContractError(f"A candidate scores each of its {len(self.test)} test banners: {self.name} has {shape}. Score them.")


def unit(z: Matrix) -> Matrix:
    """(n, d) rows brought to length 1; rows of zeros stay."""
    return np.asarray(z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12), dtype=np.float64)


def matched(candidate: Candidate, ratio: float) -> tuple[Matrix, Matrix]:
    """Train and augmented embeddings at length 1, so many that the augmented ones are the share `ratio` of all.

    `ratio` is how many of the test banners are assumed to be anomalous: an assumption that the caller states, never a count of labels.
    Where there are too few augmented ones, fewer of train are taken; evenly over the order in which they stand. Raises ContractError
    for a ratio outside 0..1.
    """
    ratio = stated(ratio)
    n, m = len(candidate.train), len(candidate.augmented)
    wanted = math.ceil(round(n * ratio / (1 - ratio), 9))
    if wanted > m:
        n, wanted = max(1, math.floor(m * (1 - ratio) / ratio)), m
    return unit(_evenly(candidate.train, n)), unit(_evenly(candidate.augmented, wanted))


def stated(ratio: float) -> float:
    """The assumed share of anomalies as it was given. Raises ContractError for one outside 0..1."""
    if not 0 < ratio < 1:
        raise ContractError(f"The assumed share of anomalies lies between 0 and 1, not {ratio}. Assume one.")
    return ratio


def _evenly(z: Matrix, n: int) -> Matrix:
    return z[np.linspace(0, len(z) - 1, n).astype(np.int64)]
