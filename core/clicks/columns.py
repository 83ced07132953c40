"""Which column of a click log holds which of our fields.

A log has one of three layouts: `relative` (coordinates 0..1), `pixels` (coordinates and the banner's size) or `binned`
(counts of cells). Names are compared without case, blanks, dots, dashes and underscores.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

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

PLACE: dict[Layout, tuple[str, ...]] = {
    "relative": ("click_x_rel", "click_y_rel"),
    "pixels": ("click_x_px", "click_y_px", "banner_width", "banner_height"),
    "binned": ("row", "col", "count"),
}
_BARE = ("x", "y", "click_x", "click_y", "pos_x", "pos_y")


@dataclass(frozen=True)
class Match:
    """Ours -> theirs for the fields that this log has, and its layout. Without `banner_id` the id is derived.

    `given` are the fields that a mapping named; the others were found by their columns' names.
    """

    layout: Layout
    fields: dict[str, str]
    given: frozenset[str] = frozenset()

    def __contains__(self, ours: str) -> bool:
        return ours in self.fields

    def without(self, ours: str) -> "Match":
        """The same log without this field."""
        return replace(self, fields={name: theirs for name, theirs in self.fields.items() if name != ours})


def match(names: Sequence[str], mapping: Mapping[str, str] | None = None) -> Match:
    """Finds our fields among the columns `names`; `mapping` (ours -> theirs) goes before every alias.

    Raises InputError where a column is missing, named twice, or where the mapping names what does not exist.
    """
    given = dict(mapping or {})
    _check_mapping(names, given)
    found = {ours: given.get(ours) or _find(ours, names, given) for ours in ALIASES}
    fields = {ours: theirs for ours, theirs in found.items() if theirs is not None}
    layout = _layout(fields, given)
    needed = ["grid_id", "n_products", "domain", *PLACE[layout]] + ([] if layout == "binned" else ["clicked_at"])
    missing = [ours for ours in needed if ours not in fields]
    if missing:
        raise InputError(
            f"A click log needs the columns {', '.join(needed)}: {', '.join(missing)} cannot be found among "
            f"{_shown(names)}. Name them with a mapping, ours=theirs: {missing[0]}=THEIR_COLUMN."
        )
    kept = {ours: fields[ours] for ours in ["banner_id", *needed, "clicked_at", "click_id", "device"] if ours in fields}
    if layout == "binned":
        kept.pop("click_id", None)  # a row of counts is not one click
    _check_once(names, kept)
    return Match(layout, kept, frozenset(given))


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


def _check_mapping(names: Sequence[str], given: dict[str, str]) -> None:
    unknown = [ours for ours in given if ours not in ALIASES]
    if unknown:
        raise InputError(f"A mapping names our columns on its left: {unknown[0]!r} is none. Ours are {', '.join(ALIASES)}.")
    absent = [theirs for theirs in given.values() if theirs not in names]
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
