"""Everything that can be pressed on every page, in a real headless Chromium: nothing breaks, whatever store and address hold."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import crawled_stores
from tests.support.browser import NEEDS_BROWSER, chromium, dashboard
from tests.support.crawler import PAGES, Crawler

pytestmark = NEEDS_BROWSER

NONSENSE = (
    "?grid=999&banner=unknown&status=%3Cb%3E&sort=1&p=x&clicks=many&page=-3&at=x&selected=x.y&run=never&feature=none&method=x&axes=x"
    "&colour=x&find=unknown&shots=z&scope=none&source=1&target=1&least=-5&window=x&tab=none&cut=abc&detector=none&curves=x&k=1&part=x"
)
ADDRESSES: dict[str, tuple[tuple[str, str], ...]] = {
    "empty": tuple((page, "") for page in ("data", *PAGES)),
    "unscored": tuple((page, "") for page in ("data", *PAGES)),
    "scored": (("triage", ""), ("", ""), ("calibrate", ""), ("label", ""), ("detectors", "")),
    "labelled": (
        ("triage", "?grid=333346&status=all&sort=newest"),
        ("", "?grid=333346&least=50"),
        ("banner", "?banner=bn-000100&grid=333346&status=all&scale=log"),
        ("calibrate", "?shots=1"),
        ("embedding", ""),
        ("detectors", "?rank=ROC-AUC"),
        ("embedding", "?view=pairwise"),
        *(("data", f"?tab={tab}") for tab in ("Ingest", "Runs", "Rejects", "Store")),
        ("label", "?grid=333346"),
    ),
}
"""What is crawled of each store, first of all what leads from one page to another; the store decides what these pages show."""
SECONDS = {"empty": 60, "unscored": 60, "scored": 150, "labelled": 240}
"""After so long nothing more is pressed: a machine that is busy presses less. CRAWL_SECONDS in the environment takes their place."""
LONGER = 200
"""Seconds more for an address of a page where a control of SURE was not reached in time."""
SURE = {
    "empty": {("", "link"), ("data", "tab")},
    "unscored": {("", "link"), ("data", "tab")},
    "scored": {("triage", "key confirm"), ("triage", "key open_banner E"), ("triage", "button open_banner"), ("triage", "cell queue")}
    | {("triage", "key undo Z"), ("triage", "button download CSV"), ("triage", "select sort"), ("triage", "button edit_note")},
    "labelled": {("triage", "key open_banner E"), ("triage", "button clear_triage"), ("triage", "tick queue"), ("triage", "select grid")}
    | {("", "cell cells"), ("", "button open_triage"), ("", "cell grids"), ("", "button description HTML report")},
}
"""Page and beginning of the signature of controls that are surely there, and early enough to be pressed on any machine."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all stores."""
    with chromium() as opened:
        yield opened


@pytest.mark.parametrize("name", crawled_stores.NAMES)
def test_nothing_breaks_whatever_is_pressed(browser: Any, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path, log = tmp_path / f"{name}.duckdb", tmp_path / "server.log"
    crawled_stores.make(name, path)
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    with dashboard(path, log=log) as url:
        begun, seconds = time.monotonic(), float(os.environ.get("CRAWL_SECONDS", SECONDS[name]))
        crawler = Crawler(context.new_page(), url, log, until=begun + seconds)
        for page in PAGES:
            crawler.visit(page, NONSENSE)
        for k, (page, state) in enumerate(ADDRESSES[name], start=1):
            crawler.until = begun + seconds * k / len(ADDRESSES[name])  # no page takes the time of the pages after it
            crawler.crawl(page, state)
        for page, state in ADDRESSES[name]:
            if any(of == page and not crawler.has_pressed(of, start) for of, start in SURE[name]):
                crawler.until = time.monotonic() + LONGER
                crawler.crawl(page, state)
    context.close()
    with capsys.disabled():
        print(f"\ncrawler, store {name}: {crawler.account()}")
    assert not crawler.broken(), "\n".join(map(str, crawler.broken()))
    missed = {(page, start) for page, start in SURE[name] if not crawler.has_pressed(page, start)}
    assert not missed, f"a crawler that misses these finds nothing: {missed}"


def test_the_crawler_would_notice(browser: Any, tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "index.html").write_text(
        "<div class=stApp data-test-script-state=notRunning><h3>Odd</h3><button onclick='throw new Error(1)'>Break</button>"
        "<div data-testid=stException>broken</div></div>"
    )
    window = browser.new_context().new_page()
    crawler = Crawler(window, (tmp_path).as_uri(), log, until=time.monotonic() + 30)
    window.goto((tmp_path / "odd" / "index.html").as_uri())
    log.write_text("Traceback (most recent call last)")
    window.get_by_role("button").click()
    crawler.note("odd", "", "button Break")
    assert [words.split(":")[0] for words in crawler.broken()[0].broke] == ["shown", "browser", "server"]
    shutil.rmtree(tmp_path / "odd")
