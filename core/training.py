"""Training of the networks that are shipped, on one shared loop: seeded, on the CPU, with progress, resumable at every checkpoint.

`ssad_clicks` learns to tell real banners from the same banners with corrupted clicks; its pool is cleaned first,
since a network that is shown broken banners as real ones learns that they are normal.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from core.corruptions import CORRUPTIONS, clicks_of, corrupt, counts_of, thinned
from core.detectors import make
from core.detectors.ssad_clicks import channels
from core.errors import InputError
from core.heatmaps import Heatmaps, heatmaps_of
from core.normalise import Normaliser
from core.reference import fit_reference
from core.synthetic import GridPlan, make_clicks

if TYPE_CHECKING:
    from torch import Tensor, nn

Progress = Callable[[float, str], None]
SUSPICIOUS = 0.12
"""Share of every grid that is left out of the pool: those that the likelihood ratio finds likeliest broken."""
LEAST_CLICKS = 8
"""Training banners have at least so many clicks left."""
CHECKPOINT_S = 30.0
N_LOSSES = 50


@dataclass(frozen=True)
class Pool:
    """Banners believed to be in order: counts (n, 1600), references (r, 1600), each banner's reference (n,) and grid (n,)."""

    counts: csr_matrix
    expected: NDArray[np.float32]
    rows: NDArray[np.int64]
    grid_id: NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train; `steps` batches of `batch` real and as many corrupted banners."""

    steps: int = 1600
    batch: int = 128
    rate: float = 2e-3
    seed: int = 0
    corruptions: tuple[str, ...] = tuple(CORRUPTIONS)


def clean_pool(heatmaps: Heatmaps) -> Pool:
    """The pool of `heatmaps`, without the most suspicious of every grid. Raises InputError for fewer than two grids."""
    grids = np.unique(heatmaps.grid_id)
    if len(grids) < 2:
        raise InputError(f"Training mixes banners of different grids, however there are {len(grids)}. Ingest the logs of at least two.")
    reference = fit_reference(heatmaps)
    kept = np.concatenate([_unsuspicious(heatmaps, np.flatnonzero(heatmaps.grid_id == g)) for g in grids])
    clean = heatmaps.take(np.sort(kept))
    return Pool(clean.counts, reference.p.astype(np.float32), reference.rows(clean), clean.grid_id)


def _unsuspicious(heatmaps: Heatmaps, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of the banners of one grid, those that the likelihood ratio does not count among its most suspicious."""
    grid, groups = heatmaps.take(rows), np.zeros(len(rows), dtype=np.int64)
    scores = make("likelihood_ratio").fit(grid, groups).score(grid, groups)
    scores = Normaliser().fit(scores, groups, grid.n_clicks).transform(scores, groups, grid.n_clicks)
    return rows[scores <= np.quantile(scores, 1 - SUSPICIOUS)]


def synthetic_pool(seed: int, n_grids: int = 60, n_banners: int = 160) -> Pool:
    """A pool of synthetic grids, three in ten of them scattered point patterns; none of them is in the demo."""
    plans = tuple(GridPlan(900_000 + k, n_banners, n_banners // 20) for k in range(n_grids))
    log = make_clicks(1_000_000 + seed, plans, scattered=0.3)
    return clean_pool(heatmaps_of(log.banner, log.points, log.banner_id, log.grid_id, log.n_products, log.domain))


def joined(pools: list[Pool]) -> Pool:
    """Several pools as one."""
    starts = np.cumsum([0, *[len(p.expected) for p in pools]])
    return Pool(
        vstack([p.counts for p in pools]).tocsr(),
        np.concatenate([p.expected for p in pools]),
        np.concatenate([p.rows + s for p, s in zip(pools, starts, strict=False)]),
        np.concatenate([p.grid_id + 1_000_000 * k for k, p in enumerate(pools)]),
    )


def make_batch(rng: np.random.Generator, pool: Pool, plan: Plan) -> tuple["Tensor", "Tensor"]:
    """(2 b, 4, 40, 40) inputs and (2 b,) targets: b real banners, and the same corrupted, both thinned to the same number of clicks."""
    import torch

    at = rng.choice(len(pool.rows), plan.batch, replace=False)
    real, rows = pool.counts[at], pool.rows[at]
    other = clicks_of(pool.counts[_of_other_grids(rng, pool.grid_id, at)], rng)
    bad = counts_of(corrupt(rng, clicks_of(real, rng), plan.batch, other, plan.corruptions), plan.batch)
    fewer = np.minimum(np.asarray(real.sum(axis=1)).ravel(), np.asarray(bad.sum(axis=1)).ravel())
    target = fewer * np.exp(rng.uniform(np.log(0.25), 0, plan.batch))
    both = vstack([thinned(rng, real, target), thinned(rng, bad, target)]).tocsr()
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


def train_ssad_clicks(pool: Pool, plan: Plan, checkpoint: Path, progress: Progress) -> tuple["nn.Module", dict[str, Any]]:
    """The trained network, and what is to be known of the training."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    from core.features.networks import SsadClicksNet

    torch.manual_seed(plan.seed)
    network = SsadClicksNet()

    def loss(step: int) -> "Tensor":
        x, y = make_batch(np.random.default_rng([plan.seed, step]), pool, plan)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(x.contiguous(memory_format=torch.channels_last))
        return binary_cross_entropy_with_logits(logits.float(), y)

    curve = fit_network(network, loss, plan, checkpoint, progress)
    return network, {"steps": plan.steps, "seed": plan.seed, "n_banners": len(pool.rows), "last_loss": round(curve[-1], 4)}


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
            group["lr"] = plan.rate * min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / plan.steps))
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
