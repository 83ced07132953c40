"""The end of a run that whole runs and cascades share: slow detectors, strangers, first days, and the files of the results.

In: scored parts, and `read`, which gives the clicks of the banners of a part by its number. Out: files in the job's out folder.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from core.detectors import CATALOGUE
from core.errors import InputError
from core.features import EXTRACTORS
from core.features.base import Extractor
from core.features.cache import FeatureStore
from core.features.count_sketch import extract_reduced
from core.features.trained_here import OwnExtractor
from core.jobs.worker import say
from core.scoring import grid as scoring
from core.scoring.grid import FeatureSource, Scored
from core.scoring.parts import Read
from core.scoring.progress import DEEP_SHARE, SCORE_SHARE
from core.scoring.task import RunTask
from core.statistics.arrays import Mask


def check(names: list[str], own_weights: str | None) -> None:
    """Raises InputError at once, not after half the run, where a deep detector's features cannot be had here."""
    for name in names:
        reason = _extractor(name, own_weights).why_not()
        if reason is not None:
            raise InputError(reason)


def look_deep(scored: list[Scored], names: list[str], looked: Mask, usable: Mask, task: RunTask, read: Read) -> None:
    """Adds scores of the deep detectors `names` for the banners `looked` (n,); anchors rest on those that are `usable` (n,)."""
    starts = np.cumsum([0, *[len(part.banner_id) for part in scored]])
    source = _source(task.features)
    for k, name in enumerate(names):
        extractor = _extractor(name, task.weights)
        for i, part in enumerate(scored):
            share = (k + i / len(scored)) / len(names)
            say(SCORE_SHARE + (DEEP_SHARE - SCORE_SHARE) * share, f"{name} looks at {int(looked.sum()):,} of {len(looked):,} banners")
            own = slice(starts[i], starts[i + 1])
            scoring.score_deep(part, read(i).heatmaps, name, looked[own], usable[own], extractor, source)


def _extractor(name: str, own_weights: str | None) -> Extractor:
    """The extractor of a deep detector, with the store's own weights where it takes any."""
    extractor = EXTRACTORS[CATALOGUE[name].feature]  # type: ignore[attr-defined]
    if not isinstance(extractor, OwnExtractor):
        return extractor
    return replace(extractor, own_weights=Path(own_weights) if own_weights else None)


def _source(folder: str | None) -> FeatureSource:
    """Features from the folder where they are kept from run to run; computed each time where none is named."""
    if folder is None:
        return extract_reduced
    return lambda extractor, counts: FeatureStore(Path(folder), extractor).of(counts)
