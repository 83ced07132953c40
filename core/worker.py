"""One scoring run from a job folder to its results: Parquet in, Parquet out, no database.

    python -m core.worker JOBDIR

Reads job.json, heatmaps/grid_id=<id>/*.parquet, one grid at a time, and known/references.parquet where there is one; writes
out/<table>/*.parquet and last out/summary.json.
Prints one JSON object a line: {"done": 0..1, "what": …}, or {"error": …} and exit code 2 for what the user can mend.
"""

import json
import platform
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix, vstack

from core import judging, results, scoring
from core.across import score_across
from core.child import asked_of, run, say
from core.detectors import CATALOGUE, default_names, make
from core.errors import InputError
from core.features import EXTRACTORS
from core.features.base import Extractor
from core.features.own import OwnExtractor
from core.features.reduced import extract_reduced
from core.features.store import FeatureStore
from core.heatmaps import Heatmaps, counts_of_lists
from core.judging import Judged, Mask
from core.onset import Days
from core.reference import Reference, fit_reference
from core.scoring import FeatureSource, Scored
from core.strangers import MIN_COMPANY, Known

FIT_SHARE, SCORE_SHARE, DEEP_SHARE, WRITE_SHARE = 0.15, 0.6, 0.9, 0.97
"""Share of the run that is done after fitting the references, after scoring, after the deep detectors, and before writing."""

MOST_GRIDS, PER_GRID = 40, 500
"""Known grids, and banners of each, that say how strange a banner of a known grid may look."""


def main(job: Path) -> None:
    """Runs the job in `job`; every result file is complete before summary.json appears."""
    asked = asked_of(job)
    chosen = asked.get("chosen")
    quick, deep = _parted(asked.get("detectors") or _with_chosen(default_names(), chosen), asked["deep"])
    for name in deep:
        _check(name, _path(asked.get("weights")))
    grids = sorted(int(p.name.removeprefix("grid_id=")) for p in (job / "heatmaps").glob("grid_id=*"))
    if not grids:
        raise InputError("A run needs clicks, however the job holds none. Widen the window or ingest a log.")
    start = time.perf_counter()
    reference = _fit_references(job, grids)
    within = [name for name in quick if not CATALOGUE[name].across]
    scored = _score(job, grids, reference, within, _path(asked.get("weights")), chosen)
    together = [name for name in quick if CATALOGUE[name].across]
    score_across(scored, lambda part: _heatmaps_of(job, part), together, lambda what: say(SCORE_SHARE, f"all grids together: {what}"))
    say(SCORE_SHARE, "comparing all banners")
    fdr = float(asked["fdr"])
    judged = _judge(scored, fdr) if quick else None
    if deep:
        everybody = not quick or asked["deep"] == "all"
        judged = _judge(scored, fdr, _look_deep(job, scored, deep, judged, everybody, asked))
    assert judged is not None
    strangers = _find_strangers(job, scored)
    judged = judging.hold_back(judged, results.held_back(scored, strangers))
    grid_id, n_clicks = results.gathered(scored, "grid_id"), results.gathered(scored, "n_clicks")
    since, days = _write_days(job, scored, judged, reference)
    say(WRITE_SHARE, "writing results")
    _write(job, "result", 0, results.result_table(scored, judged, since))
    for name in [*quick, *deep]:
        _write(job, "score", name, results.score_table(scored, judged, name))
    _write(job, "reference", 0, results.reference_table(reference))
    _write(job, "run_detector", 0, results.detector_table(scored))
    _write(job, "stranger", 0, strangers)
    summary = {
        "n_banners": len(grid_id),
        "n_clicks": int(n_clicks.sum()),
        "n_flagged": int(judged.flagged.sum()),
        "n_false_expected": float((1 - judged.p_broken)[judged.flagged].sum()),
        "first_day": str(days[0]),
        "last_day": str(days[1]),
        "settings": {
            "detectors": [*quick, *deep],
            "deep": asked["deep"],
            "deep_weight": round(judged.deep_weight, 4),
            "seed": asked.get("seed", 0),
            "seconds": round(time.perf_counter() - start, 3),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
    }
    (job / "out" / "summary.json").write_text(json.dumps(summary))
    say(1.0, "finished")


@dataclass(frozen=True)
class Grid:
    """One grid's clicks: `heatmaps` sorted by banner_id, summed over days, and the rows as read."""

    heatmaps: Heatmaps
    days: Days


def read_grid(job: Path, grid_id: int) -> Grid:
    """Reads the rows of one grid, in whatever order and however often a banner and day occur."""
    rows = pq.ParquetDataset(job / "heatmaps" / f"grid_id={grid_id}", partitioning=None).read()
    rows = rows.sort_by([("banner_id", "ascending"), ("day", "ascending")])
    encoded = rows["banner_id"].combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy().astype(np.int64)  # 0, 1, … by first appearance, which is ascending
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    counts = counts_of_lists(rows["bins"], rows["counts"])
    summing = csr_matrix((np.ones(len(codes), np.float32), (codes, np.arange(len(codes)))), shape=(len(first), len(codes)))
    heatmaps = Heatmaps(
        banner_id=encoded.dictionary.to_numpy(zero_copy_only=False),
        grid_id=np.full(len(first), grid_id, dtype=np.int64),
        n_products=rows["n_products"].to_numpy()[first].astype(np.int16),
        domain=rows["domain"].to_numpy()[first],
        counts=(summing @ counts).tocsr(),
    )
    return Grid(heatmaps, Days(codes, rows["day"].to_numpy().astype("datetime64[D]"), counts))


def _heatmaps_of(job: Path, part: Scored) -> Heatmaps:
    return read_grid(job, int(part.grid_id[0])).heatmaps


def _fit_references(job: Path, grids: list[int]) -> Reference:
    parts = []
    for k, grid_id in enumerate(grids):
        say(FIT_SHARE * k / len(grids), f"learning what grid {grid_id} looks like ({k + 1} of {len(grids)})")
        parts.append(fit_reference(read_grid(job, grid_id).heatmaps))
    return Reference([g for part in parts for g in part.groups], np.concatenate([part.p for part in parts]))


def _parted(names: list[str], deep: str) -> tuple[list[str], list[str]]:
    """Detectors that look at all banners, and those that look at some; the latter none where `deep` is "none"."""
    slow = [name for name in names if name in CATALOGUE and CATALOGUE[name].deep]
    quick = [name for name in names if name not in slow]
    for name in quick:
        make(name)
    if not quick and deep == "none":
        raise InputError(
            f"A run without deep detectors takes others, however only {', '.join(slow)} was asked for. Name more, or say --deep all."
        )
    return quick, slow if deep != "none" else []


def _with_chosen(names: list[str], chosen: dict[str, Any] | None) -> list[str]:
    """The default run, and the model that somebody chose for it."""
    return names if chosen is None or chosen["detector"] in names else [*names, chosen["detector"]]


def _check(name: str, own_weights: Path | None) -> None:
    """Raises InputError at once, not after half the run, where a detector's features cannot be had here."""
    reason = _extractor(name, own_weights).why_not()
    if reason is not None:
        raise InputError(reason)


def _judge(scored: list[Scored], fdr: float, control: Mask | None = None) -> Judged:
    scores = {name: np.concatenate([part.scores[name] for part in scored]) for name in scored[0].scores}
    grid_id, n_clicks, limit = (results.gathered(scored, name) for name in ("grid_id", "n_clicks", "limit"))
    return judging.judge(scores, grid_id, n_clicks, limit, fdr, control)


def _look_deep(job: Path, scored: list[Scored], names: list[str], judged: Judged | None, everybody: bool, asked: dict[str, Any]) -> Mask:
    """Scores of the deep detectors on everybody, or on those who could still be flagged and on a control sample, which it returns."""
    grid_id, n_products = results.gathered(scored, "grid_id"), results.gathered(scored, "n_products")
    n = len(grid_id)
    control = np.ones(n, dtype=bool) if everybody else judging.control_sample(grid_id, n_products, int(asked.get("seed", 0)))
    looked = control if judged is None or everybody else judging.candidates(judged, grid_id, control)
    usable = control if judged is None else control & ~judged.flagged
    starts = np.cumsum([0, *[len(part.banner_id) for part in scored]])
    source = _source(asked.get("features"))
    for k, name in enumerate(names):
        extractor = _extractor(name, _path(asked.get("weights")))
        for i, part in enumerate(scored):
            share = (k + i / len(scored)) / len(names)
            say(SCORE_SHARE + (DEEP_SHARE - SCORE_SHARE) * share, f"{name} looks at {int(looked.sum()):,} of {n:,} banners")
            own = slice(starts[i], starts[i + 1])
            heatmaps = _heatmaps_of(job, part)
            scoring.score_deep(part, heatmaps, name, looked[own], usable[own], extractor, source)
    return control


def _extractor(name: str, own_weights: Path | None) -> Extractor:
    """The extractor of a deep detector, with the store's own weights where it takes any."""
    extractor = EXTRACTORS[CATALOGUE[name].feature]  # type: ignore[attr-defined]
    return replace(extractor, own_weights=own_weights) if isinstance(extractor, OwnExtractor) else extractor


def _source(folder: str | None) -> FeatureSource:
    """Features from the folder where they are kept from run to run; computed each time where none is named."""
    if folder is None:
        return extract_reduced
    return lambda extractor, counts: FeatureStore(Path(folder), extractor).of(counts)


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _score(
    job: Path, grids: list[int], reference: Reference, names: list[str], own_weights: Path | None, chosen: dict[str, Any] | None
) -> list[Scored]:
    out = []
    for k, grid_id in enumerate(grids):
        at = [0]

        def step(what: str, k: int = k, grid_id: int = grid_id, at: list[int] = at) -> None:
            share = (k + at[0] / (len(names) + 1)) / len(grids)
            at[0] += 1
            say(FIT_SHARE + (SCORE_SHARE - FIT_SHARE) * share, f"scoring grid {grid_id} ({k + 1} of {len(grids)}): {what}")

        out.append(scoring.score_grid(read_grid(job, grid_id).heatmaps, reference, names, step, own_weights, chosen))
    return out


def _find_strangers(job: Path, scored: list[Scored]) -> pa.Table:
    """Table `stranger`: the banners of grids that no earlier run knew; empty in a first run, which knows nobody."""
    path = job / "known" / "references.parquet"
    parts: list[pa.Table] = []
    if path.exists():
        found = pq.read_table(path)
        p = found["p"].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float64)
        known = Known(found["grid_id"].to_numpy(), p.reshape(len(found), -1))
        new = [part for part in scored if not np.isin(part.grid_id[0], known.grid_id)]
        old = [part for part in scored if np.isin(part.grid_id[0], known.grid_id)]
        if new and old:
            known.fit(vstack([_some(_heatmaps_of(job, part).counts) for part in old[:: -(-len(old) // MOST_GRIDS)]]))
        for part in new:
            counts = _heatmaps_of(job, part).counts
            parts.append(results.stranger_table(part, *known.judge(counts), len(part.banner_id) < MIN_COMPANY))
    return pa.concat_tables([results.STRANGER.empty_table(), *parts])


def _some(counts: csr_matrix) -> csr_matrix:
    """At most PER_GRID rows, evenly spread."""
    return counts[:: max(1, -(-counts.shape[0] // PER_GRID))]


def _write_days(job: Path, scored: list[Scored], judged: Judged, reference: Reference) -> tuple[list[Any], list[Any]]:
    """Tables evidence and run_day; returns the first day of each banner's fault (None: not flagged), and first and last day of all."""
    since: list[Any] = []
    bounds: list[Any] = []
    for k, part in enumerate(scored):
        say(SCORE_SHARE + (WRITE_SHARE - SCORE_SHARE) * k / len(scored), f"finding since when ({k + 1} of {len(scored)})")
        grid_id, n = int(part.grid_id[0]), len(part.banner_id)
        grid = read_grid(job, grid_id)
        flagged = np.flatnonzero(judged.flagged[len(since) : len(since) + n])
        scoring.diagnose_late(part, grid.heatmaps, grid.days, flagged, reference)
        evidence, began = results.evidence_table(part, flagged, grid.days, reference)
        own = np.full(n, "NaT", dtype="datetime64[D]")
        own[flagged] = np.array(began, dtype="datetime64[D]")
        _write(job, "evidence", grid_id, evidence)
        _write(job, "heatmap", grid_id, results.heatmap_table(grid.heatmaps, flagged, judged.position[len(since) + flagged]))
        _write(job, "run_day", grid_id, results.run_day_table(grid_id, grid.days, own))
        since += own.tolist()
        bounds += [grid.days.day.min(), grid.days.day.max()]
    return since, [min(bounds), max(bounds)]


def _write(job: Path, table: str, part: object, rows: pa.Table) -> None:
    folder = job / "out" / table
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, folder / f"{part}.parquet")


if __name__ == "__main__":
    run(main)
