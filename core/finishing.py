"""The end of a run that whole runs and cascades share: slow detectors, strangers, first days, and the files of the results.

In: scored parts, and `read`, which gives the clicks of the banners of a part by its number. Out: files in the job's out folder.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix, vstack

from core import results, scoring, tables
from core.child import say
from core.detectors import CATALOGUE
from core.errors import InputError
from core.features import EXTRACTORS
from core.features.base import Extractor
from core.features.own import OwnExtractor
from core.features.reduced import extract_reduced
from core.features.store import FeatureStore
from core.judging import Judged, Mask
from core.reading import Grid
from core.reference import Reference
from core.scoring import FeatureSource, Scored
from core.strangers import MIN_COMPANY, Known

SCORE_SHARE, DEEP_SHARE, WRITE_SHARE = 0.6, 0.9, 0.97
"""Share of the run that is done after scoring, after the deep detectors, and before writing."""
MOST_GRIDS, PER_GRID = 40, 500
"""Known grids, and banners of each, that say how strange a banner of a known grid may look."""

Read = Callable[[int], Grid]


def check(names: list[str], own_weights: str | None) -> None:
    """Raises InputError at once, not after half the run, where a deep detector's features cannot be had here."""
    for name in names:
        reason = _extractor(name, own_weights).why_not()
        if reason is not None:
            raise InputError(reason)


def look_deep(scored: list[Scored], names: list[str], looked: Mask, usable: Mask, asked: dict[str, Any], read: Read) -> None:
    """Adds scores of the deep detectors `names` for the banners `looked` (n,); anchors rest on those that are `usable` (n,)."""
    starts = np.cumsum([0, *[len(part.banner_id) for part in scored]])
    source = _source(asked.get("features"))
    for k, name in enumerate(names):
        extractor = _extractor(name, asked.get("weights"))
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


def find_strangers(path: Path, scored: list[Scored], read: Read) -> pa.Table:
    """Table `stranger`: the banners of grids that no earlier run knew; empty in a first run, which knows nobody.

    `path`: references of the grids that earlier runs knew; there is no such file in a first run.
    """
    parts: list[pa.Table] = []
    if path.exists():
        found = pq.read_table(path)
        p = found["p"].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float64)
        known = Known(found["grid_id"].to_numpy(), p.reshape(len(found), -1))
        is_new = [not np.isin(part.grid_id[0], known.grid_id) for part in scored]
        new, old = ([i for i, n in enumerate(is_new) if n == wanted] for wanted in (True, False))
        if new and old:
            known.fit(vstack([_some(read(i).heatmaps.counts) for i in old[:: -(-len(old) // MOST_GRIDS)]]))
        for i in new:
            size = sum(len(part.banner_id) for part in scored if part.grid_id[0] == scored[i].grid_id[0])
            parts.append(results.stranger_table(scored[i], *known.judge(read(i).heatmaps.counts), size < MIN_COMPANY))
    return pa.concat_tables([tables.SCHEMAS["stranger"].empty_table(), *parts])


def _some(counts: csr_matrix) -> csr_matrix:
    """At most PER_GRID rows, evenly spread."""
    return counts[:: max(1, -(-counts.shape[0] // PER_GRID))]


def write_days(out: Path, scored: list[Scored], judged: Judged, reference: Reference, read: Read) -> tuple[list[Any], list[Any]]:
    """Tables evidence, heatmap and run_day; returns each fault's first day, None where not flagged, and first and last day."""
    since: list[Any] = []
    bounds: list[Any] = []
    for k, part in enumerate(scored):
        say(DEEP_SHARE + (WRITE_SHARE - DEEP_SHARE) * k / len(scored), f"finding since when ({k + 1} of {len(scored)})")
        n = len(part.banner_id)
        grid = read(k)
        flagged = np.flatnonzero(judged.flagged[len(since) : len(since) + n])
        scoring.diagnose_late(part, grid.heatmaps, grid.days, flagged, reference)
        evidence, began = results.evidence_table(part, flagged, grid.days, reference)
        own = np.full(n, "NaT", dtype="datetime64[D]")
        own[flagged] = np.array(began, dtype="datetime64[D]")
        write(out, "evidence", k, evidence)
        write(out, "heatmap", k, results.heatmap_table(grid.heatmaps, flagged, judged.position[len(since) + flagged]))
        write(out, "run_day", k, results.run_day_table(int(part.grid_id[0]), grid.days, own))
        since += own.tolist()
        bounds += [grid.days.day.min(), grid.days.day.max()]
    return since, [min(bounds), max(bounds)]


def write(out: Path, table: str, part: object, rows: pa.Table) -> None:
    """Writes some rows of a table as out/<table>/<part>.parquet."""
    tables.write(rows, table, out / table / f"{part}.parquet")
