"""Runs extractors: counts (n, 1600) in, float32 (b, d) out, a batch at a time, by torch or by OpenVINO."""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from core import settings
from core.errors import ContractError
from core.features.base import Extractor, Features

if TYPE_CHECKING:
    from torch import nn


def stream(extractor: Extractor, counts: csr_matrix) -> Iterator[Features]:
    """Features of n heatmaps in their order, at most `batch` rows at a time.

    Raises InputError where the weights or the engine cannot be had.
    """
    if not counts.shape[0]:
        return
    for features in _batches(extractor, counts):
        if features.shape[1:] != (extractor.n_dims,) or not np.isfinite(features).all():
            found = f"shape {features.shape} with {int((~np.isfinite(features)).sum())} that are not"
            raise ContractError(f"{extractor.name} gives {extractor.n_dims} finite features a banner: it gave {found}.")
        yield features


def features_of(extractor: Extractor, counts: csr_matrix) -> Features:
    """(n, n_dims) features of n heatmaps; for many banners of a wide extractor take `stream`."""
    parts = list(stream(extractor, counts))
    return np.concatenate(parts) if parts else np.empty((0, extractor.n_dims), dtype=np.float32)


def _batches(extractor: Extractor, counts: csr_matrix) -> Iterator[Features]:
    known = extractor.without_network(counts)
    if known is not None:
        return known
    if extractor._engine() == "openvino":
        from core.features.openvino import compiled  # here: an optional extra

        network = compiled(extractor)
        return network.run(extractor.images.stream(counts, network.batch))
    return _by_torch(extractor, counts)


def _by_torch(extractor: Extractor, counts: csr_matrix) -> Iterator[Features]:
    import torch

    network, dtype = loaded(extractor), getattr(torch, extractor._dtype())
    with torch.inference_mode():
        for part in extractor.images.stream(counts, extractor.batch):
            whole = np.zeros((extractor.batch, *part.shape[1:]), dtype=np.float32)  # a full batch: no score depends on its company
            whole[: len(part)] = part
            seen = torch.from_numpy(whole).to(dtype).contiguous(memory_format=torch.channels_last)
            yield extractor._forward(network, seen).float().numpy()[: len(part)]


@lru_cache(maxsize=2)
def loaded(extractor: Extractor) -> "nn.Module":
    """The extractor's network, ready to run; the last two stay in memory."""
    import torch

    torch.set_num_threads(settings.n_threads())
    network = extractor._load().eval().requires_grad_(False)
    dtype = getattr(torch, extractor._dtype())  # cast as a whole: autocast would go back to float32 for every batch norm
    return network.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
