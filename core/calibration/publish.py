"""From the labels in the store to a threshold: seen before it is published, published with author and reason, rolled back.

`prepare` changes nothing: it says what a version would do to the run on the screen. `publish` keeps the version and its verdict on that
run in one transaction; `roll_back` brings an earlier version back as it was.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core import logs
from core.calibration import thresholds, verdicts, versions
from core.calibration.learn import Calibration, Labels, calibrate
from core.calibration.verdicts import Scored
from core.errors import ChangedError, InputError
from core.review.labels import states
from core.statistics.arrays import Mask
from core.store import Store
from core.store.queries.runs import last_finished


@dataclass(frozen=True)
class Request:
    """What to learn from and for. `scope` is 'combined' or a detector; grids None = all that have labels, and all of the run."""

    scope: str = "combined"
    source_grids: tuple[int, ...] | None = None
    target_grids: tuple[int, ...] | None = None
    shots: int = 0
    method: str = "f1"
    value: float | None = None
    seed: int = 0


class Measured(NamedTuple):
    """Flags against labels that the threshold was not learned from: hits, false alarms and misses among n banners."""

    hits: int
    false: int
    missed: int
    n: int

    @property
    def f1(self) -> float | None:
        """None where nothing is broken and nothing flagged."""
        both = 2 * self.hits + self.false + self.missed
        return 2 * self.hits / both if both else None


@dataclass(frozen=True)
class Preview:
    """What a version would do to a run: `before` and `after` (n,) are the active flags and those it would set, rows as in `scored`."""

    request: Request
    scored: Scored
    before: Mask
    calibration: Calibration
    labels: Labels
    """Every label of the run's banners that says broken or ok."""
    active: int | None = None
    """Number of the version that was active when this was seen, 0 for none; None: not looked at."""

    @property
    def after(self) -> Mask:
        """(n,) grids that are no target keep their flags."""
        out = self.before.copy()
        out[self.calibration.target] = self.calibration.flagged
        return out & ~self.scored.held_back

    def cut_by(self, method: str, value: float | None = None) -> "Preview":
        """The same with another threshold, for a slider: nothing is learned again. Errors as of `thresholds.find_cut`."""
        request = replace(self.request, method=method, value=value)
        return replace(self, request=request, calibration=self.calibration.cut_by(method, value))

    def why_none(self) -> str | None:
        """Why the threshold flags no banner, and the next step; None where it flags some."""
        c = self.calibration
        if np.isfinite(c.rule.cut):
            return None
        return thresholds.why_none(self.request.method, self.request.value, len(c.p), int((~c.source.broken).sum()))

    def flips(self) -> tuple[list[str], list[str]]:
        """Banners that would be flagged and are not, most suspicious first; and those that are and would not be, least suspicious first."""
        c = self.calibration
        return flipped(self.scored.banner_id[c.target], c.p, self.before[c.target], self.after[c.target])

    def by_grid(self) -> list[dict[str, Any]]:
        """A row a target grid: grid_id, n, before, after, added, dropped."""
        target = self.calibration.target
        return grid_changes(self.scored.grid_id[target], self.before[target], self.after[target])

    def measured(self) -> dict[str, Measured]:
        """`before` and `after` against the target grids' labels that the threshold was not learned from; n is 0 where there are none."""
        used = np.concatenate([self.calibration.source.rows, self.calibration.shots.rows])
        left = self.labels.take(~np.isin(self.labels.rows, used) & np.isin(self.labels.rows, self.calibration.target))
        return {name: _measured(left, flags[left.rows]) for name, flags in (("before", self.before), ("after", self.after))}


def flipped(banner_id: NDArray[Any], p: NDArray[np.float64], before: Mask, after: Mask) -> tuple[list[str], list[str]]:
    """Banners flagged only after, most suspicious (p, higher is more) first; and those flagged only before, least suspicious first."""
    order = np.argsort(-p, kind="stable")
    ids, now, then = banner_id[order], before[order], after[order]
    return ids[then & ~now].tolist(), ids[now & ~then][::-1].tolist()


def grid_changes(grid_id: NDArray[np.int64], before: Mask, after: Mask) -> list[dict[str, Any]]:
    """A row a grid: grid_id, n, before, after, added, dropped."""
    out = []
    for grid in np.unique(grid_id):
        b, a = before[grid_id == grid], after[grid_id == grid]
        counts = {"before": b, "after": a, "added": a & ~b, "dropped": b & ~a}
        out.append({"grid_id": int(grid), "n": len(b), **{key: int(rows.sum()) for key, rows in counts.items()}})
    return out


def prepare(store: Store, request: Request, run_id: str | None = None) -> Preview:
    """What publishing would do to the run (default: the latest). Raises InputError where labels, grids or detectors do not allow it."""
    run_id = last_finished(store, run_id)["run_id"]
    active = active_number(store)
    with store.cursor() as cursor:
        scored = verdicts.read_scored(cursor, run_id)
        before = _flags_shown(cursor, scored)
    return replace(preview(scored, before, labels_of(store, scored), request), active=active)


def active_number(store: Store) -> int:
    """The number of the active version, 0 for the threshold without labels."""
    now = versions.in_force(store)
    return int(now["number"]) if now else 0


def preview(scored: Scored, before: Mask, labels: Labels, request: Request) -> Preview:
    """The same from what was read."""
    grids = np.unique(scored.grid_id).tolist()
    targets = _known_grids(request.target_grids, grids, "target") or grids
    sources = _known_grids(request.source_grids, grids, "source")
    usable = labels
    if sources is not None:
        kept = np.isin(labels.grid_id, sources)
        usable = labels.take(kept | np.isin(labels.grid_id, targets) if request.shots else kept)
    if request.scope != "combined" and request.scope not in scored.inputs.detectors:
        names = ", ".join(["combined", *scored.inputs.detectors])
        raise InputError(f"A version judges by one of {names}, not by {request.scope!r}. Choose one.")
    if request.shots < 0:
        raise InputError(f"Shots are 0 or more labelled banners of every target grid, not {request.shots}. Choose another number.")
    found = calibrate(
        verdicts.only(scored.inputs, request.scope),
        scored.grid_id,
        before,
        usable,
        targets=targets,
        shots=request.shots,
        method=request.method,
        value=request.value,
        seed=request.seed,
    )
    return Preview(request, scored, before, found, labels)


def labels_of(store: Store, scored: Scored) -> Labels:
    """What reviewers agree on, or was decided, of the run's banners; disputed and unsure ones are left out."""
    known = {row["banner_id"]: row["label"] == "broken" for row in states(store) if row["label"] in ("broken", "ok")}
    rows = np.flatnonzero(np.isin(scored.banner_id.astype(str), np.array(list(known), dtype=str)))
    broken = np.array([known[b] for b in scored.banner_id[rows]], dtype=bool)
    return Labels(rows, broken, scored.grid_id[rows])


def publish(store: Store, seen: Preview, author: str, reason: str) -> int:
    """Keeps what was seen as a version, puts it into force and judges the run by it; returns its number.

    Raises InputError without author or reason, ChangedError where another version became active since this one was seen.
    """
    c, request = seen.calibration, seen.request
    about = {
        "author": author.strip(),
        "reason": reason.strip(),
        "scope": request.scope,
        "shots": request.shots,
        "source_grids": np.unique(c.source.grid_id).tolist(),
        "target_grids": None if request.target_grids is None else sorted(request.target_grids),
        "method": request.method,
        "value": request.value,
        "n_labels": len(c.source.rows) + len(c.shots.rows),
        "run_id": seen.scored.run_id,
        "rule": c.rule.to_json(),
        "expected": {k: v._asdict() if hasattr(v, "_asdict") else v for k, v in c.expected._asdict().items()},
    }
    with store.transaction() as cursor:
        if seen.active is not None:
            versions.check_active(cursor, seen.active, author.strip())
        if (_flags_shown(cursor, seen.scored) != seen.before).any():
            raise ChangedError("The flags of this run changed since this version was seen. Look at it again, then publish.")
        row = versions.write_version(cursor, about)
        verdicts.show(cursor, seen.scored.run_id, row["version_id"])
    number = int(row["number"])
    logs.event(
        "version_published", version=number, scope=request.scope, shots=request.shots, method=request.method, n_labels=about["n_labels"]
    )
    return number


def roll_back(store: Store, number: int, author: str, reason: str, *, active: int | None = None) -> None:
    """Makes version `number` active again, 0 for the threshold without labels; the latest run is shown as it was under it.

    `active`: the number that was shown as the active one; raises ChangedError where it no longer is.
    """
    version_id = versions.by_number(store, number)
    run_id = last_finished(store)["run_id"]
    with store.transaction() as cursor:
        if active is not None:
            versions.check_active(cursor, active, author.strip())
        if versions.in_force_id(cursor) == version_id:
            raise InputError(f"v{number} is active already. Choose another version from the history.")
        versions.write_event(cursor, "roll_back", version_id, author, reason)
        verdicts.show(cursor, run_id, version_id)
    logs.event("version_rolled_back", version=number)


def describe(request: Request) -> dict[str, Any]:
    """The request in plain types."""
    return asdict(request)


def _flags_shown(cursor: Any, scored: Scored) -> Mask:
    shown = cursor.execute("SELECT result_id FROM verdict WHERE run_id = ? ORDER BY verdict_id DESC LIMIT 1", [scored.run_id]).fetchall()
    return verdicts.flags_of(cursor, str(shown[0][0]) if shown else scored.run_id)


def _known_grids(asked: tuple[int, ...] | None, grids: list[int], which: str) -> list[int] | None:
    unknown = sorted(set(asked or ()) - set(grids))
    if unknown:
        had = ", ".join(map(str, grids))
        raise InputError(f"A {which} grid is one of the run's ({had}): {unknown[0]} is not. Choose one of them.")
    return sorted(asked) if asked else None


def _measured(labels: Labels, flags: Mask) -> Measured:
    broken = labels.broken
    return Measured(int((broken & flags).sum()), int((~broken & flags).sum()), int((broken & ~flags).sum()), len(broken))
