"""What a threshold version says of a run: every banner's probability of being broken and flag, judged again from the run's own scores.

The run keeps its results as they were. A verdict's rows stand beside them in the same tables under an id of their own, which pages take
for the run's; it is a few rows a banner, and another verdict is shown as a whole.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.banners.templates import FAMILIES
from core.calibration.learn import Rule
from core.calibration.new_flags import add_evidence
from core.calibration.predictor import HIDDEN, Inputs, diagnosis_columns, evidence_of
from core.calibration.thresholds import log_odds
from core.calibration.versions import chain, in_force_id
from core.statistics.arrays import Vector
from core.store import clock

COPIED = """banner_id, grid_id, n_products, domain, n_clicks, reference_id, p_value, n_agree, n_detectors, n_left_out, fault, fault_size,
    fault_detail, log_odds, runner_up, margin, sentence, segment"""


@dataclass(frozen=True)
class Scored:
    """n banners of a run sorted by id: grid, and what the run says of them without any label; inputs hold what its detectors say."""

    run_id: str
    banner_id: NDArray[Any]
    grid_id: NDArray[np.int64]
    flagged: NDArray[np.bool_]
    inputs: Inputs
    held_back: NDArray[np.bool_]
    """Banners of unknown grids: no version flags them."""


@dataclass(frozen=True)
class Judged:
    """(n,) chance to be broken and flag of the banners of a run, in the order of `Scored`."""

    p_broken: Vector
    flagged: NDArray[np.bool_]


def read_scored(cursor: duckdb.DuckDBPyConnection, run_id: str) -> Scored:
    """The banners of a finished run with every detector that looked at all of them; without those that a tier cleared."""
    sql = """SELECT banner_id, grid_id, n_clicks, p_broken, flagged, coalesce(list_position(?, fault), 0)::BIGINT - 1 AS fault,
                 coalesce(log_odds, 0) AS log_odds FROM result WHERE run_id = ? AND cleared_by IS NULL ORDER BY banner_id"""
    base = cursor.execute(sql, [list(FAMILIES), run_id]).fetchnumpy()
    n = len(base["grid_id"])
    sql = "SELECT detector, family FROM run_detector WHERE run_id = ? AND n_scored = ? ORDER BY detector"
    found = cursor.execute(sql, [run_id, n]).fetchall()
    p_values = np.empty((n, len(found)))
    for k, (name, _) in enumerate(found):
        sql = "SELECT p_value FROM score WHERE run_id = ? AND detector = ? ORDER BY banner_id"
        p_values[:, k] = cursor.execute(sql, [run_id, name]).fetchnumpy()["p_value"]
    names, families = ([row[i] for row in found] for i in (0, 1))
    said, columns = diagnosis_columns(np.asarray(base["fault"]), np.nan_to_num(np.asarray(base["log_odds"])))
    evidence = np.column_stack([evidence_of(p_values), columns])
    inputs = Inputs(
        (*names, *said), (*families, *[HIDDEN] * len(said)), evidence, base["n_clicks"].astype(np.float64), np.asarray(base["p_broken"])
    )
    held = [row[0] for row in cursor.execute("SELECT banner_id FROM stranger WHERE run_id = ? AND held_back", [run_id]).fetchall()]
    banner_id = base["banner_id"].astype(object)
    return Scored(run_id, banner_id, np.asarray(base["grid_id"]), np.asarray(base["flagged"]), inputs, np.isin(banner_id, held))


def flags_of(cursor: duckdb.DuckDBPyConnection, result_id: str) -> NDArray[np.bool_]:
    """(n,) flags of results, a run's own or a verdict's, in the order of `Scored`."""
    sql = "SELECT flagged FROM result WHERE run_id = ? AND cleared_by IS NULL ORDER BY banner_id"
    return np.asarray(cursor.execute(sql, [result_id]).fetchnumpy()["flagged"])


def only(inputs: Inputs, scope: str) -> Inputs:
    """The inputs as a version of this scope sees them: all detectors for 'combined', or one by its name."""
    if scope == "combined":
        return inputs
    k = inputs.names.index(scope)
    return Inputs((scope,), (inputs.families[k],), inputs.evidence[:, [k]], inputs.n_clicks, inputs.p_broken)


def judge(scored: Scored, rules: list[dict[str, Any]]) -> Judged:
    """Applies versions as `versions.chain` gives them: each judges its own grids again, the others stay as those before it say."""
    p_broken, flagged = scored.inputs.p_broken.copy(), scored.flagged.copy()
    for version in rules:
        rule = Rule.from_json(version["rule"])
        grids = version["target_grids"]
        rows = np.flatnonzero(np.isin(scored.grid_id, grids)) if grids is not None else np.arange(len(scored.grid_id))
        if len(rows):
            p_broken[rows] = rule.probability(scored.inputs.take(rows), scored.grid_id[rows])
            flagged[rows] = p_broken[rows] >= rule.cut
    return Judged(p_broken, flagged & ~scored.held_back)


class Shown(NamedTuple):
    """A verdict that is shown of a run: the id of its results, its flags and how many of them are expected to be false; version number."""

    result_id: str
    n_flagged: int
    n_false_expected: float
    number: int | None = None


def show(cursor: duckdb.DuckDBPyConnection, run_id: str, version_id: str | None) -> Shown:
    """Makes the version's verdict the one that is shown of a run, inside the caller's transaction; computes it where it is not there.

    Raises InputError, before anything is written, where the run lacks a detector that the version needs.
    """
    known = cursor.execute(
        """SELECT result_id::VARCHAR, n_flagged, n_false_expected FROM verdict WHERE run_id = ? AND version_id IS NOT DISTINCT FROM ?
           LIMIT 1""",
        [run_id, version_id],
    ).fetchall()
    if known:
        found = Shown(*known[0])
    elif version_id is None:
        sql = "SELECT run_id::VARCHAR, n_flagged, n_false_expected FROM run_info WHERE run_id = ?"
        found = Shown(*cursor.execute(sql, [run_id]).fetchall()[0])
    else:
        scored = read_scored(cursor, run_id)
        found = write(cursor, scored, judge(scored, chain(cursor, version_id)))
    at = clock.moment(cursor, "verdict")
    cursor.execute("INSERT INTO verdict VALUES (?, ?, ?, ?, ?, ?, ?)", [clock.event_id(at), at, run_id, version_id, *found[:3]])
    return found


def show_in_force(cursor: duckdb.DuckDBPyConnection, run_id: str) -> Shown | None:
    """Judges a run that has just finished by the active version, as `show` does; None where that is the threshold without labels."""
    version_id = in_force_id(cursor)
    if version_id is None:
        return None
    number = cursor.execute("SELECT number FROM threshold_version WHERE version_id = ?", [version_id]).fetchall()[0][0]
    return show(cursor, run_id, version_id)._replace(number=number)


def write(cursor: duckdb.DuckDBPyConnection, scored: Scored, judged: Judged) -> Shown:
    """Writes a verdict's result, heatmap, evidence and run_day; returns its id, n_flagged, and how many of these are expected false."""
    result_id = str(cursor.execute("SELECT uuidv7()").fetchall()[0][0])
    position = np.empty(len(scored.banner_id), dtype=np.int32)
    position[np.lexsort((-judged.p_broken, ~judged.flagged))] = np.arange(1, len(position) + 1)
    fresh = pa.table(
        {
            "banner_id": pa.array(scored.banner_id, pa.string()),
            "combined": log_odds(judged.p_broken),
            "p_broken": judged.p_broken,
            "flagged": judged.flagged,
            "position": position,
        }
    )
    cursor.register("fresh", fresh)
    try:
        add_evidence(cursor, scored.run_id, result_id)
        cursor.execute(
            f"""INSERT INTO result BY NAME SELECT ?::UUID AS run_id, {COPIED}, f.combined, f.p_broken, f.flagged, f.position, e.since
                FROM (SELECT {COPIED} FROM result WHERE run_id = ?) r JOIN fresh f USING (banner_id)
                LEFT JOIN fresh_since e USING (banner_id) ORDER BY f.position""",
            [result_id, scored.run_id],
        )
        cleared = "SELECT * REPLACE (?::UUID AS run_id) FROM result WHERE run_id = ? AND cleared_by IS NOT NULL ORDER BY position"
        cursor.execute(f"INSERT INTO result BY NAME {cleared}", [result_id, scored.run_id])  # no version flags whom nobody looked at
    finally:
        cursor.unregister("fresh")
    cursor.execute("DROP TABLE fresh_since")
    return Shown(result_id, int(judged.flagged.sum()), float((1 - judged.p_broken)[judged.flagged].sum()))
