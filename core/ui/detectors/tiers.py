"""Tiers of a run, on the Detectors page: whom cheap detectors cleared, and what the control sample says that loses."""

import pandas as pd
import streamlit as st

from core.statistics.intervals import wilson
from core.store.queries import tiers
from core.store.queries.runs import Row
from core.ui.render import text
from core.ui.session.state import Shown


def show(run: Shown) -> None:
    """A sentence and a row a tier; nothing where every detector looked at every banner."""
    found = tiers.of_run(run.store, run.run_id)
    if not found:
        return
    st.markdown("##### Tiers")
    st.markdown(sentence(found))
    st.dataframe(table(found), hide_index=True, column_config=_COLUMNS, key="tiers", alt="Tiers of the run")


def sentence(found: list[Row]) -> str:
    """How many were cleared, and what that loses."""
    n, n_cleared = found[0]["n_in"], sum(row["n_cleared"] for row in found)
    words = f"{n_cleared:,} of {n:,} banners were cleared by statistics and templates; all other detectors looked at the rest only."
    n_found, n_lost = found[0]["n_found"], sum(row["n_lost"] or 0 for row in found)
    if not n_found:
        return f"{words} The control sample held no broken banner, so it cannot say how many were lost."
    loss = wilson(n_lost, n_found)
    return (
        f"{words} Of {text.plural(n_found, 'banner')} found broken by all detectors in a control sample, the tiers would have lost "
        f"{n_lost}: {100 * loss.share:.1f} % (95 % interval {100 * loss.low:.1f} % to {100 * loss.high:.1f} %)."
    )


def table(found: list[Row]) -> pd.DataFrame:
    """A row a tier."""
    losses = [wilson(row["n_lost"], row["n_found"]) if row["n_found"] else None for row in found]
    return pd.DataFrame(
        {
            "tier": [row["name"] for row in found],
            "looked at": [row["n_in"] for row in found],
            "cleared": [row["n_cleared"] for row in found],
            "of these": [100 * row["n_cleared"] / row["n_in"] if row["n_in"] else None for row in found],
            "seconds": [row["seconds"] for row in found],
            "lost": [
                "" if loss is None else f"{100 * loss.share:.1f} % ({100 * loss.low:.1f} % to {100 * loss.high:.1f} %)" for loss in losses
            ],
        }
    )


_COLUMNS = {
    "looked at": st.column_config.NumberColumn(format="localized", help="Banners that reached the tier"),
    "cleared": st.column_config.NumberColumn(
        format="localized", help="Banners that this tier cleared as ok: no later detector scored them"
    ),
    "of these": st.column_config.NumberColumn("cleared %", format="%.1f %%"),
    "seconds": st.column_config.NumberColumn(format="%.1f", help="All parts of all grids"),
    "lost": st.column_config.TextColumn(
        "broken ones lost", help="Of the banners that all detectors find broken in the control sample, with a 95 % interval"
    ),
}
