"""Ten thousand banners on the map in a real headless Chromium: a lasso selects them, and the selection stays."""

import math
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browser import LIMIT_MS, NEEDS_BROWSER, chromium, dashboard
from tests.support.maps import add_map, multiply
from tests.support.stores import filled_store

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A dashboard on a store with a map of 10,000 banners."""
    path = tmp_path_factory.mktemp("lasso") / "store.duckdb"
    with filled_store(path, 250) as store:
        assert multiply(store, 40) == 10_000
        add_map(store)
    with dashboard(path) as address:
        yield address


@pytest.fixture(scope="module")
def page(url: str) -> Iterator[Any]:
    """The map, drawn."""
    with chromium() as browser:
        opened = browser.new_page(viewport={"width": 1440, "height": 900})
        opened.set_default_timeout(LIMIT_MS)
        opened.goto(f"{url}/embedding")
        opened.locator(".nsewdrag").first.wait_for(state="attached")
        opened.get_by_text("Nothing selected").wait_for()
        opened.wait_for_timeout(1000)
        yield opened


def lasso(page: Any, x: float, y: float, radius: float) -> float:
    """Draws a circle around a place of the map, in shares of its size; returns milliseconds until another selection is shown."""
    page.locator(".js-plotly-plot").first.scroll_into_view_if_needed()
    box = page.locator(".nsewdrag").first.bounding_box()
    turns = [k / 8 * math.pi for k in range(17)]
    ring = [(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns]
    at = [(box["x"] + across * box["width"], box["y"] + down * box["height"]) for across, down in ring]
    before = shown(page)
    page.mouse.move(*at[0])
    page.mouse.down()
    for place in at[1:]:
        page.mouse.move(*place)
    began = time.perf_counter()
    page.mouse.up()
    page.wait_for_function(
        "b => { const m = document.body.innerText.match(/[\\d,]+ banners? selected/); return m && m[0] !== b }", arg=before
    )
    return 1000 * (time.perf_counter() - began)


def shown(page: Any) -> str:
    """How many are selected, in the page's words."""
    found = re.search(r"[\d,]+ banners? selected", page.locator("body").inner_text())
    return found[0] if found else ""


def n_lit(page: Any) -> int:
    """Points that the figure itself shows as selected."""
    traces = "document.querySelector('.js-plotly-plot')._fullData.filter(t => t.customdata)"
    return int(page.evaluate(f"() => {traces}.reduce((n, t) => n + (t.selectedpoints ?? []).length, 0)"))


def test_a_lasso_over_ten_thousand_points_selects_and_stays(page: Any) -> None:
    took = [lasso(page, 0.3, 0.3, 0.2), lasso(page, 0.7, 0.7, 0.1), lasso(page, 0.5, 0.5, 0.45)]
    print(f"milliseconds from the end of a lasso to its selection on the page: {[round(ms) for ms in took]}")
    many = shown(page)
    n = int(many.split()[0].replace(",", ""))
    assert n > 5000
    assert n_lit(page) == n
    page.locator(".tile").nth(3).click()  # the detail changes …
    page.get_by_text(re.compile("What bn-.* resembles")).wait_for()
    assert shown(page) == many, "… the selection does not"
    assert n_lit(page) == n
    page.get_by_text("table", exact=True).click()
    page.locator("[data-testid=stDataFrame]").wait_for()
    assert shown(page) == many
    assert n_lit(page) == n
    assert page.locator("[data-testid=stException]").count() == 0


def test_a_selection_survives_another_colour_and_is_cleared(page: Any) -> None:
    page.get_by_role("button", name="Clear").click()  # a drag that begins inside the last lasso would move that one
    page.get_by_text("Nothing selected").wait_for()
    page.wait_for_timeout(800)
    lasso(page, 0.35, 0.35, 0.15)
    some = shown(page)
    n = int(some.split()[0].replace(",", ""))
    page.locator(".st-key-colour [data-baseweb=select], .st-key-colour [role=combobox]").first.click()
    page.get_by_role("option", name="cluster").click()
    page.get_by_text("cluster 1", exact=True).first.wait_for()
    page.wait_for_timeout(800)
    assert shown(page) == some
    assert n_lit(page) == n, "the new figure lights up what was selected"
    page.get_by_role("button", name="Clear").click()
    page.get_by_text("Nothing selected").wait_for()
    page.wait_for_timeout(500)
    assert n_lit(page) == 0
