"""One detector closer: its scores, and the banners that it alone finds, that it misses, and its false alarms."""

from typing import Any

import numpy as np
import streamlit as st

from core.store.queries.detectors import COMBINED, OWN
from core.ui.detectors import charts as detector_charts
from core.ui.detectors import reads as detector_reads
from core.ui.detectors import tables as detector_tables
from core.ui.detectors.reads import Board
from core.ui.render import gallery, report, text
from core.ui.session import address, components, jump, reads, state
from core.ui.session import reads as session_reads
from core.ui.session.state import Shown

Row = dict[str, Any]

MOST_TILES = 48
ALONE, MISSED, IN_VAIN = "found by it alone", "missed", "false alarms"
SIGNS = {"broken": "▲ broken", "ok": "● ok"}


def choose(run: Shown, *, with_labels: bool) -> str:
    """The detector that is looked at, with labels `combined` too; a click on a row of any table chooses it as well."""
    names = detector_reads.judges(run) if with_labels else list(detector_reads.cuts(run.path, run.run_id))
    if st.session_state.get("detector") not in names:
        st.session_state.pop("detector", None)
    return str(address.bound(st.selectbox, "Closer look at", names, key="detector", width=260))


def scores(run: Shown, board: Board | None, chosen: str) -> None:
    """Its scores: of labelled banners by label, or of all by flag."""
    parts, flags = _parts(run, board, chosen)
    cut, words = _cut(*flags)
    components.plot(detector_charts.histogram(parts, cut, state.theme()), "scores", f"Scores of {chosen}")
    st.caption(f"Scores of {text.markdown(chosen)}; {words}.")


def _parts(run: Shown, board: Board | None, chosen: str) -> tuple[list[tuple[str, Any, str]], tuple[Any, Any]]:
    """What the histogram shows, and every score of it with whether it is flagged."""
    parts: list[tuple[str, Any, str]] = []
    sample = detector_reads.sample(run.path, run.run_id)
    flags = scores = np.zeros(0)
    if chosen in sample.names:
        k = sample.names.index(chosen)
        looked = np.isfinite(sample.scores[:, k])
        scores, flags = sample.scores[looked, k], sample.flagged[looked, k]
        parts.append(("all", scores, "all it looked at"))
    if board is not None:
        k = board.labelled.names.index(chosen)
        looked = board.labelled.looked[:, k]
        values, broken = board.labelled.scores[looked, k], board.labelled.broken[looked]
        parts += [("ok", values[~broken], "labelled ok"), ("broken", values[broken], "labelled broken")]
        scores, flags = np.append(scores, values), np.append(flags, board.labelled.flagged[looked, k])
    return parts, (scores, flags.astype(bool))


def _cut(scores: Any, flags: Any) -> tuple[float | None, str]:
    """Where flags begin, and in words what is drawn of it; None where flags do not follow the score alone, as with a version for some
    grids only."""
    if not flags.any():
        return None, "it flags none of them, so no threshold is drawn"
    if flags.all():
        return None, "it flags all of them, so no threshold is drawn"
    if scores[~flags].max() > scores[flags].min():
        return None, "its flags depend on more than the score, so no threshold is drawn"
    return float((scores[~flags].max() + scores[flags].min()) / 2), "the dashed line is its threshold"


def alone_rows(run: Shown, said: dict[str, str]) -> list[Row]:
    """A row a detector for the table of who is found by one alone."""
    found = detector_reads.alone(run.path, run.run_id)
    rows = []
    for name, cut in detector_reads.cuts(run.path, run.run_id).items():
        own = [r for r in found if r["detector"] == name]
        says = [said.get(r["banner_id"]) for r in own]
        counts = {"flags": cut.n_flagged, "alone": len(own), "flagged now": sum(r["flagged"] for r in own)}
        counts |= {"▲ broken": says.count("broken"), "● ok": says.count("ok"), "no label": says.count(None)}
        rows.append({"detector": name, **counts})
    return sorted(rows, key=lambda r: (-r["▲ broken"], -r["alone"], r["detector"]))


def show(run: Shown, board: Board | None, chosen: str) -> None:
    """Counts of all detectors on the left, the chosen one's banners on the right."""
    said = session_reads.seen_labels(run)[0]
    west, east = st.columns([0.42, 0.58], gap="medium")
    with west:
        rows = alone_rows(run, said)
        html = detector_tables.found_alone(rows, chosen, with_labels=board is not None)
        components.pick_table(html, "alone", on_pick=_pick, height=430)
        st.caption("Flags: its own, by Benjamini-Hochberg at the run's rate. Alone: no other detector of the run flags them.")
    with east:
        which = ALONE
        if board is not None:
            kinds = [ALONE, MISSED, IN_VAIN] if chosen not in (COMBINED, OWN) else [MISSED, IN_VAIN]
            which = address.bound(st.segmented_control, "List", kinds, default=kinds[0], key="list", required=True,
                                         label_visibility="collapsed") or kinds[0]  # fmt: skip
        banners(run, listed(run, board, chosen, which, said), chosen, which)


def _pick() -> None:
    st.session_state["detector"] = components.picked("alone")


def listed(run: Shown, board: Board | None, chosen: str, which: str, said: dict[str, str]) -> list[Row]:
    """Banners of one list: banner_id, grid_id, fault, p_value (found alone only), flagged, label."""
    if which == ALONE or board is None:
        mine = [r for r in detector_reads.alone(run.path, run.run_id) if r["detector"] == chosen]
        return [r | {"label": said.get(r["banner_id"])} for r in mine]
    x = board.labelled
    k = x.names.index(chosen)
    at = x.looked[:, k] & (x.broken & ~x.flagged[:, k] if which == MISSED else ~x.broken & x.flagged[:, k])
    rows = np.flatnonzero(at)
    rows = rows[np.argsort(x.scores[rows, k] * (1 if which == MISSED else -1), kind="stable")]
    return [
        {"banner_id": str(x.banner_id[i]), "grid_id": int(x.grid_id[i]), "fault": x.fault[i], "flagged": bool(x.flagged[i, 0])}
        | {"label": "broken" if x.broken[i] else "ok"}
        for i in rows.tolist()
    ]


def banners(run: Shown, rows: list[Row], chosen: str, which: str) -> None:
    """Pictures that open the banner, and all of them as a file."""
    name = text.markdown(chosen)
    if not rows:
        why = {
            ALONE: f"No banner is found by {name} alone: others flag all that it flags.",
            MISSED: f"{name} flags every banner labelled broken.",
        }
        st.info(why.get(which, f"{name} flags no banner labelled ok."))
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{text.plural(len(rows), 'banner')} {which}: {name}**")
        st.download_button(
            "CSV", lambda: report.csv_file(rows), f"heatproof-{chosen}-{which.replace(' ', '-')}.csv", "text/csv", key="list_csv",
            icon=":material/download:", on_click="ignore", type="tertiary", help=f"All {len(rows):,} of them",
        )  # fmt: skip
    shown = rows[:MOST_TILES]
    pictures = reads.thumbnails(run, shown)
    tiles = [{"banner_id": r["banner_id"], "state": "open", "flagged": r["flagged"], "note": _note(r, which)} for r in shown]
    components.pick_table(gallery.tiles(tiles, pictures), "listed", on_pick=_open, height=380, token=f"{chosen} {which}")
    more = "" if len(rows) == len(shown) else f" The first {len(shown)}; all {len(rows):,} are in the CSV."
    st.caption(f"▲ flagged in this run. A click opens the banner.{more}")


def _note(row: Row, which: str) -> str:
    fault = text.fault(row["fault"]) if row["fault"] else ""
    label = SIGNS.get(row["label"], row["label"]) if row["label"] else "no label"
    parts = [label, fault] if which == ALONE else [fault, text.grid(row["grid_id"])]
    return " · ".join(part for part in parts if part)


def _open() -> None:
    """Opens the picked banner."""
    jump.to("banner", {"banner": components.picked("listed")})
