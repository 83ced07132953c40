"""Synthetic click logs with planted faults, seeded: the demo, and test beds. Nothing here is tuned on, or tunes, real data.

A grid has one layout a product count: tiles with a picture, a title and a button each, a logo and a close corner. A domain
moves and stretches it a little and adds noise of its own; a banner weighs its products in its own way. A fault changes where
the clicks of a banner land.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.banners.layouts import Layout, Points, inside, make_layout, make_scatter

FIRST_DAY = np.datetime64("2026-11-01T00:00:00", "ms")
N_DAYS = 14
N_DOMAINS = 40
LATE_SHARE = 0.2
"""Share of the broken banners that were in order for the first one to five days."""


class GridPlan(NamedTuple):
    """How many banners a grid has, and how many of them are broken."""

    grid_id: int
    n_banners: int
    n_broken: int


DEMO = (
    GridPlan(310021, 600, 24),
    GridPlan(310044, 600, 48),
    GridPlan(312007, 600, 36),
    GridPlan(318850, 600, 30),
    GridPlan(325119, 600, 42),
    GridPlan(333519, 2061, 74),
    GridPlan(333346, 969, 86),
)


# Fault families. Each takes the generator, the banner's layout, the layouts of the other grids and n, and gives n clicks.

Fault = Callable[[np.random.Generator, Layout, list[Layout], int], Points]


def shifted(rng: np.random.Generator, layout: Layout, others: list[Layout], n: int) -> Points:
    """Everything moved by 0.06 to 0.35 of the side."""
    angle, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.06, 0.35)
    move = size * np.array([np.cos(angle), np.sin(angle)])
    return inside(rng, n, lambda m: layout.draw(rng, m) + move)


def scaled(rng: np.random.Generator, layout: Layout, others: list[Layout], n: int) -> Points:
    """Drawn at 0.4-0.75 or 1.3-1.9 times the size, from the top left, the top right or the centre."""
    factor = rng.uniform(0.4, 0.75) if rng.random() < 0.6 else rng.uniform(1.3, 1.9)
    fixed = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.5]][rng.integers(3)])
    return inside(rng, n, lambda m: fixed + (layout.draw(rng, m) - fixed) * factor)


def mirrored(rng: np.random.Generator, layout: Layout, others: list[Layout], n: int) -> Points:
    """Flipped along the axis, or both, along which this layout is least symmetric."""
    flips = [np.array(f) for f in ([1, 0], [0, 1], [1, 1])]
    probe = layout.draw(rng, 4000)
    change = [_distance(probe, _flip(probe, f)) for f in flips]
    good = [f for f, c in zip(flips, change, strict=True) if c >= min(0.5, max(change))]
    flip = good[rng.integers(len(good))]
    return _flip(layout.draw(rng, n), flip)


def _flip(points: Points, flip: NDArray[Any]) -> Points:
    return np.where(flip == 1, 1 - points, points)


def _distance(a: Points, b: Points) -> float:
    """Total variation between two samples on a 10x10 grid, 0..1."""
    edges = np.linspace(0, 1, 11)
    h = [np.histogram2d(p[:, 0], p[:, 1], bins=[edges, edges])[0] / len(p) for p in (a, b)]
    return float(np.abs(h[0] - h[1]).sum() / 2)


def clipped(rng: np.random.Generator, layout: Layout, others: list[Layout], n: int) -> Points:
    """Only the part on one side of a line at 0.35 to 0.65 was drawn; no clicks beyond."""
    axis, low, cut = rng.integers(2), rng.random() < 0.5, rng.uniform(0.35, 0.65)

    def draw(m: int) -> Points:
        points = layout.draw(rng, m)
        return points[(points[:, axis] < cut) == low]

    return inside(rng, n, draw)


def missing_product(rng: np.random.Generator, layout: Layout, others: list[Layout], n: int) -> Points:
    """One of the products is not there and gets no clicks, but for noise."""
    gone = rng.integers(layout.product.max() + 1)
    return layout.weighted(np.where(layout.product == gone, 0, layout.weights)).draw(rng, n)


def _mixed(rng: np.random.Generator, layout: Layout, n: int, low: float, extra: Callable[[int], Points]) -> Points:
    share = rng.uniform(low, 0.95)
    k = rng.binomial(n, share)
    return np.concatenate([inside(rng, k, extra), layout.draw(rng, n - k)])


def hot_spot(rng: np.random.Generator, layout: Layout, others: list[Layout], n: int) -> Points:
    """A quarter or more of the clicks on one spot: bots."""
    centre, sd = rng.uniform(0.1, 0.9, 2), rng.uniform(0.008, 0.03)
    return _mixed(rng, layout, n, 0.25, lambda m: centre + sd * rng.normal(size=(m, 2)))


def uniform(rng: np.random.Generator, layout: Layout, others: list[Layout], n: int) -> Points:
    """Four in ten clicks or more anywhere: bots, or a picture without parts."""
    return _mixed(rng, layout, n, 0.4, lambda m: rng.random((m, 2)))


def edge(rng: np.random.Generator, layout: Layout, others: list[Layout], n: int) -> Points:
    """Three in ten clicks or more along one edge: the banner sits under something, or is scrolled past."""
    axis, far, depth = rng.integers(2), rng.integers(2), rng.uniform(0.02, 0.05)

    def draw(m: int) -> Points:
        points = rng.random((m, 2))
        points[:, axis] = np.abs(far - np.abs(rng.normal(0, depth, m)))
        return points

    return _mixed(rng, layout, n, 0.3, draw)


def close_corner(rng: np.random.Generator, layout: Layout, others: list[Layout], n: int) -> Points:
    """Three in ten clicks or more on a corner: people only want it gone."""
    corner, sd = np.array([rng.choice([0.04, 0.96]), rng.choice([0.04, 0.96])]), rng.uniform(0.015, 0.03)
    return _mixed(rng, layout, n, 0.3, lambda m: corner + sd * rng.normal(size=(m, 2)))


def other_grid(rng: np.random.Generator, layout: Layout, others: list[Layout], n: int) -> Points:
    """Another grid's layout."""
    return others[rng.integers(len(others))].draw(rng, n)


FAULTS: dict[str, Fault] = {
    f.__name__: f for f in (shifted, scaled, mirrored, clipped, missing_product, hot_spot, uniform, edge, close_corner, other_grid)
}


@dataclass(frozen=True)
class Domains:
    """m domains: share of the banners, how each moves (m, 2) and stretches (m, 2) layouts, and its share of stray clicks; (m,) else."""

    name: NDArray[Any]
    share: NDArray[np.float64]
    move: Points
    stretch: Points
    noise: NDArray[np.float64]

    def drawn(self, rng: np.random.Generator, layout: Layout, domain: int) -> Layout:
        """The layout as this domain draws it and as one banner's products are liked."""
        spots = layout.spots.copy()
        spots[:, :2] = 0.5 + (spots[:, :2] - 0.5) * self.stretch[domain] + self.move[domain] + rng.normal(0, 0.006, 2)
        liked = rng.gamma(8, 1 / 8, layout.product.max() + 2)
        return replace(layout, spots=spots, noise=layout.noise + self.noise[domain]).weighted(layout.weights * liked[layout.product])


@dataclass
class Clicks:
    """A click log as columns: banner index (n,), positions (n, 2), time (n,); and the banners' own columns (m,)."""

    banner: NDArray[np.int64]
    points: Points
    clicked_at: NDArray[np.datetime64]
    banner_id: NDArray[Any]
    grid_id: NDArray[np.int64]
    n_products: NDArray[np.int16]
    domain: NDArray[Any]
    fault: NDArray[Any]
    """Fault family a banner, "" where it is not broken."""


def make_clicks(
    seed: int,
    plans: tuple[GridPlan, ...] = DEMO,
    faults: dict[str, Fault] | None = None,
    scattered: float = 0.0,
    own_faults: dict[int, dict[str, Fault]] | None = None,
) -> Clicks:
    """A click log after `plans`; every broken banner has one of `faults` (default: all ten families, evenly).

    `own_faults` gives grids faults of their own; `scattered` is the share of grids whose layout has no tiles, the same for every number
    of products.
    """
    rng = np.random.default_rng(seed)
    faults = FAULTS if faults is None else faults
    layouts = {p.grid_id: {n: make_layout(rng, n) for n in sorted(rng.choice(np.arange(1, 7), 4, replace=False).tolist())} for p in plans}
    for plan in plans[: round(scattered * len(plans))]:
        layouts[plan.grid_id] = dict.fromkeys(layouts[plan.grid_id], make_scatter(rng))
    domains = make_domains(rng)
    parts: list[dict[str, Any]] = []
    for plan in plans:
        broken = np.zeros(plan.n_banners, bool)
        broken[rng.choice(plan.n_banners, plan.n_broken, replace=False)] = True
        own = (own_faults or {}).get(plan.grid_id, faults)
        kinds = iter(rng.permutation(np.resize(rng.permutation(list(own)), plan.n_broken)).tolist())
        others = [x for g, by_n in layouts.items() if g != plan.grid_id for x in by_n.values()]
        for is_broken in broken:
            parts.append(_banner(rng, plan.grid_id, layouts[plan.grid_id], others, domains, next(kinds) if is_broken else "", own))
    return _gathered(rng, parts)


def make_domains(rng: np.random.Generator) -> Domains:
    """N_DOMAINS domains, few of them popular."""
    popularity = 1 / (1 + np.arange(N_DOMAINS)) ** 0.8
    return Domains(
        name=np.array([f"site{k:03d}.example" for k in range(N_DOMAINS)]),
        share=popularity / popularity.sum(),
        move=rng.normal(0, 0.008, (N_DOMAINS, 2)),
        stretch=1 + rng.normal(0, 0.012, (N_DOMAINS, 2)),
        noise=rng.uniform(0, 0.05, N_DOMAINS),
    )


def _banner(
    rng: np.random.Generator,
    grid_id: int,
    layouts: dict[int, Layout],
    others: list[Layout],
    domains: Domains,
    fault: str,
    faults: dict[str, Fault],
) -> dict[str, Any]:
    counts = list(layouts)
    if fault == "missing_product":
        counts = [n for n in counts if n > 1]
    n_products = int(rng.choice(counts))
    domain = int(rng.choice(N_DOMAINS, p=domains.share))
    layout = domains.drawn(rng, layouts[n_products], domain)
    n = int(np.clip(rng.lognormal(np.log(180), 0.7), 15, 20_000))
    first = int(rng.integers(1, 6)) if fault and rng.random() < LATE_SHARE else 0
    day = rng.integers(0, N_DAYS, n)
    n_late = int((day >= first).sum())
    points = layout.draw(rng, n)
    if fault:
        points[day >= first] = faults[fault](rng, layout, others, n_late)
    return {"grid_id": grid_id, "n_products": n_products, "domain": domains.name[domain], "fault": fault, "points": points, "day": day}


def _gathered(rng: np.random.Generator, parts: list[dict[str, Any]]) -> Clicks:
    order = rng.permutation(len(parts))
    parts = [parts[i] for i in order]
    sizes = np.array([len(p["points"]) for p in parts])
    banner = np.repeat(np.arange(len(parts)), sizes)
    n = len(banner)
    hour = np.clip(rng.normal(15, 4.5, n), 0, 23.99) * 3_600_000
    day = np.concatenate([p["day"] for p in parts])
    at = FIRST_DAY + (day * 86_400_000 + hour).astype("timedelta64[ms]")
    return Clicks(
        banner,
        np.concatenate([p["points"] for p in parts]),
        at,
        np.array([f"bn-{i:06d}" for i in range(len(parts))], dtype=object),
        np.array([p["grid_id"] for p in parts], dtype=np.int64),
        np.array([p["n_products"] for p in parts], dtype=np.int16),
        np.array([p["domain"] for p in parts], dtype=object),
        np.array([p["fault"] for p in parts], dtype=object),
    )


class DemoFiles(NamedTuple):
    """What `write_demo` wrote."""

    clicks: list[Path]
    truth: Path


def write_demo(
    folder: Path,
    seed: int = 0,
    plans: tuple[GridPlan, ...] = DEMO,
    faults: dict[str, Fault] | None = None,
    own_faults: dict[int, dict[str, Fault]] | None = None,
) -> DemoFiles:
    """Writes a synthetic log as Parquet, and its truth (banner_id, broken, fault) as CSV, into `folder`; arguments as of `make_clicks`."""
    folder.mkdir(parents=True, exist_ok=True)
    log = make_clicks(seed, plans, faults, own_faults=own_faults)
    order = np.argsort(log.clicked_at, kind="stable")
    b = log.banner[order]
    clicks = pa.table(
        {
            "click_id": pa.array([f"c{seed}-{i:09d}" for i in range(len(b))]),
            "banner_id": pa.array(log.banner_id).take(pa.array(b)),
            "grid_id": log.grid_id[b],
            "n_products": log.n_products[b],
            "domain": pa.array(log.domain).take(pa.array(b)),
            "click_x_rel": log.points[order, 0],
            "click_y_rel": log.points[order, 1],
            "clicked_at": log.clicked_at[order],
        }
    )
    files = DemoFiles([folder / "clicks.parquet"], folder / "truth.csv")
    pq.write_table(clicks, files.clicks[0])
    truth = pa.table({"banner_id": pa.array(log.banner_id), "broken": (log.fault != "").astype(np.int8), "fault": pa.array(log.fault)})
    pyarrow.csv.write_csv(truth, files.truth)
    return files
