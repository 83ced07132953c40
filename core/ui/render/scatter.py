"""Maps of banners as Plotly figures: plain dictionaries, arrays as numpy, the same bytes for the same input.

A point's `customdata` is its row, so that a selection names banners; anchors and rings have none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.store.queries.embeddings import Points
from core.ui.render import palette, text
from core.ui.render.charts import FONT, Figure
from core.ui.render.palette import Theme

COLOURS = ("score", "flag", "label", "decision", "grid", "cluster")
CONFIG = {
    "displaylogo": False,
    "displayModeBar": True,
    "scrollZoom": True,
    "modeBarButtonsToRemove": ["toImage", "zoom2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "orbitRotation", "tableRotation"],
}
HEIGHT = 560
ZOOM = 0.12
"""Half the width of what is shown around a banner that was searched for, as a share of the map."""


@dataclass(frozen=True)
class Layer:
    """Points drawn alike: a name for the legend, which rows, and one colour for all (None: by `score`)."""

    name: str
    rows: NDArray[np.int64]
    colour: str | None


def layers(points: Points, by: str, said: dict[str, str], theme: Theme, dark: bool) -> list[Layer]:
    """Splits points (n,) into layers, what matters most last, so that it lies on top. `said`: label or decision by banner_id."""
    everything = np.arange(len(points))
    if by == "score":
        return [Layer("", everything, None)]
    if by == "flag":
        return [Layer("not flagged", everything[~points.flagged], theme.muted), Layer("flagged", everything[points.flagged], theme.broken)]
    if by in ("label", "decision"):
        kinds = {"label": label_kinds, "decision": decision_kinds}[by](theme)
        value = np.array([said.get(str(name), next(iter(kinds))) for name in points.banner_id])
        return [Layer(name, everything[value == key], colour) for key, (name, colour) in kinds.items() if (value == key).any()]
    values = points.grid_id if by == "grid" else points.cluster
    return _categories(values, by, theme, dark)


def label_kinds(theme: Theme) -> dict[str, tuple[str, str]]:
    """What reviewers say of a banner: words and colour, the first for those without a label."""
    kinds = {"none": ("no label", theme.muted), "unsure": ("◆ unsure", theme.unsure), "disputed": ("◇ disputed", theme.text)}
    return kinds | {"ok": ("● ok", theme.ok), "broken": ("▲ broken", theme.broken)}


def decision_kinds(theme: Theme) -> dict[str, tuple[str, str]]:
    """What analysts decided about a banner: words and colour, the first for those without a decision."""
    colours = {"open": theme.muted, "snoozed": theme.unsure, "dismissed": theme.ok, "confirmed": theme.broken}
    return {key: (f"{palette.SIGNS[key]} {key}", colour) for key, colour in colours.items()}


def _categories(values: NDArray[np.int64], by: str, theme: Theme, dark: bool) -> list[Layer]:
    """A layer a value, the most frequent first; the rest and cluster -1 are muted, and below them."""
    found, n = np.unique(values[values >= 0] if by == "cluster" else values, return_counts=True)
    shown = found[np.argsort(-n, kind="stable")][: len(palette.CATEGORIES[dark])]
    rest = np.flatnonzero(~np.isin(values, shown))
    name = "in none" if by == "cluster" and len(found) <= len(shown) else "others"
    named = [
        Layer(f"{by} {value + 1 if by == 'cluster' else value}", np.flatnonzero(values == value), colour)
        for value, colour in zip(shown.tolist(), palette.CATEGORIES[dark], strict=False)
    ]
    return [*([Layer(name, rest, theme.muted)] if len(rest) else []), *named]


def flat_map(
    points: Points,
    drawn: Sequence[Layer],
    anchors: Sequence[dict[str, Any]],
    theme: Theme,
    dark: bool,
    *,
    ring: int | None = None,
    selected: Sequence[int] = (),
    revision: str = "",
) -> Figure:
    """The map with two axes: triangles are flagged, crosses are anchors. `ring`: a row to ring and centre; `selected`: rows to light up."""
    lit = np.zeros(len(points), dtype=bool)
    lit[list(selected)] = True
    data = [
        _markers(points, layer, is_flagged, theme, dark) | ({"selectedpoints": np.flatnonzero(lit[rows])} if lit.any() else {})
        for layer in drawn
        for is_flagged in (False, True)
        if len(rows := layer.rows[points.flagged[layer.rows] == is_flagged])
    ]
    data += _anchors(anchors, ("x", "y"), theme) + _ring(points.flat, ring, theme)
    hidden = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": "", "showline": True, "mirror": True}
    x, y = (_axis_range(points.flat[:, k], None if ring is None else float(points.flat[ring, k])) for k in (0, 1))
    axes = {
        "xaxis": hidden | {"linecolor": theme.line, "range": x},
        "yaxis": hidden | {"linecolor": theme.line, "range": y, "scaleanchor": "x"},
    }
    return {"data": data, "layout": map_layout(theme, HEIGHT, revision) | axes | {"dragmode": "lasso"}}


def deep_map(
    points: Points,
    drawn: Sequence[Layer],
    anchors: Sequence[dict[str, Any]],
    theme: Theme,
    dark: bool,
    *,
    ring: int | None = None,
    selected: Sequence[int] = (),
    revision: str = "",
) -> Figure:
    """The map with three axes; WebGL has no triangles here, so that flagged banners are diamonds. Selected rows are ringed."""
    data = []
    for layer in drawn:
        for is_flagged in (False, True):
            if len(layer.rows[points.flagged[layer.rows] == is_flagged]):
                data.append(_deep(_markers(points, layer, is_flagged, theme, dark), points, is_flagged))
    data += _anchors(anchors, ("u", "v", "w"), theme)
    if len(selected):
        at = points.deep[list(selected)]
        data.append(_plain(at, "selected", {"size": 8, "symbol": "circle-open", "color": theme.accent}))
    if ring is not None:
        data.append(_plain(points.deep[[ring]], "", {"size": 16, "symbol": "circle-open", "color": theme.accent, "line": {"width": 4}}))
    hidden = {"showticklabels": False, "title": {"text": ""}, "showspikes": False, "gridcolor": theme.line, "zeroline": False}
    scene = {f"{k}axis": hidden | {"backgroundcolor": "rgba(0,0,0,0)"} for k in "xyz"} | {"aspectmode": "data"}
    return {"data": data, "layout": map_layout(theme, HEIGHT, revision) | {"scene": scene | {"dragmode": "orbit"}}}


def small_map(points: Points, theme: Theme, row: int, *, most: int = 2500, height: int = 230) -> Figure:
    """The map as a backdrop for the banner in `row`, which is ringed: flagged banners and as many of the others as `most` allows."""
    flagged = np.flatnonzero(points.flagged)[:most]
    others = np.flatnonzero(~points.flagged)[: most - len(flagged)]
    data = []
    for rows, symbol, colour, size in ((others, "circle", theme.muted, 3), (flagged, "triangle-up", theme.broken, 5)):
        marker = {"size": size, "symbol": symbol, "color": colour, "opacity": 0.55}
        at = points.flat[rows]
        data.append({"type": "scattergl", "mode": "markers", "x": at[:, 0], "y": at[:, 1], "marker": marker, "hoverinfo": "skip"})
    data += _ring(points.flat, row, theme, size=18)
    hidden = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": "", "fixedrange": True, "mirror": True}
    hidden |= {"showline": True, "linecolor": theme.line}
    axes = {"xaxis": hidden, "yaxis": hidden | {"scaleanchor": "x"}}
    plain = {"showlegend": False, "dragmode": False, "margin": dict.fromkeys("lrtb", 2)}
    return {"data": data, "layout": map_layout(theme, height, "") | axes | plain}


def _markers(points: Points, layer: Layer, is_flagged: bool, theme: Theme, dark: bool) -> dict[str, Any]:
    rows = layer.rows[points.flagged[layer.rows] == is_flagged]
    marker: dict[str, Any] = {"symbol": "triangle-up" if is_flagged else "circle", "size": 9 if is_flagged else 5}
    if layer.colour is None:
        marker |= _by_score(points, rows, theme, with_bar=not is_flagged)
    else:
        marker |= {"color": layer.colour, "opacity": 0.9 if is_flagged or layer.colour != theme.muted else 0.45}
    whole = layer.rows[~points.flagged[layer.rows]]
    return {
        "type": "scattergl",
        "mode": "markers",
        "name": layer.name,
        "legendgroup": layer.name,
        "showlegend": bool(layer.name) and (not is_flagged or not len(whole)),
        "x": points.flat[rows, 0],
        "y": points.flat[rows, 1],
        "customdata": rows.astype(np.int32),
        "text": [text.markup(points.banner_id[k]) for k in rows],
        "marker": marker,
        "selected": {"marker": {"opacity": 1}},
        "unselected": {"marker": {"opacity": 0.12}},
        "hovertemplate": "%{text}<extra>" + layer.name + "</extra>",
    }


def _by_score(points: Points, rows: NDArray[np.int64], theme: Theme, *, with_bar: bool) -> dict[str, Any]:
    low, high = (float(q) for q in np.arcsinh(np.quantile(points.combined, [0.02, 0.995])))  # scores of broken banners have a long tail
    scale = palette.scale(theme.ramp.steps[1:])  # the first is hardly seen as a dot
    steps = np.array([v for v in (-1, 0, 1, 3, 10, 30, 100, 300) if low <= np.arcsinh(v) <= high], dtype=np.float64)
    bar = {"title": {"text": "combined score", "side": "right"}, "thickness": 8, "outlinewidth": 0, "len": 0.6}
    bar |= {"tickfont": {"color": theme.muted, "size": 11}, "tickvals": np.arcsinh(steps), "ticktext": [f"{v:g}" for v in steps]}
    place = {"cmin": low, "cmax": max(high, low + 1e-9), "colorscale": scale, "showscale": with_bar, "colorbar": bar}
    return {"color": np.arcsinh(points.combined[rows]).astype(np.float32), "opacity": 0.85} | place


def _deep(trace: dict[str, Any], points: Points, is_flagged: bool) -> dict[str, Any]:
    at = points.deep[trace["customdata"]]
    marker = trace["marker"] | {"symbol": "diamond" if is_flagged else "circle", "size": 4 if is_flagged else 2.5}
    kept = {k: v for k, v in trace.items() if k not in ("selected", "unselected")}
    return kept | {"type": "scatter3d", "x": at[:, 0], "y": at[:, 1], "z": at[:, 2], "marker": marker}


def _plain(at: NDArray[np.float32], name: str, marker: dict[str, Any]) -> dict[str, Any]:
    trace = {"type": "scatter3d", "mode": "markers", "name": name, "showlegend": bool(name), "marker": marker, "hoverinfo": "skip"}
    return trace | {"x": at[:, 0], "y": at[:, 1], "z": at[:, 2]}


def _anchors(anchors: Sequence[dict[str, Any]], names: tuple[str, ...], theme: Theme) -> list[dict[str, Any]]:
    if not anchors:
        return []
    at = {axis: np.array([a[name] for a in anchors], dtype=np.float32) for axis, name in zip("xyz", names, strict=False)}
    is_flat = len(names) == 2
    marker: dict[str, Any] = {"symbol": "cross", "size": 11 if is_flat else 5, "color": theme.text}
    if is_flat:
        marker |= {"line": {"width": 1, "color": theme.paper}}
    words = [f"anchor of grid {text.grid(a['grid_id'])}, {text.products(a['n_products'])}" for a in anchors]
    kind = "scattergl" if is_flat else "scatter3d"
    trace = {"type": kind, "mode": "markers", "name": "anchor of a layout", "marker": marker, "text": words, "showlegend": True}
    return [trace | at | {"hovertemplate": "%{text}<extra></extra>", "unselected": {"marker": {"opacity": 1}}} if is_flat else trace | at]


def _ring(flat: NDArray[np.float32], row: int | None, theme: Theme, *, size: int = 26) -> list[dict[str, Any]]:
    if row is None:
        return []
    marker = {"size": size, "symbol": "circle-open", "color": theme.accent, "line": {"width": 3}}
    trace = {"type": "scattergl", "mode": "markers", "x": flat[[row], 0], "y": flat[[row], 1], "marker": marker, "showlegend": False}
    return [trace | {"hoverinfo": "skip", "unselected": {"marker": {"opacity": 1}}}]


def _axis_range(values: NDArray[np.float32], centre: float | None) -> list[float]:
    low, high = float(values.min()), float(values.max())
    span = max(high - low, 1e-6)
    if centre is None:
        return [low - 0.04 * span, high + 0.04 * span]
    return [centre - ZOOM * span, centre + ZOOM * span]


def map_layout(theme: Theme, height: int, revision: str) -> dict[str, Any]:
    clear = "rgba(0,0,0,0)"
    return {
        "height": height,
        "margin": {"l": 2, "r": 32, "t": 30, "b": 2},
        "paper_bgcolor": clear,
        "plot_bgcolor": clear,
        "font": {"color": theme.text, "size": 12, "family": FONT},
        "hoverlabel": {"bgcolor": theme.paper, "font": {"color": theme.text}},
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "itemsizing": "constant", "bgcolor": clear},
        "modebar": {"bgcolor": clear, "color": theme.muted, "activecolor": theme.accent, "orientation": "v"},
        "uirevision": revision,
    }
