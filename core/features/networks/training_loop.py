"""The one training loop: seeded, on the CPU, with progress, resumable at every checkpoint, and over when the loss has converged."""

import io
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.logs.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor, nn

CHECKPOINT_S = 30.0
N_LOSSES = 50
"""Steps that one point of a loss curve is the mean of, unless the plan says otherwise."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train: at most `steps` batches of `batch` examples, AdamW from `rate` down along a cosine.

    With `patience`, training ends once that many windows of `window` steps have not lowered the loss by the share `tolerance` of its
    size; never before the step `least`. `data` names what is trained on: a checkpoint of other data is left alone. Parameters whose
    names begin with one of `undecayed` are not drawn towards 0.
    """

    steps: int
    batch: int
    rate: float = 2e-3
    seed: int = 0
    patience: int = 0
    tolerance: float = 0.01
    least: int = 0
    window: int = N_LOSSES
    weight_decay: float = 1e-4
    data: str = ""
    undecayed: tuple[str, ...] = ()

    def rate_at(self, step: int) -> float:
        """Learning rate of a step: up over the first 100 or the first tenth, then down along half a cosine."""
        return self.rate * min(1.0, (step + 1) / min(100, self.steps / 10)) * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def is_over(self, losses: list[float]) -> bool:
        """Whether these losses, one a step, are all that will be: the steps are done, or the loss has converged."""
        if len(losses) >= self.steps:
            return True
        if not self.patience or len(losses) < max(self.least, 1) or len(losses) % self.window:
            return False
        means = self.curve(losses)
        if len(means) <= self.patience:
            return False
        before, since = min(means[: -self.patience]), min(means[-self.patience :])
        return since > before - self.tolerance * abs(before)

    def curve(self, losses: list[float]) -> list[float]:
        """Means of `window` steps each: the loss curve as it is kept and shown."""
        return [float(np.mean(losses[k : k + self.window])) for k in range(0, len(losses), self.window)]


def fit_network(
    network: "nn.Module", loss: Callable[[int], "Tensor"], plan: Plan, checkpoint: Path | None, progress: Progress
) -> list[float]:
    """Runs the plan, from the checkpoint where there is one; returns the plan's loss curve.

    A step's data depend on seed and step alone, so that a stopped training ends where an unstopped one does. Without a `checkpoint`,
    for what is trained in seconds, nothing is kept.
    """
    import torch

    optimiser = torch.optim.AdamW(_decayed(network, plan), lr=plan.rate, weight_decay=plan.weight_decay)
    losses: list[float] = _resume(checkpoint, network, optimiser, plan) if checkpoint else []
    saved = time.monotonic()
    network.train()
    while not plan.is_over(losses):
        step = len(losses)
        for group in optimiser.param_groups:
            group["lr"] = plan.rate_at(step)
        value = loss(step)
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(value.detach()))
        mean = float(np.mean(losses[-plan.window :]))
        progress((step + 1) / plan.steps, f"step {step + 1:,} of {plan.steps:,}, loss {mean:.4f}", loss=round(mean, 6))
        if checkpoint and time.monotonic() - saved > CHECKPOINT_S:
            _save(checkpoint, network, optimiser, losses, plan)
            saved = time.monotonic()
    network.eval()
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
    return plan.curve(losses)


def _decayed(network: "nn.Module", plan: Plan) -> Any:
    """The network's parameters, in two groups where some are not decayed."""
    if not plan.undecayed:
        return network.parameters()
    free = {name: name.startswith(plan.undecayed) for name, _ in network.named_parameters()}
    groups = [[value for name, value in network.named_parameters() if free[name] == is_free] for is_free in (False, True)]
    return [{"params": groups[0]}, {"params": groups[1], "weight_decay": 0.0}]


def _save(checkpoint: Path, network: "nn.Module", optimiser: Any, losses: list[float], plan: Plan) -> None:
    import torch

    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    part, written = checkpoint.with_suffix(".part"), io.BytesIO()  # torch itself does not say why a file cannot be written
    torch.save({"network": network.state_dict(), "optimiser": optimiser.state_dict(), "losses": losses, "plan": repr(plan)}, written)
    try:
        part.write_bytes(written.getbuffer())
        part.replace(checkpoint)
    finally:
        part.unlink(missing_ok=True)


def _resume(checkpoint: Path, network: "nn.Module", optimiser: Any, plan: Plan) -> list[float]:
    """Takes up a checkpoint of the same plan; one of another plan is ignored and training starts from the beginning."""
    import torch

    if not checkpoint.exists():
        return []
    state = torch.load(checkpoint, weights_only=True)
    if state["plan"] != repr(plan):
        return []
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    losses: list[float] = state["losses"]
    return losses
