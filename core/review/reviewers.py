"""Each reviewer alone: how many, how fast, how steady, and whether it changes as they go on. Labels that hold now, in their order."""

from typing import Any, NamedTuple

import numpy as np

from core.review.labels import LABELS, PAGE
from core.statistics.intervals import Interval, wilson
from core.statistics.kappa import Estimate, cohen_kappa
from core.store import Store
from core.store.queries.runs import Row

BLOCK = 10
MOST_BLOCKS = 20


class Reviewer(NamedTuple):
    """What is known of one reviewer.

    n: labels that hold; seconds: median from showing to answer, None where not known; blind: share given blind of those where it is known.
    broken, agree: the share called broken, and of the other reviewers' labels of the same banners the share that says the same, each over
    all labels and by blocks of at least BLOCK labels in their order (None where no banner of the block has another label).
    again: of the banners shown a second time without a word of the first label, the share labelled the same.
    """

    name: str
    n: int
    seconds: float | None
    blind: float | None
    broken: Interval
    agree: Interval
    again: Interval
    n_again: int
    n_others: int
    block: int
    broken_by_block: list[float | None]
    agree_by_block: list[float | None]


def labels_token(store: Store) -> int:
    """Changes with every label, decision and undo of any user."""
    return int(store.rows("SELECT count(*) AS n FROM label_event")[0]["n"])


def today(store: Store, reviewer: str) -> int:
    """Banners that a reviewer labelled on a page since midnight UTC; what was taken back does not count."""
    rows = store.rows(
        """SELECT count(*) AS n FROM label_current WHERE reviewer = ? AND source = ?
           AND happened_at >= date_trunc('day', (now() AT TIME ZONE 'UTC')::TIMESTAMP)""",
        [reviewer, PAGE],
    )
    return int(rows[0]["n"])


def latest(store: Store, reviewer: str, limit: int = 200) -> list[Row]:
    """What a reviewer labelled on a page and still holds, newest first: banner_id, label, fault, note, blind, seconds, happened_at."""
    return store.rows(
        """SELECT banner_id, label, fault, note, blind, seconds, happened_at FROM label_current WHERE reviewer = ? AND source = ?
           ORDER BY happened_at DESC LIMIT ?""",
        [reviewer, PAGE, limit],
    )


def second_readings(store: Store, reviewer: str) -> tuple[int, int]:
    """Banners with labels of two reviewers at least that hold now: those that this reviewer is one of, and all of them."""
    found = store.rows(
        """SELECT count(*) FILTER (mine) AS mine, count(*) AS n
           FROM (SELECT bool_or(reviewer = ?) AS mine FROM label_current GROUP BY banner_id HAVING count(DISTINCT reviewer) > 1)""",
        [reviewer],
    )[0]
    return int(found["mine"]), int(found["n"])


def kappa_with_most(store: Store, reviewer: str) -> tuple[str, Estimate] | None:
    """Cohen's kappa with the reviewer who labelled most of the same banners; None where none was labelled."""
    cells = store.rows(
        """WITH mine AS (SELECT banner_id, label FROM label_current WHERE reviewer = ?)
           SELECT o.reviewer, m.label AS mine, o.label AS theirs, count(*) AS n
           FROM mine m JOIN label_current o USING (banner_id) WHERE o.reviewer <> ? GROUP BY ALL ORDER BY ALL""",
        [reviewer, reviewer],
    )
    if not cells:
        return None
    totals = {name: sum(c["n"] for c in cells if c["reviewer"] == name) for name in sorted({c["reviewer"] for c in cells})}
    most = max(totals, key=lambda name: totals[name])
    chosen = [c for c in cells if c["reviewer"] == most]
    times = [c["n"] for c in chosen]
    first = np.repeat([LABELS.index(c["mine"]) for c in chosen], times)
    second = np.repeat([LABELS.index(c["theirs"]) for c in chosen], times)
    return most, cohen_kappa(first, second, len(LABELS))


def reviewers(store: Store) -> list[Reviewer]:
    """All who labelled, by name."""
    blocks = store.rows(
        f"""WITH mine AS (
              SELECT *, row_number() OVER (PARTITION BY reviewer ORDER BY happened_at, event_id) - 1 AS k,
                greatest({BLOCK}, ceil(count(*) OVER (PARTITION BY reviewer) / {MOST_BLOCKS}))::INTEGER AS size FROM label_current),
            compared AS (
              SELECT m.reviewer, m.banner_id, count(*) AS n, count(*) FILTER (o.label = m.label) AS same
              FROM mine m JOIN label_current o ON o.banner_id = m.banner_id AND o.reviewer <> m.reviewer GROUP BY ALL)
            SELECT reviewer, any_value(size) AS size, k // size AS block, count(*) AS n, count(*) FILTER (label = 'broken') AS broken,
              coalesce(sum(c.n), 0)::BIGINT AS n_others, coalesce(sum(c.same), 0)::BIGINT AS same
            FROM mine LEFT JOIN compared c USING (reviewer, banner_id) GROUP BY reviewer, block ORDER BY reviewer, block"""
    )
    facts = store.rows(
        "SELECT reviewer, median(seconds) AS seconds, avg(blind::INTEGER) AS blind FROM label_current GROUP BY reviewer ORDER BY reviewer"
    )
    again = {row["reviewer"]: row for row in _repeats(store)}
    return [_reviewer(f, [b for b in blocks if b["reviewer"] == f["reviewer"]], again.get(f["reviewer"])) for f in facts]


def _repeats(store: Store) -> list[Row]:
    """By reviewer: banners shown again as a repeat and labelled, and how many of them as before."""
    return store.rows(
        """WITH said AS (
             SELECT reviewer, batch_id, label, lag(label) OVER (PARTITION BY banner_id, reviewer ORDER BY happened_at, event_id) AS before
             FROM label_kept WHERE op = 'label')
           SELECT reviewer, count(*) AS n, count(*) FILTER (label = before) AS same
           FROM said SEMI JOIN (FROM shown WHERE reason = 'retest') USING (batch_id) WHERE before IS NOT NULL GROUP BY reviewer"""
    )


def _reviewer(facts: Row, blocks: list[Row], again: Row | None) -> Reviewer:
    total: dict[str, int] = {name: sum(b[name] for b in blocks) for name in ("n", "broken", "n_others", "same")}
    repeated: dict[str, Any] = again or {"n": 0, "same": 0}
    return Reviewer(
        facts["reviewer"],
        total["n"],
        facts["seconds"],
        facts["blind"],
        wilson(total["broken"], total["n"]),
        wilson(total["same"], total["n_others"]),
        wilson(repeated["same"], repeated["n"]),
        repeated["n"],
        total["n_others"],
        blocks[0]["size"],
        [b["broken"] / b["n"] for b in blocks],
        [b["same"] / b["n_others"] if b["n_others"] else None for b in blocks],
    )
