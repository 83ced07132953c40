"""Detectors of a run beside labels, and beside each other. A detector's own flags are by Benjamini-Hochberg at the run's rate."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.statistics.arrays import Mask
from core.store.queries.runs import Row, scored_by
from core.store.store import Store

COMBINED = "combined"
OWN = "combined without labels"
"""What the run said by itself, where a threshold version is active."""
SAMPLE = 20_000


class Cut(NamedTuple):
    """Up to which p-value a detector flags (NaN: it flags none), and how many banners it flags."""

    p_value: float
    n_flagged: int


@dataclass(frozen=True)
class Labelled:
    """n banners of a run that labels call broken or ok, sorted by id, and what k judges say of them.

    names: COMBINED as it is shown, then OWN where that differs, then the detectors by family and name. scores (n, k), NaN where left out;
    flagged (n, k). fault: fault family of a broken banner, its reviewer's word before the diagnosis; None where neither has one.
    at_random: drawn at random for a reviewer, not since the run found it strange.
    """

    banner_id: NDArray[Any]
    grid_id: NDArray[np.int64]
    broken: Mask
    fault: NDArray[Any]
    at_random: Mask
    names: tuple[str, ...]
    scores: NDArray[np.float64]
    flagged: Mask

    @property
    def looked(self) -> Mask:
        """(n, k) who looked at whom."""
        return np.isfinite(self.scores)

    def take(self, rows: Mask) -> "Labelled":
        """Only these banners."""
        names = ("banner_id", "grid_id", "broken", "fault", "at_random", "scores", "flagged")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


@dataclass(frozen=True)
class Sample:
    """About SAMPLE banners of a run, all where there are fewer: scores and flags (n, k) of its detectors by family and name."""

    names: tuple[str, ...]
    scores: NDArray[np.float64]
    flagged: Mask


def cuts(store: Store, run_id: str) -> dict[str, Cut]:
    """Each detector's own threshold, in the order of family and name.

    Banners that a tier cleared count as scored by detectors that scored all it left: it left the unusual ones.
    """
    own = scored_by(store, run_id)
    about = """SELECT fdr, (SELECT coalesce(sum(n_cleared), 0)::BIGINT FROM tier WHERE run_id = $run) AS n_cleared,
                  (SELECT max_by(n_in, tier) FROM tier WHERE run_id = $run) AS n_left FROM run_info WHERE run_id = $run"""
    rows = store.rows(
        """WITH size AS (
               SELECT detector, count(*) FILTER (p_value <= $fdr) AS n_low, count(*) + if(count(*) = $n_left, $n_cleared, 0) AS n
               FROM score WHERE run_id = $run GROUP BY detector),
           low AS (  -- no threshold is above the rate times the share at or below it: the others need not be sorted
               SELECT detector, p_value, n, row_number() OVER (PARTITION BY detector ORDER BY p_value) AS place
               FROM (SELECT detector, p_value FROM score WHERE run_id = $run AND p_value <= $fdr) JOIN size USING (detector)
               WHERE p_value <= $fdr * n_low / n),
           cut AS (
               SELECT detector, max(p_value) AS p_value, max(place) AS n FROM low WHERE p_value <= $fdr * place / n GROUP BY detector)
           SELECT d.detector, c.p_value, coalesce(c.n, 0) AS n FROM run_detector d LEFT JOIN cut c USING (detector)
           WHERE d.run_id = $run ORDER BY d.family, d.detector""",
        {"run": own, **store.rows(about, {"run": own})[0]},
    )
    return {row["detector"]: Cut(float("nan") if row["p_value"] is None else row["p_value"], row["n"]) for row in rows}


def labelled(store: Store, run_id: str, cut: dict[str, Cut]) -> Labelled:
    """What results (`run_id` as shown) and their detectors say of the labelled banners; disputed and unsure ones are left out."""
    own = scored_by(store, run_id)
    with store.cursor() as cursor:
        base = cursor.execute(
            """WITH said AS (
                   SELECT banner_id, arg_max(fault, happened_at) AS fault FROM label_current
                   WHERE label = 'broken' AND fault IS NOT NULL GROUP BY banner_id),
               control AS (SELECT DISTINCT banner_id FROM label_current SEMI JOIN (FROM shown WHERE control) USING (batch_id))
               SELECT r.banner_id, r.grid_id, l.label = 'broken' AS broken, CASE WHEN broken THEN coalesce(s.fault, r.fault) END AS fault,
                   c.banner_id IS NOT NULL AS at_random, r.combined, r.flagged, o.combined AS own_combined, o.flagged AS own_flagged
               FROM (FROM result WHERE run_id = ?) r JOIN label_state l USING (banner_id)
               JOIN (SELECT banner_id, combined, flagged FROM result WHERE run_id = ?) o USING (banner_id)
               LEFT JOIN said s USING (banner_id) LEFT JOIN control c USING (banner_id)
               WHERE l.label IN ('broken', 'ok') ORDER BY r.banner_id""",
            [run_id, own],
        ).to_arrow_table()
        scores, p_values = _dense(cursor, own, base.select(["banner_id"]), list(cut))
    columns = {name: base[name].to_numpy() for name in base.column_names}
    shown = [(COMBINED, "")] if own == run_id else [(COMBINED, ""), (OWN, "own_")]
    return Labelled(
        columns["banner_id"],
        columns["grid_id"].astype(np.int64),
        columns["broken"].astype(bool),
        columns["fault"],
        columns["at_random"].astype(bool),
        (*(name for name, _ in shown), *cut),
        np.column_stack([*(columns[f"{which}combined"] for _, which in shown), scores]),
        np.column_stack([*(columns[f"{which}flagged"].astype(bool) for _, which in shown), _flags(p_values, cut)]),
    )


def sample(store: Store, run_id: str, cut: dict[str, Cut], n: int = SAMPLE) -> Sample:
    """Scores of about n banners, the same ones for the same ids."""
    own = scored_by(store, run_id)
    with store.cursor() as cursor:
        size = cursor.execute("SELECT count(*) FROM result WHERE run_id = ?", [own]).fetchall()[0][0]
        chosen = f"SELECT banner_id FROM result WHERE run_id = ? AND hash(banner_id) % {1 + size // n} = 0 ORDER BY banner_id"
        scores, p_values = _dense(cursor, own, cursor.execute(chosen, [own]).to_arrow_table(), list(cut))
    return Sample(tuple(cut), scores, _flags(p_values, cut))


def alone(store: Store, run_id: str, cut: dict[str, Cut]) -> list[Row]:
    """Banners that one detector flags and no other, by detector and p-value: banner_id, detector, p_value, grid_id, n_clicks, fault, and
    whether they are flagged as the run is shown."""
    own = scored_by(store, run_id)
    known = pa.table({"detector": pa.array(list(cut), pa.string()), "cut": pa.array([c.p_value for c in cut.values()], pa.float64())})
    with store.cursor() as cursor:
        cursor.register("own_cut", known)
        try:
            rows = cursor.execute(
                """WITH single AS (
                       SELECT banner_id, any_value(detector) AS detector, any_value(p_value) AS p_value
                       FROM (FROM score WHERE run_id = $own) JOIN own_cut USING (detector) WHERE p_value <= cut
                       GROUP BY banner_id HAVING count(*) = 1)
                   SELECT s.banner_id, s.detector, s.p_value, r.grid_id, r.n_clicks, r.fault, r.flagged
                   FROM single s JOIN (FROM result WHERE run_id = $shown) r USING (banner_id)
                   ORDER BY s.detector, s.p_value, s.banner_id""",
                {"own": own, "shown": run_id},
            ).fetchall()
            names = [column[0] for column in cursor.description or []]
        finally:
            cursor.unregister("own_cut")
    return [dict(zip(names, row, strict=True)) for row in rows]


def used(store: Store, run_id: str) -> Row:
    """Which labels there are: n_reviewers; by banner n_broken, n_ok, n_disputed, n_unsure, and n_elsewhere, those that the run lacks."""
    return store.rows(
        """WITH said AS MATERIALIZED (FROM label_state),
           known AS (SELECT banner_id FROM result WHERE run_id = ? AND banner_id IN (SELECT banner_id FROM said)),
           state AS (SELECT said.*, banner_id IN (FROM known) AS here FROM said)
           SELECT (SELECT count(DISTINCT reviewer) FROM label_current) AS n_reviewers,
               count(*) FILTER (here AND label = 'broken') AS n_broken, count(*) FILTER (here AND label = 'ok') AS n_ok,
               count(*) FILTER (here AND label = 'unsure') AS n_unsure, count(*) FILTER (here AND label IS NULL) AS n_disputed,
               count(*) FILTER (NOT here) AS n_elsewhere FROM state""",
        [run_id],
    )[0]


def _dense(cursor: duckdb.DuckDBPyConnection, run_id: str, banners: pa.Table, names: list[str]) -> tuple[NDArray[np.float64], ...]:
    """(n, k) normalised scores and p-values of banners by detectors in one query, NaN where left out."""
    tables = {"wanted_row": banners.append_column("i", pa.array(np.arange(len(banners), dtype=np.int32)))}
    tables["wanted_column"] = pa.table({"detector": pa.array(names, pa.string()), "j": np.arange(len(names), dtype=np.int32)})
    for name, table in tables.items():
        cursor.register(name, table)
    try:
        found = cursor.execute(
            """SELECT i, j, normalised, p_value FROM (FROM score WHERE run_id = ?)
               JOIN wanted_row USING (banner_id) JOIN wanted_column USING (detector)""",
            [run_id],
        ).fetchnumpy()
    finally:
        for name in tables:
            cursor.unregister(name)
    out = []
    for column in ("normalised", "p_value"):
        values = np.full((len(banners), len(names)), np.nan)
        values[np.asarray(found["i"]), np.asarray(found["j"])] = np.asarray(found[column])
        out.append(values)
    return tuple(out)


def _flags(p_values: NDArray[np.float64], cut: dict[str, Cut]) -> Mask:
    with np.errstate(invalid="ignore"):
        flags: Mask = p_values <= np.array([c.p_value for c in cut.values()])
    return flags
