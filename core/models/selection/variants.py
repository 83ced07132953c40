"""Self-supervised detectors to choose among: an augmentation and how large its patches are, each trained on the same banners.

In: images of a run's banners in sets that do not overlap. Out: `Candidate`s for the selectors, and scores of labelled banners, which no
selector sees. Arrays only.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.detectors import make
from core.models.selection.candidates import Candidate
from core.statistics.arrays import Codes, Image, Vector

SMALL, LARGE = (0.02, 0.08), (0.15, 0.4)
"""Shares of the image that a patch covers."""
AUGMENTATIONS = ("cutout", "cutavg", "cutpaste", "cutdiff")
MAX_STEPS, EPOCHS = 200, 1_000
"""A run trains longer; the order of candidates shows earlier. Steps decide, however few the banners: batch norm takes a hundred."""
MOST_EMBEDDED = 600
"""Images of each set whose embeddings selectors compare: distances between all pairs grow with the square."""


@dataclass(frozen=True)
class Contender:
    """A detector of the catalogue with fields of its own. `mixed`: sizes are drawn for every batch, so that nothing is chosen."""

    name: str
    detector: str
    fields: dict[str, Any] = field(default_factory=dict)
    mixed: bool = False


PATCHES: tuple[Contender, ...] = tuple(
    contender
    for name in AUGMENTATIONS
    for contender in (
        Contender(f"{name} small", f"ssad_{name}", {"area": SMALL, "dynamic": False}),
        Contender(f"{name} large", f"ssad_{name}", {"area": LARGE, "dynamic": False}),
        Contender(f"{name} mixed", f"ssad_{name}", {"area": (SMALL[0], LARGE[1]), "dynamic": True}, mixed=True),
    )
)
"""Small and large patches of one size each, and patches of all sizes, by each augmentation."""


def contenders(ratio: float) -> tuple[Contender, ...]:
    """All of them: PATCHES, and holes whose size is learned from the most suspicious of the banners learned from, the share `ratio`."""
    return (*PATCHES, Contender("cutdiff learned", "st_ssad", {"suspected": ratio}))


@dataclass(frozen=True)
class Sets:
    """Images (n, 1, side, side) and layouts (n,): those to learn from, those to be judged, which selectors see, and labelled ones, which
    they do not."""

    train: Image
    train_layout: Codes
    test: Image
    test_layout: Codes
    known: Image
    known_layout: Codes


def trained(contender: Contender, sets: Sets, max_steps: int = MAX_STEPS, seed: int = 0) -> tuple[Candidate, Vector]:
    """The candidate, and its scores of the labelled banners (k,); one network for all layouts, as it is beside each one's mean image."""
    detector = make(contender.detector, **contender.fields, max_steps=max_steps, epochs=EPOCHS, seed=seed)
    detector.fit(sets.train, sets.train_layout)
    rows = _some(len(sets.train))
    train, layout = sets.train[rows], sets.train_layout[rows]
    seen = _some(len(sets.test))
    candidate = Candidate(
        contender.name,
        detector.codes(train, layout),
        detector.codes(detector.augmented(train, seed), layout),
        detector.codes(sets.test[seen], sets.test_layout[seen]),
        detector.score(sets.test[seen], sets.test_layout[seen]),
        contender.mixed,
    )
    known = detector.score(sets.known, sets.known_layout) if len(sets.known) else np.empty(0)
    return candidate, known


def _some(n: int) -> Codes:
    return np.linspace(0, n - 1, min(n, MOST_EMBEDDED)).astype(np.int64)
