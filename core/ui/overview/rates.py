"""The overview's numbers: from query rows to the rows of its table, its sentence and the control limits. No Streamlit."""

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core import settings
from core.statistics import intervals
from core.ui.render import text
from core.ui.render.tables import GridRow

Row = dict[str, Any]


class Daily(NamedTuple):
    """A grid's days with its control limits; shares are NaN where too few banners had a click."""

    days: NDArray[Any]
    share: NDArray[np.float64]
    centre: float
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def daily(rows: Sequence[Row], n_days: int | None) -> dict[int, Daily]:
    """Per grid its last `n_days` days (None = all) against limits around the median grid's rate.

    The median of the grids is what is usual here, and one bad grid does not move it; with fewer than three grids a grid is held
    against its own first half.
    """
    by_grid: dict[int, list[Row]] = {}
    for row in rows:
        by_grid.setdefault(row["grid_id"], []).append(row)
    all_days = sorted({row["day"] for row in rows})
    kept = all_days[-n_days:] if n_days else all_days
    series = {grid: _series(mine, kept) for grid, mine in by_grid.items()}
    typical = [float(np.nanmean(share)) for share, _ in series.values() if np.isfinite(share).any()]
    out = {}
    for grid, (share, n) in series.items():
        own = share[: max(1, len(share) // 2)]
        centre = float(np.median(typical)) if len(typical) >= 3 else float(np.nanmean(own)) if np.isfinite(own).any() else 0.0
        limits = intervals.lower_limit(centre, n), intervals.upper_limit(centre, n)
        out[grid] = Daily(np.array(kept, dtype="datetime64[D]"), share, centre, *limits)
    return out


def _series(rows: Sequence[Row], days: Sequence[date]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    seen = {row["day"]: row for row in rows}
    n = np.array([seen[d]["n_banners"] if d in seen else 0 for d in days], dtype=np.float64)
    broken = np.array([seen[d]["n_broken"] if d in seen else 0 for d in days], dtype=np.float64)
    share = np.where(n >= settings.MIN_BANNERS, broken / np.maximum(n, 1), np.nan)
    return share, n


def grid_rows(rows: Sequence[Row], by_day: dict[int, Daily], new: dict[int, Row]) -> list[GridRow]:
    """Rows of the overview's table: enough banners first, highest rate first. `new` are the grids that no earlier run knew."""
    out = [_grid_row(row, by_day.get(row["grid_id"]), new.get(row["grid_id"])) for row in rows]
    return sorted(out, key=lambda r: (r.n < settings.MIN_BANNERS, -r.share, r.grid_id))


def _grid_row(row: Row, day: Daily | None, new: Row | None) -> GridRow:
    share = intervals.wilson(row["flagged"], row["n"])
    state, words = "normal", "normal"
    if day is not None and len(day.days):
        state, first = intervals.alert_state(day.share, day.high)
        since = text.day(day.days[first].astype(object))
        started = "on every day shown" if first == 0 else f"since {since}"
        words = {"normal": "normal", "pending": "pending: 1 day above", "firing": f"high {started}"}[state]
    if new is not None:
        words = _new_words(new) if state == "normal" else f"{words}; new grid"
    fault_share = row["fault_n"] / row["flagged"] if row["fault"] else 0.0
    trend = day.share.tolist() if day is not None else []
    return GridRow(row["grid_id"], row["n"], row["flagged"], *share, trend, row["fault"], fault_share, state, words)


def _new_words(new: Row) -> str:
    """The state of a grid that no earlier run knew."""
    if new["held_back"]:
        return f"unknown grid: {text.plural(new['n'], 'banner')}, too few to say what is normal"
    return "new grid: first seen in this run" if new["first_seen"] else "new grid: too few banners in earlier runs"


def new_sentence(new: Row) -> str:
    """What the run says of a new grid's layout: how many of its banners fit no known one, and which comes closest."""
    words = _new_words(new)[0].upper() + _new_words(new)[1:] + "."
    if new["held_back"]:
        words += " None of them is flagged."
    if new["none"] is not None:
        share = text.percent(new["none"] / new["n"], 0)
        words += f" The clicks of {new['none']:,} of {text.plural(new['n'], 'banner')} ({share}) fit no layout that is known"
        return words + f"; closest is that of grid {text.grid(new['nearest'])}."
    return words + f" Of the layouts that are known, that of grid {text.grid(new['nearest'])} is closest."


def axis_top(rows: Sequence[GridRow]) -> float:
    """End of the common axis: the widest interval among grids with enough banners."""
    return max((r.high for r in rows if r.n >= settings.MIN_BANNERS), default=0.1) * 1.03


def share_of(rows: Sequence[Row]) -> float | None:
    """Flagged of the banners in rows of `overview.grids`; None without a banner."""
    n = sum(r["n"] for r in rows)
    return sum(r["flagged"] for r in rows) / n if n else None


def not_judged_words(row: Row) -> str:
    """How many banners cannot be judged; empty where all can."""
    if not row["n"]:
        return ""
    have = "has" if row["n"] == 1 else "have"
    return (
        f"{row['n']:,} of {text.plural(row['n_all'], 'banner')} {have} fewer than {settings.MIN_JUDGED} clicks: too few for most faults to "
        "show. Not flagged does not mean ok there."
    )


def change_sentence(row: Row) -> str:
    """What happened to a grid as a whole, since when, and what it looks like."""
    since = f"since {text.day(row['since'])}" if row["is_within"] else "since before this window"
    looks = f": {row['sentence'].split(' (next best')[0].rstrip('.')}" if row["fault"] else ""
    moved = f"{text.percent(row['moved'], 0)} of its clicks lie elsewhere"
    return (
        f"Grid {text.grid(row['grid_id'])} changed as a whole {since}, {moved}{looks}. "
        "All of its banners share that, so none is flagged for it."
    )


def which(flagged: int, of_run: int, least: int, grid: int | None, domain: str | None) -> str:
    """Of the 346 flagged in this run, 344 have 30 clicks or more; empty where the filters leave none out."""
    if flagged == of_run:
        return ""
    limits = [f"are of grid {text.grid(grid)}"] * (grid is not None) + [f"are on {domain}"] * (domain is not None)
    limits += [f"have {text.plural(least, 'click')} or more"] * (least > 0)
    return f" Of the {of_run:,} flagged in this run, {flagged:,} {' and '.join(limits)}."


def sentence(rows: Sequence[Row], shown: Sequence[GridRow], previous: float | None, last_day: date | None) -> str:
    """61 of 3,030 banners look broken (2.0 %, 95 % interval 1.6–2.6); 12 are new on 14 Nov; grid 333346 holds most of them.

    `previous` is the share that the same filters leave flagged in the run before.
    """
    n, flagged, new = (sum(r[k] for r in rows) for k in ("n", "flagged", "new"))
    if n == 0:
        return "No banner passes these filters."
    rate = intervals.wilson(flagged, n)
    words = f"{flagged:,} of {text.plural(n, 'banner')} {'looks' if flagged == 1 else 'look'} broken"
    words += f" ({text.percent(rate.share)}, 95 % interval {text.span(rate.low, rate.high)})"
    if previous is not None:
        words += f", after {text.percent(previous)} in the run before"
    if new:
        words += f"; {new:,} {'is' if new == 1 else 'are'} new on {text.day(last_day)}"
    firing = [r for r in shown if r.state == "firing"]
    if len(firing) == 1:
        words += f"; grid {text.grid(firing[0].grid_id)} is {firing[0].state_text}"
    elif firing:
        words += f"; {len(firing)} of {len(shown)} grids are high"
    worst = max(rows, key=lambda r: r["flagged"])
    if len(rows) > 1 and flagged and worst["flagged"] > 0.3 * flagged and not firing:
        part = "most" if worst["flagged"] > flagged / 2 else text.percent(worst["flagged"] / flagged, 0)
        words += f"; grid {text.grid(worst['grid_id'])} holds {part} of them"
    return words + "."
