"""`simclr` learns to know the other banners of a layout by one of them, and to tell them from corrupted copies and other layouts."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import vstack

from core.features.networks.contrastive_loss import nt_xent
from core.features.networks.training_loop import fit_network
from core.features.simclr import IMAGES
from core.logs.progress import Progress
from core.models.training.banner_pools import Pool
from core.models.training.views import ContrastPlan, make_views

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class SimclrPlan(ContrastPlan):
    """With 256 banners of 32 layouts and 512 corrupted copies, a pair is to be found among some 1,000 others."""

    steps: int = 250
    rate: float = 1e-3


def make_batch(rng: np.random.Generator, pool: Pool, plan: ContrastPlan) -> tuple["Tensor", "Tensor", "Tensor"]:
    """(b + k b, 1, 40, 40) images of b banners and of k corrupted copies each; the banners' layouts and grids (b,)."""
    import torch

    views = make_views(rng, pool, plan)
    images = IMAGES.make(vstack([views.banners, *views.corrupted]).tocsr())
    return torch.from_numpy(images), torch.from_numpy(views.layout), torch.from_numpy(views.grid_id)


def anchors_of(z: "Tensor", layout: "Tensor") -> "Tensor":
    """(b, d) for each banner the mean direction of the other banners of its layout: what it will be held against."""
    import torch
    from torch.nn.functional import normalize

    others = (layout[:, None] == layout[None]).float() - torch.eye(len(layout))
    return (others / others.sum(dim=1, keepdim=True)) @ normalize(z.float(), dim=1)


def contrast(z: "Tensor", layout: "Tensor", grid_id: "Tensor", temperature: float) -> "Tensor":
    """NT-Xent of banners and their anchors twice: among banners of other grids and all corrupted copies, which are many and mostly easy,
    and among the copies of their own layout alone, which is what a detector has to do."""
    import torch

    b = len(layout)
    banners, copies = z[:b], z[b:]
    anchors = anchors_of(banners, layout)
    elsewhere = (layout[:, None] != layout[None]).repeat(1, len(copies) // b)
    wide = nt_xent(banners, anchors, copies, temperature, grid_id[:, None] == grid_id[None])
    own = nt_xent(banners, anchors, copies, temperature, torch.ones(b, b, dtype=torch.bool), elsewhere)
    return wide + own


def train_simclr(pool: Pool, plan: SimclrPlan, checkpoint: Path, progress: Progress) -> tuple["nn.Module", dict[str, Any]]:
    """The trained network, and what is to be known of the training."""
    import torch

    from core.features.networks.simclr import SimclrNet

    torch.manual_seed(plan.seed)
    network = SimclrNet()

    def loss(step: int) -> "Tensor":
        images, layout, grid_id = make_batch(np.random.default_rng([plan.seed, step]), pool, plan)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z = network(images.contiguous(memory_format=torch.channels_last)).float()
        return contrast(z, layout, grid_id, plan.temperature)

    curve = fit_network(network, loss, plan, checkpoint, progress)
    return network, {"steps": plan.steps, "seed": plan.seed, "n_banners": len(pool.rows), "last_loss": round(curve[-1], 4)}
