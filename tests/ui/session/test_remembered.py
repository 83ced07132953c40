"""The local user's name across reloads and tabs, whatever the browser brings along."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from core.store import Store
from core.ui.session import identity, remembered, state
from tests.support.browser import NEEDS_BROWSER, chromium, dashboard
from tests.support.stores import HOSTILE, filled_store
from tests.ui.conftest import Open


@pytest.mark.parametrize(
    ("brought", "name"),
    [
        ("ana", "ana"),
        (quote("Ana Müller-王"), "Ana Müller-王"),
        (quote(HOSTILE), HOSTILE),
        (quote("a\x00n\x1b[31ma\r\n\tb\u202eevil\u200b"), "an[31ma bevil"),
        (quote("x" * 5000), "x" * 60),
        (quote("   "), ""),
        ("", ""),
        ("%", "%"),
        ("%ff%fe%00", ""),
        (quote("é" * 100), "é" * 60),
    ],
)
def test_what_a_cookie_says_is_cleaned(monkeypatch: pytest.MonkeyPatch, brought: str, name: str) -> None:
    monkeypatch.setattr(remembered.st, "context", SimpleNamespace(cookies={remembered.COOKIE: brought}))
    assert remembered.name() == name


def test_decisions_carry_the_cleaned_name(full: Open) -> None:
    app = full("triage")
    app.text_input(key="author").set_value("  <b>ana</b>\u202e \x07 b ").run()
    at = app.query_params["at"]
    app.button(key=f"confirm_{at if isinstance(at, str) else at[0]}").click().run()
    assert not app.exception
    assert state.store().rows("SELECT author FROM triage_event") == [{"author": "<b>ana</b> b"}]


def test_an_empty_name_is_the_systems_user_again(full: Open) -> None:
    app = full("triage")
    app.text_input(key="author").set_value("").run()
    at = app.query_params["at"]
    app.button(key=f"confirm_{at if isinstance(at, str) else at[0]}").click().run()
    assert state.store().rows("SELECT author FROM triage_event") == [{"author": identity.login_name()}]


def named(page: Any, address: str) -> str:
    """The name that a freshly loaded page shows."""
    page.goto(f"{address}/triage")
    field = page.locator(".st-key-author input")
    field.wait_for(timeout=30_000)
    page.get_by_role("button", name="Confirm").wait_for(timeout=30_000)
    return str(field.input_value())


def write(page: Any, name: str) -> None:
    """Types a name, and waits until the browser has it."""
    field = page.locator(".st-key-author input")
    field.fill(name)
    field.press("Enter")
    wanted = quote(remembered.clean(name), safe="!'()*")
    page.wait_for_function(
        "wanted => (document.cookie.split('; ').find((c) => c.startsWith('heatproof_name=')) ?? '=').split('=')[1] === wanted", arg=wanted
    )


@pytest.mark.slow
@pytest.mark.skipif(NEEDS_BROWSER[1].args[0], reason="Debian's chromium is not installed")
def test_a_browser_remembers_the_name_across_reloads_and_tabs(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    filled_store(path, 120).close()
    with dashboard(path) as address, chromium() as browser:
        context = browser.new_context()
        page = context.new_page()
        assert named(page, address) == identity.login_name()
        for name in ("Ana Müller", HOSTILE, "x" * 60, 'quote" ; path=/ 王'):
            write(page, name)
            assert named(page, address) == name, "after a reload"
            tab = context.new_page()
            assert named(tab, address) == name, "in a new tab"
            tab.close()
        write(page, "")
        assert named(page, address) == identity.login_name()
        write(page, "ben")
        page.keyboard.press("Escape")
        named(page, address)
        page.get_by_role("button", name="Confirm").click()
        page.get_by_text("Undo with Z").first.wait_for()
        stranger = browser.new_context().new_page()
        assert named(stranger, address) == identity.login_name(), "another browser is another person"
    with Store(path) as store:
        assert store.rows("SELECT author FROM triage_event") == [{"author": "ben"}]
