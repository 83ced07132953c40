"""`train NAME`: one network of ours, trained on the store's own banners or on synthetic ones, its weights beside the store."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from core.banners.heatmaps import Heatmaps, counts_of_lists
from core.errors import InputError
from core.features.networks.training_loop import Plan
from core.features.networks.weight_files import save_network
from core.logs.progress import Progress
from core.models.training.banner_pools import Pool, clean_pool, joined, synthetic_pool
from core.models.training.clusters import (
    FINE_TUNING_RATE,
    ClusterPlan,
    CountPlan,
    LocationPlan,
    train_cluster_count,
    train_cluster_location,
)
from core.models.training.request import TrainRequest
from core.models.training.simclr import SimclrPlan, train_simclr
from core.models.training.ssad_clicks import SsadPlan, train_ssad_clicks
from core.models.training.vit_small import VitPlan, train_vit_small
from core.store import Store

Trainer = Callable[[Any, Any, Path, Progress], tuple[Any, dict[str, Any]]]
"""(pool of banners, or None where the network learns from drawn images; plan; checkpoint; progress) -> (network, what is known of it)."""


N_SYNTHETIC = 2
"""Synthetic pools that the shipped weights are trained on; six, and three times the steps, made `ssad_clicks` no better."""


@dataclass(frozen=True)
class Recipe:
    """How one network is trained; `reads_banners`: on banners, else on images that it draws."""

    plan: Plan
    train: Trainer
    reads_banners: bool = True


NETWORKS: dict[str, Recipe] = {
    "cluster_count": Recipe(CountPlan(), train_cluster_count, reads_banners=False),
    "cluster_location": Recipe(LocationPlan(), train_cluster_location, reads_banners=False),
    "simclr": Recipe(SimclrPlan(), train_simclr),
    "ssad_clicks": Recipe(SsadPlan(), train_ssad_clicks),
    "vit_small": Recipe(VitPlan(), train_vit_small),
}
MAX_BANNERS = 50_000
"""Banners that a training reads from the store, drawn evenly by a hash of their id; more add hours, not skill."""
LEAST_BANNERS = 500


def train(request: TrainRequest, progress: Progress, banners: pa.Table | None = None) -> tuple[Path, dict[str, Any]]:
    """Trains a network and writes its weights into `request.out`, which has to be named; returns their path and what is known of them.

    `banners`: rows of `read_banners`, for a network that learns from the store's own. A stopped training goes on where it was.
    Raises InputError for an unknown name, too few banners, and a backbone that cannot be had or that this network has not.
    """
    recipe, plan, folder = recipe_of(request.name), plan_of(request), Path(str(request.out))
    pool = _pool(recipe, request, banners, progress)
    network, about = recipe.train(pool, plan, folder / f"{request.name}.checkpoint", progress)
    drawn = "drawn" if pool is None else "synthetic" if request.synthetic else "of the store"
    about = {"network": request.name, "banners": drawn, "command": _command(request.name, plan, drawn), **about}
    path = folder / f"{request.name}.safetensors"
    save_network(network, path, about)
    return path, about


def plan_of(request: TrainRequest) -> Plan:
    """How long and by which seed. Raises InputError for an unknown name, and for a backbone that the network has not."""
    plan = recipe_of(request.name).plan
    plan = replace(plan, seed=request.seed, steps=request.steps or plan.steps)
    return plan if request.backbone is None else _with_backbone(request.name, plan, request.backbone)


def recipe_of(name: str) -> Recipe:
    """How a network is trained. Raises InputError for an unknown name."""
    if name not in NETWORKS:
        raise InputError(f"Training knows {', '.join(NETWORKS)}; {name!r} is none of them. Check the spelling.")
    return NETWORKS[name]


def check_banners(n: int, store: Path | str) -> None:
    """Raises InputError where a store holds too few banners to learn from."""
    if n < LEAST_BANNERS:
        raise InputError(f"Training needs {LEAST_BANNERS} banners; {store} holds {n}. Use the shipped weights.")


def _with_backbone(name: str, plan: Plan, backbone: str) -> Plan:
    if not isinstance(plan, ClusterPlan):
        able = ", ".join(n for n, recipe in NETWORKS.items() if isinstance(recipe.plan, ClusterPlan))
        raise InputError(f"A backbone is fine-tuned by {able}; {name!r} has a network of its own. Leave --backbone out.")
    return replace(plan, backbone=backbone, rate=FINE_TUNING_RATE)


def _command(name: str, plan: Plan, drawn: str) -> str:
    backbone = f" --backbone {plan.backbone}" if isinstance(plan, ClusterPlan) and plan.backbone else ""
    return f"python -m core train {name}{' --synthetic' if drawn == 'synthetic' else ''}{backbone} --steps {plan.steps} --seed {plan.seed}"


def _pool(recipe: Recipe, request: TrainRequest, banners: pa.Table | None, progress: Progress) -> Pool | None:
    if not recipe.reads_banners:
        return None
    progress(0.0, "choosing ok banners")
    if request.synthetic:
        return joined([synthetic_pool(request.seed + k) for k in range(N_SYNTHETIC)])
    if banners is None:
        raise InputError(f"{request.name} learns from a store's own banners; there is no store here. Ingest a log, or give --synthetic.")
    check_banners(len(banners), "the store")
    return clean_pool(heatmaps_of_rows(banners))


def read_banners(store: Store) -> pa.Table:
    """banner_id, grid_id, n_products, domain, bins, counts of up to MAX_BANNERS banners over all days, sorted by banner_id."""
    with store.cursor() as cursor:
        return cursor.execute(
            """WITH chosen AS (SELECT * FROM banner ORDER BY hash(banner_id) LIMIT ?),
            cells AS (SELECT banner_id, unnest(bins) AS bin, unnest(counts) AS n FROM heatmap_day SEMI JOIN chosen USING (banner_id)),
            summed AS (SELECT banner_id, bin, sum(n)::UINTEGER AS n FROM cells GROUP BY ALL)
            SELECT banner_id, any_value(grid_id) AS grid_id, any_value(n_products) AS n_products, any_value(domain) AS domain,
                list(bin ORDER BY bin) AS bins, list(n ORDER BY bin) AS counts
            FROM summed JOIN chosen USING (banner_id) GROUP BY banner_id ORDER BY banner_id""",
            [MAX_BANNERS],
        ).to_arrow_table()


def heatmaps_of_rows(rows: pa.Table) -> Heatmaps:
    """Rows of `read_banners` as heatmaps."""
    return Heatmaps(
        banner_id=rows["banner_id"].to_numpy(),
        grid_id=rows["grid_id"].to_numpy().astype(np.int64),
        n_products=rows["n_products"].to_numpy().astype(np.int16),
        domain=rows["domain"].to_numpy(),
        counts=counts_of_lists(rows["bins"], rows["counts"]),
    )
