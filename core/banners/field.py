"""Synthetic click logs that are as unruly as logs of the field: what the demo's independent clicks leave out. Seeded; tunes no real data.

Beside what `synthetic.py` draws: half of the banners have fewer than 60 clicks and a few have thousands; clicks belong to visitors, who
click again beside their last click; phones and desktops differ in layout and in spread; how products are liked differs between banners;
one banner in ten stands a little elsewhere for good reason. Faults begin on a day, hit phones only, are weak, or hit a domain at once.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.banners.layouts import Layout, Points, make_layout
from core.banners.synthetic import DEMO, FAULTS, FIRST_DAY, N_DAYS, N_DOMAINS, Domains, Fault, GridPlan, make_domains

MEDIAN_CLICKS, SPREAD_CLICKS = 60, 1.1
BROKEN = 0.03
LATE, ON_PHONES, WEAK, SHARED = 0.5, 0.4, 0.25, 0.3
"""Shares of the broken banners whose fault begins later, hits phones only, takes only half of the clicks, or is shared by a domain."""
MOVED_FOR_GOOD = 0.1
AGAIN = 0.3
"""Chance that a click is followed by another of the same visitor, beside it."""
PHONES = 0.55
"""Share of phones on an average domain."""


@dataclass
class FieldLog:
    """A click log as columns: banner index, position, time, device and visitor of every click; and the banners' own columns (m,)."""

    banner: NDArray[np.int64]
    points: Points
    clicked_at: NDArray[np.datetime64]
    device: NDArray[Any]
    visitor_id: NDArray[Any]
    banner_id: NDArray[Any]
    grid_id: NDArray[np.int64]
    n_products: NDArray[np.int16]
    domain: NDArray[Any]
    fault: NDArray[Any]
    """Fault family a banner, "" where it is ok."""
    since: NDArray[np.int64]
    """Day of the fault's first click, 0 to 13; -1 where the banner is ok."""
    on_phones: NDArray[np.bool_]


class Break(NamedTuple):
    """How a banner is broken: its fault, the first day of it, whether on phones only, and the share of clicks that it takes."""

    fault: str
    since: int
    on_phones: bool
    share: float


@dataclass(frozen=True)
class World:
    """What banners are drawn from: layouts by grid and products, for desktops and for phones; domains, and their share of phones."""

    layouts: dict[int, dict[int, tuple[Layout, Layout]]]
    domains: Domains
    phones: NDArray[np.float64]


def make_field(seed: int, plans: tuple[GridPlan, ...] = DEMO, faults: dict[str, Fault] | None = None) -> FieldLog:
    """A field log with the grids and numbers of banners of `plans`, of which BROKEN have one of `faults` (default: all ten)."""
    rng = np.random.default_rng(seed)
    faults = FAULTS if faults is None else faults
    world = _world(rng, plans)
    parts = []
    for plan in plans:
        domain = rng.choice(N_DOMAINS, plan.n_banners, p=world.domains.share)
        for at, how in zip(domain.tolist(), _breaks(rng, domain, list(faults)), strict=True):
            parts.append(_banner(rng, world, plan.grid_id, at, how, faults))
    order = rng.permutation(len(parts))
    return _gathered([parts[i] for i in order])


def _world(rng: np.random.Generator, plans: tuple[GridPlan, ...]) -> World:
    layouts = {}
    for plan in plans:
        products = sorted(rng.choice(np.arange(1, 7), 4, replace=False).tolist())
        layouts[plan.grid_id] = {n: _pair(rng, make_layout(rng, n)) for n in products}
    return World(layouts, make_domains(rng), np.clip(rng.beta(6 * PHONES, 6 * (1 - PHONES), N_DOMAINS), 0.05, 0.95))


def _pair(rng: np.random.Generator, layout: Layout) -> tuple[Layout, Layout]:
    """A layout on desktops, and on phones: stretched a little, hit less exactly by a thumb."""
    spots = layout.spots.copy()
    spots[:, :2] = 0.5 + (spots[:, :2] - 0.5) * rng.uniform(0.93, 1.05, 2) + rng.normal(0, 0.015, 2)
    spots[:, 2:] *= rng.uniform(1.1, 1.5)
    return layout, replace(layout, spots=spots)


def _breaks(rng: np.random.Generator, domain: NDArray[np.int64], faults: list[str]) -> list[Break | None]:
    """How each banner of a grid is broken, None = it is ok; of every fault that a domain shares, a few banners at once."""
    n = len(domain)
    wanted = max(1, round(BROKEN * n))
    out: list[Break | None] = [None] * n
    while (left := wanted - sum(one is not None for one in out)) > 0:
        late, share = rng.random() < LATE, rng.uniform(0.4, 0.6) if rng.random() < WEAK else 1.0
        how = Break(str(rng.choice(faults)), int(rng.integers(2, N_DAYS - 1)) if late else 0, bool(rng.random() < ON_PHONES), share)
        first = int(rng.choice([i for i in range(n) if out[i] is None]))
        hit = [first]
        if rng.random() < SHARED:
            hit += [i for i in np.flatnonzero(domain == domain[first]).tolist() if out[i] is None and i != first][: min(left - 1, 4)]
        for i in hit:
            out[i] = how
    return out


def _banner(
    rng: np.random.Generator, world: World, grid_id: int, domain: int, how: Break | None, faults: dict[str, Fault]
) -> dict[str, Any]:
    own = world.layouts[grid_id]
    counts = [n for n in own if n > 1 or how is None or how.fault != "missing_product"]
    n_products = int(rng.choice(counts))
    liked = rng.gamma(3, 1 / 3, 8)
    moved = rng.normal(0, 0.03, 2) * (rng.random() < MOVED_FOR_GOOD)
    n = int(np.clip(rng.lognormal(np.log(MEDIAN_CLICKS), SPREAD_CLICKS), 3, 20_000))
    visitor = np.cumsum(rng.random(n) >= AGAIN)  # clicks of one visitor follow each other
    first = np.unique(visitor, return_index=True, return_inverse=True)
    phone, day = rng.random(n) < world.phones[domain], rng.integers(0, N_DAYS, n)
    phone, day = phone[first[1]][first[2]], day[first[1]][first[2]]
    broken = np.zeros(n, dtype=bool)
    if how is not None:
        broken = (day >= how.since) & (phone | (not how.on_phones)) & (rng.random(n) < how.share)
    points = np.empty((n, 2))
    others = [pair[0] for g, by_n in world.layouts.items() if g != grid_id for pair in by_n.values()]
    for on_phone, layout in zip((False, True), own[n_products], strict=True):
        drawn = world.domains.drawn(rng, layout, domain)
        drawn = drawn.weighted(drawn.weights * liked[drawn.product])
        drawn = replace(drawn, spots=drawn.spots + np.concatenate([moved, [0, 0]]))
        rows = np.flatnonzero(phone == on_phone)
        points[rows] = drawn.draw(rng, len(rows))
        rows = rows[broken[rows]]
        if how is not None and len(rows):
            points[rows] = faults[how.fault](rng, drawn, others, len(rows))
    again = np.flatnonzero(np.diff(visitor, prepend=-1) == 0)
    for i in again:  # a visitor's further clicks lie beside the last one
        points[i] = np.clip(points[i - 1] + rng.normal(0, 0.012, 2), 0, 1)
    at = (
        day * 86_400_000
        + np.clip(rng.normal(15, 4.5, n), 0, 23.9)[first[1]][first[2]] * 3_600_000
        + (np.arange(n) - first[1][first[2]]) * 1500
    )
    return {
        "grid_id": grid_id,
        "n_products": n_products,
        "domain": world.domains.name[domain],
        "how": how,
        "points": points,
        "at": at,
        "phone": phone,
        "visitor": visitor,
    }


def _gathered(parts: list[dict[str, Any]]) -> FieldLog:
    banner = np.repeat(np.arange(len(parts)), [len(p["points"]) for p in parts])
    visitor = np.concatenate([p["visitor"] for p in parts])
    hows = [p["how"] for p in parts]
    return FieldLog(
        banner,
        np.concatenate([p["points"] for p in parts]),
        FIRST_DAY + np.concatenate([p["at"] for p in parts]).astype("timedelta64[ms]"),
        np.where(np.concatenate([p["phone"] for p in parts]), "phone", "desktop"),
        np.char.add(np.char.add("v", banner.astype(str)), np.char.add("-", visitor.astype(str))),
        np.array([f"bn-{i:06d}" for i in range(len(parts))], dtype=object),
        np.array([p["grid_id"] for p in parts], dtype=np.int64),
        np.array([p["n_products"] for p in parts], dtype=np.int16),
        np.array([p["domain"] for p in parts], dtype=object),
        np.array(["" if how is None else how.fault for how in hows], dtype=object),
        np.array([-1 if how is None else how.since for how in hows], dtype=np.int64),
        np.array([how is not None and how.on_phones for how in hows]),
    )
