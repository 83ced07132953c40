"""The likeliest cause of coordinates that were rejected, from their numbers or texts. None where no cause fits nearly all of them."""

import re
from collections.abc import Sequence

import numpy as np

from core.clicks.time_causes import MOST, fits
from core.statistics.arrays import Vector

PERCENT = "the coordinates are percent"
"""How the cause of a log in percent begins; a preview offers to read it so."""
MAX_PX = 20_000
"""The largest number that is taken for a pixel."""


def relative(x: Vector, y: Vector, sizes: tuple[str, str] | None) -> str | None:
    """Of coordinates outside 0..1. `sizes`: columns of the log that are named like a banner's width and height."""
    low, high = _bounds(x, y)
    if low < 0:
        return _negative(x, y, low, high)
    fractions = float(np.mean((x % 1 != 0) | (y % 1 != 0)))
    if high <= 100 and (fractions > 0.5 or (np.quantile(x, 0.99) > 80 and np.quantile(y, 0.99) > 80)):
        return f"{PERCENT}, up to {high:g}, where shares of 0..1 are needed. Say so: --unit percent."
    if high <= 2 or high > MAX_PX or fractions > 0.5 > high / 100:
        return None
    words = f"the coordinates are pixels, up to {high:g}, and the banner's size is missing."
    if sizes:
        return f"{words} Map all four: --map click_x_px=… --map click_y_px=… --map banner_width={sizes[0]} --map banner_height={sizes[1]}."
    return f"{words} Give the size, if all banners have the same: --size WIDTHxHEIGHT. Else add the columns banner_width and banner_height."


def _negative(x: Vector, y: Vector, low: float, high: float) -> str | None:
    """Origins elsewhere than at the top left."""
    if low < -1 or high > 1:
        return None
    if np.mean((y < 0) & (x >= 0)) >= MOST:
        return "y counts upwards: it is negative below the top. It is 0 at the top and grows downwards to 1: turn its sign."
    if np.mean(x < 0) > 0.2 and np.mean(y < 0) > 0.2:
        todo = "Add 0.5 to x and y." if max(-low, high) <= 0.5 else "Take (x + 1) / 2 and (y + 1) / 2."
        return f"the origin is in the middle of the banner, not at its top left. {todo}"
    return None


def pixels(x: Vector, y: Vector, width: Vector, height: Vector) -> str | None:
    """Of pixels outside the banner's size."""
    inside = (x >= 0) & (y >= 0) & (x <= height) & (y <= width)
    if np.mean(inside) >= MOST:
        return "x and y are swapped, or width and height are: exchanged, the clicks lie inside the banner. Swap the columns with --map."
    across, down = np.quantile(x / width, 0.99), np.quantile(y / height, 0.99)
    if min(x.min(), y.min()) < 0:
        return None
    for ratio in (2, 3):
        if all(ratio - 0.3 < value <= ratio + 0.03 for value in (across, down)):
            return f"the clicks are in device pixels, {ratio} of them to one pixel of the banner's size. Divide x and y by {ratio}."
    if np.mean((x > width) | (y > height)) >= MOST and max(across, down) > 1.5:
        return "the pixels lie beyond the banner's size: they count from the corner of the page. Count from the banner's top left corner."
    return None


def texts(values: Sequence[str]) -> str | None:
    """Of coordinates that are no numbers."""
    found = [value.strip() for value in values if value and value.strip()]
    for pattern, words in (
        (r"[+-]?\d*,\d+", "the coordinates have decimal commas ({}). Write decimal points."),
        (r"[+-]?\d+([.,]\d+)?\s*%", "the coordinates are percent with their sign ({}). Write shares of 0..1."),
        (
            r"[+-]?\d+([.,]\d+)?\s*px",
            "the coordinates are pixels with their unit ({}). Write numbers, and the banner's size in banner_width and banner_height.",
        ),
    ):
        if fits(found, lambda text, p=pattern: re.fullmatch(p, text) is not None):  # type: ignore[misc]
            return words.format(repr(found[0]))
    if found and fits(found, lambda text: text == found[0]):
        return f"the log writes {found[0]!r} where it has no coordinate. Export clicks only."
    return None


def _bounds(x: Vector, y: Vector) -> tuple[float, float]:
    """The range of nearly all coordinates: one in a hundred may be anything."""
    both = np.concatenate([x, y])
    return float(np.quantile(both, 0.01)), float(np.quantile(both, 0.99))
