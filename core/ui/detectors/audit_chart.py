"""The figure of a representation audit: what scores reach, and what more the features hold."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.models.audit.figures import Finding
from core.ui.render import palette
from core.ui.render.charts import Figure, frame, plain_axes
from core.ui.render.palette import Theme

ROW = 34
MARKS = (
    ("score", "score, without labels", "circle"),
    ("oracle", "oracle on the features", "square"),
    ("oracle_all", "oracle, trained with all classes", "diamond"),
    ("held_out", "oracle, fault families held out", "x-thin"),
)
GAPS = (("not_extracted", "score", "not extracted", ""), ("not_represented", "oracle", "not represented", "/"))


def gaps(found: Sequence[Finding], theme: Theme, dark: bool) -> Figure:
    """A row of features: marks at the four ROC-AUCs, bars over the two gaps; a gap below 0 has no bar. Gaps are told by colour and hatch,
    marks by their shape."""
    names = [one.name for one in found]
    colours = palette.CATEGORIES[dark]
    data: list[dict[str, Any]] = []
    for k, (gap, start, words, hatch) in enumerate(GAPS):
        values = np.array([getattr(one, gap).share for one in found])
        pattern = {"shape": hatch, "fgcolor": theme.paper, "size": 5, "fillmode": "overlay"}
        bar = {
            "type": "bar",
            "orientation": "h",
            "y": names,
            "name": words,
            "width": 0.42,
            "marker": {"color": colours[k], "pattern": pattern},
        }
        bar |= {"x": np.maximum(values, 0), "base": np.array([getattr(one, start).share for one in found]), "customdata": values}
        data.append(bar | {"hovertemplate": "%{y}: " + words + " %{customdata:+.3f}<extra></extra>"})
    for figure, words, symbol in MARKS:
        values = np.array([getattr(one, figure).share for one in found])
        marker = {"symbol": symbol, "size": 9, "color": theme.text, "line": {"width": 2 if symbol == "x-thin" else 1, "color": theme.text}}
        mark = {"type": "scatter", "mode": "markers", "x": values, "y": names, "name": words, "marker": marker}
        data.append(mark | {"hovertemplate": "%{y}: " + words + " %{x:.3f}<extra></extra>"})
    axes = plain_axes(theme, "ROC-AUC", "")
    known = [v for one in found for v in (one.score.share, one.oracle.share, one.oracle_all.share, one.held_out.share) if np.isfinite(v)]
    low = np.floor(20 * min(known, default=0.5)) / 20
    axes["xaxis"] |= {"range": [low - 0.005, 1.005], "showgrid": True, "gridcolor": theme.line, "nticks": 6, "tickformat": ".2~f"}
    axes["yaxis"] |= {"autorange": "reversed", "showgrid": False, "automargin": True, "type": "category"}
    legend = {"orientation": "h", "x": 0, "xref": "container", "y": 1, "yref": "container", "yanchor": "top", "font": {"size": 11}}
    more = {"margin": {"l": 8, "r": 12, "t": 70, "b": 40}, "legend": legend, "showlegend": True, "barmode": "overlay"}
    return {"data": data, "layout": frame(theme, 120 + ROW * len(found), **more, **axes)}
