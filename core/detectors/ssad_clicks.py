"""Self-supervised detection in the click domain: a network that sees a banner beside what is expected of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.banners.fitting import fit_reference
from core.banners.heatmaps import Heatmaps
from core.banners.reference import Reference
from core.detectors.base import Detector, Groups, Reads, Scores
from core.features.networks.weight_files import digest, find_weights
from core.settings import N_COLS, N_ROWS

if TYPE_CHECKING:
    from core.features.networks.click_networks import SsadClicksNet

BATCH = 64
"""Banners a forward pass: so few that the maps of the first layers stay in the processor's cache. Always so many, the last batch is filled
up with empty ones, so that a score never depends on its company."""


def channels(counts: csr_matrix, expected: NDArray[np.float32]) -> NDArray[np.float32]:
    """(b, 4, 40, 40) input of the network from counts (b, 1600) and references (b, 1600): square-root density of the banner and of its
    reference, their standardised signed difference, and the logarithm of the number of clicks."""
    n = counts.toarray().astype(np.float32)
    total = np.maximum(n.sum(axis=1, keepdims=True), 1)
    mean = total * expected
    gap = np.clip((n - mean) / np.sqrt(mean + 0.25), -6, 12) / 3
    size = np.broadcast_to(np.log(total) / 3 - 1.5, n.shape)
    stacked = np.stack([np.sqrt(n / total) * 10, np.sqrt(expected) * 10, gap, size], axis=1)
    return stacked.reshape(-1, 4, N_ROWS, N_COLS).astype(np.float32)


@dataclass
class SsadClicks(Detector):
    """Reference-conditioned self-supervised network, trained to tell real banners from the same banners with corrupted clicks.

    **Score** the network's logit of "corrupted": trained on as many corrupted as real banners, it estimates a log likelihood ratio.
    **Shape** Heatmaps of n banners -> (n,).
    **Source** the second seed's self-supervised recipe (normal against augmented); the corruptions act on clicks, not on pixels.
    **Differs** sees the group's reference as a channel, so it transfers to grids it never saw; `fit` learns only the references,
    the network comes trained (`python -m core train ssad_clicks`).
    """

    family: ClassVar[str] = "self_supervised"
    reads: ClassVar[Reads] = "heatmaps"

    reference: Reference | None = None
    own_weights: Path | None = None
    """Folder with this store's own weights; None = the shipped ones."""

    @property
    def name(self) -> str:
        return "ssad_clicks"

    @property
    def weights(self) -> str:
        """Which weights are in use, by file and content."""
        path = find_weights(self.name, self.own_weights)
        return f"{path.name} {digest(path)}"

    def _fit(self, X: Heatmaps, groups: Groups) -> None:
        from core.features.networks.click_networks import SsadClicksNet
        from core.features.networks.weight_files import load_network

        self.reference_ = self.reference or fit_reference(X)
        self._network: SsadClicksNet = load_network(SsadClicksNet(), find_weights(self.name, self.own_weights))  # type: ignore[assignment]

    def _score(self, X: Heatmaps, groups: Groups) -> Scores:
        rows = self.reference_.rows(X)
        expected = self.reference_.p.astype(np.float32)
        return logits(self._network, X.counts, expected, rows)


def logits(network: "SsadClicksNet", counts: csr_matrix, expected: NDArray[np.float32], rows: NDArray[np.int64]) -> Scores:
    """(n,) logits of banners with counts (n, 1600) and references `expected[rows]`."""
    import torch

    n = counts.shape[0]
    out = np.empty(n)
    with torch.inference_mode():
        for a in range(0, n, BATCH):
            b = min(a + BATCH, n)
            x = np.zeros((BATCH, 4, N_ROWS, N_COLS), dtype=np.float32)
            x[: b - a] = channels(counts[a:b], expected[rows[a:b]])
            out[a:b] = network(torch.from_numpy(x).contiguous(memory_format=torch.channels_last)).numpy()[: b - a]
    return out
