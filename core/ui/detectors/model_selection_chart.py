"""The figure of model selection: how well candidates are aligned, against how well they find what labels call broken."""

import math
from collections.abc import Sequence
from typing import Any

from core.store.queries.runs import Row
from core.ui.render import palette
from core.ui.render.charts import Figure, frame, plain_axes
from core.ui.render.palette import Theme

HEIGHT = 400
SYMBOLS = ("circle", "square", "diamond", "triangle-up")
SIZES = {"small": 8, "large": 15, "mixed": 11, "learned": 14}


def kind(name: str) -> tuple[str, str]:
    """Augmentation and size of a candidate by its name."""
    first, _, second = name.partition(" ")
    return first, second


def aligned(candidates: Sequence[Row], chosen: int, theme: Theme, dark: bool) -> Figure:
    """DSV, lower = better aligned, against ROC-AUC with its interval. Augmentations differ by colour and shape, patches by size; mixed
    ones are hollow, learned ones are stars, and the chosen one is named."""
    names = list(dict.fromkeys(kind(c["name"])[0] for c in candidates))
    data: list[dict[str, Any]] = []
    for k, name in enumerate(names):
        own = [c for c in candidates if kind(c["name"])[0] == name]
        colour, symbol = palette.CATEGORIES[dark][k % len(palette.CATEGORIES[dark])], SYMBOLS[k % len(SYMBOLS)]
        auc = [c["auc"][0] for c in own]
        marker = {
            "color": colour,
            "size": [SIZES.get(kind(c["name"])[1], 11) for c in own],
            "symbol": [_symbol(symbol, c) for c in own],
            "line": {"width": [2 if c["mixed"] else 0 for c in own], "color": colour},
        }
        bars = {"type": "data", "symmetric": False, "thickness": 1, "width": 0, "color": theme.muted}
        bars |= {"array": [_gap(c["auc"][2], v) for c, v in zip(own, auc, strict=True)]}
        bars |= {"arrayminus": [_gap(v, c["auc"][1]) for c, v in zip(own, auc, strict=True)]}
        point = {"type": "scatter", "mode": "markers", "x": [c["dsv"] for c in own], "y": auc, "error_y": bars, "marker": marker}
        point |= {"text": [c["name"] for c in own], "name": name, "hovertemplate": "%{text}: DSV %{x:.3f}, ROC-AUC %{y:.3f}<extra></extra>"}
        data.append(point)
    best = candidates[chosen]
    note = {"x": best["dsv"], "y": best["auc"][0], "text": f"DSV takes {best['name']}", "showarrow": True, "ax": 40, "ay": 34}
    note |= {"font": {"size": 12, "color": theme.text}, "arrowcolor": theme.muted, "xanchor": "left", "bgcolor": theme.paper}
    axes = plain_axes(theme, "DSV: better aligned to the left", "ROC-AUC")
    axes["xaxis"] |= {"showgrid": True, "gridcolor": theme.line, "nticks": 7}
    low = 0.05 * math.floor(20 * min(c["auc"][1] if c["auc"][1] is not None else c["auc"][0] for c in candidates))
    axes["yaxis"] |= {"showgrid": True, "gridcolor": theme.line, "nticks": 6, "tickformat": ".2~f", "range": [low - 0.005, 1.01]}
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}, "itemsizing": "constant"}
    margin = {"l": 52, "r": 12, "t": 34, "b": 44}
    return {"data": data, "layout": frame(theme, HEIGHT, margin=margin, legend=legend, showlegend=True, annotations=[note], **axes)}


def _symbol(symbol: str, candidate: Row) -> str:
    if kind(candidate["name"])[1] == "learned":
        return "star"
    return symbol + ("-open" if candidate["mixed"] else "")


def _gap(high: float | None, low: float | None) -> float:
    return 0.0 if high is None or low is None else max(high - low, 0.0)
