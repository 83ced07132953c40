"""Names of grids that logs name by a text: kept beside the number that stands for each of them everywhere else."""

import hashlib
import re

from core.errors import InputError
from core.store import spelling
from core.store.store import Store

FIRST_NAMED, N_NAMED = 100_000_000_000_000, 900_000_000_000_000
"""Numbers of named grids begin here, and so many there are: 15 digits, which every reader of JSON keeps."""


def names(store: Store) -> dict[int, str]:
    """By grid_id the names of the grids that have one."""
    return {row["grid_id"]: row["name"] for row in store.rows("SELECT grid_id, name FROM grid_name ORDER BY grid_id")}


def number_of(word: str) -> int:
    """The grid_id of a grid that is named by its number, or by its name. Raises InputError for a number of more than 64 bits.

    The number of a name is that of `core.clicks.grid_names`.
    """
    text = spelling.banner_id(word)
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
        return FIRST_NAMED + int.from_bytes(digest, "little") % N_NAMED
    if not -(2**63) <= int(text) < 2**63:
        raise InputError(f"A grid_id has at most 64 bits: {text} has more. Write for example --grid 333519,333346.")
    return int(text)


def found(store: Store, word: str) -> int:
    """The same; raises InputError for a name that no grid of the store has."""
    number, known = number_of(word), names(store)
    if number in known or re.fullmatch(r"[+-]?[0-9]+", spelling.banner_id(word)):
        return number
    others = f" or a name that a log gave it ({', '.join(sorted(known.values())[:10])})" if known else ""
    raise InputError(f"A grid_id is a whole number{others}: {word.strip()!r} is none. Write for example --grid 333519,333346.")
