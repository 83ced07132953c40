"""`train NAME`: one network of ours, trained on the store's own banners or on synthetic ones, its weights beside the store."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from core.banners.heatmaps import Heatmaps, counts_of_lists
from core.errors import InputError
from core.features.networks.training_loop import Plan, Progress
from core.features.networks.weight_files import save_network, weights_folder
from core.models.training.banner_pools import Pool, clean_pool, joined, synthetic_pool
from core.models.training.clusters import (
    FINE_TUNING_RATE,
    ClusterPlan,
    CountPlan,
    LocationPlan,
    train_cluster_count,
    train_cluster_location,
)
from core.models.training.simclr import SimclrPlan, train_simclr
from core.models.training.ssad_clicks import SsadPlan, train_ssad_clicks
from core.models.training.vit_small import VitPlan, train_vit_small
from core.store import Store
from core.store.url import StoreUrl

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


@dataclass(frozen=True)
class Trained:
    """Where the weights are, and what is known of them."""

    path: Path
    about: dict[str, Any]


def train(
    name: str,
    store: Path | str,
    *,
    synthetic: bool,
    steps: int | None,
    seed: int,
    out: Path | None,
    progress: Progress,
    backbone: str | None = None,
    banners: pa.Table | None = None,
) -> Trained:
    """Trains network `name` and writes its weights into `out` (default: beside the store). A stopped training goes on where it was.

    `banners`: the store's, as of `read_banners`, where another process has it open; None = they are read from it here.
    Raises InputError for an unknown name, a store with too few banners, and a backbone that cannot be had or that this network has not.
    """
    recipe = recipe_of(name)
    folder = out or weights_folder(StoreUrl.parse(store).home.resolve())
    plan = replace(recipe.plan, seed=seed, steps=steps or recipe.plan.steps)
    plan = plan if backbone is None else _with_backbone(name, plan, backbone)
    pool = _pool(recipe, store, banners, synthetic, seed, progress)
    network, about = recipe.train(pool, plan, folder / f"{name}.checkpoint", progress)
    drawn = "drawn" if pool is None else "synthetic" if synthetic else "of the store"
    about = {"network": name, "banners": drawn, "command": _command(name, plan, drawn), **about}
    save_network(network, folder / f"{name}.safetensors", about)
    return Trained(folder / f"{name}.safetensors", about)


def recipe_of(name: str) -> Recipe:
    """How a network is trained. Raises InputError for an unknown name."""
    if name not in NETWORKS:
        raise InputError(f"Training knows {', '.join(NETWORKS)}: {name!r} is none. Check the spelling.")
    return NETWORKS[name]


def check_banners(n: int, store: Path | str) -> None:
    """Raises InputError where a store holds too few banners to learn from."""
    if n < LEAST_BANNERS:
        raise InputError(f"Training needs {LEAST_BANNERS} banners: {store} holds {n}. Use the shipped weights.")


def _with_backbone(name: str, plan: Plan, backbone: str) -> Plan:
    if not isinstance(plan, ClusterPlan):
        able = ", ".join(n for n, recipe in NETWORKS.items() if isinstance(recipe.plan, ClusterPlan))
        raise InputError(f"A backbone is fine-tuned by {able}: {name!r} has a network of its own. Leave --backbone out.")
    return replace(plan, backbone=backbone, rate=FINE_TUNING_RATE)


def _command(name: str, plan: Plan, drawn: str) -> str:
    backbone = f" --backbone {plan.backbone}" if isinstance(plan, ClusterPlan) and plan.backbone else ""
    return f"python -m core train {name}{' --synthetic' if drawn == 'synthetic' else ''}{backbone} --steps {plan.steps} --seed {plan.seed}"


def _pool(recipe: Recipe, store: Path | str, banners: pa.Table | None, synthetic: bool, seed: int, progress: Progress) -> Pool | None:
    if not recipe.reads_banners:
        return None
    progress(0.0, "choosing ok banners")
    if synthetic:
        return joined([synthetic_pool(seed + k) for k in range(N_SYNTHETIC)])
    heatmaps = heatmaps_of_rows(_banners_of(store) if banners is None else banners)
    check_banners(len(heatmaps), store)
    return clean_pool(heatmaps)


def _banners_of(store: Path | str) -> pa.Table:
    if not StoreUrl.parse(store).exists():
        raise InputError(f"Training takes a store's own banners: {store} does not exist. Ingest a log, or give --synthetic.")
    with Store(store, create=False) as opened:
        return read_banners(opened)


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
