"""Figures of the Detectors page: ROC and precision-recall of several detectors, scores by label, what two of them have in common."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.statistics.arrays import Vector
from core.statistics.curves import AT, Curves
from core.ui.render import palette
from core.ui.render.charts import Figure, faded, frame, plain_axes
from core.ui.render.palette import Theme

HEIGHT = 250
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MOST_CURVES = len(DASHES)
MOST_BANDS = 2
"""Bands of more curves than this would hide each other."""
TICKS = (-3, 0, 3, 10, 30, 100, 300)


def rates(drawn: Sequence[tuple[str, Curves]], theme: Theme, dark: bool) -> Figure:
    """ROC on the left, precision-recall on the right; a colour and a dash each. Axes begin where the curves are."""
    data: list[dict[str, Any]] = []
    for k, (name, found) in enumerate(drawn):
        colour = palette.CATEGORIES[dark][k]
        for axis, curve in zip(("", "2"), found, strict=True):
            place = {"xaxis": f"x{axis}", "yaxis": f"y{axis}", "legendgroup": name, "type": "scatter", "mode": "lines"}
            if len(drawn) <= MOST_BANDS:
                band = {"x": np.concatenate([AT, AT[::-1]]), "y": np.concatenate([curve.high, curve.low[::-1]]), "fill": "toself"}
                band |= {"fillcolor": faded(colour, 0.16), "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
                data.append(place | band)
            line = {"color": colour, "width": 2, "dash": DASHES[k]}
            hover = "%{x:.2f}, %{y:.3f}<extra>" + name + "</extra>"
            data.append(place | {"x": AT, "y": curve.y, "line": line, "name": name, "showlegend": not axis, "hovertemplate": hover})
    axes = plain_axes(theme, "false-positive rate", "true-positive rate")
    right = plain_axes(theme, "recall", "precision")
    widest, lowest = _widest([found.roc.y for _, found in drawn]), _lowest([found.precision_recall.y for _, found in drawn])
    ranges = {"xaxis": (0.0, widest), "yaxis": (0.0, 1.0), "xaxis2": (0.0, 1.0), "yaxis2": (lowest, 1.0)}
    axes |= {"xaxis2": right["xaxis"] | {"anchor": "y2"}, "yaxis2": right["yaxis"] | {"anchor": "x2"}}
    for key, (low, high) in ranges.items():
        pad = (high - low) / 80
        axes[key] |= {"range": [low - pad, high + pad], "tickvals": np.linspace(low, high, 3), "tickformat": ".2~f"}
        axes[key] |= {"domain": {"xaxis": [0, 0.44], "xaxis2": [0.56, 1]}.get(key, [0, 1]), "showgrid": True, "gridcolor": theme.line}
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}, "itemwidth": 30}
    margin = {"l": 44, "r": 8, "t": 22 + 16 * ((len(drawn) - 1) // 2), "b": 40}
    return {"data": data, "layout": frame(theme, HEIGHT, margin=margin, legend=legend, showlegend=True, **axes)}


def _widest(curves: Sequence[Vector]) -> float:
    """Up to which false-positive rate to show: where all curves have found nine tenths."""
    return next((end for end in (0.1, 0.2, 0.5) if all(np.interp(end, AT, y) >= 0.9 for y in curves)), 1.0)


def _lowest(curves: Sequence[Vector]) -> float:
    """From which precision to show: what all curves keep up to a recall of four fifths."""
    return next((low for low in (0.8, 0.5) if all(y[AT <= 0.8].min() > low for y in curves)), 0.0)


def histogram(parts: Sequence[tuple[str, Vector, str]], cut: float | None, theme: Theme) -> Figure:
    """Scores on an axis that is even near 0 and logarithmic far out, square-root counts. parts: "broken", "ok" or "all", scores, name."""
    looks = {"all": (theme.muted, "solid"), "ok": (theme.ok, "dot"), "broken": (theme.broken, "solid")}
    scores = np.concatenate([np.arcsinh(values) for _, values, _ in parts]) if parts else np.zeros(1)
    low, high = (float(q) for q in np.quantile(scores, [0.002, 1.0]))
    edges = np.linspace(low, max(high, low + 1e-6), 61)
    counts = [np.histogram(np.clip(np.arcsinh(values), edges[0], edges[-1]), edges)[0] for _, values, _ in parts]
    data = [_steps(edges, n, name, *looks[kind], kind == "all") for n, (kind, _, name) in zip(counts, parts, strict=True)]
    axes = plain_axes(theme, "normalised score", "")
    shown = [t for t in TICKS if edges[0] <= np.arcsinh(t) <= edges[-1]]
    axes["xaxis"] |= {"tickvals": np.arcsinh(shown), "ticktext": [f"{t:g}".replace("-", "\u2212") for t in shown]}
    top = max((int(n.max(initial=1)) for n in counts), default=1)
    marks = [m for m in (1, 10, 100, 1000, 10_000) if 0.09 <= np.sqrt(m / top) <= 0.97]
    axes["yaxis"] |= {"tickvals": np.sqrt(marks), "ticktext": [f"{m:,}" for m in marks]}
    legend = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"size": 11}}
    more: dict[str, Any] = {"margin": {"l": 36, "r": 8, "t": 22, "b": 40}, "legend": legend, "showlegend": True}
    if cut is not None:
        line = {"color": theme.text, "width": 2, "dash": "dash"}
        more["shapes"] = [{"type": "line", "x0": np.arcsinh(cut), "x1": np.arcsinh(cut), "y0": 0, "y1": 1, "yref": "paper", "line": line}]
    return {"data": data, "layout": frame(theme, HEIGHT, **more, **axes)}


def _steps(edges: Vector, n: NDArray[np.int64], name: str, colour: str, dash: str, filled: bool) -> dict[str, Any]:
    trace = {"type": "scatter", "mode": "lines", "x": edges, "y": np.sqrt(np.append(n, n[-1])), "name": name}
    trace |= {"line": {"color": colour, "width": 1 if filled else 2, "shape": "hv", "dash": dash}, "customdata": np.append(n, n[-1])}
    if filled:
        trace |= {"fill": "tozeroy", "fillcolor": faded(colour, 0.25)}
    return trace | {"hovertemplate": "%{customdata:,} banners<extra>" + name + "</extra>"}


def alike(names: Sequence[str], values: NDArray[np.float64], theme: Theme, *, of_flags: bool) -> Figure:
    """What two detectors have in common, from 0 to 1, or from -1 to 1 for correlations where one is below 0; empty where not known."""
    signed = not of_flags and bool(np.nanmin(values, initial=0.0) < -0.05)
    colours = theme.diverging if signed else theme.ramp.steps
    trace = {
        "type": "heatmap",
        "x": list(names),
        "y": list(names),
        "z": values.astype(np.float32),
        "zmin": -1.0 if signed else 0.0,
        "zmax": 1.0,
        "colorscale": palette.scale(colours),
        "xgap": 1,
        "ygap": 1,
        "colorbar": {"thickness": 8, "outlinewidth": 0, "len": 0.9, "tickfont": {"color": theme.muted, "size": 11}},
        "hovertemplate": "%{y}<br>%{x}<br>%{z:.2f}<extra></extra>",
        "hoverongaps": False,
    }
    plain = {"showgrid": False, "zeroline": False, "ticks": "", "fixedrange": True, "tickfont": {"size": 10}, "automargin": True}
    plain |= {"tickmode": "array", "tickvals": np.arange(len(names)), "type": "category"}
    axes = {"xaxis": plain | {"tickangle": -90}, "yaxis": plain | {"autorange": "reversed"}}
    return {"data": [trace], "layout": frame(theme, 170 + 17 * len(names), margin={"l": 4, "r": 4, "t": 4, "b": 4}, **axes)}


def losses(found: Sequence[tuple[float, float]], theme: Theme) -> Figure:
    """The loss over the share that is done, as it goes."""
    at, loss = (np.array([pair[k] for pair in found]) for k in (0, 1))
    trace = {"type": "scatter", "mode": "lines", "x": 100 * at, "y": loss, "line": {"color": theme.accent, "width": 2}}
    trace["hovertemplate"] = "%{x:.0f} % done: loss %{y:.4f}<extra></extra>"
    axes = plain_axes(theme, "% done", "loss")
    axes["xaxis"] |= {"range": [0, 100]}
    axes["yaxis"] |= {"rangemode": "normal", "nticks": 4}
    return {"data": [trace], "layout": frame(theme, 180, margin={"l": 52, "r": 8, "t": 8, "b": 36}, **axes)}
