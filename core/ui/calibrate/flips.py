"""Which banners flip, as pictures that open them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from core.calibration.publish import Preview
from core.calibration.verdicts import Scored
from core.ui.render import gallery, report, text
from core.ui.session import components, jump, reads
from core.ui.session.state import Shown

Row = dict[str, Any]
MOST_TILES = 36


def rows_of(seen: Preview, banner_ids: Sequence[str], *, after: bool) -> list[Row]:
    """A row a banner for the pictures and the file; `after`: it would be flagged and is not, else the other way."""
    c = seen.calibration
    chance = dict(zip(seen.scored.banner_id[c.target].tolist(), c.p.tolist(), strict=True))
    named = zip(seen.scored.banner_id[seen.labels.rows].tolist(), seen.labels.broken.tolist(), strict=True)
    return described(seen.scored, banner_ids, chance, after=after, labels={b: "broken" if broken else "ok" for b, broken in named})


def described(
    scored: Scored, banner_ids: Sequence[str], chance: Mapping[str, float], *, after: bool, labels: Mapping[str, str] | None = None
) -> list[Row]:
    """Rows of banners of a run with their chances to be broken and labels, in the order given."""
    at = np.searchsorted(scored.banner_id.astype(str), np.array(list(banner_ids), dtype=str))
    return [
        {
            "banner_id": b,
            "grid_id": int(scored.grid_id[k]),
            "flagged_before": not after,
            "flagged_after": after,
            "p_broken": chance[b],
            "label": (labels or {}).get(b),
        }
        for b, k in zip(banner_ids, at.tolist(), strict=True)
    ]


def show(run: Shown, added: list[Row], dropped: list[Row], key: str, names: tuple[str, str], height: int = 190) -> None:
    """Both lists as pictures, side by side where both have some; a click opens the banner."""
    places = st.columns(2, gap="small") if added and dropped else [st.container()] * 2
    for place, rows, name, sign in zip(places, (added, dropped), names, ("▲", "○"), strict=True):
        if rows:
            with place:
                _pictures(run, rows, f"{key}_{'added' if sign == '▲' else 'dropped'}", f"{sign} **{name} ({len(rows):,})**", height)
    if not added and not dropped:
        st.caption("No banner flips.")


def _pictures(run: Shown, rows: list[Row], key: str, title: str, height: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(title)
        file(rows, f"heatproof-{key.replace('_', '-')}.csv", f"{key}_csv", f"All {len(rows):,} of them")
    shown = rows[:MOST_TILES]
    drawn = reads.thumbnails(run, shown)
    tiles = [{"banner_id": r["banner_id"], "state": "open", "flagged": False, "note": _note(r)} for r in shown]
    components.pick_table(gallery.tiles(tiles, drawn), key, on_pick=lambda: _open(key), height=height, token=key)
    if len(rows) > len(shown):
        st.caption(f"The first {len(shown)}; all {len(rows):,} are in the CSV.")


def file(rows: list[Row], name: str, key: str, why: str) -> None:
    """A small button that hands rows out as a file."""
    st.download_button(
        "CSV", lambda: report.csv_file(rows), name, "text/csv", key=key, icon=":material/download:", on_click="ignore", type="tertiary",
        help=why,
    )  # fmt: skip


def _note(row: Row) -> str:
    label = f" · {row['label']}" if row["label"] else ""
    return f"{text.likely(row['p_broken'])} · {text.grid(row['grid_id'])}{label}"


def _open(key: str) -> None:
    """Opens the picked banner."""
    jump.to("banner", {"banner": components.picked(key)})
