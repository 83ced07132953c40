"""`cluster_count` and `cluster_location` learn from drawn images: how many clusters of clicks there are, and where."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.features.networks.training_loop import Plan, fit_network
from core.logs.progress import Progress
from core.models.training.cluster_images import ClusterImages, draw_images

if TYPE_CHECKING:
    from torch import Tensor

    from core.features.networks.clusters import ClusterNet, Encoder

HELD_OUT = 20_260_101
"""First number of the seed of every held-out image; training draws with its own seed and the step."""
N_HELD_OUT = 10_000
RATE_WEIGHT, LOCATION_RATE_WEIGHT, PRESENCE_WEIGHT = 0.1, 0.02, 0.1
"""Weights in the losses: the map of centres beside the cross-entropy, the map and "is there any" beside the Chamfer distance."""
FINE_TUNING_RATE = 3e-4
"""Learning rate of a pretrained backbone: faster, it would forget what it knows."""


@dataclass(frozen=True)
class ClusterPlan(Plan):
    """`backbone`: a ResNet checkpoint of transformers, by name or folder, that is fine-tuned; None = the small encoder that is shipped."""

    backbone: str | None = None


@dataclass(frozen=True)
class CountPlan(ClusterPlan):
    """On the number of clusters, 0 to 20. The rate stays high for long, then falls fast: over the last quarter, straight to 0."""

    steps: int = 6000
    batch: int = 64

    def rate_at(self, step: int) -> float:
        high = self.rate * min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / (1.5 * self.steps)))
        return high * min(1.0, (self.steps - step) / (0.25 * self.steps))


@dataclass(frozen=True)
class LocationPlan(ClusterPlan):
    """On up to six centres."""

    steps: int = 2000
    batch: int = 64


def held_out(seed: int, most: int, n: int) -> ClusterImages:
    """n images that no training draws."""
    return draw_images(np.random.default_rng([HELD_OUT, most, seed]), n, most)


def encoder_for(name: str, plan: ClusterPlan) -> "Encoder":
    """The encoder to train. Raises InputError where a backbone is asked for that cannot be had."""
    from core.features import transformers_hub
    from core.features.networks.clusters import Encoder, encoder_of

    if plan.backbone is None:
        return encoder_of(None)
    from transformers import ResNetModel

    return Encoder(transformers_hub.load(ResNetModel, f"--backbone of {name}", plan.backbone, None), small=False)


def centre_map(images: ClusterImages, side: int) -> "Tensor":
    """(b, side, side) float32 number of true centres in each cell."""
    import torch

    owner, rank = np.nonzero(~np.isnan(images.centres[:, :, 0]))
    cell = np.minimum((images.centres[owner, rank] * side).astype(np.int64), side - 1)
    at = owner * side**2 + cell[:, 1] * side + cell[:, 0]
    counted = np.bincount(at, minlength=len(images.counts) * side**2)
    return torch.from_numpy(counted.reshape(-1, side, side).astype(np.float32))


def rate_loss(log_rate: "Tensor", images: ClusterImages) -> "Tensor":
    """Mean over images of the negative Poisson log-likelihood of the true centres, constants left out."""
    n = centre_map(images, log_rate.shape[-1])
    return (log_rate.exp() - n * log_rate).sum(dim=(1, 2)).mean()


def as_input(images: ClusterImages) -> "Tensor":
    """(b, 1, 40, 40) counts."""
    import torch

    return torch.from_numpy(images.counts).view(-1, 1, 40, 40)


def train_cluster_count(pool: None, plan: CountPlan, checkpoint: Path, progress: Progress) -> tuple["ClusterNet", dict[str, Any]]:
    """The trained network, and what is to be known of it: top-1 of 21 classes and within one, on held-out images."""
    import torch
    from torch.nn.functional import cross_entropy

    from core.features.networks.clusters import MOST_CLUSTERS, ClusterCountNet
    from core.models.training.cluster_measures import measure_count

    torch.manual_seed(plan.seed)
    network = ClusterCountNet(encoder_for("cluster_count", plan)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(step: int) -> "Tensor":
        images = draw_images(np.random.default_rng([plan.seed, step]), plan.batch, MOST_CLUSTERS)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, log_rate = network(as_input(images))
        return cross_entropy(logits, torch.from_numpy(images.n_clusters)) + RATE_WEIGHT * rate_loss(log_rate, images)

    curve = fit_network(network, loss, plan, checkpoint, progress)
    measured = measure_count(network.half().float(), held_out(plan.seed, MOST_CLUSTERS, N_HELD_OUT))
    return network.half(), {**_about(network, plan, curve), **measured}


def train_cluster_location(pool: None, plan: LocationPlan, checkpoint: Path, progress: Progress) -> tuple["ClusterNet", dict[str, Any]]:
    """The trained network, and what is to be known of it: mean distance from a true centre to the nearest output, on held-out images."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    from core.features.networks.clusters import MOST_CENTRES, ClusterLocationNet, chamfer
    from core.models.training.cluster_measures import measure_location

    torch.manual_seed(plan.seed)
    network = ClusterLocationNet(encoder_for("cluster_location", plan)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(step: int) -> "Tensor":
        images = draw_images(np.random.default_rng([plan.seed, step]), plan.batch, MOST_CENTRES)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            predicted, presence, log_rate = network(as_input(images))
        any_there = torch.from_numpy(images.n_clusters > 0).float()
        distance = chamfer(predicted, torch.from_numpy(images.centres)).mean()
        presence_loss = binary_cross_entropy_with_logits(presence, any_there)
        return distance + PRESENCE_WEIGHT * presence_loss + LOCATION_RATE_WEIGHT * rate_loss(log_rate, images)

    curve = fit_network(network, loss, plan, checkpoint, progress)
    measured = measure_location(network.half().float(), held_out(plan.seed, MOST_CENTRES, N_HELD_OUT))
    return network.half(), {**_about(network, plan, curve), **measured}


def _about(network: "ClusterNet", plan: ClusterPlan, curve: list[float]) -> dict[str, Any]:
    about = {"steps": plan.steps, "seed": plan.seed, "last_loss": round(curve[-1], 4), "held_out": N_HELD_OUT}
    return {**about, "encoder": network.encoder.described()}
