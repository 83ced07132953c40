"""What came into force when and why; any two versions against each other; and the way back."""

from typing import Any

import numpy as np
import streamlit as st

from core.calibration import publish, versions
from core.calibration.verdicts import Judged
from core.errors import ChangedError, HeatproofError, InputError
from core.ui.calibrate import flips
from core.ui.calibrate import reads as calibration_reads
from core.ui.calibrate import tables as calibration_tables
from core.ui.render import text
from core.ui.render.text import markup
from core.ui.session import address, asking, components, version_words, writes
from core.ui.session.state import Shown

Row = dict[str, Any]


def show(run: Shown) -> None:
    """The whole section."""
    made = {f"v{v['number']}": v for v in versions.versions(run.store)}
    st.markdown("##### Versions")
    if not made:
        st.caption("No version was published yet: the threshold without labels is active.")
        return
    current = versions.in_force(run.store)
    now = f"v{current['number']}" if current else "v0"
    events = versions.history(run.store)
    names = [*made, "v0"]
    left, right = st.columns([0.53, 0.47], gap="medium")
    with right:
        first, second = compared(names, events, now)
    with left:
        components.pick_table(table(events, made, now, first), "versions", on_pick=pick, height=300, token=now)
        way_back(first, now)
    with right:
        compare(run, made, first, second)


def compared(names: list[str], events: list[Row], now: str) -> tuple[str, str]:
    """The two versions in the URL: by default the active one, and the one before it."""
    before = next((name for e in events if (name := f"v{e['number'] or 0}") != now), "v0")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        first = address.bound(st.selectbox, "Compare", names, index=names.index(before), key="first", width=110)
        second = address.bound(st.selectbox, "with", names, index=names.index(now), key="second", width=110)
    return first, second


def pick() -> None:
    """A version of the history is compared with the one beside it."""
    st.session_state["first"] = components.picked("versions")


def table(events: list[Row], made: dict[str, Row], now: str, chosen: str) -> str:
    """A row an event, newest first."""
    heads = ("version", "what", "by and why", "expected")
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join(_row(e, made, k == 0, chosen) for k, e in enumerate(events))
    first = _cells("v0", chosen, ("<b>v0</b><br>before", "no labels", '<span class="muted">the default threshold of every run</span>', ""))
    return f'<div class="hp"><table><thead><tr>{head}</tr></thead><tbody>{body}{first}</tbody></table></div>'


def _cells(name: str, chosen: str, cells: tuple[str, ...]) -> str:
    start = f'<tr data-pick="{name}" tabindex="0" aria-selected="{str(name == chosen).lower()}">'
    return start + "".join(f"<td{' class=wide' if k == 2 else ''}>{cell}</td>" for k, cell in enumerate(cells)) + "</tr>"


def _row(event: Row, made: dict[str, Row], newest: bool, chosen: str) -> str:
    name = f"v{event['number'] or 0}"
    version = made.get(name)
    what = "no labels" if version is None else f"{version['shots']}-shot, {version_words.cut(version)}"
    if version is not None:
        scope = "" if version["scope"] == "combined" else f", {markup(version['scope'])}"
        about = f"{text.plural(version['n_labels'], 'label')}{scope}<br>for {version_words.grids(version)}"
        what = f"{markup(what)}<br><span class='muted'>{about}</span>"
    op = "" if event["op"] == "publish" else "<br><span class='muted'>rolled back</span>"
    since = f'<span title="{text.absolute(event["happened_at"])}">{"<b>now</b>, " if newest else ""}{text.ago(event["happened_at"])}</span>'
    why = f'<b>{markup(event["author"])}</b><div title="{markup(event["reason"])}">{markup(event["reason"])}</div>'
    expected = calibration_tables.expected_words(version["expected"] if version else None)
    return _cells(name, chosen, (f"<b>{name}</b><br>{since}{op}", what, why, expected))


def compare(run: Shown, made: dict[str, Row], first: str, second: str) -> None:
    """Flags of the run on the screen under two versions: how many differ, which, and where."""
    scored_id = run.run["scored_id"]
    both = [calibration_reads.judged(run.path, scored_id, made[n]["version_id"] if n in made else None) for n in (first, second)]
    failed = next((b for b in both if isinstance(b, HeatproofError)), None)
    if failed is not None:
        components.failed(failed)
        return
    a, b = (judged for judged in both if isinstance(judged, Judged))
    scored = calibration_reads.scored(run.path, scored_id)
    added, dropped = publish.flipped(scored.banner_id, b.p_broken, a.flagged, b.flagged)
    st.markdown(
        f"On this run **{first}** flags {a.flagged.sum():,} and **{second}** {b.flagged.sum():,}: "
        f"{len(added):,} only under {second}, {len(dropped):,} only under {first}."
    )
    chance = dict(zip(scored.banner_id.tolist(), b.p_broken.tolist(), strict=True))
    more, fewer = (flips.described(scored, ids, chance, after=after) for ids, after in ((added, True), (dropped, False)))
    if added or dropped:
        flips.show(run, more, fewer, "versions", (f"only {second}", f"only {first}"), height=170)
    where = np.unique(scored.grid_id[a.flagged | b.flagged])
    changed = calibration_tables.changes(publish.grid_changes(scored.grid_id, a.flagged, b.flagged))
    if len(where):
        components.pick_table(calibration_tables.rate_table(changed, (first, second)), "versions_rates", on_pick=lambda: None, height=260)


def way_back(name: str, now: str) -> None:
    """Opens the form for the chosen version; from then on the form keeps its target, whatever is chosen or published meanwhile."""
    target: tuple[str, str] | None = st.session_state.get(FORM)
    if target is None:
        writes.button(
            "roll_back", f"Roll back to {name} \u2026", _open, (name, now), key="open_roll_back", icon=":material/history:",
            disabled=name == now, help=f"{name} is active" if name == now else "Its flags come back as they were; nothing is deleted",
        )  # fmt: skip
        return
    name, then = target
    with st.container(border=True):
        st.markdown(f"**Roll back to {name}** in place of {then}")
        if now != then:
            st.markdown(f":material/warning: {then} is no longer active: {now} is, since this form was opened.")
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            st.text_input("Why roll back?", key="back_reason", max_chars=300, width="stretch")
            writes.button(
                "roll_back", f"Roll back to {name}", roll_back, target, key="roll_back", type="primary", icon=":material/history:"
            )
            st.button("Cancel", key="close_roll_back", on_click=_close)


FORM = "roll_back_form"
"""In the session: (version to bring back, version active when the form was opened), by name."""


def _open(name: str, now: str) -> None:
    st.session_state[FORM] = (name, now)


def _close() -> None:
    st.session_state.pop(FORM, None)


def roll_back(name: str, then: str) -> None:
    """Brings the form's version back, in place of the one that was active when it was opened; asks where another one is by now."""
    reason = str(st.session_state.get("back_reason") or "").strip()
    if not reason:
        raise InputError(f"Rolling back to {name} needs a reason. Say in a few words why.")
    _roll_back(name, int(then[1:]), reason)


def _roll_back(name: str, active: int, reason: str) -> None:
    try:
        writes.roll_back(int(name[1:]), reason, active=active)
    except ChangedError as error:
        change = error.changes[0]
        if change.about == name:
            _close()
            raise InputError(f"{name} is active already: {asking.listed(error.changes)}. Nothing is left to roll back.") from error
        words = f"v{active} is no longer active: {asking.listed(error.changes)}. Roll back to {name} from {change.about} nevertheless?"
        asking.ask(words, f"Roll back to {name}", "roll_back", lambda _: _roll_back(name, int(change.about[1:]), reason), error.changes)
        return
    _close()
    for key in ("first", "second"):
        st.session_state.pop(key, None)
    st.toast(f"{name} is active again. The version before it is in the history.", icon=":material/history:")
