"""The main journeys in a real headless Chromium against the real server."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browser import LIMIT_MS, NEEDS_BROWSER, chromium, dashboard
from tests.support.maps import add_cosines, add_map
from tests.support.stores import filled_store

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A dashboard on a store of 300 banners, hostile ones among them, with a map and cosines."""
    path = tmp_path_factory.mktemp("journey") / "store.duckdb"
    with filled_store(path, 300, hostile=True) as store:
        add_map(store)
        add_cosines(store)
    with dashboard(path) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all journeys."""
    with chromium() as opened:
        yield opened


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """A browser window of its own that refuses every request beyond this machine, and notes it."""
    opened = browser.new_context(viewport={"width": 1440, "height": 900})
    opened.set_default_timeout(LIMIT_MS)
    yield opened
    opened.close()


def current(page: Any) -> str:
    """The banner that stands out in the queue."""
    return str(page.locator("tr[aria-selected=true]").get_attribute("data-pick"))


def press(page: Any, key: str) -> None:
    """Presses a key once the buttons that it belongs to stand there and no script runs."""
    page.locator(".st-key-undo button").first.wait_for()
    page.locator("[data-testid=stStatusWidget]").wait_for(state="detached")
    page.wait_for_timeout(400)
    page.locator("body").press(key)


def wait_for_other(page: Any, banner_id: str) -> str:
    """Waits until another banner stands out."""
    page.wait_for_function(
        "old => { const h = [...document.querySelectorAll('*')].map(e => e.shadowRoot).filter(Boolean);"
        " const r = h.map(s => s.querySelector('tr[aria-selected=true]')).find(Boolean); return r && r.dataset.pick !== old }",
        arg=banner_id,
    )
    return current(page)


def test_deep_link_on_the_very_first_visit_confirm_undo_and_second_tab(context: Any, url: str) -> None:
    page, foreign = context.new_page(), []
    page.on("request", lambda r: foreign.append(r.url) if r.url.startswith("http") and not r.url.startswith(url) else None)
    page.goto(f"{url}/triage")  # the first visit after the start of the server, by a deep link
    page.get_by_text("flagged banners open").wait_for()
    assert page.get_by_role("link", name="Overview").is_visible()
    first = current(page)
    press(page, "b")
    second = wait_for_other(page, first)
    assert second != first
    page.get_by_text(f"Confirmed {first}").wait_for()
    press(page, "z")
    assert wait_for_other(page, second) == first
    page.get_by_text("Undone: confirmed 1 banner").wait_for()
    press(page, "e")
    page.wait_for_url(f"**/banner?banner={first}*")
    page.get_by_text("What the detectors say").wait_for()
    other = context.new_page()
    other.goto(page.url)
    other.get_by_text("What the detectors say").wait_for()
    assert other.get_by_text(first).first.is_visible()
    assert other.locator("[data-testid=stException]").count() == 0
    assert foreign == [], "nothing is fetched from beyond this machine"


def test_brushing_cells_adds_them_up(context: Any, url: str) -> None:
    page = context.new_page()
    page.goto(f"{url}/banner?banner=bn-000100")
    page.get_by_text("What the detectors say").wait_for()
    layer = page.locator(".st-key-brush .nsewdrag")
    layer.wait_for(state="attached")
    box = layer.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.7, steps=8)
    page.mouse.up()
    words = page.get_by_text("Brushed:").locator("..").inner_text()
    assert "cells" in words
    assert "expected" in words


def test_ticking_rows_offers_a_bulk_action_that_counts(context: Any, url: str) -> None:
    page = context.new_page()
    page.goto(f"{url}/triage?status=all")
    page.get_by_text("flagged banners").first.wait_for()
    boxes = page.locator("[data-check]")
    for k in range(3):
        boxes.nth(k).click()
    page.get_by_role("button", name="Snooze 3 selected").click()
    page.get_by_text("Snoozed 3 banners").wait_for()
    press(page, "z")
    page.get_by_text("Undone: snoozed 3 banners").wait_for()
    assert page.locator("[data-testid=stException]").count() == 0


def test_hostile_strings_run_nothing_and_nothing_leaves_the_machine(context: Any, url: str) -> None:
    page, dialogs, foreign = context.new_page(), [], []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda r: foreign.append(r.url) if r.url.startswith("http") and not r.url.startswith(url) else None)
    places = ("", "triage?status=all", "banner?banner=%3Cscript%3Ealert(1)%3C%2Fscript%3E", "data?tab=Rejects")
    maps = ("embedding?find=%3Cscript%3Ealert(1)%3C%2Fscript%3E", "embedding?axes=3-D", "embedding?view=pairwise")
    for place in places + maps:
        page.goto(f"{url}/{place}")
        page.locator("h3").first.wait_for()
        page.wait_for_timeout(1500)
        assert page.locator("[data-testid=stException]").count() == 0
    assert dialogs == []
    assert foreign == []


def test_through_a_proxy_without_sign_in_everybody_only_looks(browser: Any, url: str) -> None:
    context = browser.new_context(extra_http_headers={"X-Forwarded-For": "192.0.2.7"})
    context.set_default_timeout(LIMIT_MS)
    page = context.new_page()
    page.goto(f"{url}/triage")
    page.get_by_text("flagged banners open").wait_for()
    page.get_by_text("Requests come to this dashboard from other machines").wait_for()
    assert page.locator("[class*=st-key-confirm_] button").first.is_disabled()
    context.close()
