"""Labelling by keyboard alone in headless Chromium, with a restart of the real server in between."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.review import labels
from core.store import Store
from tests.support.browser import LIMIT_MS, NEEDS_BROWSER, chromium, dashboard
from tests.support.stores import filled_store

pytestmark = NEEDS_BROWSER


PRESSES = """keys => { for (const key of keys) for (const type of ['keydown', 'keyup'])
    document.body.dispatchEvent(new KeyboardEvent(type, {key, code: 'Key' + key.toUpperCase(), bubbles: true})) }"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all."""
    with chromium() as opened:
        yield opened


def opened(browser: Any, url: str) -> Any:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(LIMIT_MS)
    page.goto(f"{url}/label")
    page.locator("[class*=st-key-broken_] button").first.wait_for()
    page.wait_for_timeout(1500)
    return page


def showing(page: Any) -> str:
    """The showing on the desk: the batch_id in the keys of its buttons."""
    return str(page.locator("[class*=st-key-broken_]").first.get_attribute("class")).split("st-key-broken_")[1].split()[0]


def press(page: Any, key: str) -> None:
    """Presses a key and waits for another banner on the desk."""
    old = showing(page)
    page.locator("body").press(key)
    page.wait_for_function(
        "old => { const e = document.querySelector('[class*=st-key-broken_]'); return e && !e.className.includes(old) }", arg=old
    )
    page.wait_for_timeout(350)  # nobody decides sooner, and the desk takes no such answer


def test_thirty_labels_by_keyboard_and_two_undone_after_a_restart(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    filled_store(path, 300).close()
    answers = ["b" if k % 3 == 0 else "u" if k % 7 == 0 else "o" for k in range(30)]
    with dashboard(path) as url:
        page, foreign = opened(browser, url), []
        page.on("request", lambda r: foreign.append(r.url) if r.url.startswith("http") and not r.url.startswith(url) else None)
        for key in answers:
            press(page, key)
        page.get_by_text("30 of 40 labelled today").wait_for()
        page.get_by_text("Saved").wait_for()
        page.locator("body").press("h")
        page.locator("img[alt='outline of the expected clicks']").wait_for(state="detached")
        page.locator("body").press("ArrowLeft")
        page.get_by_text("label 1 of 30").wait_for()
        page.locator(".st-key-forward button").first.wait_for()  # the key works once its button is drawn
        page.locator("body").press("ArrowRight")
        page.get_by_text("Why this one").wait_for()
        assert foreign == []
    with Store(path) as store:
        before = labels.current(store)
        names = [row["banner_id"] for row in store.rows("FROM label_event ORDER BY rowid")]
    assert len(set(names)) == len(before) == 30
    spelled = {"broken": "b", "ok": "o", "unsure": "u"}
    assert [spelled[{row["banner_id"]: row["label"] for row in before}[name]] for name in names] == answers
    assert all(row["blind"] and row["seconds"] > 0 for row in before)
    with dashboard(path) as url:  # the server was stopped in between: nothing of the session is left
        page = opened(browser, url)
        press(page, "z")
        page.get_by_text(f"Undone: {names[29]}").wait_for()
        press(page, "z")
        page.get_by_text(f"Undone: {names[28]}").wait_for()
        page.get_by_text("28 of 40 labelled today").wait_for()
        press(page, "u")
        assert page.locator("[data-testid=stException]").count() == 0
    with Store(path) as store:
        after = {row["banner_id"]: row["label"] for row in labels.current(store)}
    assert after == {row["banner_id"]: row["label"] for row in before if row["banner_id"] not in names[28:]} | {names[28]: "unsure"}


def test_a_key_pressed_faster_than_the_server_answers_labels_no_other_banner(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    filled_store(path, 200).close()
    with dashboard(path) as url:
        page = opened(browser, url)
        seen = []
        for _ in range(6):
            old = showing(page)
            seen.append(old)
            page.evaluate(PRESSES, "bob")  # three at once: the first is meant for what one sees
            page.wait_for_function(
                "old => { const e = document.querySelector('[class*=st-key-broken_]'); return e && !e.className.includes(old) }", arg=old
            )
            page.wait_for_timeout(1200)
        assert page.locator("[data-testid=stException]").count() == 0
    with Store(path) as store:
        sql = """SELECT l.banner_id, s.banner_id AS shown, l.batch_id::VARCHAR AS batch_id
                 FROM label_event l JOIN shown s USING (batch_id) ORDER BY l.rowid"""
        rows = store.rows(sql)
    assert [row["banner_id"] for row in rows] == [row["shown"] for row in rows]
    assert [row["batch_id"] for row in rows] == seen, "each banner that one saw was answered once, and none that one had not seen yet"
