"""The selectors by name: each gives every candidate a value, and takes the one with the lowest or the highest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import ContractError
from core.models.selection.alignment import alignment, base, matching, mmd, spread
from core.models.selection.candidates import Candidate
from core.models.selection.consensus import agreement, centrality, hubs
from core.statistics.arrays import Vector

Values = Callable[[Sequence[Candidate], float], Vector]


@dataclass(frozen=True)
class Selector:
    """`values`: (k,) of candidates, at an assumed share of anomalies; `lowest` says whether the lowest is taken, or the highest."""

    name: str
    says: str
    values: Values
    lowest: bool = True

    def chosen(self, candidates: Sequence[Candidate], ratio: float) -> int:
        """Place of the candidate that it takes; the first of equals. Raises ContractError where there is none to take."""
        if not candidates:
            raise ContractError(f"{self.name} chooses among candidates: there are 0. Train one.")
        values = self.values(candidates, ratio)
        return int(np.argmin(values) if self.lowest else np.argmax(values))


def _each(measure: Callable[[Candidate, float], float]) -> Values:
    return lambda candidates, ratio: np.array([measure(c, ratio) for c in candidates])


def _by_scores(measure: Callable[[NDArray[np.float64]], Vector]) -> Values:
    return lambda candidates, ratio: measure(np.stack([c.scores for c in candidates]))


def _mixed(candidates: Sequence[Candidate], ratio: float) -> Vector:
    """1 for the candidate whose augmentation was drawn for each image. Raises ContractError where none is."""
    mixed = np.array([float(c.mixed) for c in candidates])
    if not mixed.any():
        raise ContractError("Rand takes the candidate with mixed augmentations: there is none. Train one, or leave Rand out.")
    return mixed


SELECTORS: dict[str, Selector] = {
    s.name: s
    for s in (
        Selector("dsv", "augmented embeddings lie where test banners do", _each(lambda c, r: alignment(c, r).dsv)),
        Selector("dsv_literal", "the same, with its authors' halved distance", _each(lambda c, r: alignment(c, r, halved=True).dsv)),
        Selector("matching", "the banners that it suspects lie as augmented ones do", _each(matching)),
        Selector("base", "train and augmented embeddings are close to the test's", _each(base)),
        Selector("mmd", "their means are", _each(mmd)),
        Selector("std", "distances between them differ most", _each(spread)),
        Selector("mc", "it ranks test banners most as the others do", _by_scores(centrality), lowest=False),
        Selector("select", "it ranks them as those that agree do", _by_scores(agreement), lowest=False),
        Selector("hits", "it points at banners that many point at", _by_scores(hubs), lowest=False),
        Selector("rand", "its augmentation was drawn again all the time", _mixed, lowest=False),
    )
}
"""By name, in the order in which tables show them."""


def ensemble(candidates: Sequence[Candidate]) -> Vector:
    """(t,) mean of all candidates' scores, as they are: those with a wider range say more."""
    return np.asarray(np.mean([c.scores for c in candidates], axis=0))
