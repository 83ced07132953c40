"""Model selection on the Detectors page: self-supervised detectors trained on this run, which one selectors take, which one runs use."""

from typing import Any

import numpy as np
import streamlit as st

from core.models.selection import job as model_selection
from core.models.selection.job import SELECTION
from core.models.selection.request import HIGHEST, LOWEST, RATIO, SelectionRequest
from core.review.changes import Seen
from core.store.queries import selections
from core.store.queries.runs import Row
from core.store.queries.selections import Choice, Selection
from core.ui.detectors import model_selection_chart
from core.ui.render import text
from core.ui.render.text import markup
from core.ui.session import asking, components, job_panel, state, writes
from core.ui.session.job_panel import Words
from core.ui.session.state import Shown

WORDS = Words()
MINUTES = "It trains thirteen small networks in the background, some minutes; runs and scores stay as they are."
DSV = "dsv"
SHADES = 0.25
"""How far below 1 a ROC-AUC has the full shade."""


def show(run: Shown) -> None:
    """The latest selection of the run, the one in work, or what it takes to have one."""
    st.markdown("##### Model selection")
    found = selections.latest(run.store, run.run_id)
    in_use = selections.in_use(run.store)
    if found is not None:
        report(found)
        use(found, in_use)
    if not job_panel.show(SELECTION, WORDS):
        begin(run, found)


def report(found: Selection) -> None:
    """The sentence; selectors beside alignment against ROC-AUC; candidates with their bias per fault family."""
    st.markdown(f"**{sentence(found)}**")
    labelled = found.candidates[0]["auc"] is not None
    west, east = st.columns([0.5, 0.5], gap="medium")
    with west:
        components.pick_table(selectors_table(found), "selectors", on_pick=lambda: None)
    with east:
        if labelled:
            figure = model_selection_chart.aligned(found.candidates, dsv(found)["chosen"], state.theme(), state.is_dark())
            components.plot(figure, "aligned", "DSV of candidates against their ROC-AUC on labelled banners")
            st.caption(alignment_words(found))
        else:
            st.caption(
                "How good each candidate is needs labels: with eight banners labelled broken and eight ok, another selection draws "
                "alignment against ROC-AUC. Selectors choose without them."
            )
    components.pick_table(candidates_table(found), "contenders", on_pick=lambda: None)
    st.caption(about_words(found))


def dsv(found: Selection) -> Row:
    """The row of the selector that the page goes by."""
    return next(row for row in found.selectors if row["name"] == DSV)


def sentence(found: Selection) -> str:
    """Which candidate DSV takes, and what labels say of it."""
    chosen = found.candidates[dsv(found)["chosen"]]
    words = f"Without labels, DSV takes {text.markdown(chosen['name'])}"
    if chosen["auc"] is None:
        return words + "."
    each = [c["auc"][0] for c in found.candidates]
    return f"{words}: ROC-AUC {chosen['auc'][0]:.3f}, where the candidates reach {min(each):.3f} to {max(each):.3f}."


def alignment_words(found: Selection) -> str:
    """How far better alignment went with a higher ROC-AUC."""
    each = np.array([[-c["dsv"], c["auc"][0]] for c in found.candidates])
    rho = float(np.asarray(np.corrcoef(each.argsort(axis=0).argsort(axis=0).T))[0, 1])
    n = len(found.candidates)
    return f"Rank correlation of alignment and ROC-AUC over {n} candidates: {text.decimal(rho, 2)}. Bars: 95 % intervals."


def about_words(found: Selection) -> str:
    """What it rests on."""
    a = found.about
    words = (
        f"Learned from {a['n_train']:,} banners and judged {a['n_test']:,} others of this run without their labels, assuming "
        f"{text.percent(a['ratio'], 1)} of them broken, {text.ago(a['finished_at'])}, in {text.duration(a['seconds'])}. "
    )
    if found.candidates[0]["auc"] is None:
        return words
    return words + (
        f"ROC-AUC on {a['n_broken']:,} broken and {a['n_ok']:,} ok labels of banners that no candidate learned from; by fault family the "
        "same against all ok ones: where a row differs much between families, its augmentation prefers some faults."
    )


def selectors_table(found: Selection) -> str:
    """A row a selector: what it goes by, what it takes, how good that is."""
    head = "<tr><th>selector</th><th>takes</th><th class='num'>ROC-AUC</th></tr>"
    body = ""
    for row in found.selectors:
        chosen = found.candidates[row["chosen"]]
        body += (
            f'<tr><td><b>{markup(row["name"])}</b><br><span class="muted">{markup(row["says"])}</span></td>'
            f'<td>{markup(chosen["name"])}</td><td class="num">{figure(chosen["auc"])}</td></tr>'
        )
    for name, says, value in (
        ("avg", "drawn blindly, in the mean", mean_auc(found)),
        ("ensemble", "the mean of all scores", found.ensemble),
    ):
        body += f'<tr><td><b>{name}</b><br><span class="muted">{says}</span></td><td></td><td class="num">{figure(value)}</td></tr>'
    return f'<div class="hp"><table class="tight"><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def mean_auc(found: Selection) -> list[float | None] | None:
    """What a candidate drawn blindly has in the mean."""
    each = [c["auc"][0] for c in found.candidates if c["auc"] is not None]
    return [sum(each) / len(each), None, None] if each else None


def candidates_table(found: Selection) -> str:
    """A row a candidate: alignment, who takes it, and ROC-AUC in all and by fault family, darker where it is lower."""
    families = list(found.candidates[0]["by_family"])
    names = ["candidate", "discordance", "separability", "DSV", "taken by", "ROC-AUC", *map(text.fault, families)]
    head = "<tr>" + "".join(f"<th{'' if k in (0, 4) else ' class=num'}>{markup(name)}</th>" for k, name in enumerate(names)) + "</tr>"
    body = ""
    for k, row in enumerate(found.candidates):
        taken = ", ".join(s["name"] for s in found.selectors if s["chosen"] == k)
        body += f"<tr><td><b>{markup(row['name'])}</b></td>"
        body += "".join(f'<td class="num">{text.decimal(row[key], 3)}</td>' for key in ("discordance", "separability", "dsv"))
        body += f'<td class="muted">{markup(taken)}</td><td class="num">{figure(row["auc"])}</td>'
        body += "".join(shaded(row["by_family"][name]) for name in families) + "</tr>"
    return f'<div class="hp"><table class="tight"><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def shaded(value: float) -> str:
    """A cell whose background says how much is missing to 1; the number stays readable."""
    share = round(100 * min(max((1 - value) / SHADES, 0.0), 1.0) * 0.45)
    shade = f"background: color-mix(in srgb, {state.theme().broken} {share}%, transparent)"
    return f'<td class="num" style="{shade}">{text.decimal(value, 2)}</td>'


def figure(value: list[float | None] | None) -> str:
    """A ROC-AUC, with its interval on a second line where there is one."""
    if value is None or value[0] is None:
        return text.UNKNOWN
    low, high = value[1:]
    ends = "" if low is None or high is None else f'<br><span class="muted">({low:.3f} to {high:.3f})</span>'
    return f"<b>{value[0]:.3f}</b>{ends}"


def use(found: Selection, in_use: Choice | None) -> None:
    """Which candidate runs take, and the way to change that."""
    if in_use is not None:
        st.caption(
            f"Runs take {text.markdown(in_use.candidate)} as `{in_use.detector}`, since {text.ago(in_use.happened_at)}, by "
            f"{text.markdown(in_use.chosen_by)}."
        )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        places = list(range(len(found.candidates)))
        key = f"candidate_{found.about['selection_id']}"
        chosen = st.selectbox(
            "Candidate", places, index=dsv(found)["chosen"], key=key, width=220,
            format_func=lambda k: found.candidates[k]["name"],
        )  # fmt: skip
        seen = {model_selection.USED: model_selection.choice_id(state.store())}
        name = text.markdown(found.candidates[chosen]["name"])
        writes.button("train", f"Use {name} in runs", _use, (found, chosen, seen), key="use_model", icon=":material/playlist_add_check:",
                      help="From the next run on it is trained on every grid and takes part beside the default detectors")  # fmt: skip
        if in_use is not None:
            words = f"Take {text.markdown(in_use.candidate)} out of runs"
            writes.button("train", words, _use, (found, None, seen), key="drop_model", icon=":material/undo:")


def begin(run: Shown, found: Selection | None) -> None:
    """What it is, the share that is assumed, and the button."""
    if found is None:
        st.markdown(
            "Which augmentation suits these banners? Detectors that learn by changing patches of ok banners differ by what they "
            f"change and how much of it; selectors choose among them without labels. {MINUTES}"
        )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input(
            "Assumed broken, %", 100 * LOWEST, 100 * HIGHEST, 100 * RATIO, 0.5, key="assumed_ratio", width=170,
            help="The share of broken banners that selectors go by; never counted from labels",
        )  # fmt: skip
        verb = "Train candidates" if found is None else "Train them again"
        kind: Any = "primary" if found is None else "secondary"
        writes.button("map", verb, _begin, (run.run_id,), key="select_start", type=kind,
                      icon=":material/model_training:", help=MINUTES)  # fmt: skip


def _use(found: Selection, candidate: int | None, seen: Seen) -> None:
    """Does what the button says; asks where another person chose since."""
    go_on = "Take it out" if candidate is None else f"Use {text.markdown(found.candidates[candidate]['name'])}"
    asking.or_ask(lambda now: writes.use_model(found, candidate, now), seen, go_on, "train")


def _begin(run_id: str) -> None:
    writes.start(SELECTION, SelectionRequest(run_id, float(st.session_state["assumed_ratio"]) / 100))
