"""Banners of too few clicks are counted and named as such, not as ok."""

import os

from core import settings
from core.statistics.p_values import FEW_CLICKS
from core.store import Store
from core.store.queries import overview
from core.store.queries.runs import finished_runs
from core.ui.overview import rates
from tests.ui.conftest import Open
from tests.ui.test_pages import plain, texts


def test_the_limit_is_that_of_the_scores() -> None:
    assert settings.MIN_JUDGED == FEW_CLICKS + 1


def test_they_are_counted_on_the_overview_and_named_on_their_page(full: Open) -> None:
    with Store(os.environ["HEATPROOF_STORE"]) as store:
        run_id = finished_runs(store)[0]["run_id"]
        banner_id = store.rows("SELECT banner_id FROM result WHERE run_id = ? AND NOT flagged ORDER BY position LIMIT 1", [run_id])[0]
        with store.transaction() as cursor:
            cursor.execute("UPDATE result SET n_clicks = 7 WHERE run_id = ? AND banner_id = ?", [run_id, banner_id["banner_id"]])
        counted = overview.not_judged(store, run_id)
        slow = store.rows("SELECT n_clicks, flagged FROM result WHERE run_id = ?", [run_id])
    assert counted == {"n": sum(row["n_clicks"] < 13 and not row["flagged"] for row in slow), "n_all": len(slow)}
    assert plain(rates.not_judged_words(counted)) in plain(texts(full("overview")))
    page = full("banner", banner=banner_id["banner_id"])
    assert "cannot be judged: 7 clicks" in plain(page.subheader[0].value)


def test_where_all_can_be_judged_nothing_is_said() -> None:
    assert rates.not_judged_words({"n": 0, "n_all": 5}) == ""
    assert rates.not_judged_words({"n": 1, "n_all": 5}).startswith("1 of 5 banners has fewer than 13 clicks")
