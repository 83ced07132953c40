"""Cosine similarities as Plotly figures: two of them against each other, and one banner's, feature by feature."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.ui.render import text
from core.ui.render.charts import Figure, plain_axes
from core.ui.render.palette import Theme
from core.ui.render.scatter import HEIGHT, map_layout


def pairs(
    marks: Sequence[tuple[str, NDArray[np.int64], dict[str, Any]]],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    names: NDArray[Any],
    lines: Sequence[tuple[str, float, str]],
    labels: Sequence[tuple[float, float, str]],
    titles: tuple[str, str],
    theme: Theme,
) -> Figure:
    """Two similarities (n,) against each other.

    marks: name, rows, marker. lines: axis, value, dash. labels: x and y as shares of the paper, words.
    """
    data = [
        {
            "type": "scattergl",
            "mode": "markers",
            "name": name,
            "x": x[rows].astype(np.float32),
            "y": y[rows].astype(np.float32),
            "customdata": rows.astype(np.int32),
            "text": [text.markup(names[k]) for k in rows],
            "marker": marker,
            "hovertemplate": "%{text}<br>%{x:.3f}, %{y:.3f}<extra>%{fullData.name}</extra>",
        }
        for name, rows, marker in marks
        if len(rows)
    ]
    shapes = [_line(axis, value, dash, theme) for axis, value, dash in lines]
    notes = [_note(*label, theme) for label in labels]
    axes = plain_axes(theme, titles[0], titles[1])
    axes["xaxis"] |= {"fixedrange": False, "range": _spread(x, [v for a, v, _ in lines if a == "x"])}
    axes["yaxis"] |= {"fixedrange": False, "showgrid": False, "showline": True, "range": _spread(y, [v for a, v, _ in lines if a == "y"])}
    axes["yaxis"]["rangemode"] = "normal"
    layout = map_layout(theme, HEIGHT, "") | axes | {"shapes": shapes, "annotations": notes, "dragmode": "lasso"}
    return {"data": data, "layout": layout | {"margin": {"l": 58, "r": 32, "t": 30, "b": 46}}}


def lit(figure: Figure, rows: Sequence[int]) -> Figure:
    """The same figure with these rows lit up and the others faded; unchanged where there are none."""
    if not rows:
        return figure
    traces = [
        trace | {"selectedpoints": np.flatnonzero(np.isin(trace["customdata"], list(rows)))} | {"unselected": {"marker": {"opacity": 0.12}}}
        for trace in figure["data"]
    ]
    return figure | {"data": traces}


def bars(rows: Sequence[tuple[str, float, float]], theme: Theme) -> Figure:
    """One cosine similarity per feature as a bar from 0, with its threshold as a tick; NaN where left out or without a threshold."""
    names, values, cuts = [r[0] for r in rows], np.array([r[1] for r in rows]), np.array([r[2] for r in rows])
    below = values <= cuts
    bar = {"type": "bar", "orientation": "h", "x": np.nan_to_num(np.maximum(values, 0)), "y": names, "width": 0.5}
    bar |= {"marker": {"color": np.where(below, theme.broken, theme.ok).tolist()}, "hoverinfo": "skip"}
    words = [
        "left out" if np.isnan(v) else f"{v:.2f}" + ("" if np.isnan(c) else f" (threshold {c:.2f})")
        for v, c in zip(values, cuts, strict=True)
    ]
    place = {"xref": "x domain", "x": 1.03, "xanchor": "left", "showarrow": False, "font": {"color": theme.text, "size": 12}}
    notes = [place | {"y": name, "text": said} for name, said in zip(names, words, strict=True)]
    tick = {"type": "scatter", "mode": "markers", "x": cuts, "y": names, "hoverinfo": "skip"}
    tick |= {"marker": {"symbol": "line-ns", "size": 22, "line": {"width": 3, "color": theme.text}}}
    axes = plain_axes(theme, "cosine similarity to the anchor", "")
    axes["xaxis"] |= {"range": [0, 1], "domain": [0, 0.5]}
    axes["yaxis"] |= {"autorange": "reversed", "rangemode": "normal", "automargin": True, "showgrid": False}
    layout = map_layout(theme, 70 + 34 * len(rows), "") | axes | {"showlegend": False, "annotations": notes}
    return {"data": [bar, tick], "layout": layout | {"margin": {"l": 8, "r": 8, "t": 4, "b": 44}}}


def _spread(values: NDArray[np.float64], cuts: Sequence[float]) -> list[float]:
    known = [*values[np.isfinite(values)], *cuts] or [0.0, 1.0]
    low, high = float(min(known)), float(max(known))
    pad = 0.05 * max(high - low, 1e-3)
    return [low - pad, high + pad]


def _line(axis: str, value: float, dash: str, theme: Theme) -> dict[str, Any]:
    across = {"x0": value, "x1": value, "y0": 0, "y1": 1, "yref": "paper"}
    along = {"y0": value, "y1": value, "x0": 0, "x1": 1, "xref": "paper"}
    return {"type": "line", "line": {"color": theme.text, "dash": dash, "width": 1.5}} | (across if axis == "x" else along)


def _note(x: float, y: float, words: str, theme: Theme) -> dict[str, Any]:
    place = {
        "x": x,
        "y": y,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "left" if x < 0.5 else "right",
        "yanchor": "bottom" if y < 0.5 else "top",
    }
    box: dict[str, Any] = {"bgcolor": theme.paper, "borderpad": 3, "opacity": 0.88}
    return (
        place
        | box
        | {"text": words, "showarrow": False, "align": "left" if x < 0.5 else "right", "font": {"size": 12, "color": theme.text}}
    )
