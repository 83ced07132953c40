"""Several heatmaps side by side on one scale as HTML: pictures with the cells as they are, and outlines of what is expected.

Maps in, text out. A map is (40, 40) clicks, row 0 at the top; maps that stand side by side are brought to the same number of clicks.
"""

import base64
import io
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image

from core.settings import N_COLS, N_ROWS
from core.ui.render import cells as maps
from core.ui.render import palette
from core.ui.render.cells import Map
from core.ui.render.palette import Ramp, Theme
from core.ui.render.text import markup

LEVELS = 64
OUTLINES = ((0.9, 0.16), (0.5, 0.34))
"""Shares of the expected clicks that an outline holds, and the width of its line in cells."""
OUTLINE_SIGMA = 1.8
"""Outlines are drawn around smoothed expectations: those of a diffuse layout would fall to pieces."""


class Picture(NamedTuple):
    """One map with its caption and its width in pixels; `outlined` where the expected clicks are drawn over it."""

    image: Map
    caption: str
    width: int
    outlined: bool = False


def common_top(images: Sequence[Map]) -> float:
    """The top of a scale that all share: the fullest cell of all maps."""
    return max(1e-9, *(float(image.max()) for image in images))


def data_url(image: Map, top: float, ramp: Ramp, *, smooth: bool = False) -> str:
    """A picture of 40 by 40 cells, square-root scale from 0 to `top`; a cell without a click has a colour of its own.

    `smooth`: the image was smoothed, so that hardly any cell holds nothing; its colours then leave zero without a jump.
    """
    level = np.round((LEVELS - 1) * np.sqrt(np.clip(image / top, 0, 1))).astype(np.uint8)
    picture = Image.fromarray(level if smooth else np.where(image > 0, np.maximum(level, 1), 0).astype(np.uint8), mode="P")
    picture.putpalette(_palette(ramp, smooth))
    out = io.BytesIO()
    picture.save(out, format="PNG", compress_level=6)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


@lru_cache(maxsize=16)
def _palette(ramp: Ramp, smooth: bool) -> bytes:
    return palette.lookup(ramp, LEVELS, smooth=smooth).tobytes()


def outline(expected: Map, share: float) -> str:
    """SVG path around the fewest cells that hold `share` of the expected clicks, in cells from the top left."""
    smooth = maps.smooth(expected, OUTLINE_SIGMA)
    order = np.sort(smooth.ravel())[::-1]
    level = order[min(int(np.searchsorted(np.cumsum(order), share * order.sum())), len(order) - 1)]
    inside = np.zeros((N_ROWS + 2, N_COLS + 2), dtype=bool)
    inside[1:-1, 1:-1] = smooth >= level
    rows, cols = np.nonzero(inside[1:] != inside[:-1])
    flat = [f"M{c - 1} {r}h1" for r, c in zip(rows.tolist(), cols.tolist(), strict=True)]
    rows, cols = np.nonzero(inside[:, 1:] != inside[:, :-1])
    return "".join(flat + [f"M{c} {r - 1}v1" for r, c in zip(rows.tolist(), cols.tolist(), strict=True)])


def overlay(expected: Map, theme: Theme) -> str:
    """Outlines of the expected clicks, to lie over a picture."""
    lines = "".join(
        f'<path d="{outline(expected, share)}" stroke="{colour}" stroke-width="{line:.2f}" stroke-linecap="square" fill="none"/>'
        for share, width in OUTLINES
        for colour, line in ((theme.paper, width + 0.22), (theme.text, width))
    )
    drawn = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {N_COLS} {N_ROWS}">{lines}</svg>'
    source = "data:image/svg+xml;base64," + base64.b64encode(drawn.encode()).decode()  # as a picture: st.html lets no svg through
    return f'<img src="{source}" alt="outline of the expected clicks" style="position:absolute;inset:0;width:100%;height:100%">'


def figure(picture: Picture, top: float, theme: Theme, lines: str = "", *, smooth: bool = False) -> str:
    """One picture with its caption; `lines` lie over it."""
    source = data_url(picture.image, top, theme.ramp, smooth=smooth)
    image = f'<img src="{source}" alt="{markup(picture.caption)}" style="width:100%;display:block;image-rendering:pixelated">'
    frame = f'<div style="position:relative;aspect-ratio:1;border:1px solid {theme.line}">{image}{lines}</div>'
    caption = (
        f'<figcaption style="font-size:12px;line-height:1.3;color:{theme.muted};padding-top:3px">{markup(picture.caption)}</figcaption>'
    )
    return f'<figure style="margin:0;width:{picture.width}px">{frame}{caption}</figure>'


def board(large: Picture, expected: Picture | None, examples: Sequence[Picture], note: str, theme: Theme, *, smooth: bool) -> str:
    """The banner large, what is expected of it, and examples two by two, all on one scale; a note beneath the others."""
    shown = [
        p._replace(image=maps.smooth(p.image, 1.0) if smooth else p.image) for p in (large, *([expected] if expected else []), *examples)
    ]
    top = common_top([p.image for p in shown])
    lines = overlay(expected.image, theme) if expected is not None and large.outlined else ""
    first = figure(shown[0], top, theme, lines, smooth=smooth)
    second = figure(shown[1], top, theme, smooth=smooth) if expected else ""
    rest = "".join(figure(p, top, theme, smooth=smooth) for p in shown[1 + (expected is not None) :])
    width = 2 * examples[0].width + 12 if examples else 0
    tiles = f'<div style="display:flex;flex-wrap:wrap;gap:8px 12px;width:{width}px">{rest}</div>'
    beside = width + (22 + expected.width if expected else 0)
    right = f'<div style="display:flex;gap:22px">{second}{tiles}</div>'
    words = f'<p style="font-size:13px;line-height:1.4;color:{theme.muted};margin:14px 0 0">{markup(note)}</p>'
    others = f'<div style="width:{max(beside, 240)}px">{right}{words}</div>'
    return f'<div style="display:flex;gap:22px;align-items:flex-start;flex-wrap:wrap">{first}{others}</div>'
