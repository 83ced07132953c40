"""An extractor's network run by OpenVINO: layers fused, weights packed once, images of several requests at work side by side.

In: batches (b, c, side, side) of images. Out: float32 (b, d) in the same order. An optional extra, `requirements-fast.txt`; without it the
extractors run in torch. Nothing leaves the machine: OpenVINO's statistics package is kept out of the process.
"""

import sys
import warnings
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from core import settings
from core.errors import ContractError, InputError
from core.features.base import Extractor, Features, has_openvino
from core.statistics.arrays import Image

BATCH = 6
"""Images a request: twice as many gain nothing, one or two lose a tenth or more."""
HINTS = {"float32": "f32", "bfloat16": "bf16"}


class Compiled:
    """A network compiled for images of one shape. Each core works on a request of its own; no two runs share one."""

    def __init__(self, model: Any, n_requests: int) -> None:
        self.model, self.n_requests, self.batch = model, n_requests, BATCH

    def run(self, parts: Iterator[Image]) -> Iterator[Features]:
        """Features of images that come at most `batch` at a time. The next are drawn while these are at work.

        Every request is filled up to `batch` images, so that a banner's features do not depend on its company.
        """
        free = [self.model.create_infer_request() for _ in range(self.n_requests)]
        at_work: deque[tuple[Any, int]] = deque()
        for part in parts:
            if not free:
                request, n = at_work.popleft()
                yield _finished(request, n)
                free.append(request)
            whole = np.zeros((self.batch, *part.shape[1:]), dtype=np.float32)
            whole[: len(part)] = part
            request = free.pop()
            request.start_async({0: whole})
            at_work.append((request, len(part)))
        for request, n in at_work:
            yield _finished(request, n)


def _finished(request: Any, n: int) -> Features:
    request.wait()
    return np.array(request.get_output_tensor(0).data[:n], dtype=np.float32)  # a copy: the request writes there again


@lru_cache(maxsize=2)
def compiled(extractor: Extractor) -> Compiled:
    """The extractor's network, converted and compiled; the last two stay in memory.

    Raises InputError where OpenVINO is not installed or the weights cannot be had, ContractError where this machine cannot run it in the
    precision that the features' key names.
    """
    ov, n_threads, hint = _openvino(extractor.name), settings.n_threads(), HINTS[extractor._dtype()]
    options = {"NUM_STREAMS": n_threads, "INFERENCE_NUM_THREADS": n_threads, "INFERENCE_PRECISION_HINT": hint}
    model = ov.Core().compile_model(_converted(ov, extractor), "CPU", {**options, "ENABLE_CPU_PINNING": False})
    found = model.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if found != hint:
        raise ContractError(f"{extractor.name} was to run in {hint}: this machine runs it in {found}. Choose another precision.")
    return Compiled(model, n_threads + 1)


def _converted(ov: Any, extractor: Extractor) -> Any:
    """The network as a graph of OpenVINO's, for `BATCH` images at a time."""
    import torch

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = extractor._load().eval().requires_grad_(False)

        def forward(self, seen: torch.Tensor) -> torch.Tensor:
            return extractor._forward(self.network, seen)

    images = extractor.images
    shape = (BATCH, images.n_channels, images.side, images.side)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch to OpenVINO, which reads its graph
        return ov.convert_model(torch.export.export(Whole(), (torch.zeros(shape),)), input=[shape])


def _openvino(name: str) -> Any:
    advice = "Run `pip install -r requirements-fast.txt`, or choose the engine `torch`."
    if not has_openvino():
        raise InputError(f"{name} was asked to run in OpenVINO: it is not installed. {advice}")
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # cannot be imported: no statistics are sent
    try:
        import openvino
    except ImportError as error:
        raise InputError(f"{name} runs in OpenVINO, whose import fails: {error}. {advice}") from error
    return openvino
