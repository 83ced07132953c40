"""Figures of the Calibrate page: probabilities by label with the threshold, precision-recall and ROC with bands."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.calibration.publish import Preview
from core.calibration.thresholds import log_odds
from core.statistics.arrays import Vector
from core.statistics.curves import AT, Curve
from core.ui.calibrate.controls import SPAN
from core.ui.render.charts import Figure, faded, frame, plain_axes
from core.ui.render.palette import Theme

STEP = 0.3
TICKS = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
HEIGHT = 236


def histogram(seen: Preview, theme: Theme) -> Figure:
    """Probabilities of being broken on an axis of log odds: labelled banners by label, the others of the target grids; square-root
    counts."""
    c = seen.calibration
    open_ = np.setdiff1d(c.target, seen.labels.rows)
    others = c.p[np.isin(c.target, open_)]
    edges = np.arange(-SPAN, SPAN + STEP / 2, STEP)
    parts = [
        ("not labelled", others, theme.muted, "solid"),
        ("labelled ok", c.source_p[~c.source.broken], theme.ok, "dot"),
        ("labelled broken", c.source_p[c.source.broken], theme.broken, "solid"),
    ]
    counts = [np.histogram(np.clip(log_odds(p), edges[0], edges[-1] - 1e-9), edges)[0] for _, p, _, _ in parts]
    data = [_steps(edges, n, name, colour, dash, k == 0) for k, (n, (name, _, colour, dash)) in enumerate(zip(counts, parts, strict=True))]
    axes = plain_axes(theme, "probability of being broken; the first and last bar include everything beyond", "")
    ticks = log_odds(np.array(TICKS))
    axes["xaxis"] |= {"range": [-SPAN, SPAN], "tickvals": ticks, "ticktext": [f"{100 * t:g} %" for t in TICKS]}
    top = max(int(n.max(initial=1)) for n in counts)
    marks = [m for m in (1, 10, 100, 1000, 10_000, 100_000) if 0.09 <= np.sqrt(m / top) <= 0.95]
    marks += [3 * m for m in marks[-1:] if 3 * m < 0.9 * top]
    axes["yaxis"] |= {"tickvals": np.sqrt(marks), "ticktext": [f"{m:,}" for m in marks], "ticklabelposition": "inside top", "side": "right"}
    cut = float(np.clip(log_odds(np.array([min(c.rule.cut, 1.0)]))[0], -SPAN, SPAN))
    legend = {"orientation": "h", "x": 0.5, "xanchor": "center", "y": 1, "yanchor": "bottom", "font": {"size": 11}}
    more = {"margin": {"l": 8, "r": 8, "t": 22, "b": 36}, "shapes": [_cut_line(cut, theme)], "legend": legend, "showlegend": True}
    return {"data": data, "layout": frame(theme, HEIGHT, **more, **axes)}


def _steps(edges: Vector, n: NDArray[np.int64], name: str, colour: str, dash: str, filled: bool) -> dict[str, Any]:
    trace = {"type": "scatter", "mode": "lines", "x": edges, "y": np.sqrt(np.append(n, n[-1])), "name": name}
    trace |= {"line": {"color": colour, "width": 1 if filled else 2, "shape": "hv", "dash": dash}, "customdata": np.append(n, n[-1])}
    if filled:
        trace |= {"fill": "tozeroy", "fillcolor": faded(colour, 0.3)}
    return trace | {"hovertemplate": "%{customdata:,} banners<extra>" + name + "</extra>"}


def _cut_line(at: float, theme: Theme) -> dict[str, Any]:
    return {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper", "line": {"color": theme.text, "width": 2}}


def precision_recall(seen: Preview, curve: Curve | None, worlds: dict[str, Vector], theme: Theme) -> Figure:
    """Precision over recall: measured on labels with its bootstrap band, and expected on the target grids (`Worlds.bands`); a sign each at
    the threshold."""
    c = seen.calibration
    data = _band(worlds["recall"], worlds["precision_low"], worlds["precision_high"], theme.muted)
    data.append(_line(worlds["recall"], worlds["precision"], theme.muted, "dot", "expected on the target grids"))
    expected = c.expected
    signs = [expected.recall.estimate, expected.precision.estimate] if expected.n_flagged else []
    if curve is not None:
        data += _band(AT, curve.low, curve.high, theme.accent)
        data.append(_line(AT, curve.y, theme.accent, "solid", "measured on labels"))
        flagged, broken = c.source_p >= c.rule.cut, c.source.broken
        hits = int((flagged & broken).sum())
        if flagged.any():
            signs += [hits / broken.sum(), hits / flagged.sum()]
            data.append(_point(hits / broken.sum(), hits / flagged.sum(), theme.accent, "circle", "labels, at the threshold"))
    if expected.n_flagged:
        data.append(_point(expected.recall.estimate, expected.precision.estimate, theme.text, "diamond", "expected, at the threshold"))
    least = _least(signs)
    return _rates(data, ("recall", least, 1.0), ("precision", least, 1.0), theme)


def roc(seen: Preview, curve: Curve, theme: Theme) -> Figure:
    """True- over false-positive rate on labels, with its bootstrap band and a marker at the threshold."""
    flagged, broken = seen.calibration.source_p >= seen.calibration.rule.cut, seen.calibration.source.broken
    data = [*_band(AT, curve.low, curve.high, theme.accent), _line(AT, curve.y, theme.accent, "solid", "measured on labels")]
    x, y = float(flagged[~broken].mean()), float(flagged[broken].mean())
    data.append(_point(x, y, theme.accent, "circle", "labels, at the threshold"))
    return _rates(data, ("false-positive rate", 0.0, 1 - _least([1 - x])), ("true-positive rate", _least([y]), 1.0), theme)


def _least(signs: list[float]) -> float:
    """Where an axis begins: good curves run along the corner, where a whole axis would show nothing."""
    return next((least for least in (0.8, 0.5) if signs and min(signs) > least + 0.05), 0.0)


def _band(x: Vector, low: Vector, high: Vector, colour: str) -> list[dict[str, Any]]:
    outline = {"x": np.concatenate([x, x[::-1]]), "y": np.concatenate([high, low[::-1]])}
    return [
        {"type": "scatter", "mode": "lines", **outline, "fill": "toself", "fillcolor": faded(colour, 0.2), "line": {"width": 0}}
        | {"hoverinfo": "skip"}
    ]


def _line(x: Vector, y: Vector, colour: str, dash: str, name: str) -> dict[str, Any]:
    line = {"type": "scatter", "mode": "lines", "x": x, "y": y, "line": {"color": colour, "width": 2, "dash": dash}, "name": name}
    return line | {"hovertemplate": "%{x:.2f}, %{y:.2f}<extra>" + name + "</extra>"}


def _point(x: float, y: float, colour: str, symbol: str, name: str) -> dict[str, Any]:
    point = {"type": "scatter", "mode": "markers", "x": np.array([x]), "y": np.array([y]), "cliponaxis": False, "name": name}
    point["marker"] = {"size": 11, "symbol": symbol, "color": colour, "line": {"width": 1.5}}
    return point | {"hovertemplate": "%{x:.3f}, %{y:.3f}<extra>" + name + "</extra>"}


def _rates(data: list[dict[str, Any]], x: tuple[str, float, float], y: tuple[str, float, float], theme: Theme) -> Figure:
    """Axes by title, beginning and end."""
    axes = plain_axes(theme, x[0], y[0])
    for axis, (_, low, high) in zip((axes["xaxis"], axes["yaxis"]), (x, y), strict=True):
        axis |= {"range": [low - (high - low) / 100, high + (high - low) / 100], "showgrid": True, "gridcolor": theme.line}
        axis |= {"tickvals": np.linspace(low, high, 3), "tickformat": ".2~f"}
    return {"data": data, "layout": frame(theme, HEIGHT, margin={"l": 38, "r": 10, "t": 8, "b": 36}, **axes)}
