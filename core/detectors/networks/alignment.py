"""ST-SSAD's validation loss: how well augmented images stand where the unlabelled ones do that are not like those in order."""

import torch
from torch import Tensor

EPSILON = 1e-6


def jointly_normalised(*parts: Tensor) -> list[Tensor]:
    """Embeddings (n_i, d) of several sets, all less their common mean and over the root of the mean squared distance from it.

    Jointly, since each set by itself would lose the very offset that is measured. **Source** Zhao and Akoglu 2020 (PairNorm), scale 1.
    """
    pooled = torch.cat(parts)
    centred = pooled - pooled.mean(dim=0)
    scaled = centred / (centred.square().sum(dim=1).mean() + EPSILON).sqrt()
    ends = torch.tensor([len(part) for part in parts]).cumsum(0)[:-1]
    return list(torch.tensor_split(scaled, ends))


def alignment_loss(train: Tensor, augmented: Tensor, unlabelled: Tensor) -> Tensor:
    """Mean over unlabelled z of (|z - mean(train)| + |z - mean(augmented)|) / 2, on jointly normalised embeddings (n, d); lower = better.

    **Source** Yoo, Zhao, Zhao and Akoglu 2023 (ST-SSAD), whose sum over z is a mean here, free of how many there are. It is lowest of all
    where everything is mixed up: only the training loss keeps both sets apart, so compare it between networks that tell them apart.
    """
    train, augmented, unlabelled = jointly_normalised(train, augmented, unlabelled)
    far = [(unlabelled - part.mean(dim=0)).norm(dim=1).mean() for part in (train, augmented)]
    return (far[0] + far[1]) / 2


def matching_loss(train: Tensor, augmented: Tensor, suspects: Tensor) -> Tensor:
    """Energy distance 2 E|s - a| - E|s - s'| - E|a - a'| of suspects s and augmented a, over |mean(train) - mean(augmented)|; 0 = the same.

    The published loss asks all unlabelled images to lie between both sets; where most are ok, that draws augmented ones to those.
    This asks the most suspicious alone, and to lie as the augmented ones do. The scale is held fixed in gradients: sizes shall not move to
    stretch it. **Source** Szekely and Rizzo 2004 for the distance.
    """
    scale = (train.mean(dim=0) - augmented.mean(dim=0)).norm().detach().clamp_min(EPSILON)
    return (2 * _apart(suspects, augmented) - _apart(suspects, suspects) - _apart(augmented, augmented)) / scale


def _apart(a: Tensor, b: Tensor) -> Tensor:
    """Mean distance of all pairs; the root is kept off 0, where it has no slope."""
    return ((a[:, None] - b[None]).square().sum(dim=2) + EPSILON).sqrt().mean()
