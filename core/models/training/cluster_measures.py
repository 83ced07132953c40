"""How well the cluster networks do on held-out drawn images. Imported only where one is measured: it brings torch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from core.models.training.cluster_images import ClusterImages

BATCH = 250


def outputs(network: nn.Module, images: ClusterImages, see: Callable[[Tensor], Tensor] = lambda x: x) -> tuple[Tensor, ...]:
    """What the network says of n images in float32, its maps left out: each (n, ...). `see` turns the counts (b, 1, 40, 40) beforehand."""
    network.eval()
    counts = torch.from_numpy(images.counts).view(-1, 1, 40, 40)
    with torch.inference_mode():
        parts = [network(see(part).contiguous(memory_format=torch.channels_last))[:-1] for part in torch.split(counts, BATCH)]
    return tuple(torch.cat(same) for same in zip(*parts, strict=True))


def symmetries() -> list[Callable[[Tensor], Tensor]]:
    """The eight turns and reflections of a square image: counting knows no difference between them."""

    def turned(k: int, mirrored: bool) -> Callable[[Tensor], Tensor]:
        return lambda x: torch.rot90(x.flip(3) if mirrored else x, k, (2, 3))

    return [turned(k, mirrored) for mirrored in (False, True) for k in range(4)]


def count_errors(network: nn.Module, images: ClusterImages, turns: bool = False) -> Tensor:
    """(n,) likeliest number of clusters minus the true one; `turns`: likeliest on average over the eight symmetries."""
    seen = symmetries() if turns else symmetries()[:1]
    log_p = torch.stack([outputs(network, images, see)[0].log_softmax(dim=1) for see in seen])
    return log_p.exp().mean(dim=0).argmax(dim=1) - torch.from_numpy(images.n_clusters)


def measure_count(network: nn.Module, images: ClusterImages) -> dict[str, Any]:
    """Share of images whose number of clusters is right, and within one."""
    error = count_errors(network, images).abs()
    return {"top_1": round(float((error == 0).float().mean()), 4), "within_1": round(float((error <= 1).float().mean()), 4)}


def location_errors(network: nn.Module, images: ClusterImages) -> tuple[Tensor, Tensor]:
    """Distance from each true centre to the nearest predicted one, in shares of the side, (m,); and which images are rightly said to have
    any centre or none, bool (n,)."""
    predicted, presence = outputs(network, images)
    centres = torch.from_numpy(images.centres)
    there = ~centres[:, :, 0].isnan()
    nearest = torch.cdist(centres.nan_to_num(), predicted).amin(dim=2)
    return nearest[there], (presence > 0) == there.any(dim=1)


def measure_location(network: nn.Module, images: ClusterImages) -> dict[str, Any]:
    """Mean distance from a true centre to the nearest predicted one, and share of images rightly said to have any centre."""
    distance, right = location_errors(network, images)
    return {"mean_distance": round(float(distance.mean()), 4), "presence": round(float(right.float().mean()), 4)}
