"""Small pictures inside table cells, as SVG text. Colours are CSS variables, so that they follow the theme."""

import math
from collections.abc import Sequence

from core.ui.render import text


def whisker(share: float, low: float, high: float, top: float, *, alarm: bool = False, width: int = 210, least: float = 0.0) -> str:
    """A rate as a dot with its interval as a line, on an axis from `least` to `top` that all rows share; the dot alone where the interval
    is not known."""
    if math.isnan(share) or top <= least:
        return ""
    ends = (share, share) if math.isnan(low) or math.isnan(high) else (low, high)
    x0, x, x1 = (6 + (width - 12) * min(max((v - least) / (top - least), 0.0), 1.0) for v in (ends[0], share, ends[1]))
    name = "alarm" if alarm else "plain"
    return (
        f'<svg class="{name}" width="{width}" height="20" viewBox="0 0 {width} 20" role="img" '
        f'aria-label="{text.percent(share)}, 95 % interval {text.span(low, high)}">'
        f'<line class="axis" x1="6" x2="{width - 6}" y1="10" y2="10"/>'
        f'<line class="bar" x1="{x0:.1f}" x2="{x1:.1f}" y1="10" y2="10"/>'
        f'<path class="bar" d="M{x0:.1f} 6.5v7M{x1:.1f} 6.5v7"/>'
        f'<circle cx="{x:.1f}" cy="10" r="4"/></svg>'
    )


def axis(top: float, width: int = 210) -> str:
    """Ticks of that shared axis for the table's head."""
    step = next((s for s in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2) if top / s <= 5), 0.25)
    marks = []
    for k in range(int(top / step + 1e-9) + 1):
        x = 6 + (width - 12) * k * step / top
        anchor = "start" if k == 0 else "end" if x > width - 20 else "middle"
        marks.append(f'<text x="{2 if k == 0 else x:.1f}" y="12" text-anchor="{anchor}">{100 * k * step:g} %</text>')
    return f'<svg class="ticks" width="{width}" height="16" viewBox="0 0 {width} 16" aria-hidden="true">{"".join(marks)}</svg>'


def sparkline(values: Sequence[float], *, width: int = 96, height: int = 22) -> str:
    """A line over days from 0 to its own top; a gap where a day has no value. The last day is a dot."""
    known = [(k, v) for k, v in enumerate(values) if not math.isnan(v)]
    if len(known) < 2:
        return f'<span class="muted">{text.UNKNOWN}</span>'
    top = max(v for _, v in known) or 1.0
    step = (width - 8) / (len(values) - 1)
    points = [(4 + k * step, height - 4 - (height - 8) * v / top) for k, v in known]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    label = f"from {text.percent(known[0][1])} to {text.percent(known[-1][1])}"
    return (
        f'<svg class="spark" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
        f'<title>{label}</title><polyline points="{path}"/><circle cx="{points[-1][0]:.1f}" cy="{points[-1][1]:.1f}" r="2.6"/></svg>'
    )
