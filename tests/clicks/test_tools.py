"""Exports of web tools: fixtures written by hand after the tools' own sources, and what comes of each row."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.clicks.columns import TOOLS
from core.clicks.ingest import Options, ingest
from core.clicks.ingest_results import FileResult
from core.clicks.preview import preview
from core.clicks.reshape import FORMATS
from core.errors import InputError
from core.store import Store

URL = "https://shop.example/products/7?from=mail"
AT = "2026-10-01T12:00:00Z"
EPOCH_MS = 1_790_856_000_000
CELL = 10 * 40 + 20
"""The bin of a click at x 0.5, y 0.25."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "s.duckdb") as opened:
        yield opened


POSTHOG: dict[str, Any] = {
    "session_id": "s", "team_id": 1, "distinct_id": "d", "timestamp": AT, "x": 40, "y": 10, "scale_factor": 16, "viewport_width": 1280,
    "viewport_height": 640, "pointer_target_fixed": False, "current_url": URL, "type": "click",
}  # fmt: skip
POINTER = {
    "pointer_relative_x": 0.5, "pointer_y": 160, "$viewport_height": 640, "$current_url": URL, "timestamp": AT,
    "pointer_target_fixed": True,
}  # fmt: skip
MATOMO = {
    "idloghsr": 3, "time_since_load": 900, "event_type": 2, "idselector": 12, "x": 1000, "y": 500, "server_time": AT, "url": URL,
}  # fmt: skip
RRWEB = [
    {"type": 4, "data": {"href": URL, "width": 1280, "height": 640}, "timestamp": EPOCH_MS},
    {"type": 2, "data": {"node": {"type": 0, "childNodes": [], "id": 1}, "initialOffset": {"left": 0, "top": 0}}, "timestamp": EPOCH_MS},
    {"type": 3, "data": {"source": 1, "positions": [{"x": 1, "y": 1, "id": 1, "timeOffset": 0}]}, "timestamp": EPOCH_MS},
    {"type": 3, "data": {"source": 4, "width": 1000, "height": 800}, "timestamp": EPOCH_MS},
    {"type": 3, "data": {"source": 2, "type": 2, "id": 1, "x": 500, "y": 200}, "timestamp": EPOCH_MS},
    {"type": 3, "data": {"source": 2, "type": 1, "id": 1, "x": 500, "y": 200}, "timestamp": EPOCH_MS},
]
OPENREPLAY = {"name": "MouseClick", "id": 4, "hesitationTime": 200, "label": "Buy", "normalizedX": 5000, "normalizedY": 2500, "url": URL}
GA4 = {
    "event_date": "20261001", "event_timestamp": EPOCH_MS * 1000, "event_name": "banner_click",
    "event_params": [
        {"key": "page_location", "value": {"string_value": URL, "int_value": None}},
        {"key": "click_x", "value": {"string_value": None, "int_value": 150}},
        {"key": "click_y", "value": {"string_value": None, "int_value": 50}},
        {"key": "element_width", "value": {"string_value": None, "int_value": 300}},
        {"key": "element_height", "value": {"string_value": None, "int_value": 200}},
    ],
    "device": {"category": "mobile", "web_info": {"hostname": "shop.example"}},
}  # fmt: skip
CLARITY = {
    "event": 9, "time": 1_000, "timestamp": EPOCH_MS, "url": URL, "data": {"target": 41, "x": 9, "y": 9, "eX": 16384, "eY": 8192},
}  # fmt: skip
UMAMI = {
    "url_path": "/products/7", "event_type": 1, "x": 9, "y": 9, "page_x": 640, "page_y": 500, "page_w": 1280, "page_h": 2000,
    "viewport_w": 1280, "viewport_h": 640, "created_at": AT, "hostname": "shop.example",
}  # fmt: skip
EXPORTS: dict[str, tuple[list[dict[str, Any]], int]] = {
    "posthog": ([POSTHOG, {**POSTHOG, "type": "mousemove"}], 1),
    "matomo": ([MATOMO, {**MATOMO, "event_type": 3}], 1),
    "rrweb": (RRWEB, 1),
    "openreplay": ([{**OPENREPLAY, "timestamp": EPOCH_MS}, {"name": "MouseMove", "x": 3, "y": 4}], 1),
    "ga4": ([GA4, {**GA4, "event_name": "page_view", "event_params": []}], 1),
    "clarity": ([CLARITY, {"event": 10, "time": 5, "data": {"y": 20}}], 1),
    "umami": ([UMAMI, {**UMAMI, "event_type": 2, "x": None, "y": None, "page_x": None, "scroll_pct": 80}], 1),
}


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


def taken(store: Store, path: Path, tool: str = "auto", **mapping: str) -> FileResult:
    """The account of one file, which adds up."""
    (file,) = ingest(store, [path], mapping={"format": tool, **mapping}).files
    assert file.n_rows == file.accepted + sum(file.rejected.values())
    return file


def the_banner(store: Store) -> dict[str, Any]:
    (row,) = store.rows("SELECT b.*, h.bins, h.counts, h.day FROM banner b JOIN heatmap_day h USING (banner_id)")
    return row


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("asked", [True, False])
def test_each_tool_s_click_is_at_its_place_and_every_other_row_is_counted(store: Store, tmp_path: Path, tool: str, asked: bool) -> None:
    rows, n_clicks = EXPORTS[tool]
    file = taken(store, lines(tmp_path / "a.jsonl", rows), tool if asked else "auto")
    assert (file.accepted, file.rejected) == (n_clicks, {"not a click": len(rows) - n_clicks})
    banner = the_banner(store)
    assert (list(banner["bins"]), banner["domain"], str(banner["day"])) == ([CELL], "shop.example", "2026-10-01")
    assert any(tool in note for note in file.notes)


def test_every_tool_that_is_named_has_a_reader() -> None:
    assert set(TOOLS) == set(FORMATS) == set(EXPORTS)


def test_a_page_is_a_banner_of_the_grid_of_its_folder(store: Store, tmp_path: Path) -> None:
    taken(store, lines(tmp_path / "a.jsonl", [POSTHOG]))
    assert the_banner(store)["banner_id"] == "shop.example/products/7"
    assert store.rows("SELECT name FROM grid_name") == [{"name": "page /products/"}]


def test_what_is_set_and_what_the_row_has_goes_before_the_page(store: Store, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{**POSTHOG, "banner_id": "b7", "properties": {"products": 4}}])
    taken(store, path, grid_id="=7", n_products="event.properties.products")
    banner = the_banner(store)
    assert (banner["banner_id"], banner["grid_id"], banner["n_products"]) == ("b7", 7, 4)


def test_posthog_s_pointer_and_its_counts(store: Store, tmp_path: Path) -> None:
    taken(store, lines(tmp_path / "a.jsonl", [POINTER]))
    assert list(the_banner(store)["bins"]) == [CELL]
    counted = {**POINTER, "count": 12, "$current_url": "https://shop.example/other"}
    taken(store, lines(tmp_path / "b.jsonl", [counted]))
    assert store.rows("SELECT n_clicks FROM heatmap_day ORDER BY n_clicks") == [{"n_clicks": 1}, {"n_clicks": 12}]


def test_an_export_comes_as_a_table_a_list_or_parquet(store: Store, tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(POSTHOG))
        writer.writeheader()
        writer.writerows([POSTHOG, {**POSTHOG, "type": "rageclick"}])
    (tmp_path / "b.json").write_text(json.dumps({"events": [*RRWEB, *RRWEB]}, indent=1))
    pq.write_table(pa.Table.from_pylist([GA4, GA4]), tmp_path / "c.parquet")
    assert taken(store, tmp_path / "a.csv").rejected == {"not a click": 1}
    assert store.rows("SELECT line FROM reject") == [{"line": 3}], "the header is line 1"
    assert taken(store, tmp_path / "b.json").accepted == 2
    assert taken(store, tmp_path / "c.parquet").accepted == 2
    assert taken(store, tmp_path / "c.parquet").already_ingested


def test_a_click_before_any_page_is_rejected_with_its_reason(store: Store, tmp_path: Path) -> None:
    lost = {**RRWEB[4], "timestamp": EPOCH_MS + 1}
    path = lines(tmp_path / "a.jsonl", [lost, *RRWEB])
    assert taken(store, path, "rrweb").rejected == {"not a click": 5, "banner_id empty": 1}


def test_an_export_without_a_click_and_an_unknown_tool_are_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds clicks: none"):
        taken(store, lines(tmp_path / "a.jsonl", RRWEB[:3]))
    with pytest.raises(InputError, match="Choose one"):
        taken(store, lines(tmp_path / "a.jsonl", RRWEB), "hotjar")


@pytest.mark.parametrize("tool", TOOLS)
def test_the_preview_shows_what_an_ingest_would_take(store: Store, tmp_path: Path, tool: str) -> None:
    rows, n_clicks = EXPORTS[tool]
    shown = preview(store, lines(tmp_path / "a.jsonl", rows))
    assert (shown.accepted, shown.n_rows, shown.problem, shown.refused) == (n_clicks, len(rows), None, False)


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-5, 3000), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=2))


@pytest.mark.parametrize("tool", TOOLS)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_row_of_an_export_is_lost_whatever_it_holds(tmp_path_factory: pytest.TempPathFactory, tool: str, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("any")
    rows, _ = EXPORTS[tool]
    keys = sorted({key for row in rows for key in row})
    nested = st.dictionaries(st.sampled_from(["x", "type", "source"]), VALUES)
    changed = [
        {
            **row,
            **data.draw(st.dictionaries(st.sampled_from(keys), VALUES | nested)),
        }
        for row in data.draw(st.lists(st.sampled_from(rows), max_size=6))
    ]
    path = lines(folder / "a.jsonl", [*rows, *changed])
    with Store(folder / "s.duckdb") as store:
        (file,) = ingest(store, [path], mapping={"format": tool}, options=Options(allow_rejects=True)).files
    assert file.n_rows == len(rows) + len(changed) == file.accepted + sum(file.rejected.values())
