"""The whole way of a reviewer in headless Chromium: thirty labels by keyboard, two of them wrong and taken back after a restart of the
server, a version learned from them and published, its flags seen, and rolled back."""

import re
from pathlib import Path
from typing import Any

from core.calibration import versions
from core.review import labels
from core.store import Store
from tests.support.browser import NEEDS_BROWSER, chromium, dashboard
from tests.support.stores import filled_store
from tests.ui.browser.test_label_keys import opened, press

pytestmark = NEEDS_BROWSER[1:]  # some forty seconds, so it is not marked slow
N_LABELS = 30


def strict_store(path: Path) -> tuple[dict[str, bool], set[str]]:
    """A store whose run misses a part of the broken banners; what is broken, and what is flagged."""
    with filled_store(path, 300) as store:
        broken = {row["banner_id"]: row["flagged"] for row in store.rows("SELECT banner_id, flagged FROM result")}
        with store.transaction() as cursor:
            sure = "(SELECT count(*) FROM result WHERE flagged AND p_broken > 0.87)"  # the flagged ones have a run's first positions
            cursor.execute(f"UPDATE result SET flagged = position <= {sure} WHERE flagged")
            cursor.execute("UPDATE run_info SET n_flagged = (SELECT count(*) FROM result WHERE flagged)")
        flagged = {row["banner_id"] for row in store.rows("SELECT banner_id FROM result WHERE flagged")}
    assert 5 < len(flagged) < sum(broken.values())
    return broken, flagged


def on_desk(page: Any) -> str:
    """The banner that is asked about."""
    words = page.get_by_text("Why this one:").locator("..").inner_text()
    found = re.search(r"bn-\d{6}", words)
    assert found, words
    return found.group()


def answer(page: Any, broken: dict[str, bool], *, wrong: bool = False) -> str:
    """Labels the banner on the desk by one key, as it is or wrongly."""
    banner_id = on_desk(page)
    press(page, "b" if broken[banner_id] != wrong else "o")
    return banner_id


def flagged_on(page: Any, url: str) -> set[str]:
    """The flagged banners as the queue shows them."""
    page.goto(f"{url}/triage?status=all")
    page.get_by_text("flagged banners").first.wait_for()
    page.locator("tr[data-pick]").first.wait_for()
    page.wait_for_timeout(800)
    return set(page.locator("tr[data-pick]").evaluate_all("rows => rows.map(r => r.dataset.pick)"))


def open_calibrate(page: Any, url: str) -> str:
    """The page's first line."""
    page.goto(f"{url}/calibrate")
    line = page.locator("h3").filter(has_text="publishing v")
    line.wait_for()
    page.get_by_role("button", name="Publish v").wait_for()
    page.locator("[data-testid=stStatusWidget]").wait_for(state="detached")
    return str(line.inner_text())


def act(page: Any, field: str, reason: str, button: str, outcome: str) -> None:
    """Gives a reason and presses a button."""
    page.locator(f".st-key-{field} input").fill(reason)
    page.get_by_role("button", name=button).click()
    page.get_by_text(outcome).first.wait_for()


def test_label_undo_after_a_restart_publish_see_flags_change_roll_back(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    broken, flagged = strict_store(path)
    with chromium() as browser:
        with dashboard(path) as url:
            page = opened(browser, url)
            named = [answer(page, broken, wrong=k >= N_LABELS - 2) for k in range(N_LABELS)]
            page.get_by_text(f"{N_LABELS} of 40 labelled today").wait_for()
            assert len(set(named)) == N_LABELS
        with dashboard(path) as url:  # nothing of the session is left
            page = opened(browser, url)
            for banner_id in (named[-1], named[-2]):
                press(page, "z")
                page.get_by_text(f"Undone: {banner_id}").wait_for()
                assert on_desk(page) == banner_id
            assert {answer(page, broken), answer(page, broken)} & set(named[-2:])
            assert flagged_on(page, url) == flagged
            line = open_calibrate(page, url)
            found = re.search(r"Using (\d+) labels .* would flag (\d+) instead of (\d+): \+(\d+) \u2212(\d+)\.", line)
            assert found, line
            n_labels, after, before, added, dropped = map(int, found.groups())
            assert (n_labels, before, after) == (N_LABELS, len(flagged), len(flagged) + added - dropped)
            assert added > 0
            act(page, "reason", "thirty labels", "Publish v1", "v1 is active")
            page.get_by_text("Threshold: v1, 0-shot").wait_for()
            changed = flagged_on(page, url)
            assert (len(changed - flagged), len(flagged - changed)) == (added, dropped)
            assert sum(broken[b] for b in changed) > sum(broken[b] for b in flagged), "what was missed is found"
            open_calibrate(page, url)
            page.get_by_role("button", name="Roll back to v0 …").click()
            page.locator(".st-key-back_reason input").wait_for()
            act(page, "back_reason", "only a trial", "Roll back to v0", "v0 is active again")
            page.get_by_text("Threshold: 10 % false alarms, no labels").wait_for()
            assert flagged_on(page, url) == flagged
            assert page.locator("[data-testid=stException]").count() == 0
    with Store(path) as store:
        kept = {row["banner_id"]: row["label"] == "broken" for row in labels.current(store)}
        assert kept == {banner_id: broken[banner_id] for banner_id in kept}
        assert len(kept) == N_LABELS
        assert [(e["op"], e["number"]) for e in versions.history(store)] == [("roll_back", None), ("publish", 1)]
