"""The colours, once. Safe for colour-blind eyes; each state also has a sign of its own."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Ramp(NamedTuple):
    """Colours of counts: `zero` of a cell without a click, `steps` from one click to most, evenly spaced."""

    name: str
    zero: str
    steps: tuple[str, ...]


# heat: white to dark red on light paper, black to yellow-white on dark; mono: the accent's hue alone. In both, more clicks lie farther
# from the page. cividis (Nunez, Anderton, Renslow 2018, PLoS ONE 13:e0199239, at even steps) is the same on both.
_CIVIDIS = Ramp("cividis", "#00142E", ("#123570", "#3B496C", "#575D6D", "#707173", "#8A8678", "#A59C74", "#C3B369", "#E1CC55", "#FEE838"))
RAMPS: dict[str, dict[bool, Ramp]] = {
    "heat": {
        False: Ramp("heat", "#FFFFFF", ("#FEE0B6", "#FDC98D", "#FDAE61", "#F88D3F", "#EA6A2A", "#D2491F", "#B22D1B", "#8E1717", "#690C12",
                                        "#45060C")),
        True: Ramp("heat", "#11181C", ("#701A10", "#8F2110", "#B0300F", "#CF4610", "#E66319", "#F38130", "#F9A04F", "#FCBF78", "#FEDDA6",
                                       "#FFF9E3")),
    },
    "mono": {
        False: Ramp("mono", "#FFFFFF", ("#D3E6EE", "#B5D6E3", "#95C4D6", "#74B0C8", "#529BB8", "#3484A5", "#1C6D8E", "#0D5674", "#064059",
                                        "#032A3D")),
        True: Ramp("mono", "#11181C", ("#173F52", "#1C5068", "#22627E", "#2B7595", "#3B89AA", "#559DBD", "#74B1CD", "#97C6DC", "#BBDBE9",
                                       "#E2F2F9")),
    },
    "cividis": {False: _CIVIDIS, True: _CIVIDIS},
}  # fmt: skip
"""By name and `dark`. A test simulates three kinds of colour blindness: lightness goes one way, neighbouring steps differ."""

# on light paper ColorBrewer's RdBu, reversed; on dark paper the same hues around the page's own neutral
DIVERGING = {
    False: ("#053061", "#2166AC", "#4393C3", "#92C5DE", "#D1E5F0", "#F7F7F7", "#FDDBC7", "#F4A582", "#D6604D", "#B2182B", "#67001F"),
    True: ("#D4EBFF", "#9ACCF5", "#5FA9E0", "#3A82B8", "#26597F", "#1B252B", "#773622", "#B3502C", "#E27A4C", "#F8AE87", "#FFE2D0"),
}
"""From fewer than expected (blue) through neutral to more (red), by `dark`; as light at both ends."""


class Theme(NamedTuple):
    """What charts need of a theme."""

    paper: str
    text: str
    muted: str
    line: str
    accent: str
    broken: str
    ok: str
    unsure: str
    ramp: Ramp
    diverging: tuple[str, ...]


LIGHT = Theme(
    "#FFFFFF", "#16232B", "#5D6B74", "#D5DBDF", "#0A5C7A", "#B8450B", "#0B6FA8", "#A87A00", RAMPS["heat"][False], DIVERGING[False]
)
DARK = Theme("#11181C", "#E6ECEF", "#93A3AD", "#33424B", "#5DB4E6", "#F08A4B", "#5DB4E6", "#E6B93C", RAMPS["heat"][True], DIVERGING[True])

SIGNS = {"open": "○", "confirmed": "▲", "dismissed": "●", "snoozed": "◆"}
"""One sign a triage state, so that no state is told by its colour alone."""

# Okabe and Ito 2008 without vermilion, which means broken; darkened for white paper, lightened for black
CATEGORIES = {
    False: ["#0A5C7A", "#C98A00", "#009E73", "#A8518A", "#56B4E9", "#6B5B95", "#8C6D31", "#2F4B26"],
    True: ["#5DB4E6", "#E6B93C", "#4CC4A0", "#DC9BC0", "#2C86A8", "#A99BD6", "#C7A873", "#9CCB86"],
}
"""Colours of categories without an order, by `dark`; whatever is beyond them shares the muted colour."""


def theme(dark: bool, ramp: str = "heat") -> Theme:
    """The theme with the chosen colours of counts; an unknown name means heat."""
    return (DARK if dark else LIGHT)._replace(ramp=RAMPS.get(ramp, RAMPS["heat"])[dark])


def scale(colours: tuple[str, ...]) -> list[tuple[float, str]]:
    """Colours at even places of a Plotly colour scale over 0..1."""
    return [(k / (len(colours) - 1), colour) for k, colour in enumerate(colours)]


def count_scale(ramp: Ramp, one: float) -> list[tuple[float, str]]:
    """A Plotly colour scale over 0..1 whose 0 is the zero cell and whose first step stands at `one`, a single click."""
    first = min(max(one, 1e-6), 0.5)
    return [(0.0, ramp.zero), *((first + (1 - first) * at, colour) for at, colour in scale(ramp.steps))]


def lookup(ramp: Ramp, n: int = 256, *, smooth: bool) -> NDArray[np.uint8]:
    """(n, 3) RGB: row 0 is the zero cell; the others run through the steps, where `smooth` out of the zero colour without a jump.

    Counted cells need the jump, so that one click differs from none; a smoothed picture has no cell without a trace of a click.
    """
    colours = np.array([_rgb(c) for c in ((ramp.zero, *ramp.steps) if smooth else ramp.steps)], dtype=np.float64)
    at = np.linspace(0, len(colours) - 1, n if smooth else n - 1)
    drawn = np.stack([np.interp(at, np.arange(len(colours)), colours[:, k]) for k in range(3)], axis=1)
    return (drawn if smooth else np.vstack([_rgb(ramp.zero), drawn])).round().astype(np.uint8)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
