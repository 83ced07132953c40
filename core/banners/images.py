"""Heatmaps -> images for networks: 50,000 bootstrapped clicks with noise, a transform, up to 384 pixels a side, channels normalised.

In: counts (n, 1600) in CSR. Out: float32 (b, c, side, side), row 0 at the top, a batch at a time: all banners at 224 pixels would be
600 KB each. Knows no network and no torch.

Drawing 50,000 clicks with replacement, each with noise, gives cells that are multinomial with the smoothed shares. So the smoothing is
done in closed form, and `sampled` draws from it: both are exact, and neither moves a single click.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import ndtr

from core.errors import ContractError
from core.settings import N_BINS, N_COLS, N_ROWS
from core.statistics.arrays import Image

MAX_SIDE = 384
NOISE_SD = 0.5 / N_COLS
"""Standard deviation of the positional noise, in shares of the banner's side: half a cell."""
N_BOOTSTRAP = 50_000


@dataclass(frozen=True)
class Images:
    """How a network sees a heatmap.

    side: pixels a side, 40..384. bootstrap: `expected` (smoothed shares) or `sampled` (seeded multinomial draw of n_clicks).
    transform: of the clicks a cell; the brightest cell becomes 1, an empty heatmap is all 0. mean and std, one a channel, normalise
    afterwards as the network's training did. Raises ContractError for settings outside these.
    """

    side: int = N_ROWS
    bootstrap: Literal["expected", "sampled"] = "expected"
    transform: Literal["sqrt", "log", "none"] = "sqrt"
    n_clicks: int = N_BOOTSTRAP
    noise_sd: float = NOISE_SD
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    seed: int = 0

    def __post_init__(self) -> None:
        if not N_ROWS <= self.side <= MAX_SIDE:
            raise ContractError(f"An image has {N_ROWS} to {MAX_SIDE} pixels a side: side={self.side}. Choose one of these.")
        if len(self.mean) != len(self.std) or min(self.std) <= 0:
            raise ContractError(f"Every channel has a mean and a std above 0, not {self.mean} and {self.std}.")

    @property
    def n_channels(self) -> int:
        return len(self.mean)

    def make(self, counts: csr_matrix) -> Image:
        """(n, c, side, side) images of all n heatmaps; each depends on its own counts alone."""
        bright: Image = self._transformed(self._bootstrapped(counts)).reshape(-1, N_ROWS, N_COLS)
        if self.side != N_ROWS:
            resize = bilinear(self.side)
            bright = np.asarray(resize @ bright @ resize.T)
        mean = np.array(self.mean, dtype=np.float32)[:, None, None]
        std = np.array(self.std, dtype=np.float32)[:, None, None]
        return np.asarray((bright[:, None] - mean) / std, dtype=np.float32)

    def stream(self, counts: csr_matrix, batch: int) -> Iterator[Image]:
        """The images of n heatmaps in their order, `batch` at a time."""
        for start in range(0, counts.shape[0], batch):
            yield self.make(counts[start : start + batch])

    def _bootstrapped(self, counts: csr_matrix) -> NDArray[np.float64]:
        """(n, 1600) clicks a cell after drawing n_clicks with noise; all 0 where there are none."""
        shares = smoothed(counts, self.noise_sd)
        if self.bootstrap == "expected":
            return shares * self.n_clicks
        drawn = np.zeros_like(shares)
        for row, key in enumerate(content_keys(counts)):
            if shares[row].sum() > 0:
                rng = np.random.default_rng([self.seed, int(key, 16)])  # of the content: the same banner draws the same alone
                drawn[row] = rng.multinomial(self.n_clicks, shares[row] / shares[row].sum())
        return drawn

    def _transformed(self, clicks: NDArray[np.float64]) -> Image:
        if self.transform == "sqrt":
            clicks = np.sqrt(clicks)
        elif self.transform == "log":
            clicks = np.log1p(clicks)
        peak = clicks.max(axis=1, keepdims=True, initial=0.0)
        return np.asarray(clicks / np.where(peak > 0, peak, 1), dtype=np.float32)


def smoothed(counts: csr_matrix, noise_sd: float = NOISE_SD) -> NDArray[np.float64]:
    """(n, 1600) expected shares after positional noise of `noise_sd` sides; sum 1, or 0 where a heatmap is empty.

    Clicks are taken to lie evenly within their cells; noise that would leave the banner is reflected at its edge.
    """
    dense = np.asarray(counts.toarray(), dtype=np.float64).reshape(-1, N_ROWS, N_COLS)
    total = dense.sum(axis=(1, 2), keepdims=True)
    kernel = noise_matrix(noise_sd)
    return (kernel.T @ (dense / np.maximum(total, 1)) @ kernel).reshape(-1, N_BINS)


@lru_cache(maxsize=8)
def noise_matrix(noise_sd: float) -> NDArray[np.float64]:
    """(40, 40) probability that a click of cell i lands in cell j: uniform within i, plus normal noise, reflected at both edges.

    With F the integral of the normal distribution function, the offset k has probability s (F((k+1)/s) - 2 F(k/s) + F((k-1)/s)).
    """
    if noise_sd <= 0:
        return np.eye(N_ROWS)
    s = noise_sd * N_ROWS
    reach = 2 * N_ROWS  # two reflections: noise of up to half the side is whole
    k = np.arange(-reach, reach + 1)

    def area(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return x * ndtr(x) + np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)

    offset = np.maximum(s * (area((k + 1) / s) - 2 * area(k / s) + area((k - 1) / s)), 0)  # far out, differences round below 0
    out = np.zeros((N_ROWS, N_ROWS))
    for i in range(N_ROWS):
        landed = (i + k) % (2 * N_ROWS)
        np.add.at(out[i], np.where(landed < N_ROWS, landed, 2 * N_ROWS - 1 - landed), offset)
    return out / out.sum(axis=1, keepdims=True)


@lru_cache(maxsize=8)
def bilinear(side: int) -> Image:
    """(side, 40) weights that stretch one axis linearly between cell centres, flat beyond the first and the last."""
    at = np.clip((np.arange(side) + 0.5) * N_ROWS / side - 0.5, 0, N_ROWS - 1)
    low = np.minimum(at.astype(np.int64), N_ROWS - 2)
    out = np.zeros((side, N_ROWS), dtype=np.float32)
    out[np.arange(side), low] = 1 - (at - low)
    out[np.arange(side), low + 1] = at - low
    return out


def content_keys(counts: csr_matrix) -> NDArray[Any]:
    """(n,) `S32`: 128-bit hexadecimal digest of each heatmap's cells and counts; equal heatmaps of different banners have equal keys."""
    tidy = csr_matrix(counts, dtype=np.float32, copy=True)
    tidy.sum_duplicates()
    tidy.eliminate_zeros()
    bins, clicks, ends = tidy.indices.astype("<u2"), tidy.data.astype("<u4"), tidy.indptr
    keys = np.empty(tidy.shape[0], dtype="S32")
    for row in range(tidy.shape[0]):
        own = slice(ends[row], ends[row + 1])
        keys[row] = hashlib.blake2b(bins[own].tobytes() + clicks[own].tobytes(), digest_size=16).hexdigest()
    return keys
