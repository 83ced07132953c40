"""Plotly figures as plain dictionaries: built in under a millisecond, arrays as numpy. A function is named by what it draws."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.settings import N_BINS, N_COLS, N_ROWS
from core.ui.render import palette
from core.ui.render.cells import Map
from core.ui.render.palette import Theme

Figure = dict[str, Any]

FONT = '"Source Sans", "Source Sans 3", "Segoe UI", sans-serif'

CONFIG = {"displaylogo": False, "displayModeBar": False, "scrollZoom": False}


def frame(theme: Theme, height: int, **more: Any) -> dict[str, Any]:
    """A layout without a title and legend, in the theme's colours; `more` overrides."""
    base = {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "font": {"color": theme.text, "size": 12, "family": FONT},
        "hoverlabel": {"bgcolor": theme.paper, "font": {"color": theme.text}},
    }
    return base | more


def _square(theme: Theme, flat: bool) -> dict[str, Any]:
    hidden = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": "", "fixedrange": True, "constrain": "domain"}
    hidden |= {"showline": True, "mirror": True, "linecolor": theme.line, "linewidth": 1}  # a cell without a click has the page's colour
    return {
        "xaxis": hidden | {"range": [-0.5, N_COLS - 0.5]},
        "yaxis": hidden | {"range": [N_ROWS - 0.5, -0.5], "scaleanchor": "x", "scaleratio": 1},
        "margin": {"l": 2, "r": 2, "t": 2, "b": 34 if flat else 2},
    }


def _bar(theme: Theme, title: str, flat: bool) -> dict[str, Any]:
    if flat:
        place = {
            "orientation": "h",
            "y": 0,
            "yanchor": "top",
            "len": 1,
            "ticklabelposition": "outside",
            "ypad": 6,
            "ticklabeloverflow": "allow",
        }
        return place | {"thickness": 7, "outlinewidth": 0, "tickfont": {"color": theme.muted, "size": 11}}
    return {
        "thickness": 8,
        "outlinewidth": 0,
        "title": {"text": title, "side": "right"},
        "tickfont": {"color": theme.muted, "size": 11},
        "len": 0.9,
    }


def counts(image: Map, theme: Theme, *, top: float, log: bool = False, height: int = 300, flat: bool = False) -> Figure:
    """A map of counts from 0 to `top`, by square roots or logarithms; zero has a colour of its own, one click is the first step."""
    bend = np.log1p if log else np.sqrt
    end = float(bend(top))
    trace = {
        "type": "heatmap",
        "z": np.minimum(bend(np.maximum(image, 0)), end).astype(np.float32),
        "customdata": image.astype(np.float32),
        "zmin": 0.0,
        "zmax": end,
        "colorscale": palette.count_scale(theme.ramp, float(bend(1.0)) / end),
        "colorbar": _bar(theme, "clicks", flat) | _ticks(top, bend),
        "hovertemplate": "row %{y}, column %{x}<br>%{customdata:.4~g} clicks<extra></extra>",
    }
    return {"data": [trace], "layout": frame(theme, height, **_square(theme, flat))}


NEAREST_TICKS = 0.13
"""Share of the colour bar between two ticks at least: labels closer than that would run into each other."""


def _ticks(top: float, bend: Callable[[Any], Any]) -> dict[str, Any]:
    """Round numbers of clicks on the colour bar, and its end."""
    values = [0.0]
    for value in (m * 10.0**power for power in range(7) for m in (1, 2, 5)):
        if bend(value) - bend(values[-1]) >= NEAREST_TICKS * bend(top) and bend(top) - bend(value) >= NEAREST_TICKS * bend(top):
            values.append(value)
    values.append(top)
    return {"tickvals": bend(np.array(values)), "ticktext": [f"{v:,.0f}" for v in values]}


LEAST_Z, MOST_Z = 4.0, 100.0
"""The end of a scale of differences lies between these: noise stays pale, and beyond the last nothing is left to tell apart."""


def difference(z: Map, theme: Theme, *, height: int = 300, flat: bool = False) -> Figure:
    """Signed difference by square roots: red more than expected, blue fewer, the theme's neutral at zero, symmetric around it."""
    most = float(np.abs(z).max(initial=0.0))
    end = float(np.ceil(np.clip(most, LEAST_Z, MOST_Z)))
    above = most > end
    at = [v for v in (1.0, 4.0, 10.0, 25.0, 50.0) if np.sqrt(end) - np.sqrt(v) >= 2 * NEAREST_TICKS * np.sqrt(end)][-1:]
    values = np.array([-end, *(-v for v in reversed(at)), 0.0, *at, end])
    words = [f"{v:g}".replace("-", "\u2212") for v in values]
    if above:
        words[0], words[-1] = f"\u2264 {words[0]}", f"\u2265 {words[-1]}"
    trace = {
        "type": "heatmap",
        "z": _signed_root(np.clip(z, -end, end)).astype(np.float32),
        "customdata": z.astype(np.float32),
        "zmin": -np.sqrt(end),
        "zmax": np.sqrt(end),
        "colorscale": palette.scale(theme.diverging),
        "colorbar": _bar(theme, "z", flat) | {"tickvals": _signed_root(values), "ticktext": words},
        "hovertemplate": "row %{y}, column %{x}<br>z = %{customdata:.2f}<extra></extra>",
    }
    return {"data": [trace], "layout": frame(theme, height, **_square(theme, flat))}


def _signed_root(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sign(values) * np.sqrt(np.abs(values)))


def brushable(figure: Figure, theme: Theme) -> Figure:
    """The same map with one invisible point a cell above it: heatmaps themselves cannot be selected."""
    rows, cols = np.divmod(np.arange(N_BINS), N_COLS)
    points = {
        "type": "scattergl",
        "mode": "markers",
        "x": cols.astype(np.int16),
        "y": rows.astype(np.int16),
        "customdata": np.arange(N_BINS, dtype=np.int16),
        "marker": {"size": 5, "opacity": 0, "color": theme.text},
        "selected": {"marker": {"opacity": 0.35}},
        "unselected": {"marker": {"opacity": 0}},
        "hoverinfo": "skip",
    }
    return {"data": [*figure["data"], points], "layout": figure["layout"] | {"dragmode": "select"}}


def marginal(observed: NDArray[np.float64], expected: NDArray[np.float64], theme: Theme, axis: str, *, height: int = 150) -> Figure:
    """Clicks by column or row as steps, what is expected as a line."""
    at = np.arange(len(observed), dtype=np.int16)
    seen = {"type": "bar", "x": at, "y": observed, "marker": {"color": theme.muted, "opacity": 0.55}, "name": "this banner"}
    hoped = {
        "type": "scatter",
        "x": at,
        "y": expected,
        "mode": "lines",
        "line": {"color": theme.accent, "width": 2, "shape": "hvh"},
        "name": "expected",
    }
    hover = axis + " %{x}<br>%{y:.1f} clicks<extra>%{fullData.name}</extra>"
    for trace in (seen, hoped):
        trace["hovertemplate"] = hover
    axes = plain_axes(theme, f"{axis} of the heatmap", "clicks")
    return {"data": [seen, hoped], "layout": frame(theme, height, bargap=0, margin={"l": 46, "r": 8, "t": 6, "b": 34}, **axes)}


def plain_axes(theme: Theme, x: str, y: str) -> dict[str, Any]:
    """Axes with quiet titles and lines, from zero."""
    title = {"standoff": 6, "font": {"size": 12, "color": theme.muted}}
    plain = {
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
        "tickfont": {"size": 11, "color": theme.muted},
        "linecolor": theme.line,
    }
    return {
        "xaxis": plain | {"title": title | {"text": x}, "showline": True},
        "yaxis": plain | {"title": title | {"text": y}, "showgrid": True, "gridcolor": theme.line, "rangemode": "tozero"},
    }


def control_chart(
    days: NDArray[Any],
    share: NDArray[np.float64],
    centre: float,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    theme: Theme,
    marks: Sequence[tuple[Any, str]] = (),
) -> Figure:
    """Daily share of broken banners with its control limits; days above the upper limit are triangles. `marks`: days with a name each,
    drawn as upright lines."""
    x = days.astype("datetime64[D]").astype(str)
    share, centre, low, high = 100 * share, 100 * centre, 100 * low, 100 * high
    out = share > high
    band = {"type": "scatter", "x": np.concatenate([x, x[::-1]]), "y": np.concatenate([high, low[::-1]]), "fill": "toself", "mode": "lines"}
    band |= {"fillcolor": faded(theme.muted, 0.15), "line": {"width": 0, "shape": "hvh"}, "hoverinfo": "skip"}
    middle = {"type": "scatter", "x": x, "y": np.full(len(x), centre), "mode": "lines", "hoverinfo": "skip"}
    middle |= {"line": {"color": theme.muted, "width": 1, "dash": "dot"}}
    line = {"type": "scatter", "x": x, "y": share, "mode": "lines+markers", "line": {"color": theme.accent, "width": 2}}
    line["marker"] = {
        "size": np.where(out, 10, 6),
        "symbol": np.where(out, "triangle-up", "circle").tolist(),
        "color": np.where(out, theme.broken, theme.accent).tolist(),
    }
    line |= {"customdata": np.stack([low, high], axis=1)}
    line["hovertemplate"] = "%{x|%-d %b}: %{y:.1f} %<br>limits %{customdata[0]:.1f} to %{customdata[1]:.1f} %<extra></extra>"
    axes = plain_axes(theme, "", "banners broken")
    axes["yaxis"] |= {"tickformat": ".2~f", "ticksuffix": " %"}
    axes["xaxis"] |= {"tickformat": "%-d %b", "type": "date", "nticks": 8}
    upright = {"yref": "paper", "y0": 0, "y1": 1, "line": {"color": theme.text, "width": 1.5, "dash": "dash"}}
    shapes = [{"type": "line", "x0": str(day), "x1": str(day)} | upright for day, _ in marks]
    notes = [{"x": str(day), "y": 1, "yref": "paper", "yanchor": "bottom", "text": name, "showarrow": False} for day, name in marks]
    more = {"shapes": shapes, "annotations": notes, "margin": {"l": 56, "r": 8, "t": 22 if marks else 8, "b": 28}}
    return {"data": [band, middle, line], "layout": frame(theme, 260, **more, **axes)}


def detector_dots(rows: Sequence[dict[str, Any]], theme: Theme) -> Figure:
    """One dot a detector at its percentile, 0-100, grouped by family; filled where its own p-value is at most 0.05."""
    names = [r["detector"].replace("_", " ") for r in rows]
    small = np.array([r["p_value"] <= 0.05 for r in rows])
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": np.array([r["percentile"] for r in rows]),
        "y": [[r["family"].replace("_", " ") for r in rows], names],
        "marker": {
            "size": 11,
            "symbol": np.where(small, "circle", "circle-open").tolist(),
            "color": np.where(small, theme.broken, theme.muted).tolist(),
            "line": {"width": 2},
        },
        "cliponaxis": False,
        "hovertemplate": "%{y}: higher than %{x:.1f} % of the run's banners<extra></extra>",
    }
    axes = plain_axes(theme, "percentile among the run's banners", "")
    axes["xaxis"] |= {"range": [0, 100], "showgrid": True, "gridcolor": theme.line}
    axes["yaxis"] |= {"autorange": "reversed", "rangemode": "normal", "showdividers": False, "automargin": True}
    return {"data": [trace], "layout": frame(theme, 76 + 27 * len(rows), margin={"l": 8, "r": 16, "t": 8, "b": 40}, **axes)}


def days_chart(days: Sequence[Any], clicks: Sequence[int], odds: Sequence[float], since: Any, theme: Theme) -> Figure:
    """Clicks a day as bars; below, what each day says for the diagnosed fault, against it or nothing."""
    x = np.array(days, dtype="datetime64[D]").astype(str)
    bars = {"type": "bar", "x": x, "y": np.asarray(clicks), "marker": {"color": theme.muted, "opacity": 0.6}}
    bars["hovertemplate"] = "%{x|%-d %b}: %{y:,} clicks<extra></extra>"
    value = np.asarray(odds, dtype=float)
    says = {"type": "bar", "x": x, "y": value, "yaxis": "y2", "marker": {"color": np.where(value > 0, theme.broken, theme.ok).tolist()}}
    says["hovertemplate"] = "%{x|%-d %b}: log odds %{y:.1f}<extra></extra>"
    data = [bars, says] if np.isfinite(value).any() else [bars]
    axes = plain_axes(theme, "", "clicks")
    axes["xaxis"] |= {"tickformat": "%-d %b", "type": "date", "nticks": 8, "anchor": "y2" if len(data) > 1 else "y"}
    if len(data) > 1:
        axes["yaxis2"] = axes["yaxis"] | {"domain": [0, 0.44], "title": axes["yaxis"]["title"] | {"text": "log odds"}, "zeroline": True}
        axes["yaxis2"] |= {"zerolinecolor": theme.muted, "rangemode": "normal", "nticks": 4}
        axes["yaxis"] |= {"domain": [0.56, 1]}
    axes["yaxis"] |= {"nticks": 4}
    shapes = []
    if since is not None:
        shapes = [
            {
                "type": "line",
                "x0": str(since),
                "x1": str(since),
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": theme.broken, "dash": "dot", "width": 1.5},
            }
        ]
    return {"data": data, "layout": frame(theme, 250, bargap=0.25, shapes=shapes, margin={"l": 52, "r": 8, "t": 8, "b": 28}, **axes)}


def faded(colour: str, opacity: float) -> str:
    """#RRGGBB with an opacity of 0..1."""
    return f"rgba({int(colour[1:3], 16)},{int(colour[3:5], 16)},{int(colour[5:7], 16)},{opacity})"
