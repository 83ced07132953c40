"""What the user should know of how a log is read: what was guessed, set or is unknown. Nothing of it is silent."""

from core.clicks.cancellable import Work
from core.clicks.columns import OPTIONAL, PLACE, Match
from core.clicks.source import Source

HEAD = 1_000
"""Rows in which decimal commas are looked for."""
WORDS = {"percent": "coordinates are percent of the banner's sides", "bottom-left": "y counts upwards from the bottom left corner"}


PAGES = "a page is a banner, and the folder of its path a grid."
MEANS = dict.fromkeys(("matomo", "clarity"), "an element is a banner, and the folder of its page a grid.")


def how_read(work: Work, source: Source, match: Match, has_grid_names: bool) -> list[str]:
    """A sentence for each thing that is not as in a log of our own form; works on the view `click_rows`."""
    notes = []
    if match.constants:
        values = ", ".join(f"{ours} {value!r}" for ours, value in match.constants.items())
        notes.append(f"Set for every row: {values}.")
    unknown = [ours for ours in OPTIONAL if ours not in match]
    if unknown:
        notes.append(
            f"The log names no {' and no '.join(unknown)}: unknown for all of its banners. Set a value with --set {unknown[0]}=VALUE."
        )
    if has_grid_names:
        found, example = work.rows("SELECT count(*), min(name) FROM click_grid")[0]
        notes.append(f"Grids are named by texts: {found:,} of them, such as {example!r}.")
    said = [WORDS[how] for how in match.how.values() if how in WORDS]
    if said:
        notes.append(f"As asked, {' and '.join(said)}.")
    if source.inner is not None:
        asked = "As asked" if match.how.get("format") else "By its columns"
        notes.append(
            f"{asked}, it is read as an export of {source.tool}: {MEANS.get(source.tool, PAGES)} --format plain reads it as it is."
        )
    if source.list_at is not None:
        where = "" if source.list_at == "item" else f" under {source.list_at.removesuffix('.item')!r}"
        notes.append(f"The rows are the objects of a JSON list{where}; line 1 is the first of them.")
    commas = _with_commas(work, source, match)
    if commas:
        notes.append(f"Decimal commas were read in {' and '.join(commas)}.")
    return notes


def _with_commas(work: Work, source: Source, match: Match) -> list[str]:
    """Columns of coordinates whose first rows hold numbers with a comma."""
    types = dict(zip(source.names, source.types, strict=False))
    texts = {ours: match.fields[ours] for ours in PLACE[match.layout][:2] if ours in match.fields and match.layout != "binned"}
    texts = {ours: theirs for ours, theirs in texts.items() if types.get(theirs, "VARCHAR") == "VARCHAR"}
    if not texts:
        return []
    found = ", ".join(rf"coalesce(bool_or(regexp_full_match(f_{ours}, '\s*[+-]?\d*,\d+\s*')), false)" for ours in texts)
    row = work.rows(f"SELECT {found} FROM (FROM click_rows LIMIT {HEAD})")[0]
    return [theirs for theirs, has in zip(texts.values(), row, strict=True) if has]
