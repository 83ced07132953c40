"""Mappings that people saved under a name: how files of one shape are read, used again for the next file that has the same columns."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.clicks.columns import HOW
from core.errors import InputError
from core.logs.strict_json import to_json
from core.store import Store, clock, spelling

LONGEST = 100
"""Characters of the longest name of a mapping."""
COLUMNS = "name, columns::VARCHAR AS columns, mapping::VARCHAR AS mapping, author, happened_at"


@dataclass(frozen=True)
class Saved:
    """A mapping by its name: `columns` of the file that it was made for, ours -> theirs with how it is read, and who saved it when."""

    name: str
    columns: list[str]
    mapping: dict[str, str]
    author: str
    happened_at: datetime


def save(store: Store, name: str, columns: Sequence[str], mapping: Mapping[str, str], author: str) -> Saved:
    """Saves a mapping; the newest one of a name holds. Raises InputError for a name that is empty or too long, or an empty mapping."""
    name = spelling.banner_id(name)
    if not 0 < len(name) <= LONGEST:
        raise InputError(f"A mapping has a name of 1 to {LONGEST} characters: {name[:40]!r} has {len(name)}. Choose another.")
    kept = {ours: theirs for ours, theirs in mapping.items() if theirs != HOW.get(ours, ("",))[0]}
    if not kept:
        raise InputError("A mapping says something that the columns' names do not: there is nothing to save. Map a column first.")
    with store.transaction() as cursor:
        at = clock.moment(cursor, "saved_mapping")
        values = [clock.event_id(at), at, author, name, to_json(list(columns)), to_json(kept)]
        cursor.execute("INSERT INTO saved_mapping VALUES (?, ?, ?, ?, ?, ?)", values)
    return load(store, name)


def every(store: Store) -> list[Saved]:
    """The newest mapping of each name, by name."""
    return [_saved(row) for row in store.rows(f"SELECT {COLUMNS} FROM saved_mapping_current ORDER BY name")]


def load(store: Store, name: str) -> Saved:
    """The mapping of a name. Raises InputError where there is none."""
    rows = store.rows(f"SELECT {COLUMNS} FROM saved_mapping_current WHERE name = ?", [spelling.banner_id(name)])
    if not rows:
        known = ", ".join(one.name for one in every(store)[:20])
        raise InputError(f"No mapping is saved as {name!r}. {f'Saved are {known}.' if known else 'Save one with --save-mapping NAME.'}")
    return _saved(rows[0])


def fitting(store: Store, columns: Sequence[str]) -> list[Saved]:
    """Mappings that were made for a file with exactly these columns, the newest first."""
    same = [one for one in every(store) if set(one.columns) == set(columns)]
    return sorted(same, key=lambda one: one.happened_at, reverse=True)


def _saved(row: dict[str, Any]) -> Saved:
    return Saved(row["name"], json.loads(row["columns"]), json.loads(row["mapping"]), row["author"], row["happened_at"])
