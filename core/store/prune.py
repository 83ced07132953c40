"""Old bins go, what was found in them stays: flags, diagnoses, daily evidence, references and the heatmaps of flagged banners."""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from core import logs
from core.errors import InputError
from core.store import days
from core.store.store import Store

OLD = "SELECT ingest_id FROM ingest WHERE last_day < ?"


@dataclass(frozen=True)
class Pruned:
    """First day that was kept, None where no day was counted from; days in the future; rows that went by table; bytes before and after."""

    first_kept: date | None
    future_days: int
    rows: dict[str, int]
    bytes_before: int
    bytes_after: int

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {**asdict(self), "first_kept": None if self.first_kept is None else str(self.first_kept)}


def prune(store: Store, keep_days: int) -> Pruned:
    """Deletes the bins of all but the last `keep_days` days, counted from the newest day with clicks, and compacts the store.

    Days in the future, which older versions took in, are not counted from, and stay. Digests of click ids and rejected rows go with
    the ingests that brought older days only. Raises InputError for less than a day.
    """
    if keep_days < 1:
        raise InputError(f"A store keeps 1 day or more; --keep-days says {keep_days}. Give it a larger number.")
    before = store.engine.n_bytes()
    with store.locks["ingest"]:  # else an ingest in work could have looked at a digest that is gone when it commits
        newest = days.newest(store)
        first_kept = None if newest is None else date.fromordinal(max(newest.toordinal() - keep_days + 1, 1))
        rows = {} if first_kept is None else _delete(store, first_kept)
        store.compact()
    done = Pruned(first_kept, days.n_future(store), rows, before, store.engine.n_bytes())
    logs.event("prune_finished", store=store.url.shown, **done.to_dict())
    return done


def _delete(store: Store, first_kept: date) -> dict[str, int]:
    where = {"heatmap_day": "day < ?", "click_seen": f"ingest_id IN ({OLD})", "reject": f"ingest_id IN ({OLD})"}
    with store.transaction() as cursor:
        return {
            table: int(cursor.execute(f"DELETE FROM {table} WHERE {condition}", [first_kept]).fetchall()[0][0])
            for table, condition in where.items()
        }
