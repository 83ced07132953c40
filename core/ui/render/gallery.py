"""Thumbnails side by side, to pick from: rows in, HTML out. Every string from data is escaped here."""

from collections.abc import Sequence
from typing import Any

from core.ui.render import palette
from core.ui.render.text import markup


def tiles(rows: Sequence[dict[str, Any]], thumbnails: dict[str, str], current: str | None = None, across: int | None = None) -> str:
    """A tile a row (banner_id, state, flagged, optional `note`), in the rows' order; a click picks its banner. `across`: so many a line."""
    style = f' style="grid-template-columns: repeat({across}, minmax(0, 1fr))"' if across else ""
    drawn = "".join(_tile(r, thumbnails.get(r["banner_id"], ""), r["banner_id"] == current) for r in rows)
    return f'<div class="hp gallery"{style}>{drawn}</div>'


def _tile(row: dict[str, Any], thumbnail: str, is_current: bool) -> str:
    name, state = markup(row["banner_id"]), row["state"]
    picture = f'<img src="{thumbnail}" alt="">' if thumbnail else '<div class="blank"></div>'
    sign = f'<span class="{state}" title="{state}">{palette.SIGNS[state]}</span> ' if state != "open" else ""
    flag = '<span class="flag" title="flagged by the run">\u25b2</span> ' if row["flagged"] and state == "open" else ""
    note = f'<small class="muted">{markup(row["note"])}</small>' if row.get("note") else ""
    return (
        f'<div class="tile" data-pick="{name}" tabindex="0" role="button" title="{name}" aria-selected="{str(is_current).lower()}">'
        f"{picture}<span class='name'>{sign}{flag}{name}</span>{note}</div>"
    )
