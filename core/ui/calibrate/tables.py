"""Tables of the Calibrate page: what is expected before and after, flags against labels, rates per grid. Rows in, HTML out."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from core.calibration.expectation import Interval
from core.calibration.publish import Measured, Preview
from core.statistics import intervals
from core.ui.render import text
from core.ui.render.text import markup

Row = dict[str, Any]
WIDTH = 104


def share(value: float | None, low: float | None, high: float | None) -> str:
    """.93 (.86–.97); 1.00 and 0 keep their digit."""
    if value is None or value != value:
        return text.UNKNOWN
    first, lowest, highest = (f"{v:.2f}".removeprefix("0") if v else "0" for v in (value, low or 0.0, high or 0.0))
    return f"{first} ({lowest}\u2013{highest})"


def count(value: float, low: float, high: float) -> str:
    """163 (155–173)."""
    return f"{value:,.0f} ({low:,.0f}\u2013{high:,.0f})"


def next_queue(k: int) -> tuple[float, float]:
    """95 % interval of how many of as many other banners would be flagged, where k of these are: gamma-Poisson with Jeffreys' prior."""
    rng = np.random.default_rng(0)
    low, high = np.quantile(rng.poisson(rng.gamma(k + 0.5, size=20_000)), [0.025, 0.975])
    return float(low), float(high)


def expected_table(seen: Preview, ratio: float) -> str:
    """A row a figure, before and after: queue, precision, recall, F1, cost, broken banners in all, and what target labels say."""
    c = seen.calibration
    now, then = c.worlds.of_before(), c.expected
    costs = [c.worlds.cost(ratio), c.worlds.cost(ratio, then.n_flagged)]
    rows: list[tuple[str, ...]] = [("flagged now", f"<b>{now.n_flagged:,}</b>", f"<b>{then.n_flagged:,}</b>")]
    rows += [("in a run as large", *(f"{low:,.0f}\u2013{high:,.0f}" for low, high in map(next_queue, (now.n_flagged, then.n_flagged))))]
    rows += [(name, share(*a), share(*b)) for name, a, b in zip(("precision", "recall", "F1"), now[:3], then[:3], strict=True)]
    rows += [(f"cost at {ratio:g} : 1", *(count(*cost) for cost in costs))]
    rows += [("broken overall", count(*now.n_broken), count(*then.n_broken))]
    measured = seen.measured()
    if measured["after"].n:
        title = f"on {measured['after'].n:,} labels"
        pairs = [of_labels(measured[name]) for name in ("before", "after")]
        rows += [(f"{name} {title}", *(share(*pair[k]) for pair in pairs)) for k, name in enumerate(("precision", "recall"))]
    return plain(("expected", "before", "after"), rows)


def plain(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of ready cells: the first column is text, the others stand to the right."""
    head = "".join(f"<th{' class=num' if k else ''}>{markup(name)}</th>" for k, name in enumerate(heads))
    body = "".join("<tr>" + "".join(f"<td{' class=num' if k else ''}>{cell}</td>" for k, cell in enumerate(row)) + "</tr>" for row in rows)
    return f'<div class="hp"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def of_labels(m: Measured) -> tuple[intervals.Interval, intervals.Interval]:
    """Precision and recall against labels, with Wilson intervals."""
    return intervals.wilson(m.hits, m.hits + m.false), intervals.wilson(m.hits, m.hits + m.missed)


def confusion(seen: Preview) -> tuple[str, Measured]:
    """Labels trained on against flags at the threshold, each label predicted without its grid; and the counts."""
    c = seen.calibration
    flagged, broken = c.source_p >= c.rule.cut, c.source.broken
    m = Measured(int((flagged & broken).sum()), int((flagged & ~broken).sum()), int((~flagged & broken).sum()), len(broken))
    rest = m.n - m.hits - m.false - m.missed
    cells = [("▲ broken", f"<b>{m.hits:,}</b>", f"{m.missed:,}"), ("● ok", f"{m.false:,}", f"<b>{rest:,}</b>")]
    precision, recall = of_labels(m)
    lines = [("precision", share(*precision), ""), ("recall", share(*recall), ""), ("F1", text.decimal(m.f1), "")]
    return plain(("labelled", "flagged", "not"), [*cells, *lines]), m


class Change(NamedTuple):
    """A grid's flagged shares before and after, with what moved."""

    grid_id: int
    n: int
    before: intervals.Interval
    after: intervals.Interval
    counts: Row


def changes(rows: Sequence[Row]) -> list[Change]:
    """Rows of `publish.grid_changes` with Wilson intervals; what moved most first."""
    found = [Change(r["grid_id"], r["n"], intervals.wilson(r["before"], r["n"]), intervals.wilson(r["after"], r["n"]), r) for r in rows]
    return sorted(found, key=lambda c: (-(c.counts["added"] + c.counts["dropped"]), c.grid_id))


def rate_table(rows: Sequence[Change], names: tuple[str, str] = ("before", "after")) -> str:
    """A row a grid: both rates with intervals on one axis, and how many banners flip."""
    top = max((max(c.before.high, c.after.high) for c in rows), default=0.1) * 1.03
    head = f'<tr><th>grid_id</th><th class="num">flagged<br>flips</th><th>○ {markup(names[0])}<br>● {markup(names[1])}</th>'
    head += '<th class="num">in %, 95 %<br>interval after</th></tr>'
    return f'<div class="hp"><table><thead>{head}</thead><tbody>{"".join(_change(c, top) for c in rows)}</tbody></table></div>'


def _change(c: Change, top: float) -> str:
    flips = f"+{c.counts['added']:,} \u2212{c.counts['dropped']:,}"
    rate = f"{100 * c.before.share:.1f} \u2192 <b>{100 * c.after.share:.1f}</b>"
    rate += f'<br><span class="muted">({text.span(c.after.low, c.after.high)})</span>'
    return (
        f'<tr><td><b>{markup(text.grid(c.grid_id))}</b><br><span class="muted">{c.n:,}</span></td>'
        f'<td class="num">{c.counts["before"]:,} \u2192 <b>{c.counts["after"]:,}</b><br>{flips}</td>'
        f'<td>{_whiskers(c.before, c.after, top)}</td><td class="num">{rate}</td></tr>'
    )


def _whiskers(before: intervals.Interval, after: intervals.Interval, top: float) -> str:
    """Before as a ring, after as a dot, each with its interval, from 0 to `top`."""
    parts = []
    for at, (value, y, dot) in enumerate(((before, 7, "fill: none; stroke-width: 1.5"), (after, 17, ""))):
        x0, x, x1 = (5 + (WIDTH - 10) * min(v / top, 1.0) for v in (value.low, value.share, value.high))
        colour = "var(--st-gray-color, #5D6B74)" if at == 0 else "var(--st-blue-color, #0B6FA8)"
        parts.append(
            f'<line style="stroke: {colour}; stroke-width: 1.5" x1="{x0:.1f}" x2="{x1:.1f}" y1="{y}" y2="{y}"/>'
            f'<circle style="stroke: {colour}; {dot or f"fill: {colour}"}" cx="{x:.1f}" cy="{y}" r="3.4"/>'
        )
    label = f"from {text.percent(before.share)} to {text.percent(after.share)}"
    return f'<svg width="{WIDTH}" height="24" viewBox="0 0 {WIDTH} 24" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def expected_words(expected: Row | None) -> str:
    """Precision and recall that a version was expected to have when it was published, as markup; unknown for the threshold without
    labels."""
    if not expected:
        return text.UNKNOWN
    precision, recall = (Interval(**expected[key]) for key in ("precision", "recall"))
    return f"precision {share(*precision)}<br>recall {share(*recall)}"
