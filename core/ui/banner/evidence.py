"""What the banner page shows beside the pictures: the best template, detectors, brushed cells, history."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.review import labels
from core.settings import N_COLS
from core.store.queries import banner
from core.ui.render import cells as maps
from core.ui.render import text
from core.ui.render.cells import Map
from core.ui.session import identity, reads, state
from core.ui.session.state import Shown

Row = dict[str, Any]
N_DRAWS = 60


def template(run: Shown, found: Row) -> Map | None:
    """(40, 40) shares of the diagnosed fault's layout; None where no fault was diagnosed."""
    if not found["fault"] or not found["fault_detail"]:
        return None
    own = reads.reference(run.path, run.run_id, found["reference_id"])
    if own is None:
        return None
    from core.banners.templates import template_of  # brings scipy: only where a template is drawn

    detail = json.loads(found["fault_detail"])
    other = reads.reference(run.path, run.run_id, int(detail["reference_id"])) if found["fault"] == "other_grid" else None
    return maps.as_map(template_of(own[1], found["fault"], detail, other[1] if other else None))


def detector_rows(run: Shown, banner_id: str) -> list[Row]:
    """Scores of a banner with their percentile 0..100 in the run."""
    ranks = reads.ranks(run.path, run.run_id)
    return [
        row | {"percentile": _percentile(ranks[row["detector"]], row["normalised"])}
        for row in reads.scores(run.path, run.run_id, banner_id)
    ]


def _percentile(ranks: NDArray[np.float64], value: float) -> float:
    return 100 * float(np.searchsorted(ranks, value, side="right")) / len(ranks)


def detector_table(rows: list[Row]) -> list[Row]:
    """The same as text."""
    return [
        {
            "family": text.fault(r["family"]),
            "detector": text.fault(r["detector"]),
            "score": text.decimal(r["score"], 3),
            "normalised": text.decimal(r["normalised"], 2),
            "percentile": text.decimal(r["percentile"], 1),
            "p-value": text.p_value(r["p_value"]),
        }
        for r in rows
    ]


def cell_rows(cells: NDArray[np.int64], seen: Map, hoped: Map, counts: NDArray[np.int64]) -> list[Row]:
    """A row a brushed cell, fullest first: place, clicks, expected, z, days with a click."""
    flat, expected = seen.ravel()[cells], hoped.ravel()[cells]
    days = (counts[:, cells] > 0).sum(axis=0)
    z = (flat - expected) / np.sqrt(np.maximum(expected, 1e-9))
    order = np.argsort(-flat, kind="stable")
    return [
        {
            "row": int(cells[k] // N_COLS),
            "column": int(cells[k] % N_COLS),
            "clicks": int(flat[k]),
            "expected": round(float(expected[k]), 2),
            "z": round(float(z[k]), 1),
            "days": int(days[k]),
        }
        for k in order
    ]


def seen_labels(run: Shown, banner_id: str) -> list[Row] | None:
    """Labels of a banner; None where there are some that the reader may not see before labelling it too, so that theirs is blind."""
    found = labels.current(run.store, [banner_id])
    owes = identity.refused("label") is None and banner_id in labels.hidden_from(run.store, state.author(), [banner_id])
    return None if owes else found


def measure_rows(seen: Map, hoped: Map) -> list[Row]:
    """A row a hand-made measure: this banner's value, and mean and spread over N_DRAWS draws of as many clicks from the reference."""
    from scipy.sparse import csr_matrix

    from core.features.click_metrics import NAMES, click_metrics  # brings scipy: only where measures are shown

    n, share = int(seen.sum()), np.maximum(hoped.ravel(), 0) / max(float(hoped.sum()), 1e-12)
    draws = np.random.default_rng(0).multinomial(n, share / share.sum(), N_DRAWS)
    counts = np.vstack([seen.ravel(), draws])
    found = click_metrics(csr_matrix(counts.astype(np.float32)), np.tile(share, (len(counts), 1)))
    own, mean, sd = found[0], found[1:].mean(axis=0), found[1:].std(axis=0)
    z = np.divide(own - mean, sd, out=np.zeros(len(own)), where=sd > 1e-9)
    return [
        {
            "measure": text.fault(name),
            "this banner": text.decimal(own[k], 3),
            "expected": f"{text.decimal(mean[k], 3)} ± {text.decimal(sd[k], 3)}",
            "z": text.decimal(z[k], 1),
            "what it is": words,
        }
        for k, (name, words) in enumerate(NAMES.items())
    ]


def history_rows(run: Shown, banner_id: str, said: list[Row]) -> list[Row]:
    """Decisions, the labels `said` and the runs that flag it, newest first, in words."""
    decided = [
        (
            r["happened_at"],
            r["op"] + (" (undone)" if r["undone"] else "") + (f" until {text.day(r['until'].date())}" if r["until"] else ""),
            r["author"],
            r["note"] or "",
        )
        for r in banner.history(run.store, banner_id)
    ]
    labelled = [(r["happened_at"], r["label"] + (f": {text.fault(r['fault'])}" if r["fault"] else ""), r["reviewer"], r["note"] or "")
            for r in said]  # fmt: skip
    clicks = banner.flagged_in(run.store, banner_id)
    scored = [(r["finished_at"], "flagged", "run", f"{clicks[r['run_id']]:,} clicks") for r in run.every if r["run_id"] in clicks]
    rows = sorted([*decided, *labelled, *scored], key=lambda r: r[0], reverse=True)
    return [{"when": text.ago(at), "what": what, "who": who, "note": note, "at": text.absolute(at)} for at, what, who, note in rows]
