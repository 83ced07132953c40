"""From a web tool's export to the Banner page: every tool's clicks are scored, and a page's banner opens with them."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from core.clicks.ingest import ingest
from core.runs import run
from core.store import Store
from tests.clicks.test_tools import CLARITY, EPOCH_MS, GA4, MATOMO, OPENREPLAY, POSTHOG, UMAMI
from tests.ui.conftest import Open
from tests.ui.test_pages import texts

N_PAGES, N_CLICKS = 12, 40


def one(tool: str, page: int, x: float, y: float) -> list[dict[str, Any]]:
    """The rows of one click of a tool at x, y of 0..1."""
    url = f"https://{tool}.example/products/{page}"
    ga4 = {"page_location": url, "click_x": 300 * x, "click_y": 200 * y, "element_width": 300, "element_height": 200}
    params = [{"key": key, "value": {"string_value": value}} for key, value in ga4.items()]
    meta = {"type": 4, "data": {"href": url, "width": 1000, "height": 800}, "timestamp": EPOCH_MS}
    click = {"type": 3, "data": {"source": 2, "type": 2, "id": 1, "x": 1000 * x, "y": 800 * y}, "timestamp": EPOCH_MS}
    rows: dict[str, list[dict[str, Any]]] = {
        "posthog": [{**POSTHOG, "x": 80 * x, "y": 40 * y, "current_url": url}],
        "matomo": [{**MATOMO, "x": 2000 * x, "y": 2000 * y, "url": url, "idselector": f"e{page}"}],
        "rrweb": [meta, click],
        "openreplay": [{**OPENREPLAY, "normalizedX": 10_000 * x, "normalizedY": 10_000 * y, "url": url, "timestamp": EPOCH_MS}],
        "ga4": [{**GA4, "event_params": params}],
        "clarity": [{**CLARITY, "url": url, "data": {"hash": f"h{page}", "eX": 32_767 * x, "eY": 32_767 * y}}],
        "umami": [{**UMAMI, "page_x": 1280 * x, "page_y": 2000 * y, "url_path": f"/products/{page}", "hostname": "umami.example"}],
    }
    return rows[tool]


def test_each_tool_s_banner_opens_on_its_page(empty: Open, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tools = ["posthog", "matomo", "rrweb", "openreplay", "ga4", "clarity", "umami"]
    banners = {}
    with Store(os.environ["HEATPROOF_STORE"]) as store:
        for tool in tools:
            path = tmp_path / f"{tool}.jsonl"
            places = [(page, *rng.uniform(0.02, 0.98, 2)) for page in range(N_PAGES) for _ in range(N_CLICKS)]
            path.write_text("\n".join(json.dumps(row) for place in places for row in one(tool, *place)) + "\n")
            assert ingest(store, [path]).accepted == N_PAGES * N_CLICKS
            found = store.rows("SELECT min(banner_id) AS b FROM banner WHERE ingest_id = (SELECT max(ingest_id) FROM ingest)")
            banners[tool] = found[0]["b"]
        run.score(store)
    for banner in banners.values():
        app = empty("banner", banner=banner)
        assert not app.exception
        assert f"{N_CLICKS} clicks" in texts(app).replace("\\", "")
