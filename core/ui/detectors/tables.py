"""Tables of the Detectors page: the leaderboard, who finds what, who is found by one alone. Values in, HTML out; a row picks one."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.statistics.intervals import Interval
from core.statistics.leaderboard import Standing
from core.ui.render import svg, text
from core.ui.render.text import markup

Row = dict[str, Any]

METRICS: dict[str, tuple[str, Callable[[Standing], Interval]]] = {
    "average precision": ("mean precision over the recall steps of the scores", lambda s: s.average_precision),
    "ROC-AUC": ("probability that a broken banner scores above an ok one", lambda s: s.roc_auc),
    "F1": ("of the flags: the active ones for combined; of a detector, Benjamini-Hochberg on its own p-values", lambda s: s.f1),
}
"""Figures of the leaderboard by name: what they mean, and where they stand."""
LEAST_OF_A_KIND = 5
"""Banners of a fault family below which a share says nothing."""
AXIS = 84


def figure(value: Interval) -> str:
    """.993 (.988–.998): three digits, since good detectors differ in the third."""
    if math.isnan(value.share):
        return text.UNKNOWN
    if math.isnan(value.low):
        return f"<b>{_three(value.share)}</b>"
    return f"<b>{_three(value.share)}</b> <span class='muted'>({_end(value.low)}\u2013{_end(value.high)})</span>"


def _three(share: float) -> str:
    return "> .999" if 0.9995 <= share < 1 else f"{share:.3f}".removeprefix("0")


def _end(share: float) -> str:
    """An end of an interval; it may well be 1."""
    return "1" if share >= 0.9995 else _three(share)


def leaderboard(
    groups: Sequence[tuple[str, Sequence[str]]],
    standings: Mapping[str, Standing],
    about: Mapping[str, Row],
    metric: str,
    level: Mapping[str, bool],
    chosen: str,
) -> str:
    """A row a detector under its group's line (empty: none); `level`: those that the labels cannot tell from the best, marked with ≈."""
    known = [v for s in standings.values() for v in METRICS[metric][1](s) if not math.isnan(v)]
    least = math.floor(20 * min(known, default=0.0)) / 20
    names = [metric, *(name for name in METRICS if name != metric)]
    heads = "".join(f'<th class="num" title="{markup(METRICS[name][0])}">{name}</th>' for name in names[1:])
    head = f'<tr><th>detector</th><th>{_ends(least)}</th><th class="num" title="{markup(METRICS[metric][0])}">{metric} ↓</th>{heads}'
    head += '<th class="num" title="fit and score, or features and score, by banner it looked at">ms</th><th class="num">fit s</th>'
    head += '<th class="num">labels</th></tr>'
    body = ""
    for title, members in groups:
        if title:
            body += f'<tr><td colspan="8" class="wide muted">{markup(title)}</td></tr>'
        body += "".join(_place(name, standings[name], about.get(name), names, least, level.get(name, False), chosen) for name in members)
    return f'<div class="hp"><table class="tight"><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def _ends(least: float) -> str:
    marks = f'<text x="2" y="12">{least:.2g}</text><text x="{AXIS - 4}" y="12" text-anchor="end">1</text>'
    return f'<svg class="ticks" width="{AXIS}" height="16" viewBox="0 0 {AXIS} 16" aria-hidden="true">{marks}</svg>'


def _place(name: str, standing: Standing, about: Row | None, names: Sequence[str], least: float, is_level: bool, chosen: str) -> str:
    first = METRICS[names[0]][1](standing)
    picked = f' data-pick="{markup(name)}" tabindex="0" aria-selected="{str(name == chosen).lower()}"' if about is not None else ""
    family = f'<br><span class="muted">{markup(text.fault(about["family"]))}</span>' if about and about.get("family") else ""
    ms = _cost(about.get("ms") if about else None)
    fit = _cost(about.get("fit_s") if about else None)
    cells = "".join(f'<td class="num">{figure(METRICS[metric][1](standing))}</td>' for metric in names)
    sign = ' <span class="muted" title="the labels cannot tell it from the best">≈</span>' if is_level else ""
    bar = svg.whisker(*first, 1.0, least=least, width=AXIS)
    return (
        f"<tr{picked}><td><b>{markup(name)}</b>{sign}{family}</td><td>{bar}</td>{cells}"
        f'<td class="num">{ms}</td><td class="num">{fit}</td><td class="num">{standing.n:,}</td></tr>'
    )


def _cost(value: float | None) -> str:
    """Time with what matters of it: 2.04, < 0.01."""
    return markup("< 0.01") if value is not None and value < 0.005 else text.decimal(value, 2)


def who_finds_what(names: Sequence[str], kinds: Sequence[str], hits: NDArray[np.float64], n: NDArray[np.float64], chosen: str) -> str:
    """Share of each fault family that each detector flags, the darker the more; the last column is ok banners, in red."""
    head = "<tr><th></th>" + "".join(f'<th title="{markup(kind)}">{markup(kind)}</th>' for kind in kinds) + "</tr>"
    body = ""
    for k, name in enumerate(names):
        cells = "".join(_share(hits[k, j], n[k, j], in_order=j == len(kinds) - 1) for j in range(len(kinds)))
        is_chosen = str(name == chosen).lower()
        body += f'<tr data-pick="{markup(name)}" tabindex="0" aria-selected="{is_chosen}"><th class="name">{markup(name)}</th>{cells}</tr>'
    return f'<div class="hp"><table class="cells narrow"><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def _share(hits: float, n: float, *, in_order: bool) -> str:
    if not n:
        return f'<td class="muted">{text.UNKNOWN}</td>'
    share = hits / n
    colour, ink = ("--st-red-color, #B8450B", min(4 * share, 1.0)) if in_order else ("--st-blue-color, #0B6FA8", share)
    shade = f"color-mix(in srgb, var({colour}) {round(60 * ink) if n >= LEAST_OF_A_KIND else 0}%, var(--st-background-color, #fff))"
    value = f"{100 * share:.0f} %" if n >= LEAST_OF_A_KIND else text.UNKNOWN
    return f'<td style="background: {shade}">{value}<small>{hits:,.0f} of {n:,.0f}</small></td>'


def found_alone(rows: Sequence[Row], chosen: str, *, with_labels: bool) -> str:
    """A row a detector: how many banners it flags, how many no other flags, and what labels say of these."""
    heads = ["flags", "alone", *(["▲ broken", "● ok", "no label"] if with_labels else ["flagged now"])]
    head = "<tr><th>detector</th>" + "".join(f'<th class="num">{name}</th>' for name in heads) + "</tr>"
    body = "".join(
        f'<tr data-pick="{markup(r["detector"])}" tabindex="0" aria-selected="{str(r["detector"] == chosen).lower()}">'
        f"<td><b>{markup(r['detector'])}</b></td>" + "".join(f'<td class="num">{r[name]:,}</td>' for name in heads) + "</tr>"
        for r in rows
    )
    return f'<div class="hp"><table class="tight"><thead>{head}</thead><tbody>{body}</tbody></table></div>'
