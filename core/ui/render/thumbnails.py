"""Heatmaps as PNG data URLs of some 600 bytes: smoothed, square-root scale; those that stand side by side share one scale.

What is drawn is the share of a banner's clicks in a cell, so that banners with many and with few clicks compare.
"""

import base64
import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.ui.render import cells as maps
from core.ui.render import palette
from core.ui.render.palette import Ramp

LEVELS = 32
TOPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Ends that a shared scale may have, as shares of a banner's clicks in one cell."""

Share = NDArray[np.float32]


class Thumbnails:
    """Smoothed maps and pictures of them, the oldest forgotten first. Shared by all sessions, safe between threads."""

    def __init__(self, n_kept: int = 5000) -> None:
        self._maps: OrderedDict[tuple[str, str], Share] = OrderedDict()
        self._drawn: OrderedDict[tuple[str, str, Ramp, float], str] = OrderedDict()
        self._n_kept = n_kept
        self._lock = threading.Lock()

    def of(self, run_id: str, banner_ids: Sequence[str], ramp: Ramp, read: Callable[[list[str]], dict[str, Any]]) -> dict[str, str]:
        """Data URLs by banner_id, all on one scale; `read` gives (1600,) counts of those not read yet."""
        with self._lock:
            known = {b: self._maps[run_id, b] for b in banner_ids if (run_id, b) in self._maps}
        missing = [b for b in banner_ids if b not in known]
        fresh = {b: shares(counts) for b, counts in (read(missing) if missing else {}).items()}
        known |= fresh
        top = shared_top(list(known.values()))
        with self._lock:
            drawn = {b: self._drawn[run_id, b, ramp, top] for b in known if (run_id, b, ramp, top) in self._drawn}
        new = {b: data_url(image, top, ramp) for b, image in known.items() if b not in drawn}
        with self._lock:
            self._maps.update({(run_id, b): image for b, image in fresh.items()})
            self._drawn.update({(run_id, b, ramp, top): url for b, url in new.items()})
            for kept in (self._maps, self._drawn):
                while len(kept) > self._n_kept:
                    kept.popitem(last=False)
        return drawn | new


def shares(counts: NDArray[Any]) -> Share:
    """(40, 40) smoothed shares of the clicks of (1600,) counts; zeros where there is no click."""
    image = maps.smooth(maps.as_map(counts), 1.0)
    return (image / max(float(image.sum()), 1e-9)).astype(np.float32)


def shared_top(images: Sequence[Share]) -> float:
    """The end of a scale that all share: the next of TOPS above the fullest cell, so that it does not change with every banner."""
    fullest = max((float(image.max()) for image in images), default=0.0)
    return next((top for top in TOPS if top >= fullest), TOPS[-1])


def data_url(image: Share, top: float, ramp: Ramp) -> str:
    """Smoothed shares as a 40x40 picture on a scale up to `top`; empty text where there is no click."""
    if image.max() <= 0:
        return ""
    level = np.round((LEVELS - 1) * np.sqrt(np.clip(image / top, 0, 1))).astype(np.uint8)
    out = io.BytesIO()
    picture = Image.fromarray(level, mode="P")
    picture.putpalette(_palette(ramp))
    picture.save(out, format="PNG", compress_level=9)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


@lru_cache(maxsize=8)
def _palette(ramp: Ramp) -> bytes:
    return palette.lookup(ramp, LEVELS, smooth=True).tobytes()


def icon() -> Image.Image:
    """The page icon: a hot spot out of its place."""
    rows, cols = np.divmod(np.arange(1024), 32)
    warm = np.exp(-((rows - 20) ** 2 + (cols - 10) ** 2) / 60) + np.exp(-((rows - 9) ** 2 + (cols - 23) ** 2) / 14)
    level = np.round(1 + (LEVELS - 2) * np.minimum(warm, 1)).astype(np.uint8).reshape(32, 32)
    return Image.fromarray(palette.lookup(palette.DARK.ramp, LEVELS, smooth=True)[level])
