"""Audits of what features hold: the banners that one rests on, and what pages read of it."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.models.audit.figures import FIGURES, LEAST_OF_A_KIND, Finding
from core.review import reviewers as drift
from core.statistics.intervals import Interval
from core.store import Store
from core.store.queries import detectors
from core.store.queries.detectors import COMBINED, OWN, Labelled
from core.store.queries.heatmaps import window_of
from core.store.queries.runs import Row, scored_by, shown_of

MOST_LABELLED = 400
"""Labelled banners that an audit rests on, at most half of them broken, unless there are no others; more make the forests slower."""
MOST_OK = 4
"""Labelled ok for each broken one: further ones hardly narrow an interval."""
MOST_OTHERS = 800
"""Banners without a label that networks and anchors also learn from."""


@dataclass(frozen=True)
class Audit:
    """A finished audit: its row of `audit` (times as datetime, left_out as list), and a Finding a representation."""

    about: Row
    findings: list[Finding]

    def is_stale(self, store: Store) -> bool:
        """Whether labels were given or taken back since."""
        return int(json.loads(self.about["settings"])["labels_token"]) != drift.labels_token(store)


def latest(store: Store, run_id: str) -> Audit | None:
    """The newest audit of a run, as scored or as shown; None where there is none."""
    found = store.rows(
        """SELECT * REPLACE (audit_id::VARCHAR AS audit_id, run_id::VARCHAR AS run_id, settings::VARCHAR AS settings)
           FROM audit WHERE run_id = ? ORDER BY finished_at DESC, audit_id DESC LIMIT 1""",
        [scored_by(store, run_id)],
    )
    if not found:
        return None
    rows = store.rows("SELECT * EXCLUDE (audit_id) FROM audit_figure WHERE audit_id = ? ORDER BY position", [found[0]["audit_id"]])
    findings = []
    for position in sorted({row["position"] for row in rows}):
        own = [row for row in rows if row["position"] == position]
        figures = {row["figure"]: Interval(*(_number(row[key]) for key in ("value", "low", "high"))) for row in own}
        findings.append(
            Finding(own[0]["representation"], own[0]["score_by"], own[0]["n_dims"], **{name: figures[name] for name in FIGURES})
        )
    return Audit(found[0], findings)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def chosen(store: Store, run_id: str, seed: int = 0) -> Labelled:
    """The labelled banners of a run that an audit rests on: all, or a seeded draw within broken and ok; sorted by id."""
    shown = shown_of(store, run_id)
    found = detectors.labelled(store, shown, detectors.cuts(store, shown))
    rng = np.random.default_rng(seed)
    bad, good = np.flatnonzero(found.broken), np.flatnonzero(~found.broken)
    n_bad = min(len(bad), max(MOST_LABELLED // 2, MOST_LABELLED - len(good)))
    bad = rng.permutation(bad)[:n_bad]
    good = rng.permutation(good)[: min(MOST_LABELLED - n_bad, max(MOST_OK * n_bad, LEAST_OF_A_KIND))]
    kept = np.zeros(len(found.broken), dtype=bool)
    kept[bad] = kept[good] = True
    return found.take(kept)


def without_labels(found: Labelled) -> tuple[NDArray[np.float64], list[str], NDArray[np.float64]]:
    """(n,) what the run says by itself, names of the k detectors that scored all banners, and (n, k) their normalised scores."""
    combined = found.names.index(OWN if OWN in found.names else COMBINED)
    whole = [k for k, name in enumerate(found.names) if name not in (COMBINED, OWN) and found.looked[:, k].all()]
    return found.scores[:, combined], [found.names[k] for k in whole], found.scores[:, whole]


def n_named(store: Store, banner_id: NDArray[Any]) -> int:
    """Of these banners, those whose fault a reviewer named."""
    rows = store.rows("SELECT DISTINCT banner_id FROM label_current WHERE label = 'broken' AND fault IS NOT NULL")
    return len({row["banner_id"] for row in rows} & set(banner_id.tolist()))


def write_banners(store: Store, run: Row, found: Labelled, n_others: int, file: Path) -> None:
    """The labelled banners and up to n_others others of a run with their heatmaps, as Parquet: banner_id, grid_id, n_products, domain,
    flagged (by the run itself, without labels), broken and family (None: not labelled), bins, counts.

    The labelled ones come first, in their order; then those that all detectors looked at, whose features are kept; within either, the draw
    is by a hash of the id, the same every time.
    """
    window, values = window_of(store, run)
    target = str(file).replace("'", "''")
    labels = {"banner_id": pa.array(found.banner_id, pa.string()), "broken": found.broken, "family": pa.array(found.fault, pa.string())}
    sql = f"""COPY (WITH chosen AS (
              SELECT r.banner_id, r.grid_id, r.n_products, r.domain, r.flagged, l.broken, l.family, l.place
              FROM result r LEFT JOIN audit_label l USING (banner_id) WHERE r.run_id = ?
              ORDER BY l.place NULLS LAST, r.n_left_out, hash(r.banner_id), r.banner_id LIMIT ?),
            cells AS (SELECT banner_id, unnest(bins) AS bin, unnest(counts) AS n FROM heatmap_day SEMI JOIN chosen USING (banner_id)
              WHERE TRUE {window}),
            summed AS (SELECT banner_id, bin, sum(n)::UINTEGER AS n FROM cells GROUP BY ALL),
            heatmaps AS (SELECT banner_id, list(bin ORDER BY bin) AS bins, list(n ORDER BY bin) AS counts FROM summed GROUP BY banner_id)
            SELECT banner_id, grid_id, n_products, domain, flagged, broken, family, bins, counts FROM chosen JOIN heatmaps USING (banner_id)
            ORDER BY place NULLS LAST, hash(banner_id), banner_id) TO '{target}' (FORMAT parquet)"""
    with store.cursor() as cursor:
        cursor.register("audit_label", pa.table({**labels, "place": np.arange(len(found.broken))}))
        try:
            cursor.execute(sql, [run["run_id"], len(found.broken) + n_others, *values]).fetchall()
        finally:
            cursor.unregister("audit_label")


def families_known(found: Labelled) -> Labelled:
    """The same with a word for the family of banners that neither a reviewer nor the diagnosis gave one."""
    words = np.array([f if f else "none known" if b else None for f, b in zip(found.fault, found.broken, strict=True)], dtype=object)
    return replace(found, fault=words)
