"""Sets of images from an .npy file, memory-mapped, or from a folder of pictures: float32 (n, c, side, side) in 0..1, any rows at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.statistics.arrays import Codes, Image

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
BATCH = 256
"""Images read at a time."""
LEAST_SIDE, MOST_SIDE = 8, 512


@dataclass(frozen=True)
class Pictures:
    """A set of n images; `names` are their IDs, `side` and `channels` their shape once they are padded to squares.

    Floats lie in 0..1, or in -1..1 where `signed`; in an .npy file whole numbers are uint8.
    """

    path: Path
    names: list[str]
    channels: int
    side: int
    signed: bool = False
    array: NDArray[Any] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def span(self) -> str:
        """How its pixels are stored: uint8, 0..1 or -1..1."""
        if self.array is None or self.array.dtype == np.uint8:
            return "uint8"
        return "-1..1" if self.signed else "0..1"

    def rows(self, rows: Codes) -> Image:
        """(m, channels, side, side) images in 0..1. Raises InputError for a value outside the range or not finite, naming the image."""
        if self.array is not None:
            return self._scaled(np.asarray(self.array[rows]), rows)
        return np.concatenate(
            [self._scaled(_decoded(self.path / self.names[row], self.channels)[None], rows[k : k + 1]) for k, row in enumerate(rows)]
        )

    def batches(self, start: int = 0, size: int = BATCH) -> Iterator[Image]:
        """All images from `start` on, at most `size` at a time."""
        for a in range(start, len(self), size):
            yield self.rows(np.arange(a, min(a + size, len(self))))

    def _scaled(self, part: NDArray[Any], rows: Codes) -> Image:
        if part.ndim == 3:
            part = part[..., None]
        if part.dtype == np.uint8:
            found: Image = part.astype(np.float32)
            found /= np.float32(255)
        else:
            self._check(part, rows)
            found = part.astype(np.float32)
            if self.signed:
                found += np.float32(1)
                found /= np.float32(2)
        found = found.transpose(0, 3, 1, 2)
        if found.shape[1:] != (self.channels, self.side, self.side):
            found = _square(found, self.side)
        if found.shape[2:] != (self.side, self.side):
            name = self.names[int(rows[0])]
            raise InputError(f"All pictures of a folder have one size, that of the first: {name} in {self.path} has another. Resize it.")
        return np.ascontiguousarray(found)

    def _check(self, part: NDArray[Any], rows: Codes) -> None:
        finite = np.isfinite(part).reshape(len(part), -1).all(axis=1)
        if not finite.all():
            row = rows[int(np.argmin(finite))]
            raise InputError(f"Pixels are finite numbers: image {row} of {self.path} holds NaN or infinity. Remove or mend it.")
        low = -1.0 if self.signed else 0.0
        wrong = ((part < low) | (part > 1)).reshape(len(part), -1).any(axis=1)
        if wrong.any():
            row = int(np.argmax(wrong))
            span = f"{float(part[row].min()):g} to {float(part[row].max()):g}"
            raise InputError(
                f"Floats of a set lie in 0..1, or all in -1..1: image {rows[row]} of {self.path} has {span}. Divide by 255, or store uint8."
            )


def open_pictures(path: Path) -> Pictures:
    """The set at a path, its header read and its range judged. Raises InputError for what is no set of images."""
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise InputError(f"A set of images is an .npy file or a folder of pictures: {path} is neither. Check the path.")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(
            f"A set of images is an .npy file of numbers: {path} cannot be read ({error}). Objects and pickles are never read: "
            "save it with numpy.save from a uint8 or float array."
        ) from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"A set of images is one array: {path} holds several. Save the one that is meant with numpy.save.")
    return _array(path, array)


def _array(path: Path, array: NDArray[Any]) -> Pictures:
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3)):
        raise InputError(f"A set has shape (n, h, w), (n, h, w, 1) or (n, h, w, 3): {path} has {array.shape}. Transpose or reshape it.")
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise InputError(f"A set holds uint8 or floats: {path} holds {array.dtype}. Convert it with astype.")
    if not len(array):
        raise InputError(f"A set holds one image or more: {path} holds 0. Choose another file.")
    side = _side(path, *array.shape[1:3])
    signed = array.dtype.kind == "f" and any(bool((array[a : a + BATCH] < 0).any()) for a in range(0, len(array), BATCH))
    channels = 3 if array.ndim == 4 and array.shape[3] == 3 else 1
    return Pictures(path, [str(k) for k in range(len(array))], channels, side, signed, array)


def _folder(path: Path) -> Pictures:
    names = sorted(each.name for each in path.iterdir() if each.suffix.lower() in ENDINGS and each.is_file())
    if not names:
        raise InputError(f"A folder of pictures holds {', '.join(sorted(ENDINGS))}: {path} has none. Choose another folder.")
    first = _decoded(path / names[0], None)
    return Pictures(path, names, first.shape[2], _side(path, *first.shape[:2]))


def _decoded(path: Path, channels: int | None) -> NDArray[np.uint8]:
    """(h, w, c) pixels of a picture, in the channels asked for, or in its own. Raises InputError for what cannot be decoded."""
    from PIL import Image as Picture

    try:
        with Picture.open(path) as picture:
            grey = channels == 1 or (channels is None and picture.mode in ("1", "L", "LA", "I;16"))
            pixels = np.asarray(picture.convert("L" if grey else "RGB"), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, Picture.DecompressionBombError) as error:
        raise InputError(f"A picture is a file that Pillow reads: {path} is none ({error}). Remove or mend it.") from error
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _side(path: Path, h: int, w: int) -> int:
    if min(h, w) < LEAST_SIDE or max(h, w) > MOST_SIDE:
        raise InputError(f"Images have {LEAST_SIDE} to {MOST_SIDE} pixels a side: those of {path} have {h} x {w}. Resize them.")
    return max(h, w)


def _square(images: Image, side: int) -> Image:
    """Images padded to squares with their own edges."""
    h, w = images.shape[2:]
    if max(h, w) != side:
        return images
    top, left = (side - h) // 2, (side - w) // 2
    return np.pad(images, ((0, 0), (0, 0), (top, side - h - top), (left, side - w - left)), mode="edge")
