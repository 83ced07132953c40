"""`vit_small` learns where a banner's other clicks fall, from some of its clicks and with patches hidden."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix, vstack

from core.features.networks.training_loop import Plan, fit_network
from core.features.vit_small import IMAGES
from core.logs.progress import Progress
from core.models.training.banner_pools import Pool
from core.models.training.corruptions import CORRUPTIONS
from core.models.training.views import corrupted

if TYPE_CHECKING:
    from torch import Tensor, nn

MOST_CLICKS = 200
"""Clicks to be foretold that count; of more, each counts less, so that no banner outweighs the batch."""


@dataclass(frozen=True)
class VitPlan(Plan):
    """Of a batch, half are banners of the pool and half are corrupted ones: broken banners too shall be described as they are.

    `shown` is the range of the share of clicks that the network sees, `most_hidden` the largest share of patches that it does not.
    """

    steps: int = 800
    batch: int = 128
    rate: float = 1e-3
    shown: tuple[float, float] = (0.15, 0.85)
    most_hidden: float = 0.5
    corruptions: tuple[str, ...] = tuple(CORRUPTIONS)


def split(rng: np.random.Generator, counts: csr_matrix, shown: tuple[float, float]) -> tuple[csr_matrix, csr_matrix]:
    """Counts (b, 1600) as two, cell by cell at random: the share that is shown, drawn for each banner, and the rest."""
    keep = np.repeat(rng.uniform(*shown, counts.shape[0]), np.diff(counts.indptr))
    seen = counts.copy()
    seen.data = rng.binomial(counts.data.astype(np.int64), keep).astype(np.float32)
    return seen, (counts - seen).tocsr()


def make_batch(rng: np.random.Generator, pool: Pool, plan: VitPlan) -> tuple["Tensor", "Tensor", "Tensor"]:
    """(b, 1, 40, 40) images of the clicks shown, (b, 64) patches hidden, and (b, 1600) the other clicks."""
    import torch

    at = rng.choice(len(pool.rows), plan.batch, replace=False)
    good, bad = at[: plan.batch // 2], at[plan.batch // 2 :]
    both = vstack([pool.counts[good], corrupted(rng, pool, bad, plan.corruptions)]).tocsr()
    seen, rest = split(rng, both, plan.shown)
    hidden = rng.random((plan.batch, 64)) < rng.uniform(0, plan.most_hidden, (plan.batch, 1))
    return torch.from_numpy(IMAGES.make(seen)), torch.from_numpy(hidden), torch.from_numpy(rest.toarray())


def unlikelihood(log_density: "Tensor", clicks: "Tensor") -> "Tensor":
    """Mean over clicks (b, 1600) of minus the log density (b, 1600) where they fell; a banner's weight ends at MOST_CLICKS."""
    n = clicks.sum(dim=1)
    weight = n.clamp(max=MOST_CLICKS)
    return -((clicks * log_density).sum(dim=1) / n.clamp(min=1) * weight).sum() / weight.sum().clamp(min=1)


def train_vit_small(pool: Pool, plan: VitPlan, checkpoint: Path, progress: Progress) -> tuple["nn.Module", dict[str, Any]]:
    """The trained network, and what is to be known of the training."""
    import torch

    from core.features.networks.vit_small import VitSmallNet

    torch.manual_seed(plan.seed)
    network = VitSmallNet()

    def loss(step: int) -> "Tensor":
        images, hidden, rest = make_batch(np.random.default_rng([plan.seed, step]), pool, plan)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            log_density = network(images, hidden)
        return unlikelihood(log_density.float(), rest)

    curve = fit_network(network, loss, plan, checkpoint, progress)
    return network, {"steps": plan.steps, "seed": plan.seed, "n_banners": len(pool.rows), "last_loss": round(curve[-1], 4)}
