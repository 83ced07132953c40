"""`ssad_clicks` learns to tell real banners from the same banners with corrupted clicks."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import vstack

from core.detectors.ssad_clicks import channels
from core.features.networks.training_loop import Plan, fit_network
from core.logs.progress import Progress
from core.models.training.banner_pools import Pool
from core.models.training.corruptions import CORRUPTIONS, pairs

if TYPE_CHECKING:
    from torch import Tensor, nn

LEAST_CLICKS = 8
"""Training banners have at least so many clicks left."""


@dataclass(frozen=True)
class SsadPlan(Plan):
    """A batch holds `batch` real banners and as many corrupted ones."""

    steps: int = 1600
    batch: int = 128
    corruptions: tuple[str, ...] = tuple(CORRUPTIONS)
    images: tuple[str, ...] = ()
    """Augmentations of images to learn from in place of corruptions of clicks."""


def make_batch(rng: np.random.Generator, pool: Pool, plan: SsadPlan) -> tuple["Tensor", "Tensor"]:
    """(2 b, 4, 40, 40) inputs and (2 b,) targets: b real banners, and the same corrupted, both thinned to the same number of clicks."""
    import torch

    at = rng.choice(len(pool.rows), plan.batch, replace=False)
    real, rows = pool.counts[at], pool.rows[at]
    good, bad, target = pairs(rng, real, pool.counts[_of_other_grids(rng, pool.grid_id, at)], plan.corruptions)
    if plan.images:
        from core.detectors.augment.densities import augmented_counts

        bad = augmented_counts(rng, good, plan.images)
    both = vstack([good, bad]).tocsr()
    expected = pool.expected[np.tile(rows, 2)]
    use = np.flatnonzero(np.tile(target >= LEAST_CLICKS, 2))
    y = np.repeat([0.0, 1.0], plan.batch).astype(np.float32)
    return torch.from_numpy(channels(both[use], expected[use])), torch.from_numpy(y[use])


def _of_other_grids(rng: np.random.Generator, grid_id: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.int64]:
    other = rng.integers(0, len(grid_id), len(at))
    for _ in range(100):
        same = grid_id[other] == grid_id[at]
        if not same.any():
            break
        other[same] = rng.integers(0, len(grid_id), int(same.sum()))
    return other


def train_ssad_clicks(pool: Pool, plan: SsadPlan, checkpoint: Path, progress: Progress) -> tuple["nn.Module", dict[str, Any]]:
    """The trained network, and what is to be known of the training."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    from core.features.networks.click_networks import SsadClicksNet

    torch.manual_seed(plan.seed)
    network = SsadClicksNet()

    def loss(step: int) -> "Tensor":
        x, y = make_batch(np.random.default_rng([plan.seed, step]), pool, plan)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(x.contiguous(memory_format=torch.channels_last))
        return binary_cross_entropy_with_logits(logits.float(), y)

    curve = fit_network(network, loss, plan, checkpoint, progress)
    return network, {"steps": plan.steps, "seed": plan.seed, "n_banners": len(pool.rows), "last_loss": round(curve[-1], 4)}
