"""HTML tables that one can pick from. Rows in, text out: every string from data is escaped here, so the report uses the same tables.

A row with `data-pick` can be clicked or entered; a box with `data-check` can be ticked.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from core.ui.render import palette, svg, text
from core.ui.render.text import markup

CSS = Path(__file__).with_name("tables.css").read_text(encoding="utf-8")


PICTURES = "The share of a banner's clicks in each cell. All pictures of a table are on one scale."


class GridRow(NamedTuple):
    """One grid of the overview. Rates are NaN where there are too few banners."""

    grid_id: int
    n: int
    flagged: int
    share: float
    low: float
    high: float
    trend: Sequence[float]
    fault: str | None
    fault_share: float
    state: str
    state_text: str


def grid_table(rows: Sequence[GridRow], top: float, chosen: int | None, days: int, min_banners: int) -> str:
    """Rates per grid with intervals on one common axis."""
    head = (
        '<tr><th>grid_id</th><th class="num">banners</th><th class="num">flagged</th>'
        f"<th>rate with 95 % interval{svg.axis(top)}</th><th></th><th>{text.plural(days, 'day')}</th><th>main fault</th><th>state</th></tr>"
    )
    body = "".join(_grid_row(row, top, chosen, min_banners) for row in rows)
    return f'<div class="hp"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def _grid_row(row: GridRow, top: float, chosen: int | None, min_banners: int) -> str:
    picked = f'data-pick="{row.grid_id}" tabindex="0" aria-selected="{str(row.grid_id == chosen).lower()}"'
    start = f"<tr {picked}><td><b>{markup(text.grid(row.grid_id))}</b></td>"
    counts = f'<td class="num">{row.n:,}</td><td class="num">{row.flagged:,}</td>'
    if row.n < min_banners:
        why = markup(row.state_text) + "; " if row.state_text.startswith("unknown grid") else ""
        return f'{start}{counts}<td colspan="5" class="muted">{why}too few banners for a rate ({min_banners} needed)</td></tr>'
    rate = f"<b>{text.percent(row.share)}</b> <span class='muted'>({text.span(row.low, row.high)})</span>"
    fault = f"{markup(text.fault(row.fault))} <span class='muted'>{100 * row.fault_share:.0f} %</span>" if row.fault else text.UNKNOWN
    return (
        f"{start}{counts}<td>{svg.whisker(row.share, row.low, row.high, top, alarm=row.state == 'firing')}</td><td>{rate}</td>"
        f'<td>{svg.sparkline(row.trend)}</td><td>{fault}</td><td class="{row.state}">{markup(row.state_text)}</td></tr>'
    )


def cell_table(cells: Sequence[dict[str, Any]], max_domains: int = 14, min_banners: int = 5) -> str:
    """Rates by product count (down) and domain (across), domains with most flagged first; a click picks "products|domain"."""
    flagged: dict[str, int] = {}
    for row in cells:
        flagged[row["domain"]] = flagged.get(row["domain"], 0) + row["flagged"]
    domains = sorted(flagged, key=lambda d: (-flagged[d], d))[:max_domains]
    by_key = {(row["n_products"], row["domain"]): row for row in cells}
    top = max((row["flagged"] / row["n"] for row in cells if row["n"] >= min_banners), default=0) or 1
    head = "<tr><th>products</th>" + "".join(f'<th title="{markup(d)}">{markup(_short(d))}</th>' for d in domains) + "</tr>"
    body = "".join(
        f"<tr><th>{text.product_count(products)}</th>"
        + "".join(_cell(by_key.get((products, d)), top, min_banners) for d in domains)
        + "</tr>"
        for products in sorted({row["n_products"] for row in cells})
    )
    rest = len(flagged) - len(domains)
    more = f'<p class="muted">{text.plural(rest, "domain")} with fewer flagged banners not shown</p>' if rest > 0 else ""
    return f'<div class="hp"><table class="cells"><thead>{head}</thead><tbody>{body}</tbody></table>{more}</div>'


def _cell(row: dict[str, Any] | None, top: float, min_banners: int) -> str:
    if row is None:
        return f'<td class="muted">{text.UNKNOWN}</td>'
    share = row["flagged"] / row["n"]
    ink = round(60 * min(share / top, 1)) if row["n"] >= min_banners else 0
    rate = f"{100 * share:.0f} %" if row["n"] >= min_banners else text.UNKNOWN
    pick = f'data-pick="{row["n_products"]}|{markup(row["domain"])}" tabindex="0" role="button"' if row["flagged"] else ""
    shade = f"background: color-mix(in srgb, var(--st-red-color, #B8450B) {ink}%, var(--st-background-color, #fff))"
    return f'<td {pick} style="{shade}">{rate}<small>{row["flagged"]:,} of {row["n"]:,}</small></td>'


def cluster_table(rows: Sequence[tuple[int, int, int, str]]) -> str:
    """Clusters: number (-1: in none), banners, flagged, the grid that most of them are of."""
    head = '<tr><th>cluster</th><th class="num">banners</th><th class="num">flagged</th><th class="num">share</th><th>mostly grid</th></tr>'
    body = "".join(
        f'<tr data-pick="{k}" tabindex="0"><td><b>{k + 1 if k >= 0 else "in none"}</b></td><td class="num">{n:,}</td>'
        f'<td class="num">{flagged:,}</td><td class="num">{text.percent(flagged / n, 0)}</td><td>{markup(main)}</td></tr>'
        for k, n, flagged, main in rows
    )
    return f'<div class="hp"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def queue_table(
    rows: Sequence[dict[str, Any]], thumbnails: dict[str, str], current: str | None, checked: Collection[str], last_day: Any
) -> str:
    """The queue: tick box, thumbnail, banner, why it was flagged, p-value, clicks, since, state."""
    head = (
        '<tr><th><input type="checkbox" data-check-all aria-label="all on this page"></th>'
        f'<th title="{PICTURES}">map</th><th>banner</th><th>why</th>'
        '<th class="num">p</th><th class="num">clicks</th><th>since</th></tr>'
    )
    body = "".join(_queue_row(r, thumbnails.get(r["banner_id"], ""), current, r["banner_id"] in checked, last_day) for r in rows)
    return f'<div class="hp"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def _queue_row(row: dict[str, Any], thumbnail: str, current: str | None, ticked: bool, last_day: Any) -> str:
    name = markup(row["banner_id"])
    picture = f'<img src="{thumbnail}" alt="">' if thumbnail else ""
    place = f"{markup(text.grid(row['grid_id']))} · {markup(_short(row['domain'], 22))} · {text.product_count(row['n_products'])}"
    new = ' <span class="new">new</span>' if row["since"] is not None and row["since"] == last_day else ""
    mark = "" if row["state"] == "open" else f'<span class="{row["state"]}" title="{row["state"]}">{palette.SIGNS[row["state"]]}</span> '
    return (
        f'<tr data-pick="{name}" tabindex="0" aria-selected="{str(row["banner_id"] == current).lower()}">'
        f'<td><input type="checkbox" data-check="{name}" aria-label="select {name}" {"checked" if ticked else ""}></td>'
        f"<td>{picture}</td><td title='{name}'>{mark}<b>{markup(_short(row['banner_id'], 26))}</b>"
        f'<br><span class="muted">{place}</span></td><td class="wide"><div>{markup(why(row).split(" (next best")[0])}</div></td>'
        f'<td class="num">{text.markup(text.p_value(row["p_value"]))}</td><td class="num">{row["n_clicks"]:,}</td>'
        f"<td>{text.day(row['since'])}{new}</td></tr>"
    )


def why(row: dict[str, Any]) -> str:
    """The reason for a flag in words."""
    if row.get("sentence"):
        return str(row["sentence"])
    return "Its clicks lie where this group's do not; no known fault describes it."


def _short(value: str, length: int = 16) -> str:
    return value if len(value) <= length else value[: length - 1] + "…"
