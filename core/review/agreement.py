"""How reviewers compare on what both saw: ratings as a matrix, agreement with intervals, confusion, disagreements."""

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from core.review.labels import LABELS
from core.statistics.arrays import Codes
from core.statistics.intervals import wilson
from core.statistics.kappa import MISSING, Estimate, cohen_kappa, confusion, disagreements, krippendorff_alpha
from core.store import Store


class Ratings(NamedTuple):
    """Labels that hold now: codes (n_banners, n_reviewers) into LABELS, or MISSING; banners and reviewers are sorted."""

    banner_ids: list[str]
    reviewers: list[str]
    codes: Codes


def ratings(store: Store, *, blind_only: bool = False) -> Ratings:
    """Each reviewer's newest label of each banner; with `blind_only`, only labels that are known to have been given blind."""
    rows = store.rows(f"SELECT banner_id, reviewer, label FROM label_current {'WHERE blind' if blind_only else ''} ORDER BY ALL")
    banner_ids, reviewers = sorted({row["banner_id"] for row in rows}), sorted({row["reviewer"] for row in rows})
    at, by = {name: i for i, name in enumerate(banner_ids)}, {name: i for i, name in enumerate(reviewers)}
    codes = np.full((len(banner_ids), len(reviewers)), MISSING, np.int64)
    for row in rows:
        codes[at[row["banner_id"]], by[row["reviewer"]]] = LABELS.index(row["label"])
    return Ratings(banner_ids, reviewers, codes)


def agreement(store: Store, *, blind_only: bool = False) -> dict[str, Any]:
    """What `labels agreement` prints. `unsure` is a value of its own: unsure beside ok is a disagreement.

    labels: the order of all confusions. n_labels, n_banners. alpha: value, low, high, n (banners with two reviewers at least)
    over all reviewers. pairs, one a pair with common banners: reviewers (two), n, same (share of equal labels with its Wilson
    interval), kappa, confusion (rows: the first reviewer). disagreements: banner_id and labels {reviewer: label}, also where an
    adjudication decided since. What is not defined or not known is None. Intervals are 95 %.
    """
    found = ratings(store, blind_only=blind_only)
    columns = range(len(found.reviewers))
    pairs = [_pair(found, i, j) for i, j in combinations(columns, 2)]
    return {
        "labels": list(LABELS),
        "n_labels": int((found.codes != MISSING).sum()),
        "n_banners": len(found.banner_ids),
        "alpha": _plain(krippendorff_alpha(found.codes, len(LABELS))),
        "pairs": [pair for pair in pairs if pair["n"]],
        "disagreements": [
            {
                "banner_id": found.banner_ids[row],
                "labels": {found.reviewers[i]: LABELS[found.codes[row, i]] for i in columns if found.codes[row, i] != MISSING},
            }
            for row in disagreements(found.codes, len(LABELS))
        ],
    }


def _pair(found: Ratings, i: int, j: int) -> dict[str, Any]:
    first, second = found.codes[:, i], found.codes[:, j]
    table = confusion(first, second, len(LABELS))
    n, same = int(table.sum()), int(np.trace(table))
    return {
        "reviewers": [found.reviewers[i], found.reviewers[j]],
        "n": n,
        "same": wilson(same, n)._asdict() if n else None,
        "kappa": _plain(cohen_kappa(first, second, len(LABELS))) if n else None,
        "confusion": table.tolist(),
    }


def _plain(estimate: Estimate) -> dict[str, float | int | None]:
    return {name: None if np.isnan(value) else value for name, value in estimate._asdict().items()}
