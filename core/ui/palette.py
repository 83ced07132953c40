"""The colours, once. Safe for colour-blind eyes; each state also has a sign of its own."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


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


LIGHT = Theme("#FFFFFF", "#16232B", "#5D6B74", "#D5DBDF", "#0A5C7A", "#B8450B", "#0B6FA8", "#A87A00")
DARK = Theme("#11181C", "#E6ECEF", "#93A3AD", "#33424B", "#5DB4E6", "#F08A4B", "#5DB4E6", "#E6B93C")

SIGNS = {"open": "○", "confirmed": "▲", "dismissed": "●", "snoozed": "◆"}
"""One sign a triage state, so that no state is told by its colour alone."""

# Okabe and Ito 2008 without vermilion, which means broken; darkened for white paper, lightened for black
CATEGORIES = {
    False: ["#0A5C7A", "#C98A00", "#009E73", "#A8518A", "#56B4E9", "#6B5B95", "#8C6D31", "#2F4B26"],
    True: ["#5DB4E6", "#E6B93C", "#4CC4A0", "#DC9BC0", "#2C86A8", "#A99BD6", "#C7A873", "#9CCB86"],
}
"""Colours of categories without an order, by `dark`; whatever is beyond them shares the muted colour."""

# matplotlib's cividis (Nunez, Anderton, Renslow 2018, PLoS ONE 13:e0199239) at ten even steps
CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"]
# ColorBrewer RdBu, reversed: blue is fewer than expected, red more
RD_BU = ["#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f"]

ZERO = {False: "#F1F3F4", True: "#1A2226"}
"""The colour of a cell without a click, by `dark`; no count shares it."""


def sequential(dark: bool) -> list[str]:
    """From one click to most: away from the page's own brightness. The ends that come close to the zero cell are left out."""
    return CIVIDIS[2:] if dark else CIVIDIS[8::-1]


def count_scale(dark: bool, one: float) -> list[tuple[float, str]]:
    """A Plotly colour scale over 0..1 whose 0 is the zero cell and whose first real colour stands at `one`, a single click."""
    colours = sequential(dark)
    first = min(max(one, 1e-6), 0.5)
    stops = [(first + (1 - first) * k / (len(colours) - 1), colour) for k, colour in enumerate(colours)]
    return [(0.0, ZERO[dark]), *stops]


def lookup(dark: bool, n: int = 256) -> NDArray[np.uint8]:
    """(n, 3) RGB from the zero cell through the sequential map, for smoothed pictures."""
    colours = np.array([_rgb(c) for c in (ZERO[dark], *sequential(dark))], dtype=np.float64)
    at = np.linspace(0, len(colours) - 1, n)
    return np.stack([np.interp(at, np.arange(len(colours)), colours[:, k]) for k in range(3)], axis=1).round().astype(np.uint8)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
