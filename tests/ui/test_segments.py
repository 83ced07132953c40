"""Segments on the pages: the banner's clicks in each, the filter of the queue, how many flags only one of them explains."""

import os

import numpy as np
import pytest

from core.store import Store
from core.store.queries import segments
from core.store.queries.runs import finished_runs
from tests.ui.conftest import Open
from tests.ui.test_pages import texts


@pytest.fixture
def split(full: Open) -> tuple[Open, str, str]:
    """The filled store with phones and desktops, and two flagged banners: one broken for phones only, one for all."""
    with Store(os.environ["HEATPROOF_STORE"]) as store:
        run_id = finished_runs(store)[0]["run_id"]
        with store.transaction() as cursor:
            cursor.execute("UPDATE heatmap_day SET segment = CASE dayofmonth(day) % 3 WHEN 0 THEN 'desktop' WHEN 1 THEN 'phone' END")
            cursor.execute(
                """INSERT INTO ingest_segment SELECT ingest_id, segment, sum(n_clicks)::BIGINT FROM heatmap_day
                WHERE segment IS NOT NULL GROUP BY ALL"""
            )
            cursor.execute("UPDATE result SET segment = 'phone' WHERE run_id = ? AND position IN (6, 7, 9)", [run_id])
        names = store.rows("SELECT banner_id FROM result WHERE run_id = ? AND position IN (6, 8) ORDER BY position", [run_id])
    return full, names[0]["banner_id"], names[1]["banner_id"]


def test_counts_by_segment_are_those_of_the_rows(split: tuple[Open, str, str]) -> None:
    with Store(os.environ["HEATPROOF_STORE"]) as store:
        found = segments.counts_of(store, split[1], finished_runs(store)[0])
        assert set(found) == {"phone", "desktop"} == set(segments.names(store))
        for name, counts in found.items():
            rows = store.rows("SELECT bins, counts FROM heatmap_day WHERE banner_id = ? AND segment = ?", [split[1], name])
            slow = np.zeros(1600, dtype=int)
            for row in rows:
                np.add.at(slow, row["bins"], row["counts"])
            np.testing.assert_array_equal(counts, slow)


def test_a_banner_opens_on_the_clicks_that_show_its_fault(split: tuple[Open, str, str]) -> None:
    full, only_phones, everywhere = split
    app = full("banner", banner=only_phones)
    assert not app.exception
    chooser = next(group for group in app.button_group if group.label == "Clicks of")
    assert chooser.value == "phone"
    assert {option.split(":")[0] for option in chooser.options} == {"all clicks", "phone", "desktop"}
    chooser.set_value("all clicks").run()
    assert not app.exception
    again = full("banner", banner=everywhere)
    assert next(group for group in again.button_group if group.label == "Clicks of").value == "all clicks"


def test_the_overview_counts_and_triage_filters_what_one_segment_shows(split: tuple[Open, str, str]) -> None:
    full = split[0]
    app = full("overview", least="0")
    assert app.button(key="only_phone").label == "phone: 3"
    queue = full("triage", segment="phone", status="all")
    assert not queue.exception
    assert queue.selectbox(key="segment").value == "phone"
    assert "3 flagged banners" in texts(queue)


def test_without_segments_nothing_is_shown_of_them(full: Open) -> None:
    app = full("overview")
    assert not [button for button in app.button if str(button.key).startswith("only_")]
    assert "segment" not in [box.key for box in full("triage").selectbox]
