"""The page of the detectors."""

import pytest

from core.ui import state
from tests.ui.conftest import Open


def test_the_page_says_whom_each_detector_looked_at_and_what_it_cost(full: Open) -> None:
    app = full("detectors")
    assert not app.exception
    assert app.subheader[0].value == "4 detectors took 2 s for 400 banners."
    shown = app.dataframe[0].value
    assert set(shown["detector"]) == {"multinomial", "chi_squared", "kl_divergence", "likelihood_ratio"}
    assert set(shown["looked at"]) == {400}
    assert shown["ms"].to_list() == pytest.approx([1.5] * 4)
    run_id = state.store().rows("SELECT run_id::VARCHAR AS run_id FROM run_info ORDER BY finished_at DESC LIMIT 1")[0]["run_id"]
    sql = """SELECT 100 * avg((s.p_value <= 0.05)::INTEGER) AS agrees FROM score s JOIN result r USING (run_id, banner_id)
        WHERE s.run_id = ? AND r.flagged AND s.detector = 'chi_squared'"""
    wanted = state.store().rows(sql, [run_id])[0]["agrees"]
    assert shown.set_index("detector").loc["chi_squared", "agrees"] == pytest.approx(wanted)


def test_the_page_counts_who_was_left_out(full: Open) -> None:
    with state.store().transaction() as cursor:
        cursor.execute("UPDATE run_detector SET n_scored = 120 WHERE detector = 'likelihood_ratio'")
    app = full("detectors")
    assert "1 of them looked only at the 120 that could still be flagged" in app.subheader[0].value


def test_the_page_says_where_weights_are(full: Open) -> None:
    shown = full("detectors").dataframe[1].value.set_index("extractor")["weights"]
    assert shown["efficientnet_lite0"].endswith("installed")
    assert "microsoft/resnet-50" in shown["resnet50"]
