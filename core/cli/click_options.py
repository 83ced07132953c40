"""Options of `ingest`: how a log is read, and what becomes of a file that is known."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from core.errors import InputError

if TYPE_CHECKING:
    from core.clicks.ingest import Options
    from core.clicks.known_files import KnownPath


@dataclass(frozen=True)
class Reading:
    """How a log is read."""

    mapping: Annotated[list[str] | None, typer.Option("--map", metavar="OURS=THEIRS", help="A column under another name; repeatable.")] = (
        None
    )
    constants: Annotated[
        list[str] | None, typer.Option("--set", metavar="OURS=VALUE", help="A field that has one value in every row; repeatable.")
    ] = None
    size: Annotated[str | None, typer.Option("--size", metavar="WIDTHxHEIGHT", help="Pixels of every banner, such as 300x250.")] = None
    unit: Annotated[Literal["share", "percent"], typer.Option("--unit", help="Coordinates are 0..1 or 0..100.")] = "share"
    origin: Annotated[Literal["top-left", "bottom-left"], typer.Option("--origin", help="The corner where coordinates are 0.")] = "top-left"
    tool: Annotated[
        Literal["auto", "plain", "posthog", "matomo", "rrweb", "openreplay", "ga4", "clarity", "umami"],
        typer.Option("--format", help="Whose export it is; auto: as its columns say, plain: of no tool."),
    ] = "auto"
    dates: Annotated[
        Literal["auto", "day-first", "month-first"],
        typer.Option("--dates", help="What 03/04/2026 is; auto: as the other dates of the log say."),
    ] = "auto"
    strict_banners: Annotated[
        bool, typer.Option("--strict-banners", help="Reject rows whose banner_id stands for another grid, product count or domain.")
    ] = False
    saved: Annotated[str | None, typer.Option("--mapping", metavar="NAME", help="A mapping that was saved; other options go over it.")] = (
        None
    )
    save_as: Annotated[
        str | None, typer.Option("--save-mapping", metavar="NAME", help="Save how these files are read, once they are taken in.")
    ] = None
    segment: Annotated[
        str | None,
        typer.Option("--segment", metavar="COLUMN", help="Column that splits a banner's clicks, such as a browser or a country."),
    ] = None

    def pairs(self) -> dict[str, str]:
        """The mapping that these options say, without what is the default: a saved mapping may say otherwise."""
        banners = "strict" if self.strict_banners else "split"
        how = {"unit": self.unit, "origin": self.origin, "banners": banners, "format": self.tool, "dates": self.dates}
        columns = _with_segment(_pairs(self.mapping or []), self.segment)
        return {**columns, **_constants(self.constants or [], self.size), **_asked(how)}


@dataclass(frozen=True)
class Known:
    """What becomes of a file that is known with other content, or of which much is rejected."""

    replace: Annotated[bool, typer.Option("--replace", help="A newer version of a known file: take the earlier ingest back.")] = False
    add: Annotated[bool, typer.Option("--add", help="Other clicks under a known name: count both.")] = False
    rotating: Annotated[
        bool, typer.Option("--rotating", help="Names are used again: a file that has grown replaces, any other is added.")
    ] = False
    allow_rejects: Annotated[bool, typer.Option("--allow-rejects", help="Take in logs of which more than half is rejected.")] = False

    def options(self) -> "Options":
        """As an ingest takes them. Raises InputError for more than one way."""
        from core.clicks.ingest import Options

        choices: dict[KnownPath, bool] = {"replace": self.replace, "add": self.add, "rotating": self.rotating}
        given: list[KnownPath] = [name for name, is_given in choices.items() if is_given]
        if len(given) > 1:
            raise InputError(f"A known file is treated in one way; --{' and --'.join(given)} were given. Keep one of them.")
        return Options(known=given[0] if given else "refuse", allow_rejects=self.allow_rejects)


def _asked(how: dict[str, str]) -> dict[str, str]:
    """How a log is read, without what is the default: a saved mapping may say otherwise."""
    from core.clicks.columns import HOW

    return {name: value for name, value in how.items() if value != HOW[name][0]}


def _constants(given: list[str], size: str | None) -> dict[str, str]:
    """Values that every row has, as a mapping holds them."""
    for pair in given:
        if not all(pair.partition("=")):
            raise InputError(f"A value for every row is written ours=value; {pair!r} is not. Write for example --set domain=shop.example.")
    found = dict(pair.split("=", 1) for pair in given)
    if size is not None:
        sides = re.fullmatch(r"(\d+(?:\.\d+)?)\s*[xX×]\s*(\d+(?:\.\d+)?)", size.strip())
        if sides is None:
            raise InputError(f"A size is WIDTHxHEIGHT in pixels; {size!r} is not. Write for example --size 300x250.")
        found |= {"banner_width": sides[1], "banner_height": sides[2]}
    return {ours: f"={value}" for ours, value in found.items()}


def _with_segment(pairs: dict[str, str], segment: str | None) -> dict[str, str]:
    if segment is not None and "device" in pairs:
        raise InputError(f"A log has one column of segments; --segment {segment} and --map device={pairs['device']} name two. Keep one.")
    return pairs if segment is None else {**pairs, "device": segment}


def _pairs(mapping: list[str]) -> dict[str, str]:
    for pair in mapping:
        if not all(pair.partition("=")):
            raise InputError(f"A mapping is written ours=theirs; {pair!r} is not. Write for example --map banner_id=creative.")
    return dict(pair.split("=", 1) for pair in mapping)
