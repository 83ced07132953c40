"""Pieces that pages share: the sentence at the top, designed empty and failed states, a table one can pick from, plots."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.errors import HeatproofError
from core.store.queries import runs
from core.ui.render import charts, tables, text
from core.ui.session import jump, state

_PICK_JS = """
export default function (component) {
  const { data, parentElement, setTriggerValue, setStateValue } = component;
  const root = parentElement.querySelector(".pick");
  root.style.maxHeight = data.height ? data.height + "px" : "none";
  if (root.dataset.token !== data.token) root.scrollTop = 0;
  root.dataset.token = data.token;
  root.innerHTML = data.html;
  const boxes = [...root.querySelectorAll("[data-check]")];
  const send = () => setStateValue("checked", boxes.filter((b) => b.checked).map((b) => b.dataset.check));
  boxes.forEach((box) => { box.onchange = send; });
  const all = root.querySelector("[data-check-all]");
  if (all) {
    all.checked = boxes.length > 0 && boxes.every((b) => b.checked);
    all.onchange = () => { boxes.forEach((b) => { b.checked = all.checked; }); send(); };
  }
  root.querySelectorAll("[data-pick]").forEach((row) => {
    const pick = () => setTriggerValue("picked", row.dataset.pick);
    row.onclick = (event) => { if (!event.target.closest("input") && !event.target.querySelector(":scope > input")) pick(); };
    row.onkeydown = (event) => { if (event.key === "Enter" && event.target === row) pick(); };
  });
  const current = root.querySelector("[aria-selected=true]");
  if (current && data.height) {
    const head = root.querySelector("thead")?.offsetHeight ?? 0, top = current.offsetTop - head;
    if (top < root.scrollTop) root.scrollTop = top;
    const bottom = current.offsetTop + current.offsetHeight - root.clientHeight;
    if (bottom > root.scrollTop) root.scrollTop = bottom;
  }
}
"""

_pick = st.components.v2.component(
    "heatproof_pick",
    html='<div class="pick" tabindex="-1"></div>',
    css=tables.CSS + ".pick { overflow: auto; position: relative; container-type: inline-size; }",
    js=_PICK_JS,
)


def pick_table(html: str, key: str, *, on_pick: Callable[[], None], height: int | None = None, token: str = "") -> list[str]:
    """Shows a table of `tables`; a picked row calls `on_pick`, which reads `picked(key)`. Returns the ticked ids, as the browser sent them.

    `token` names what is shown: where it changes, the table scrolls to its top.
    """
    result = _pick(
        key=key,
        data={"html": html, "height": height, "token": token},
        default={"checked": []},
        on_picked_change=on_pick,
        on_checked_change=lambda: None,
    )
    return [str(value) for value in result.checked or []]


def picked(key: str) -> str | None:
    """What was picked, inside `on_pick`."""
    value = st.session_state[key].get("picked")
    return None if value is None else str(value)


def ticked(key: str) -> list[str]:
    """Ids ticked so far, before the table is drawn."""
    kept = st.session_state.get(key)
    return [str(value) for value in (kept.get("checked") if kept else None) or []]


def untick(key: str) -> None:
    """Clears every box; inside callbacks only."""
    if key in st.session_state:
        st.session_state[key]["checked"] = []


def sentence(words: str) -> None:
    """The page's answer, in its first line. `words` is markdown: strings from data go through `text.markdown` first."""
    st.subheader(words, anchor=False)


def plot(figure: charts.Figure, key: str, alt: str, **more: Any) -> Any:
    """A figure without a toolbar, as wide as its place."""
    return st.plotly_chart(figure, key=key, alt=alt, config=charts.CONFIG, theme=None, **more)


def empty(title: str, why: str, *, code: str | None = None, page: str | None = None, label: str = "") -> None:
    """A designed empty state: what is missing, and the one next step as a command or a link."""
    with st.container(border=True, width=720):
        st.markdown(f"**{title}**")
        st.markdown(why)
        if code:
            st.code(code, language="bash")
        if page:
            jump.link(page, label)


def no_run() -> None:
    """The state of every page before the first finished run."""
    if runs.has_banners(state.store()):
        sentence("Clicks are in, nothing is scored yet.")
        empty(
            "Score the banners once",
            "The store holds banners, but no run has finished.",
            page="data",
            label="Start a run on the Data page",
        )
        return
    sentence("This store is empty.")
    empty(
        "Bring in clicks, or look at the demo",
        "Ingest a click log on the Data page, or stop this app and fill the store with the seeded demo:",
        code="python -m core demo",
        page="data",
        label="Ingest on the Data page",
    )


def failed(error: HeatproofError | str) -> None:
    """An error for the user: the message names the rule, what broke it, and the next step."""
    st.error(text.markdown(error), icon=":material/error:")


def legend(items: list[tuple[str, str]]) -> None:
    """Signs and what they mean, small."""
    st.caption(" · ".join(f"{sign} {text.markdown(words)}" for sign, words in items))
