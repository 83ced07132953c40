"""Sign-in end to end: Chromium, the real server, and a real OpenID provider on loopback (npm's oidc-provider)."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.store import Store
from tests.support.browser import LIMIT_MS, NEEDS_BROWSER, chromium, dashboard, free_port
from tests.support.stores import filled_store

NODE, NPM = shutil.which("node"), shutil.which("npm")
HERE = Path(__file__).parents[2] / "oidc"
NO_NETWORK = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "ENOTCACHED", "EHOSTUNREACH")

pytestmark = [
    *NEEDS_BROWSER,
    pytest.mark.skipif(NODE is None or NPM is None, reason="node and npm, which run the provider, are not installed"),
]


@contextmanager
def provider(folder: Path, redirect_uri: str) -> Iterator[str]:
    """The address of a provider that knows vera, ana, rita and mallory; skips where its package cannot be fetched."""
    for name in ("package.json", "package-lock.json", "provider.mjs"):
        shutil.copy(HERE / name, folder)
    command = [str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1"]
    installed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    if installed.returncode and any(word in installed.stderr for word in NO_NETWORK):
        pytest.skip("npm reaches no registry, from which the provider comes")
    assert installed.returncode == 0, installed.stderr
    port = free_port()
    running = subprocess.Popen(
        [str(NODE), "provider.mjs", str(port), redirect_uri], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert running.stdout is not None
        assert running.stdout.readline().strip() == "listening"
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(20)


SECRETS = """
[auth]
redirect_uri = "{redirect_uri}"
cookie_secret = "a cookie secret of the tests alone"
client_id = "heatproof"
client_secret = "a secret of the tests alone, 32 characters"
server_metadata_url = "{issuer}/.well-known/openid-configuration"
client_kwargs = {{ code_challenge_method = "S256" }}

[heatproof.roles]
"rita@example.org" = "reviewer"
"""


class Site:
    """A dashboard with sign-in, its store, and a browser window for whoever comes."""

    def __init__(self, url: str, store: Path, browser: Any) -> None:
        self.url, self.store, self._browser = url, store, browser
        self.deciders: list[str] = []

    def visit(self) -> Any:
        """A page in a window that knows nobody."""
        context = self._browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(LIMIT_MS)
        page = context.new_page()
        page.goto(f"{self.url}/triage")
        page.get_by_text("Sign in to see this dashboard.").wait_for()
        assert page.locator("[data-testid=stSidebarNav]").get_by_text("Triage").count() == 0, "nothing is shown before sign-in"
        return page

    def sign_in(self, page: Any, who: str) -> None:
        """Through the button, the provider's page and back to the queue."""
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name=who, exact=True).click()
        page.get_by_role("link", name="Triage").click()
        page.get_by_text("flagged banners open").wait_for()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("oidc")
    store, port = folder / "store.duckdb", free_port()
    filled_store(store, 120).close()
    redirect_uri = f"http://127.0.0.1:{port}/oauth2callback"
    with provider(folder, redirect_uri) as issuer:
        secrets = folder / "secrets.toml"
        secrets.write_text(SECRETS.format(redirect_uri=redirect_uri, issuer=issuer))
        with dashboard(store, "--secrets.files", str(secrets), port=port) as url, chromium() as browser:
            visited = Site(url, store, browser)
            yield visited
        with Store(store) as kept:  # only now: the server owned it
            authors = [row["author"] for row in kept.rows("SELECT author FROM triage_event ORDER BY event_id")]
        assert authors == visited.deciders


def foot(page: Any) -> str:
    """Who one is, at the foot of the sidebar."""
    page.get_by_role("button", name="Sign out").wait_for()
    return str(page.locator("[data-testid=stSidebar]").inner_text())


def confirm(page: Any) -> Any:
    """The button of a decision about the current banner."""
    return page.locator("[class*=st-key-confirm_] button").first


def test_a_viewer_looks_and_cannot_decide(site: Site) -> None:
    page = site.visit()
    site.sign_in(page, "vera")
    assert "vera@example.org · viewer" in foot(page)
    assert confirm(page).is_disabled()
    why = page.get_by_text("needs the role analyst: vera@example.org has the role viewer")
    for _ in range(10):  # a page drawn anew under a resting pointer shows no tooltip until it moves again
        page.mouse.move(5, 5)
        confirm(page).hover(force=True)
        page.wait_for_timeout(1500)
        if why.count():
            break
    why.first.wait_for()
    page.locator("body").press("b")
    page.wait_for_timeout(1000)
    assert page.get_by_text("Confirmed").count() == 0


def test_claims_and_lists_give_roles_and_decisions_carry_the_address(site: Site) -> None:
    for who, foot_says in (("ana", "ana@example.org · analyst"), ("rita", "rita@example.org · reviewer")):
        page = site.visit()
        site.sign_in(page, who)
        assert foot_says in foot(page)
        page.wait_for_timeout(400)
        confirm(page).click()
        page.get_by_text("Confirmed bn-").wait_for()
        site.deciders.append(foot_says.split(" ")[0])


def test_signing_out_ends_it_and_an_address_nobody_vouches_for_gives_neither_name_nor_role(site: Site) -> None:
    page = site.visit()
    site.sign_in(page, "ana")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="End it").click()
    page.get_by_text("Sign in to see this dashboard.").wait_for()
    page.goto(f"{site.url}/triage")
    page.get_by_text("Sign in to see this dashboard.").wait_for()
    assert not [c["name"] for c in page.context.cookies() if c["name"].startswith("_streamlit_user")]
    site.sign_in(page, "mallory")
    assert "mallory at 127.0.0.1 · viewer" in foot(page)
    assert confirm(page).is_disabled()


def test_signing_out_in_one_tab_ends_the_others_at_their_next_click(site: Site) -> None:
    page = site.visit()
    site.sign_in(page, "ana")
    other = page.context.new_page()
    other.goto(f"{site.url}/triage")
    other.get_by_text("flagged banners open").wait_for()
    copied = page.context.cookies()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="End it").click()
    page.get_by_text("Sign in to see this dashboard.").wait_for()
    other.get_by_role("link", name="Overview").click()
    other.get_by_text("Sign in to see this dashboard.").wait_for()
    thief = site.visit()
    thief.context.add_cookies(copied)
    thief.goto(f"{site.url}/triage")
    thief.get_by_text("You signed out. Sign in again.").wait_for()
