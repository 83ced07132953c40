"""Which banners are selected on a map: kept here, since a chart forgets its selection whenever its figure changes.

A figure is rebuilt only with its `base`: what it shows beside the selection. Between rebuilds it stays the same to the byte, so the
browser keeps lasso and zoom; at a rebuild what was selected until then is lit up in the new figure.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.ui.render.charts import Figure

KEY = "map_selection"


def _kept() -> dict[str, Any]:
    kept: dict[str, Any] = st.session_state.setdefault(KEY, {"ids": [], "base": None, "lit": (), "seen": None, "round": 0})
    return kept


def ids() -> list[str]:
    """Selected banners."""
    return list(_kept()["ids"])


def rows_of(banner_id: NDArray[Any]) -> tuple[int, ...]:
    """Rows of the selected banners among these."""
    wanted = set(_kept()["ids"])
    return tuple(k for k, name in enumerate(banner_id) if name in wanted) if wanted else ()


def take(banner_ids: list[str]) -> None:
    """Selects these instead; the chart is drawn again with them highlighted."""
    kept = _kept()
    kept.update(ids=banner_ids, seen=None, base=None, round=kept["round"] + 1)


def clear() -> None:
    """Nothing is selected; the chart is drawn again, otherwise its lasso would stay on the screen."""
    take([])


def plot(base: str, banner_id: NDArray[Any], build: Callable[[Sequence[int]], Figure], config: dict[str, Any], alt: str) -> None:
    """Shows the figure that `build` makes of the rows to light up, and takes over what the reader selects on it.

    A point's `customdata` is its row in `banner_id`; traces without any cannot be selected.
    """
    kept = _kept()
    if kept["base"] != base:
        kept.update(base=base, lit=rows_of(banner_id), seen=None)
    event = st.plotly_chart(
        build(kept["lit"]),
        key=f"map_{kept['round']}",
        config=config,
        theme=None,
        alt=alt,
        on_select="rerun",
        selection_mode=("box", "lasso"),
    )
    rows = _rows(event, len(banner_id))
    if rows != (kept["seen"] or ()):
        kept.update(seen=rows, ids=[str(banner_id[k]) for k in rows])


def _rows(event: Any, n: int) -> tuple[int, ...]:
    """Rows of the selected points, ascending."""
    found = [p.get("customdata") for p in (event or {}).get("selection", {}).get("points", [])]
    rows = [int(np.ravel(value)[0]) for value in found if value is not None]
    return tuple(sorted({k for k in rows if 0 <= k < n}))
