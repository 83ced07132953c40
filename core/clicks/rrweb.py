"""Recordings of rrweb: a stream of events, of which mouse interactions of the kind click are clicks.

An event is {type, data, timestamp}. Where a click was is said in pixels of the window, whose size and page stand in the events before it:
Meta (type 4) and a resize of the window (type 3, source 4). So a recording is read in its order.
"""

from typing import Any

from core.clicks.formats import Row, click, inner, number, over, page

INCREMENTAL, META = 3, 4
MOUSE, RESIZE = 2, 4
CLICK = 2
KINDS = ("DOMContentLoaded", "load", "full snapshot", "incremental snapshot", "meta", "custom", "plugin", "asset")


class Recording:
    """Reads one recording; a file may hold several, each begins with a Meta event."""

    def __init__(self) -> None:
        self.href: str | None = None
        self.width: float | None = None
        self.height: float | None = None

    def __call__(self, row: Row) -> Row | str:
        """The click of an event, or what the event is instead."""
        kind, data = row.get("type"), inner(row, "data")
        source = data.get("source")
        if kind == META:
            self.href = data["href"] if isinstance(data.get("href"), str) else None
        if kind == META or (kind == INCREMENTAL and source == RESIZE):
            self.width, self.height = number(data, "width"), number(data, "height")
        if kind != INCREMENTAL:
            return KINDS[kind] if isinstance(kind, int) and 0 <= kind < len(KINDS) else f"type {kind}"
        if source != MOUSE or data.get("type") != CLICK:
            return f"source {source}, type {data.get('type')}"
        return self._click(row, data)

    def _click(self, row: Row, data: dict[str, Any]) -> Row:
        return click(page(row, self.href), over(number(data, "x"), self.width), over(number(data, "y"), self.height), row.get("timestamp"))
