"""Representation audit of the Detectors page: what features hold, what scores make of it, whether labels or features are missing."""

import math

import streamlit as st

from core.errors import InputError
from core.models.audit import queries as audits
from core.models.audit.figures import Finding, check_labels
from core.models.audit.job import AUDIT
from core.models.audit.queries import Audit
from core.models.audit.request import AuditRequest
from core.statistics.intervals import Interval
from core.ui.detectors import audit_chart, reads
from core.ui.detectors import tables as detector_tables
from core.ui.render import text
from core.ui.render.text import markup
from core.ui.session import components, job_panel, state, writes
from core.ui.session import reads as session_reads
from core.ui.session.job_panel import Words
from core.ui.session.state import Shown

WORDS = Words(kept="No figure of it is kept")
MINUTES = "It takes one to three minutes, in the background; nothing in the store changes but this section."
COLUMNS = (
    ("score", "score", "ROC-AUC of the score that a detector draws from these features without labels"),
    ("oracle", "oracle on z", "ROC-AUC of a random forest of 1,000 trees that learned from labels, on banners that it has not seen"),
    ("oracle_all", "all classes", "The same where a network that was trained with the broken banners, by fault, adds its features"),
    ("held_out", "held out", "The oracle on z against fault families that it learned nothing of"),
    ("not_extracted", "not extracted", "Oracle on z less score: what the features hold and the score does not use"),
    ("not_represented", "not represented", "All classes less oracle on z: what the features lack"),
)


def why_not(run: Shown) -> str | None:
    """Which labels are missing for an audit; None where there are enough."""
    used = reads.used(run.path, run.run_id, session_reads.labels_token(run))
    try:
        check_labels(used["n_broken"], used["n_ok"])
    except InputError as error:
        return str(error)
    return None


def show(run: Shown) -> None:
    """The latest audit of the run, the one in work, or what it takes to have one."""
    st.markdown("##### Representation audit")
    found = audits.latest(run.store, run.run_id)
    if found is not None:
        figures(found)
    if not job_panel.show(AUDIT, WORDS):
        begin(run, found)


def figures(found: Audit) -> None:
    """The sentence, the figures as a table and as gaps."""
    st.markdown(f"**{advice_words(found)}**")
    west, east = st.columns([0.6, 0.4], gap="medium")
    with west:
        components.pick_table(table(found.findings), "audit", on_pick=lambda: None)
    with east:
        figure = audit_chart.gaps(found.findings, state.theme(), state.is_dark())
        components.plot(figure, "audit_gaps", "ROC-AUC of scores and oracles by features, with the gaps between them")
    st.caption(about_words(found))


def advice_words(found: Audit) -> str:
    """The stored line as markdown; names of detectors stay as they are."""
    return " ".join(text.markdown(part) if k % 2 == 0 else f"`{part}`" for k, part in enumerate(found.about["advice"].split("`")) if part)


def about_words(found: Audit) -> str:
    """Which labels, which rule, what is missing, how old."""
    a = found.about
    words = [
        f"{a['n_broken']:,} broken and {a['n_ok']:,} ok labels, audited {text.ago(a['finished_at'])} in {text.duration(a['seconds'])}.",
        "Oracles are limits, not detectors: each is a random forest of 1,000 trees, fitted on a third of the labels and read on banners "
        "that it never saw; intervals hold 95 %, by a bootstrap.",
    ]
    if a["missing"]:
        words.append(f"Holding fault families out needs {text.markdown(a['missing'])}.")
    else:
        unnamed = a["n_broken"] - a["n_named"]
        families = f"{text.plural(a['n_families'], 'fault family', 'fault families')}"
        words.append(
            f"{families}, {'all named by reviewers' if not unnamed else f'by diagnosis for {unnamed:,} banners without a named fault'}."
        )
    if a["left_out"]:
        words.append(f"Without stored features: {text.markdown(', '.join(a['left_out']))}.")
    return " ".join(words)


def table(found: list[Finding]) -> str:
    """A row of features, their figures with intervals below."""
    head = "<tr><th>features</th>" + "".join(f'<th class="num" title="{markup(why)}">{name}</th>' for _, name, why in COLUMNS) + "</tr>"
    body = "".join(
        f'<tr><td><b>{markup(one.name)}</b><br><span class="muted">{one.n_dims:,} · {markup(one.score_by)}</span></td>'
        + "".join(f'<td class="num">{cell(getattr(one, key), signed=key.startswith("not_"))}</td>' for key, _, _ in COLUMNS)
        + "</tr>"
        for one in found
    )
    return f'<div class="hp"><table class="tight"><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def cell(value: Interval, *, signed: bool) -> str:
    """A figure with its interval on a second line; a gap with its sign."""
    if math.isnan(value.share):
        return text.UNKNOWN
    if not signed:
        return detector_tables.figure(value).replace(" <span", "<br><span")
    low, high = (_signed(v) for v in (value.low, value.high))
    ends = "" if math.isnan(value.low) else f'<br><span class="muted">({low} to {high})</span>'
    return f"<b>{_signed(value.share)}</b>{ends}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("0.", ".", 1).replace("-", "\u2212")


def begin(run: Shown, found: Audit | None) -> None:
    """The button, or what is missing for it."""
    why = why_not(run)
    if why is not None:
        if found is None:
            components.empty(
                "Would more labels help, or better features?",
                f"An audit asks a forest that knows labels what the features hold and the scores miss. {text.markdown(why)}",
                page="label", label="Label banners",
            )  # fmt: skip
        return
    if found is None:
        st.markdown(
            "Would more labels help, or better features? An audit lets a forest learn from the labels what each representation holds, "
            f"and compares it with what scores without labels make of it. {MINUTES}"
        )
    elif found.is_stale(run.store):
        st.caption("Labels have changed since this audit.")
    verb = "Audit the features" if found is None else "Audit again"
    writes.button("map", verb, writes.start, (AUDIT, AuditRequest(run.run_id)), key="audit_start",
                  type="primary" if found is None else "secondary", icon=":material/search_insights:", help=MINUTES)  # fmt: skip
