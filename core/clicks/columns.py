"""Which column of a click log holds which of our fields.

A log has one of three layouts: `relative` (coordinates 0..1), `pixels` (coordinates and the banner's size) or `binned`
(counts of cells). Names are compared without case, blanks, dots, dashes and underscores.

A mapping is ours -> theirs: the name of a column; `event.pos.x`, a value inside a nested column; or `=VALUE`, which every row has. It
also holds how the log is read, by the names of HOW.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from core.errors import InputError

Layout = Literal["relative", "pixels", "binned"]

ALIASES: dict[str, tuple[str, ...]] = {
    "banner_id": ("banner", "creative_id", "creative", "ad_id"),
    "grid_id": ("grid", "placement_id", "placement", "zone_id", "zone"),
    "n_products": ("products", "product_count", "num_products", "number_of_products"),
    "domain": ("host", "hostname", "site", "publisher_domain", "page_domain"),
    "click_x_rel": ("x_rel", "rel_x", "pointer_relative_x", "x", "click_x", "pos_x"),
    "click_y_rel": ("y_rel", "rel_y", "pointer_relative_y", "y", "click_y", "pos_y"),
    "clicked_at": ("timestamp", "click_time", "event_time", "time", "datetime", "ts", "created_at", "day", "date"),
    "click_id": ("click_uuid",),
    "device": ("device_type", "device_category", "device_class", "devicetype", "form_factor", "segment"),
    "click_x_px": ("x_px", "px_x", "x_pixel", "offset_x", "pointer_x", "x", "click_x", "pos_x"),
    "click_y_px": ("y_px", "px_y", "y_pixel", "offset_y", "pointer_y", "y", "click_y", "pos_y"),
    "banner_width": ("width", "banner_width_px", "width_px", "banner_w", "w"),
    "banner_height": ("height", "banner_height_px", "height_px", "banner_h", "h"),
    "row": ("bin_row", "grid_row"),
    "col": ("column", "bin_col", "grid_col"),
    "count": ("n_clicks", "clicks", "click_count", "value", "n"),
}
"""Ours -> other names that are understood, the surest first."""

TOOLS = ("posthog", "matomo", "rrweb", "openreplay", "ga4", "clarity", "umami")
"""Web tools whose exports are read."""

HOW: dict[str, tuple[str, ...]] = {"unit": ("share", "percent"), "origin": ("top-left", "bottom-left"), "banners": ("split", "strict")} | {
    "format": ("auto", "plain", *TOOLS),
    "dates": ("auto", "day-first", "month-first"),
}
"""How a log is read, the default first: coordinates of 0..1 or 0..100; from which corner; and whether a banner_id that stands for several
grids, product counts or domains is as many banners, or rejected; whose export it is; and what 03/04/2026 is."""
OPTIONAL = ("n_products", "domain")
"""Fields that may be unknown of a whole log."""

PLACE: dict[Layout, tuple[str, ...]] = {
    "relative": ("click_x_rel", "click_y_rel"),
    "pixels": ("click_x_px", "click_y_px", "banner_width", "banner_height"),
    "binned": ("row", "col", "count"),
}
_BARE = ("x", "y", "click_x", "click_y", "pos_x", "pos_y")


@dataclass(frozen=True)
class Match:
    """Ours -> theirs for the fields that this log has, and its layout. Without `banner_id` the id is derived.

    `given` are the fields that a mapping named; the others were found by their columns' names. `constants` are the fields that have one
    value in every row, `how` is what differs from the defaults of HOW.
    """

    layout: Layout
    fields: dict[str, str]
    given: frozenset[str] = frozenset()
    constants: dict[str, str] = field(default_factory=dict)
    how: dict[str, str] = field(default_factory=dict)

    def __contains__(self, ours: str) -> bool:
        return ours in self.fields or ours in self.constants

    @property
    def names(self) -> list[str]:
        """Our fields that the log has."""
        return [*self.fields, *self.constants]

    @property
    def meaning(self) -> dict[str, str]:
        """All of it as a mapping: what a file is recognised by, and what is kept of an ingest."""
        return {**self.fields, **{ours: f"={value}" for ours, value in self.constants.items()}, **self.how}

    def is_read(self, how: str) -> bool:
        """Whether the log is read in this way, one of the values of HOW."""
        return any(self.how.get(name, values[0]) == how for name, values in HOW.items())

    def without(self, ours: str) -> "Match":
        """The same log without this field."""
        return replace(self, fields={name: theirs for name, theirs in self.fields.items() if name != ours})


def match(names: Sequence[str], mapping: Mapping[str, str] | None = None, *, nested: bool = True) -> Match:
    """Finds our fields among the columns `names`; `mapping` (see above) goes before every alias. `nested`: columns can hold others.

    Raises InputError where a column is missing, named twice, or where the mapping names what does not exist.
    """
    asked = dict(mapping or {})
    how = _how(asked)
    constants = {ours: theirs[1:] for ours, theirs in asked.items() if theirs.startswith("=")}
    given = {ours: theirs for ours, theirs in asked.items() if ours not in constants}
    _check_mapping(names, given, constants, nested)
    found = {ours: given.get(ours) or _find(ours, names, given) for ours in ALIASES if ours not in constants}
    fields = {ours: theirs for ours, theirs in found.items() if theirs is not None}
    layout = _layout({**fields, **constants}, {**given, **constants})
    needed = ["grid_id", *PLACE[layout]] + ([] if layout == "binned" else ["clicked_at"])
    missing = [ours for ours in needed if ours not in fields and ours not in constants]
    if missing:
        raise InputError(_missing_words(names, [*needed, *OPTIONAL], missing))
    every = ["banner_id", "grid_id", *OPTIONAL, *PLACE[layout], "clicked_at", "click_id", "device"]
    if layout == "binned":
        every.remove("click_id")  # a row of counts is not one click
    kept = {ours: fields[ours] for ours in every if ours in fields}
    _check_once(names, kept)
    return Match(layout, kept, frozenset(given), {ours: constants[ours] for ours in every if ours in constants}, how)


def tool_of(mapping: Mapping[str, str] | None) -> str:
    """Whose export a mapping says that a log is; auto where it does not."""
    tool = (mapping or {}).get("format", "auto")
    if tool not in HOW["format"]:
        raise InputError(f"The format of a log is {', '.join(HOW['format'])}: {tool!r} is none of them. Choose one.")
    return tool


def _how(asked: dict[str, str]) -> dict[str, str]:
    """Takes how a log is read out of a mapping; what is the default is left out."""
    out = {}
    for name in [name for name in asked if name in HOW]:
        value = asked.pop(name)
        if value not in HOW[name]:
            raise InputError(f"The {name} of a log is {' or '.join(HOW[name])}: {value!r} is neither. Choose one of them.")
        if value != HOW[name][0]:
            out[name] = value
    return out


def _missing_words(names: Sequence[str], needed: Sequence[str], missing: list[str]) -> str:
    column = f"Name them with a mapping, ours=theirs: {missing[0]}=THEIR_COLUMN."
    value = f" Where every row has the same value, set it: --set {missing[0]}=VALUE." if missing[0] in ("grid_id", "banner_width") else ""
    return (
        f"A click log needs the columns {', '.join(needed)}, the last two where they are known: {', '.join(missing)} cannot be found among "
        f"{_shown(names)}. {column}{value}"
    )


def matched_before(names: Sequence[str], found: Match) -> list[Match]:
    """Other readings of the same columns, by which a file that was ingested before is recognised: those of earlier versions, and those
    without a field that was found by its name and not used."""
    readings = [found]
    for ours in ("click_id", "device"):
        if ours in found and ours not in found.given:
            readings += [one.without(ours) for one in readings]
    former = next((name for name in names if _plain(name) == "eventid"), None)
    if former is not None and "click_id" not in found and found.layout != "binned" and former not in found.fields.values():
        readings += [replace(one, fields={**one.fields, "click_id": former}) for one in readings]
    return readings[1:]


def _check_mapping(names: Sequence[str], given: dict[str, str], constants: dict[str, str], nested: bool) -> None:
    unknown = [ours for ours in (*given, *constants) if ours not in ALIASES]
    if unknown:
        raise InputError(f"A mapping names our columns on its left: {unknown[0]!r} is none. Ours are {', '.join(ALIASES)}.")
    empty = [ours for ours, value in constants.items() if not value.strip()]
    if empty:
        raise InputError(f"A value that is set for every row is some text: that of {empty[0]} is empty. Give one, or leave it out.")
    absent = [theirs for theirs in given.values() if theirs not in names and not (nested and inside(theirs, names))]
    if absent:
        raise InputError(f"A mapping names a column of the log on its right: {absent[0]!r} is not among {_shown(names)}.")


def _check_once(names: Sequence[str], fields: dict[str, str]) -> None:
    for ours, theirs in fields.items():
        if list(names).count(theirs) > 1:
            raise InputError(f"A column has a name of its own: {theirs!r} ({ours}) stands twice in {_shown(names)}. Rename one.")
    used = list(fields.values())
    for theirs in used:
        if used.count(theirs) > 1:
            both = " and ".join(ours for ours, name in fields.items() if name == theirs)
            raise InputError(f"A column holds one field: {theirs!r} would be {both}. Name another column with a mapping.")


def inside(theirs: str, names: Sequence[str]) -> tuple[str, ...] | None:
    """The steps of a dotted name into a nested column; None where it is a column itself, or begins with none."""
    steps = tuple(theirs.split("."))
    return steps if theirs not in names and len(steps) > 1 and all(steps) and steps[0] in names else None


def constants_of(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Values that the folders of a file name, as `grid_id=101/day=2026-11-01/` does, of fields that no column holds: ours -> =VALUE."""
    found = {}
    for part in path.parts[:-1]:
        key, _, value = part.partition("=")
        ours = next((ours for ours, others in ALIASES.items() if _plain(key) in map(_plain, (ours, *others))), None)
        if value and value != "__HIVE_DEFAULT_PARTITION__" and ours and _find(ours, names, {}) is None:
            found[ours] = f"={unquote(value)}"
    return found


def _find(ours: str, names: Sequence[str], given: dict[str, str]) -> str | None:
    free = {_plain(name): name for name in reversed(names) if name not in given.values()}
    return next((free[_plain(name)] for name in (ours, *ALIASES[ours]) if _plain(name) in free), None)


def _layout(fields: dict[str, str], given: dict[str, str]) -> Layout:
    """The layout that the mapping names, else the one whose columns are all there; bare x and y beside a size are pixels."""
    for layout in ("pixels", "binned", "relative"):
        if any(ours in given for ours in PLACE[layout]):
            return layout
    sized = all(ours in fields for ours in PLACE["pixels"])
    relative = all(ours in fields for ours in PLACE["relative"])
    bare = any(_plain(fields.get(ours, "")) in map(_plain, _BARE) for ours in PLACE["relative"])
    if sized and (bare or not relative):
        return "pixels"
    if not relative and all(ours in fields for ours in PLACE["binned"]):
        return "binned"
    return "relative"


def _plain(name: str) -> str:
    return re.sub(r"[\s._\-]+", "", name).casefold()


def _shown(names: Sequence[str]) -> str:
    listed = ", ".join(name[:60] for name in names[:30])
    return f"{listed}, … ({len(names)} columns)" if len(names) > 30 else listed or "no columns at all"
