"""Heatmaps as PNG data URLs of some 600 bytes: smoothed, square-root scale, each on its own top."""

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

from core.ui import maps, palette

LEVELS = 32


class Thumbnails:
    """Pictures already drawn, the oldest forgotten first. Shared by all sessions, safe between threads."""

    def __init__(self, n_kept: int = 5000) -> None:
        self._kept: OrderedDict[tuple[str, str, bool], str] = OrderedDict()
        self._n_kept = n_kept
        self._lock = threading.Lock()

    def of(self, run_id: str, banner_ids: Sequence[str], dark: bool, read: Callable[[list[str]], dict[str, Any]]) -> dict[str, str]:
        """Data URLs by banner_id; `read` gives (1600,) counts of those not drawn yet."""
        with self._lock:
            drawn = {b: self._kept[run_id, b, dark] for b in banner_ids if (run_id, b, dark) in self._kept}
        missing = [b for b in banner_ids if b not in drawn]
        fresh = {b: data_url(counts, dark) for b, counts in (read(missing) if missing else {}).items()}
        with self._lock:
            self._kept.update({(run_id, b, dark): url for b, url in fresh.items()})
            while len(self._kept) > self._n_kept:
                self._kept.popitem(last=False)
        return drawn | fresh


def data_url(counts: NDArray[Any], dark: bool) -> str:
    """The (1600,) counts as a 40x40 picture; empty text where there is no click."""
    image = maps.smooth(maps.as_map(counts), 1.0)
    top = image.max()
    if top <= 0:
        return ""
    level = np.round((LEVELS - 1) * np.sqrt(image / top)).astype(np.uint8)
    out = io.BytesIO()
    picture = Image.fromarray(level, mode="P")
    picture.putpalette(_palette(dark))
    picture.save(out, format="PNG", compress_level=9)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


@lru_cache(maxsize=2)
def _palette(dark: bool) -> bytes:
    return palette.lookup(dark, LEVELS).tobytes()


def icon() -> Image.Image:
    """The page icon: a hot spot out of its place."""
    rows, cols = np.divmod(np.arange(1024), 32)
    warm = np.exp(-((rows - 20) ** 2 + (cols - 10) ** 2) / 60) + np.exp(-((rows - 9) ** 2 + (cols - 23) ** 2) / 14)
    level = np.round(1 + (LEVELS - 2) * np.minimum(warm, 1)).astype(np.uint8).reshape(32, 32)
    return Image.fromarray(palette.lookup(True, LEVELS)[level])
