"""Exports of known web tools, row by row: what of a row is a click, where, when and on what page.

A reader takes one row, a dict as JSON or a table holds it, and returns our fields, or a text that says why the row is no click. Field
names are those of the tools' own sources. A page is a banner: banner_id is its host and path, grid_id the folder of its path; Matomo and
Clarity say where on an element was clicked, so there the element is the banner. A `banner_id`, `grid_id` or `n_products` of the row, or
of its properties, goes before these.
"""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from core.settings import N_COLS, N_ROWS

Row = dict[str, Any]
Reader = Callable[[Row], Row | str]
OWN = ("banner_id", "grid_id", "n_products", "domain", "device", "click_id")
ELEMENT_SIDE = 32_767
"""Clarity's ClickPrecision: what eX and eY are at the right and lower end of an element."""
MATOMO_SIDE = 2_000
"""What x and y are at the far end of an element in Matomo."""
OPENREPLAY_SIDE = 10_000
"""What normalizedX and normalizedY are at the far end of a page in OpenReplay: percent with two decimals."""


def posthog(row: Row) -> Row | str:
    """Rows of the table `heatmaps` (x, y in steps of scale_factor), or with pointer_relative_x and pointer_y; `count` where they add up."""
    facts = {**inner(row, "properties"), **row}
    kind = facts.get("type", "click")
    if kind != "click":
        return f"type {kind}"
    height, step = number(facts, "viewport_height", "$viewport_height"), number(facts, "scale_factor") or 1.0
    x, y = number(facts, "pointer_relative_x"), number(facts, "pointer_y")
    if x is None and (column := number(facts, "x")) is not None:
        x = over(column * step, number(facts, "viewport_width", "$viewport_width"))
    if y is None and (line := number(facts, "y")) is not None:
        y = line * step
    found = page(facts, first(facts, "current_url", "$current_url"))
    return click(found, x, over(y, height), first(facts, "timestamp"), facts.get("count"))


def matomo(row: Row) -> Row | str:
    """Rows of log_hsr_event, or of a recorded heatmap (offset_x, offset_y, value): places on an element, 0..2000."""
    kind = str(row.get("event_type", 2))
    if kind != "2":
        return f"event_type {kind}"
    found = page(row, first(row, "url", "url_base", "matched_url", "page_url"))
    element = first(row, "selector", "idselector")
    if element is not None and "banner_id" not in row:
        found["banner_id"] = str(element)
    x, y = number(row, "x", "offset_x"), number(row, "y", "offset_y")
    when = first(row, "server_time", "timestamp", "time")
    return click(found, over(x, MATOMO_SIDE), over(y, MATOMO_SIDE), when, row.get("value") if "offset_x" in row else None)


def openreplay(row: Row) -> Row | str:
    """Messages MouseClick, or rows of the table of clicks, with normalizedX and normalizedY, hundredths of a percent of the page."""
    facts = {name.replace("_", "").lower(): value for name, value in {**inner(row, "message"), **row}.items()}
    kind = str(first(facts, "tp", "name", "type", "eventtype") or "click")
    if kind.replace("_", "").lower() not in ("mouseclick", "click", "68"):
        return f"message {kind}"
    found = page({**row, **facts}, first(facts, "url", "pageurl", "location"))
    x, y = number(facts, "normalizedx"), number(facts, "normalizedy")
    return click(found, over(x, OPENREPLAY_SIDE), over(y, OPENREPLAY_SIDE), first(facts, "timestamp", "createdat", "datetime", "time"))


def ga4(row: Row) -> Row | str:
    """Rows of a BigQuery export: event_params are a list of key and value; the coordinates are parameters of one's own."""
    facts = {**parameters(row.get("event_params")), **{name: value for name, value in row.items() if name != "event_params"}}
    x, y = number(facts, "click_x_rel", "x_rel", "click_x", "x"), number(facts, "click_y_rel", "y_rel", "click_y", "y")
    if x is None and y is None:
        return f"event_name {row.get('event_name')}, without coordinates"
    width = number(facts, "banner_width", "element_width", "viewport_width", "width")
    height = number(facts, "banner_height", "element_height", "viewport_height", "height")
    if width and height and first(facts, "click_x_rel", "x_rel") is None:
        x, y = over(x, width), over(y, height)
    device = inner(row, "device")
    found = page(facts, first(facts, "page_location"), first(inner(device, "web_info"), "hostname"))
    if isinstance(device.get("category"), str):
        found["device"] = device["category"]
    else:
        found.pop("device", None)
    return click(found, x, y, row.get("event_timestamp"))


def clarity(row: Row) -> Row | str:
    """Decoded events: a click is event 9, at eX, eY of 32,767 on its element; `time` is in milliseconds after `timestamp`."""
    if str(row.get("event")) != "9":
        return f"event {row.get('event')}"
    data, envelope = inner(row, "data"), inner(row, "envelope")
    found = page({**data, **row}, first(row, "url") or first(envelope, "url"))
    element = first(data, "hash", "hashBeta", "target")
    if element is not None and "banner_id" not in row:
        found["banner_id"] = str(element)
    start, since = number(row, "timestamp") or number(envelope, "timestamp"), number(row, "time")
    when = (start or 0) + (since or 0) if start or since else None
    return click(found, over(number(data, "eX"), ELEMENT_SIDE), over(number(data, "eY"), ELEMENT_SIDE), when)


def umami(row: Row) -> Row | str:
    """Rows of heatmap_event: page_x, page_y of page_w, page_h, else x, y of viewport_w, viewport_h."""
    x, y = over(number(row, "page_x"), number(row, "page_w")), over(number(row, "page_y"), number(row, "page_h"))
    if x is None or y is None:
        x, y = over(number(row, "x"), number(row, "viewport_w")), over(number(row, "y"), number(row, "viewport_h"))
    if number(row, "x", "page_x") is None:
        return f"event_type {row.get('event_type')}, without coordinates"
    host = first(row, "hostname", "domain")
    path = str(first(row, "url_path") or "/")
    return click(page(row, f"//{host}{path}" if host else path), x, y, row.get("created_at"))


def click(found: Row, x: float | None, y: float | None, when: Any, count: Any = None) -> Row:
    """A click, or `count` of them in a cell; what is missing is left empty, so that the row is rejected with that reason."""
    found["clicked_at"] = when
    if count is None:
        return {**found, "click_x_rel": x, "click_y_rel": y}
    if when is None:
        found.pop("clicked_at")
    cell = {"row": None if y is None else cell_of(y, N_ROWS), "col": None if x is None else cell_of(x, N_COLS)}
    return {**found, **cell, "count": count}


def cell_of(share: float, n: int) -> int:
    """The cell of a share of 0..1; beyond these, no cell: -1 or n."""
    return n - 1 if share == 1 else -1 if share < 0 else n if share > 1 else int(share * n)


def page(row: Row, url: Any, host: Any = None) -> Row:
    """banner_id, grid_id and domain of a page, under those that the row has itself."""
    found: Row = {name: row[name] for name in OWN if row.get(name) not in (None, "") and not isinstance(row[name], dict | list)}
    parts = urlsplit(str(url)) if isinstance(url, str) and _is_url(url) else None
    domain = (parts.hostname if parts else None) or host or found.get("domain")
    if domain:
        found.setdefault("domain", domain)
    if parts:
        path = parts.path or "/"
        found.setdefault("banner_id", f"{domain or ''}{path}")
        found.setdefault("grid_id", f"page {path.rstrip('/').rpartition('/')[0]}/")
    return found


def _is_url(text: str) -> bool:
    try:
        urlsplit(text)
    except ValueError:
        return False
    return bool(text.strip())


def first(row: Row, *names: str) -> Any:
    """The first of these values that is there."""
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def number(row: Row, *names: str) -> float | None:
    """The first of these values that is a number."""
    for name in names:
        try:
            value = row.get(name)
            if value is not None and not isinstance(value, bool):
                return float(value)
        except (TypeError, ValueError):
            continue
    return None


def over(value: float | None, side: float | None) -> float | None:
    """A share of a side; None where one of them is unknown."""
    return value / side if value is not None and side else None


def inner(row: Row, name: str) -> Row:
    """A nested object, also where a table holds it as JSON text."""
    value = row.get(name)
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def parameters(listed: Any) -> Row:
    """event_params as one object: of each value the one field that is set."""
    if isinstance(listed, str):
        try:
            listed = json.loads(listed)
        except (ValueError, RecursionError):
            return {}
    found: Row = {}
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and isinstance(one.get("key"), str):
            value = one.get("value")
            fields = value.values() if isinstance(value, dict) else [value]
            found[one["key"]] = next((field for field in fields if field is not None), None)
    return found
