"""What a run found, as Arrow tables with the columns of the store's tables, without run_id."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.banners.heatmaps import Heatmaps
from core.banners.onset import Days, daily_log_odds, onset
from core.banners.reference import Reference
from core.banners.whole_grid import Totals
from core.detectors import CATALOGUE
from core.jobs.worker import say
from core.scoring import grid as scoring
from core.scoring import tables
from core.scoring.grid import Scored
from core.scoring.judging import Judged
from core.scoring.parts import Read
from core.scoring.progress import DEEP_SHARE, WRITE_SHARE
from core.scoring.tables import SCHEMAS, table


def gathered(scored: list[Scored], name: str) -> NDArray[Any]:
    """One column of all grids' banners."""
    return np.concatenate([getattr(part, name) for part in scored])


def totals(scored: list[Scored]) -> list[tuple[int, Totals]]:
    """grid_id and clicks by day of every part."""
    return [(int(part.grid_id[0]), part.totals) for part in scored if part.totals is not None]


def result_table(scored: list[Scored], judged: Judged, since: list[Any]) -> pa.Table:
    """Table `result`: one row a banner."""
    diagnoses = [d for part in scored for d in part.diagnoses]
    return table(
        "result",
        {
            "banner_id": gathered(scored, "banner_id"),
            "grid_id": gathered(scored, "grid_id"),
            "n_products": gathered(scored, "n_products"),
            "domain": gathered(scored, "domain"),
            "n_clicks": gathered(scored, "n_clicks").astype(np.int64),
            "reference_id": gathered(scored, "reference_id"),
            "combined": judged.combined,
            "p_value": judged.p_value,
            "p_broken": judged.p_broken,
            "flagged": judged.flagged,
            "position": judged.position,
            "n_agree": judged.n_agree,
            "n_detectors": judged.n_looked,
            "n_left_out": len(judged.p_values) - judged.n_looked,
            "fault": [d.fault for d in diagnoses],
            "fault_size": [d.size for d in diagnoses],
            "fault_detail": [None if d.detail is None else json.dumps(d.detail) for d in diagnoses],
            "log_odds": [d.log_odds for d in diagnoses],
            "runner_up": [d.runner_up for d in diagnoses],
            "margin": [d.margin for d in diagnoses],
            "sentence": [d.sentence for d in diagnoses],
            "since": since,
            "segment": [d.segment for d in diagnoses],
            "cleared_by": pa.nulls(len(since)),
        },
    )


def score_table(scored: list[Scored], judged: Judged, name: str) -> pa.Table:
    """Table `score`, the rows of one detector; banners that it left out have none."""
    looked = np.isfinite(judged.normalised[name])
    banner_id = gathered(scored, "banner_id")[looked]
    return table(
        "score",
        {
            "banner_id": banner_id,
            "detector": pa.repeat(name, len(banner_id)),
            "score": np.concatenate([part.scores[name] for part in scored])[looked],
            "normalised": judged.normalised[name][looked],
            "p_value": judged.p_values[name][looked],
        },
    )


def heatmap_table(heatmaps: Heatmaps, flagged: NDArray[np.int64], position: NDArray[np.int64]) -> pa.Table:
    """Table `heatmap`: the counts of the banners at `flagged`, with their positions in the run."""
    counts = heatmaps.counts[flagged].sorted_indices()
    offsets = pa.array(counts.indptr.astype(np.int32))
    return table(
        "heatmap",
        {
            "banner_id": heatmaps.banner_id[flagged],
            "position": position,
            "bins": pa.ListArray.from_arrays(offsets, pa.array(counts.indices.astype(np.uint16))),
            "counts": pa.ListArray.from_arrays(offsets, pa.array(counts.data.astype(np.uint32))),
        },
    )


def evidence_table(
    part: Scored, heatmaps: Heatmaps, flagged: NDArray[np.int64], days: Days, reference: Reference
) -> tuple[pa.Table, list[Any]]:
    """Table `evidence` of the banners at `flagged`, and the first day of each one's fault: in the segment that alone shows it, if any."""
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMAS["evidence"].names}
    since = []
    for i in flagged:
        segment = part.diagnoses[i].segment
        at, counts = days.of(i, segment)
        p = reference.p[part.reference_id[i]]
        if segment is not None:
            own = part.segments[segment]
            p = own.p[own.group_rows(heatmaps.take(np.array([i])))[0]]
        log_odds = daily_log_odds(counts, p, part.diagnoses[i], reference)
        since.append(at[onset(log_odds)].item())
        columns["banner_id"] += [part.banner_id[i]] * len(at)
        columns["day"] += at.tolist()
        columns["n_clicks"] += np.asarray(counts.sum(axis=1)).ravel().astype(int).tolist()
        columns["log_odds"] += log_odds.tolist()
    return table("evidence", columns), since


def run_day_table(grid_id: int, days: Days, since: NDArray[Any]) -> pa.Table:
    """Table `run_day` of one grid; `since` (n,) first day of each banner's fault, NaT where it is not flagged."""
    at, inverse = np.unique(days.day, return_inverse=True)
    pairs = np.unique(inverse * len(since) + days.codes)  # a banner counts once a day, however many rows it has
    inverse, banner = np.divmod(pairs, len(since))
    broken = since[banner] <= at[inverse]  # NaT compares false
    return table(
        "run_day",
        {
            "grid_id": np.full(len(at), grid_id, dtype=np.int64),
            "day": at,
            "n_banners": np.bincount(inverse, minlength=len(at)),
            "n_broken": np.bincount(inverse, broken, minlength=len(at)).astype(np.int64),
            "n_new": np.array([(since == d).sum() for d in at], dtype=np.int64),
        },
    )


def reference_table(reference: Reference) -> pa.Table:
    """Table `reference`."""
    groups = reference.groups
    p = reference.p[: len(groups)].astype(np.float32)  # those of folds differ from these by a few banners
    return table(
        "reference",
        {
            "reference_id": np.arange(len(groups)),
            "grid_id": [g.grid_id for g in groups],
            "n_products": [g.n_products for g in groups],
            "domain": [g.domain for g in groups],
            "n_banners": [g.n_banners for g in groups],
            "n_clicks": [g.n_clicks for g in groups],
            "p": pa.ListArray.from_arrays(np.arange(len(groups) + 1, dtype=np.int32) * p.shape[1], p.ravel()),
        },
    )


def stranger_table(
    part: Scored, score: NDArray[np.float64], nearest: NDArray[np.int64], fits_none: NDArray[np.bool_] | None, held_back: bool
) -> pa.Table:
    """Table `stranger`, the rows of one new grid."""
    n = len(part.banner_id)
    said = [None] * n if fits_none is None else fits_none
    columns = [part.banner_id, part.grid_id, score, nearest, said, np.full(n, held_back)]
    return table("stranger", dict(zip(SCHEMAS["stranger"].names, columns, strict=True)))


def held_back(scored: list[Scored], strangers: pa.Table) -> NDArray[np.bool_]:
    """(n,) banners that may not be flagged."""
    ids = strangers.filter(strangers["held_back"])["banner_id"].to_pylist()
    return np.isin(gathered(scored, "banner_id").astype(str), np.array(ids, dtype=str))


def detector_table(scored: list[Scored]) -> pa.Table:
    """Table `run_detector`."""
    names = list(scored[0].scores)
    return table(
        "run_detector",
        {
            "detector": names,
            "family": [CATALOGUE[name].family for name in names],
            "reads": [CATALOGUE[name].reads for name in names],
            "fit_s": [sum(part.seconds[name][0] for part in scored) for name in names],
            "score_s": [sum(part.seconds[name][1] for part in scored) for name in names],
            "n_scored": [sum(int(np.isfinite(part.scores[name]).sum()) for part in scored) for name in names],
            "weights": [scored[0].weights.get(name) for name in names],
        },
    )


def write_days(out: Path, scored: list[Scored], judged: Judged, reference: Reference, read: Read) -> tuple[list[Any], list[Any]]:
    """Tables evidence, heatmap and run_day; returns each fault's first day, None where not flagged, and first and last day."""
    since: list[Any] = []
    bounds: list[Any] = []
    for k, part in enumerate(scored):
        say(DEEP_SHARE + (WRITE_SHARE - DEEP_SHARE) * k / len(scored), f"finding since when ({k + 1} of {len(scored)})")
        n = len(part.banner_id)
        grid = read(k)
        flagged = np.flatnonzero(judged.flagged[len(since) : len(since) + n])
        scoring.diagnose_narrowly(part, grid.heatmaps, grid.days, flagged, reference)
        evidence, began = evidence_table(part, grid.heatmaps, flagged, grid.days, reference)
        own = np.full(n, "NaT", dtype="datetime64[D]")
        own[flagged] = np.array(began, dtype="datetime64[D]")
        write(out, "evidence", k, evidence)
        write(out, "heatmap", k, heatmap_table(grid.heatmaps, flagged, judged.position[len(since) + flagged]))
        write(out, "run_day", k, run_day_table(int(part.grid_id[0]), grid.days, own))
        since += own.tolist()
        bounds += [grid.days.day.min(), grid.days.day.max()]
    return since, [min(bounds), max(bounds)]


def write(out: Path, table: str, part: object, rows: pa.Table) -> None:
    """Writes some rows of a table as out/<table>/<part>.parquet."""
    tables.write(rows, table, out / table / f"{part}.parquet")
