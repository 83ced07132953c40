"""Choosing among self-supervised detectors without labels, from store to store: banners out, a child process that trains and compares,
its report in one transaction. A finished one is never changed; the page shows the latest of its run. `use` says which model runs take.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from core.errors import InputError
from core.jobs.job import Job
from core.jobs.kind import Kind
from core.logs.strict_json import to_json
from core.models.audit import queries as audits
from core.models.selection.request import HIGHEST, LOWEST, SelectionRequest
from core.review import changes
from core.review.changes import Change, Seen
from core.store import Store, clock
from core.store.queries import runs, selections
from core.store.queries.runs import last_finished
from core.store.queries.selections import Selection


class SelectionKind(Kind[SelectionRequest, SelectionRequest, Selection]):
    """Nothing is kept where it is cancelled."""

    name = "selection"
    title = "model selection"
    label = "the selection on run {run_id}"
    when_cancelled = "Model selection was stopped, nothing of it is kept. Start it again when you like."
    worker = "core.models.selection.worker"
    preparing = "writing banners to learn from and to judge"
    taking_in = "taking the report into the store"

    def check(self, store: Store, request: SelectionRequest) -> SelectionRequest:
        """Raises InputError for a share that cannot be, RunError where there is no such run."""
        run_id = runs.behind(store, request.run_id)
        if not LOWEST <= request.ratio <= HIGHEST:
            raise InputError(
                f"The assumed share of broken banners lies between {100 * LOWEST:.1f} % and {100 * HIGHEST:.0f} %; it is "
                f"{100 * request.ratio:.1f} %. "
                "Assume another."
            )
        return replace(request, run_id=run_id)

    def prepare(self, store: Store, job: Job[SelectionRequest, Selection], folder: Path) -> SelectionRequest:
        """Writes the banners."""
        run = last_finished(store, job.request.run_id)
        found = audits.families_known(audits.chosen(store, run["run_id"]))
        selections.write_banners(store, run, found, selections.MOST, folder / "banners.parquet")
        return job.request

    def take_in(
        self, store: Store, job: Job[SelectionRequest, Selection], task: SelectionRequest, folder: Path, summary: dict[str, Any]
    ) -> Selection:
        """Inserts the report."""
        row = {
            "run_id": task.run_id,
            "ratio": task.ratio,
            **{name: summary[name] for name in ("n_train", "n_test", "n_broken", "n_ok")},
            "seconds": job.seconds,
            "settings": to_json({"max_steps": task.max_steps, "seed": task.seed}),
            "report": to_json({name: summary[name] for name in ("candidates", "selectors", "ensemble")}),
        }
        with store.transaction() as cursor:
            insert(cursor, {**row, "finished_at": clock.moment(cursor, "model_selection")})
        found = selections.latest(store, str(task.run_id))
        assert found is not None
        return found


SELECTION = SelectionKind()


def insert(cursor: duckdb.DuckDBPyConnection, about: dict[str, Any]) -> None:
    """Inserts a selection inside the caller's transaction."""
    names, places = ", ".join(about), ", ".join("?" * len(about))
    cursor.execute(f"INSERT INTO model_selection (selection_id, {names}) VALUES (uuidv7(), {places})", list(about.values()))


def use(store: Store, selection: Selection, candidate: int | None, name: str, *, seen: Seen | None = None) -> None:
    """From the next run on, runs take the candidate at this place of a selection beside the default ones; None: none any more.

    Raises InputError for a place that is none. `seen`: {USED: id of the choice that was shown, None for none}; raises ChangedError where
    another one was made since.
    """
    row: dict[str, Any] = {"name": None, "detector": None, "fields": None}
    if candidate is not None:
        if not 0 <= candidate < len(selection.candidates):
            raise InputError(f"A selection has candidates 0 to {len(selection.candidates) - 1}; {candidate} is none of them. Choose again.")
        row = selection.candidates[candidate]
    values = [name, None if candidate is None else selection.about["selection_id"], row["name"], row["detector"]]
    fields = None if row["fields"] is None else to_json(row["fields"])
    with store.transaction() as cursor:
        if seen is not None:
            _check_choice(cursor, seen, name)
        at = clock.moment(cursor, "model_choice")
        cursor.execute("INSERT INTO model_choice VALUES (?, ?, ?, ?, ?, ?, ?)", [clock.event_id(at), at, *values, fields])


USED = "the model of runs"


def choice_id(store: Store) -> str | None:
    """The newest choice of a model for runs, also one to take none; None before the first."""
    with store.cursor() as cursor:
        found = _choice(cursor)
    return found[1] if found else None


def _choice(cursor: duckdb.DuckDBPyConnection) -> Change | None:
    sql = "SELECT choice_id::VARCHAR, chosen_by, happened_at, candidate FROM model_choice ORDER BY happened_at DESC, choice_id DESC LIMIT 1"
    found = cursor.execute(sql).fetchall()
    if not found:
        return None
    made_id, who, at, name = found[0]
    return Change(name or "the chosen model", made_id, who, "took into runs" if name else "took out of runs", at)


def _check_choice(cursor: duckdb.DuckDBPyConnection, seen: Seen, me: str) -> None:
    now = _choice(cursor)
    if now is not None and now.event_id not in seen.values():
        raise changes.refuse([now], me)
