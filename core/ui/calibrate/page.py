"""Calibrate: what changes if I move the cut?"""

from typing import Any

import numpy as np
import streamlit as st

from core.calibration import versions
from core.calibration.learn import Labels
from core.calibration.publish import Preview
from core.errors import HeatproofError
from core.review import labels as labelling
from core.store.queries import runs
from core.ui.calibrate import charts as draw
from core.ui.calibrate import controls, flips, history, reads, shots, tables
from core.ui.render import text
from core.ui.session import components, state, writes
from core.ui.session.state import Shown


def first_line(seen: Preview, number: int) -> str:
    """Using 212 labels from 5 grids, publishing v8 would flag 71 instead of 61: +14 −4. Expected precision .93 (.86-.97), recall …"""
    c = seen.calibration
    n = len(c.source.rows) + len(c.shots.rows)
    grids = np.union1d(c.source.grid_id, c.shots.grid_id)
    added, dropped = (len(ids) for ids in seen.flips())
    before, after = int(seen.before[c.target].sum()), int(c.flagged.sum())
    words = f"Using {text.plural(n, 'label')} from {text.plural(len(grids), 'grid')}, publishing v{number} would "
    judged = seen.request.target_grids
    where = f" on {text.plural(len(judged), 'grid')}" if judged else ""
    if added or dropped:
        words += f"flag {after:,}{where} instead of {before:,}: +{added:,} \u2212{dropped:,}."
    else:
        words += f"change none of {text.plural(before, 'flag')}{where}."
    expected = c.expected
    if not expected.n_flagged:
        return f"{words} No banner reaches the threshold."
    return f"{words} Expected precision {tables.share(*expected.precision)}, recall {tables.share(*expected.recall)}."


def charts(seen: Preview, run: Shown) -> None:
    """Probabilities by label with the threshold, precision-recall, ROC, confusion."""
    theme, (found, worlds) = state.theme(), reads.curves_of(run, seen)
    one, two, three, four = st.columns([0.35, 0.21, 0.21, 0.23], gap="small")
    with one:
        components.plot(draw.histogram(seen, theme), "chances", "Banners by probability of being broken, by label, with the threshold")
        controls.slider(seen)
    with two:
        curve = found.precision_recall if found else None
        components.plot(draw.precision_recall(seen, curve, worlds, theme), "pr", "Precision over recall, with 95 % bands")
        area = f"\u2014 labels, average precision {tables.share(*curve.area)}" if curve else "No curve: the labels are all of one kind"
        sign = "; ◆ at the threshold" if seen.calibration.expected.n_flagged else ""
        st.caption(f"{area}  \n\u22ef expected on the target grids{sign}")
    with three:
        if found is not None:
            components.plot(draw.roc(seen, found.roc, theme), "roc", "True- over false-positive rate, with its 95 % band")
            st.caption(f"\u2014 labels, area {tables.share(*found.roc.area)}  \n● at the threshold; bands hold 95 %")
    with four:
        html, m = tables.confusion(seen)
        components.pick_table(html, "confusion", on_pick=lambda: None)
        st.caption(f"{text.plural(m.n, 'label')}, each predicted by the labels of other grids")


def before_and_after(seen: Preview, run: Shown, ratio: float) -> None:
    """Which banners flip, the rate of each grid, and what to expect."""
    one, two, three = st.columns([0.34, 0.34, 0.32], gap="medium")
    added, dropped = seen.flips()
    with one:
        rows = flips.rows_of(seen, added, after=True), flips.rows_of(seen, dropped, after=False)
        flips.show(run, *rows, "flips", ("now flagged", "no longer"), height=262)
    with two:
        changed = tables.changes(seen.by_grid())
        components.pick_table(tables.rate_table(changed), "rates", on_pick=lambda: None, height=300)
        flips.file(seen.by_grid(), "heatproof-rates.csv", "rates_csv", "Every grid, before and after")
    with three:
        components.pick_table(tables.expected_table(seen, ratio), "expected", on_pick=lambda: None)


def publishing(seen: Preview, run: Shown, number: int) -> None:
    """Reason and button; only the newest run shows what a version does to the flags that people see."""
    st.markdown(f"**Publish as v{number}**")
    newest = runs.finished_runs(run.store, 1)[0]
    if newest["scored_id"] != run.run["scored_id"]:
        st.info("A version is published on the newest run, and an older one is shown. Choose newest in the sidebar.")
        return
    st.text_input("Reason", key="reason", max_chars=300, placeholder="Why the threshold changes, in a few words; it is kept for ever")
    other = held(seen, number)
    if other is not None:
        st.markdown(f":material/warning: {other} since you began to write. The figures above start from that: look at them, then go on.")
        st.button(f"Go on with v{number}", key="go_on_publish", on_click=lambda: st.session_state.pop(HELD, None))
    writes.button(
        "publish", f"Publish v{number}", publish, (seen,), key="publish", type="primary", icon=":material/publish:",
        disabled=other is not None,
        help="Puts it into force for this run and those to come. The version before it can be brought back.",
    )  # fmt: skip
    st.caption(f"As {text.markdown(state.author())}, with the labels, grids and threshold chosen above.")


HELD = "publish_held"
"""In the session: (number, run) that is published while a reason is being written."""


def held(seen: Preview, number: int) -> str | None:
    """What came in between while the reason was being written, in words; None where the form still means what it meant at first."""
    now = (number, seen.active, seen.scored.run_id)
    if not str(st.session_state.get("reason") or "").strip():
        st.session_state[HELD] = now
    was = st.session_state.setdefault(HELD, now)
    if was == now:
        return None
    if was[2] != now[2]:
        return "A newer run finished"
    newest = versions.history(state.store(), 1)[0]
    what = "was published by" if newest["op"] == "publish" else "was brought back by"
    return f"v{newest['number'] or 0} {what} {text.markdown(newest['author'])} {text.ago(newest['happened_at'])}"


def publish(seen: Preview) -> None:
    """Publishes what was on the screen when its button was drawn."""
    number = writes.publish(seen, str(st.session_state.get("reason") or ""))
    st.session_state["reason"] = ""
    st.session_state.pop(HELD, None)
    for key in ("first", "second"):
        st.session_state.pop(key, None)
    added, dropped = (len(ids) for ids in seen.flips())
    st.toast(f"v{number} is active: +{added:,} \u2212{dropped:,}. Roll back in the history.", icon=":material/publish:")


def no_labels_line(states: list[dict[str, Any]]) -> str:
    """Why nothing can be learned from these states of labelled banners, none of which is broken or ok and in the run."""
    if not states:
        return "A threshold is learned from labels, and there is none yet."
    kinds = {
        "disputed": sum(row["state"] == "disputed" for row in states),
        "unsure": sum(row["label"] == "unsure" for row in states),
        "not in this run": sum(row["label"] in ("broken", "ok") for row in states),
    }
    parts = ", ".join(f"{n:,} {name}" for name, n in kinds.items() if n)
    is_one = len(states) == 1
    return f"{text.plural(len(states), 'banner')} {'is' if is_one else 'are'} labelled, none of use for a threshold here: {parts}."


def unlabelled(run: Shown) -> None:
    """The first step is a label."""
    states = labelling.states(run.store)
    components.sentence(no_labels_line(states))
    components.empty(
        "Label some banners first",
        "Reviewers say which banners are broken and which are ok; some twenty of them already help.",
        page="label", label="Label banners", code="python -m core labels import FILE",
    )  # fmt: skip


def calibrating(run: Shown, known: Labels) -> None:
    """All above the history. What cannot be learned from is said under the controls, which stay."""
    top = st.container()
    chosen = controls.choose(run, known)
    try:
        seen = reads.preview(run, chosen.request)
    except HeatproofError as error:
        with top:
            components.sentence("Nothing can be learned like this.")
        components.failed(error)
        return
    number = next(iter(v["number"] for v in versions.versions(run.store)), 0) + 1
    with top:
        components.sentence(first_line(seen, number))
        why = seen.why_none()
        if why:
            st.info(text.markdown(why), icon=":material/info:")
    charts(seen, run)
    before_and_after(seen, run, chosen.ratio)
    left, right = st.columns([0.5, 0.5], gap="medium")
    with left:
        publishing(seen, run, number)
    with right:
        shots.show(run, chosen.request, known)


def show(run: Shown) -> None:
    """The whole page."""
    known = reads.labels(run.path, run.run["scored_id"], reads.token(run))
    if len(known.rows):
        calibrating(run, known)
    else:
        unlabelled(run)
    history.show(run)
