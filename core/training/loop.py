"""The one training loop: seeded, on the CPU, with progress, resumable at every checkpoint."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

Progress = Callable[[float, str], None]
"""Called with the share done (0..1) and what is being done."""
CHECKPOINT_S = 30.0
N_LOSSES = 50


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train: `steps` batches of `batch` examples, AdamW from `rate` down along a cosine."""

    steps: int
    batch: int
    rate: float = 2e-3
    seed: int = 0

    def rate_at(self, step: int) -> float:
        """Learning rate of a step: up over the first 100, then down along half a cosine."""
        return self.rate * min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def fit_network(network: "nn.Module", loss: Callable[[int], "Tensor"], plan: Plan, checkpoint: Path, progress: Progress) -> list[float]:
    """Runs the plan, from the checkpoint where there is one; returns the loss curve, means of N_LOSSES steps.

    A step's data depend on seed and step alone, so that a stopped training ends where an unstopped one does.
    """
    import torch

    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=1e-4)
    losses: list[float] = _resume(checkpoint, network, optimiser, plan)
    saved = time.monotonic()
    network.train()
    for step in range(len(losses), plan.steps):
        for group in optimiser.param_groups:
            group["lr"] = plan.rate_at(step)
        value = loss(step)
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(value.detach()))
        progress((step + 1) / plan.steps, f"step {step + 1:,} of {plan.steps:,}, loss {np.mean(losses[-N_LOSSES:]):.4f}")
        if time.monotonic() - saved > CHECKPOINT_S:
            _save(checkpoint, network, optimiser, losses, plan)
            saved = time.monotonic()
    network.eval()
    checkpoint.unlink(missing_ok=True)
    return [float(np.mean(losses[k : k + N_LOSSES])) for k in range(0, len(losses), N_LOSSES)]


def _save(checkpoint: Path, network: "nn.Module", optimiser: Any, losses: list[float], plan: Plan) -> None:
    import torch

    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    part = checkpoint.with_suffix(".part")
    torch.save({"network": network.state_dict(), "optimiser": optimiser.state_dict(), "losses": losses, "plan": repr(plan)}, part)
    part.replace(checkpoint)


def _resume(checkpoint: Path, network: "nn.Module", optimiser: Any, plan: Plan) -> list[float]:
    """Takes up a checkpoint of the same plan; one of another plan is left alone and training begins anew."""
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
