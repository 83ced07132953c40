"""Reviewers: how many, how fast, how steady, how they change, and how they agree with each other."""

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.review import reviewers as drift
from core.review.labels import LABELS
from core.review.reviewers import Reviewer
from core.statistics.intervals import Interval
from core.ui.label import reads as label_reads
from core.ui.render import svg, text
from core.ui.render.text import markup
from core.ui.session import components
from core.ui.session.state import Shown

Row = dict[str, Any]


def show(run: Shown) -> None:
    """Each reviewer alone, then pairs of them."""
    token = drift.labels_token(run.store)
    found = label_reads.team(run.path, token)
    if not found:
        components.sentence("No banner is labelled yet.")
        components.empty(
            "No labels", "Label some in the first part of this page, or bring labels in from a file:",
            code="python -m core labels import FILE",
        )  # fmt: skip
        return
    top = st.container()
    blind_only = st.toggle("Compare only what was given blind", key="only_blind", help="Who sees other labels tends to agree with them")
    between = label_reads.agreement(run.path, token, blind_only)
    with top:
        components.sentence(first_line(found, between, blind_only=blind_only))
        components.pick_table(team_table(found), "team", on_pick=lambda: None)
        st.caption(
            "Broken and agreement over time: each point is a block of labels in the order they were given (hover for its size). "
            "Repeats are banners shown a second time, blind, of which the reviewer said the same again. Intervals are 95 %."
        )
    pairs(between, blind_only=blind_only)


def first_line(found: Sequence[Reviewer], between: Row, *, blind_only: bool = False) -> str:
    """3 reviewers, 152 labels; alpha .78 (.70-.86) on 48 banners with two readers."""
    alpha = between["alpha"]
    words = f"{text.plural(len(found), 'reviewer')}, {text.plural(sum(r.n for r in found), 'label')}"
    if alpha["value"] is None:
        if not between["pairs"]:
            return f"{words}; no banner has two {'blind ' if blind_only else ''}readers yet."
        n = int(alpha["n"] or 0)
        return f"{words}; {text.plural(n, 'banner')} with two readers, all of one label: too little to say how far they agree."
    span = "" if alpha["low"] is None else f" ({text.decimal(alpha['low'])} to {text.decimal(alpha['high'])})"
    return f"{words}; Krippendorff's alpha {text.decimal(alpha['value'])}{span} on {text.plural(alpha['n'], 'banner')} with two readers."


def team_table(found: Sequence[Reviewer]) -> str:
    """A row a reviewer."""
    heads = ("reviewer", "labels", "median time", "blind", "called broken", "over time", "same as others", "over time", "repeats the same")
    head = "".join(f"<th{' class=num' if k in (1, 2, 3) else ''}>{name}</th>" for k, name in enumerate(heads))
    body = "".join(_row(r) for r in found)
    return f'<div class="hp"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _row(r: Reviewer) -> str:
    size = f'title="blocks of {r.block} labels"'
    return (
        f"<tr><td><b>{markup(r.name)}</b></td><td class='num'>{r.n:,}</td><td class='num'>{markup(text.duration(r.seconds))}</td>"
        f"<td class='num'>{markup(text.percent(r.blind, 0))}</td><td>{_share(r.broken, r.n)}</td>"
        f"<td {size}>{svg.sparkline(_line(r.broken_by_block))}</td><td>{_share(r.agree, r.n_others)}</td>"
        f"<td {size}>{svg.sparkline(_line(r.agree_by_block))}</td><td>{_share(r.again, r.n_again)}</td></tr>"
    )


def _line(values: list[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _share(share: Interval, n: int) -> str:
    if n == 0:
        return f'<span class="muted">{text.UNKNOWN}</span>'
    return f"{text.percent(share.share, 0)} <span class='muted'>({text.span(share.low, share.high)}) of {n:,}</span>"


def pairs(between: Row, *, blind_only: bool) -> None:
    """Kappa of every pair, and what two of them mix up."""
    if not between["pairs"]:
        st.info(
            f"No two reviewers have labelled the same banner{' blind' if blind_only else ''}: the queue “second reading” asks for that."
        )
        return
    west, east = st.columns(2, gap="large")
    with west:
        st.markdown("##### Pairs")
        rows = [
            {
                "reviewers": " and ".join(pair["reviewers"]), "banners": pair["n"],
                "same": text.percent(pair["same"]["share"], 0), "same 95 %": text.span(pair["same"]["low"], pair["same"]["high"]),
                "kappa": text.decimal(pair["kappa"]["value"]), "kappa 95 %": _span(pair["kappa"]),
            }
            for pair in between["pairs"]
        ]  # fmt: skip
        st.dataframe(rows, hide_index=True, alt="Cohen's kappa of each pair of reviewers")
        st.caption("– means not known: both gave one and the same label throughout, or all draws of the bootstrap were alike.")
    with east:
        confusion(between)


def _span(kappa: Row) -> str:
    return text.UNKNOWN if kappa["low"] is None else f"{text.decimal(kappa['low'])} to {text.decimal(kappa['high'])}"


def confusion(between: Row) -> None:
    """What one reviewer said where another said something."""
    names = [" and ".join(pair["reviewers"]) for pair in between["pairs"]]
    st.markdown("##### Confusion between reviewers")
    chosen = st.selectbox("Pair", names, key="pair", label_visibility="collapsed")
    pair = between["pairs"][names.index(chosen)]
    first, second = (markup(name) for name in pair["reviewers"])
    head = "".join(f'<th class="num">{second}: {label}</th>' for label in LABELS)
    body = "".join(
        f"<tr><th>{first}: {label}</th>" + "".join(_cell(n, i == j) for j, n in enumerate(pair["confusion"][i])) + "</tr>"
        for i, label in enumerate(LABELS)
    )
    table = f'<div class="hp"><table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    components.pick_table(table, "confusion", on_pick=lambda: None)


def _cell(n: int, same: bool) -> str:
    return f'<td class="num">{f"<b>{n:,}</b>" if same else f"{n:,}" if n else text.UNKNOWN}</td>'
