"""Numbers and hostile strings as a reader sees them."""

import csv
import io
from datetime import datetime

import numpy as np
import pytest

from core.settings import N_BINS
from core.ui.render import cells as maps
from core.ui.render import palette, report, svg, tables, text, thumbnails


@pytest.mark.parametrize(
    ("p", "words"), [(0.0031, "0.003"), (0.0004, "< 0.001"), (0.0, "< 0.001"), (0.47, "0.47"), (None, "\u2013"), (float("nan"), "\u2013")]
)
def test_p_values(p: float | None, words: str) -> None:
    assert text.p_value(p) == words


def test_unknown_is_never_zero() -> None:
    assert {text.number(None), text.percent(float("nan")), text.decimal(None), text.size(None), text.ago(None)} == {"\u2013"}


def test_times_are_relative() -> None:
    now = datetime(2026, 11, 14, 12)
    assert text.ago(datetime(2026, 11, 14, 11, 55), now) == "5 min ago"
    assert text.ago(datetime(2026, 11, 12, 11), now) == "2 days ago"
    assert text.ago(datetime(2026, 11, 17, 13), now) == "in 3 days"


def test_likelihood_ratios_in_words() -> None:
    assert text.times(np.log(900)) == "900 times"
    assert text.times(np.log(1e9)) == "over a million times"
    assert text.likely(0.9999) == "> 99 %"


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_formulas_are_quoted_in_csv(value: str) -> None:
    rows = list(csv.reader(io.StringIO(report.csv_file([{"domain": value, "n": -3}]).decode("utf-8-sig"))))
    assert rows[1] == ["'" + value, "-3"], "text is quoted, numbers stay numbers"


def test_html_tables_escape_what_comes_from_data() -> None:
    row = {"banner_id": "<script>'\"", "grid_id": 1, "domain": "<b>", "n_products": 1, "sentence": "<img onerror=x>", "p_value": 0.1}
    row |= {"n_clicks": 3, "since": None, "state": "open"}
    html = tables.queue_table([row], {}, None, [], None)
    assert "<script" not in html
    assert "<img onerror" not in html
    assert "<b><" not in html.replace("<b>&lt;", "")
    assert 'data-pick="&lt;script&gt;&#x27;&quot;"' in html
    cells = tables.cell_table([{"n_products": 1, "domain": '"><script>', "n": 10, "flagged": 2}])
    assert "<script" not in cells


def test_the_report_needs_nothing_else() -> None:
    page = report.overview_html("<script>", [("Store", "<b>")], "<table></table>").decode()
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_smoothing_keeps_every_click() -> None:
    image = np.zeros((40, 40))
    image[0, 0] = 7
    assert maps.smooth(image).sum() == pytest.approx(7)


def test_differences_of_a_true_reference_are_standard_normal() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(N_BINS))
    z = np.stack([maps.difference_z(maps.as_map(rng.multinomial(2000, p)), maps.as_map(2000 * p)) for _ in range(200)])
    assert abs(z.mean()) < 0.02
    assert z.std() == pytest.approx(1.0, abs=0.05)


def test_brushed_cells_by_hand() -> None:
    seen, hoped = np.zeros((40, 40)), np.full((40, 40), 0.5)
    seen[1, 2] = 9
    assert maps.brushed(seen, hoped, np.array([42, 43])) == (9, 1.0, 8.0)


def test_thumbnails_are_drawn_once_and_forgotten_in_turn() -> None:
    asked: list[list[str]] = []

    def read(ids: list[str]) -> dict[str, object]:
        asked.append(ids)
        return {b: np.ones(N_BINS) for b in ids}

    ramp = palette.LIGHT.ramp
    kept = thumbnails.Thumbnails(n_kept=2)
    assert set(kept.of("r", ["a", "b"], ramp, read)) == {"a", "b"}
    kept.of("r", ["b", "c"], ramp, read)
    kept.of("r", ["a"], ramp, read)
    assert asked == [["a", "b"], ["c"], ["a"]]
    assert kept.of("r", ["a"], ramp, read)["a"].startswith("data:image/png;base64,")
    assert thumbnails.data_url(thumbnails.shares(np.zeros(N_BINS)), 1.0, ramp) == ""


def test_whiskers_stand_on_one_axis() -> None:
    html = svg.whisker(0.05, 0.04, 0.06, 0.1, width=212)
    assert 'cx="106.0"' in html
    assert svg.sparkline([float("nan"), 0.1]) == '<span class="muted">\u2013</span>'
