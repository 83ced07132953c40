"""Banners of grids that nobody has seen: told by their clicks, held back where they are few, and told so on the pages."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from core.banners.fitting import smoothed
from core.calibration import publish, verdicts
from core.calibration.publish import Request
from core.runs import run
from core.scoring.judging import Judged, hold_back
from core.scoring.new_grids import KERNEL_SD, STRAY, Known, own_log_likelihood, strangeness
from core.settings import N_BINS
from core.store import Store
from core.store.backup import backup
from core.store.queries import new_grids as strangers
from core.store.queries import overview
from core.ui.overview import rates
from tests.support.banners import cells, drawn, layout, mirrored, sizes

QUICK = ["multinomial_10", "likelihood_ratio"]


def slow_own_log_likelihood(clicks: np.ndarray) -> float:
    """One click at a time, every other click a kernel of its own."""
    at = np.repeat(np.arange(N_BINS), clicks.astype(int))
    reach = np.arange(-40, 41)
    kernel = np.exp(-(reach**2) / (2 * KERNEL_SD**2)) * (np.abs(reach) <= int(4 * KERNEL_SD + 0.5))
    kernel /= kernel.sum()
    total = 0.0
    for i, a in enumerate(at):
        others = sum(kernel[40 + a // 40 - b // 40] * kernel[40 + a % 40 - b % 40] for k, b in enumerate(at) if k != i)
        total += np.log((1 - STRAY) * others / max(len(at) - 1, 1) + STRAY / N_BINS)
    return total


def test_a_single_click_says_nothing_of_itself() -> None:
    assert own_log_likelihood(csr_matrix(cells(c800=1)[None]))[0] == pytest.approx(np.log(STRAY / N_BINS))


def test_the_fast_likelihood_is_the_slow_one() -> None:
    counts = drawn(3, [2, 7, 30])
    counts[0] = cells(c0=2, c1599=1)
    slow = [slow_own_log_likelihood(row) for row in counts]
    assert own_log_likelihood(csr_matrix(counts)) == pytest.approx(slow, rel=1e-9)


def test_strangeness_is_the_likelihood_ratio_against_the_best_known_layout() -> None:
    counts, p = drawn(0, [50, 90]), np.stack([np.full(N_BINS, 1 / N_BINS), smoothed(layout(), 0.0)])
    scores, best = strangeness(csr_matrix(counts), p)
    said = counts @ np.log(p).T
    assert best.tolist() == [1, 1]
    assert scores == pytest.approx((own_log_likelihood(csr_matrix(counts)) - said.max(axis=1)) / np.sqrt(counts.sum(axis=1)))


def test_a_banner_is_as_strange_alone_as_in_company() -> None:
    counts, p = csr_matrix(drawn(1, sizes(1, 60))), smoothed(layout(), 0.0)[None]
    alone = [strangeness(counts[k], p)[0][0] for k in (0, 7, 59)]
    assert strangeness(counts, p)[0][[0, 7, 59]] == pytest.approx(alone, abs=1e-12)


def test_a_new_layout_fits_none_and_a_known_one_under_a_new_name_does() -> None:
    p = np.stack([smoothed(layout(), 0.0), smoothed(layout(18), 0.0)])
    known = Known(np.array([5, 6]), p).fit(csr_matrix(np.concatenate([drawn(0, sizes(0, 80)), drawn(1, sizes(1, 80), layout(18))])))
    again, fresh = drawn(2, sizes(2, 60), layout(18)), mirrored(drawn(3, sizes(3, 60), layout(9)).astype(float))
    scores, nearest, none = known.judge(csr_matrix(again))
    assert none is not None
    assert nearest.tolist() == [6] * 60
    assert none.mean() < 0.15
    strange = known.judge(csr_matrix(fresh))
    assert strange[2] is not None
    assert strange[2].mean() > 0.8
    assert np.median(strange[0]) > np.median(scores)


def test_without_banners_of_known_grids_nothing_says_what_is_strange() -> None:
    assert Known(np.array([5]), smoothed(layout(), 0.0)[None]).judge(csr_matrix(drawn(0, [40])))[2] is None


def test_who_is_held_back_is_not_flagged_and_stands_behind_the_flagged() -> None:
    p = np.array([0.001, 0.002, 0.003, 0.5])
    none: dict[str, Any] = {"normalised": {}, "p_values": {}, "deep_weight": 0.0}
    judged = Judged(
        combined=-p, p_value=p, p_broken=1 - p, flagged=np.array([True, True, True, False]), position=np.array([1, 2, 3, 4]), **none
    )
    held = hold_back(judged, np.array([True, False, False, False]))
    assert held.flagged.tolist() == [False, True, True, False]
    assert held.position.tolist() == [3, 1, 2, 4]
    assert hold_back(judged, np.zeros(4, bool)) is judged


def _take_in(store: Store, grid_id: int, counts: np.ndarray) -> None:
    ids = [f"g{grid_id}-{k:03d}" for k in range(len(counts))]
    with store.transaction() as cursor:
        for banner_id, row in zip(ids, counts, strict=True):
            bins = np.flatnonzero(row)
            cursor.execute("INSERT INTO banner VALUES (?, ?, 2, 'a.example', '01900000-0000-7000-8000-000000000000')", [banner_id, grid_id])
            cursor.execute(
                "INSERT INTO heatmap_day VALUES ('01900000-0000-7000-8000-000000000000', ?, DATE '2026-11-01', ?, ?, ?, NULL)",
                [banner_id, int(row.sum()), bins.tolist(), row[bins].astype(int).tolist()],
            )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Three runs: two grids; then beside them a new one of 60 banners and one of 12, of which 4 are another picture; then all again."""
    with Store(tmp_path_factory.mktemp("strangers") / "s.duckdb") as store:
        _take_in(store, 5, drawn(5, sizes(5, 70)))
        _take_in(store, 6, drawn(6, sizes(6, 70), layout(18)))
        run.score(store, detectors=QUICK)
        _take_in(store, 8, mirrored(drawn(8, sizes(8, 60), layout(9))))
        few = drawn(9, np.full(12, 900), layout(4)[::-1])
        few[:4] = drawn(10, np.full(4, 900), np.eye(1, N_BINS, 77)[0])
        _take_in(store, 9, few)
        run.score(store, detectors=QUICK)
        run.score(store, detectors=QUICK)
        yield store


def _runs(store: Store) -> list[str]:
    return [row["id"] for row in store.rows("SELECT run_id::VARCHAR AS id FROM run_info ORDER BY finished_at")]


def test_the_first_run_calls_nobody_new(store: Store) -> None:
    assert strangers.by_grid(store, _runs(store)[0]) == {}


def test_a_new_grid_is_named_new_once_and_its_banners_are_not_broken(store: Store) -> None:
    _, second, third = _runs(store)
    new = strangers.by_grid(store, second)
    assert set(new) == {8, 9}
    assert (new[8]["n"], new[8]["held_back"], new[8]["first_seen"]) == (60, False, True)
    assert new[8]["none"] > 45
    flagged = {row["grid_id"]: row["flagged"] for row in overview.grids(store, second, 0)}
    assert flagged[8] <= 6
    assert set(strangers.by_grid(store, third)) == {9}


def test_a_new_grid_of_few_banners_is_held_back_until_it_has_more(store: Store) -> None:
    for number, run_id in enumerate(_runs(store)[1:]):
        new = strangers.by_grid(store, run_id)[9]
        assert (new["n"], new["held_back"], new["first_seen"]) == (12, True, number == 0)
        found = store.rows("SELECT flagged, p_broken FROM result WHERE run_id = ? AND grid_id = 9 ORDER BY p_broken DESC", [run_id])
        assert found[0]["p_broken"] > 0.9  # it would be flagged
        assert not any(row["flagged"] for row in found)
    said = strangers.of_banner(store, _runs(store)[1], "g9-000")
    assert said is not None
    assert said["held_back"]
    assert said["fits_none"]
    assert strangers.of_banner(store, _runs(store)[1], "g5-000") is None


def test_no_version_flags_who_is_held_back(store: Store) -> None:
    third = _runs(store)[-1]
    with store.transaction() as cursor:
        for k in range(20):
            cursor.execute(
                """INSERT INTO label_event BY NAME SELECT uuidv7() AS event_id, now()::TIMESTAMP AS happened_at, uuidv7() AS batch_id,
                   'label' AS op, ? AS banner_id, ? AS label, 'ann' AS reviewer, 'test' AS source""",
                [f"g5-{k:03d}", "broken" if k < 8 else "ok"],
            )
    with store.cursor() as cursor:
        scored = verdicts.read_scored(cursor, third)
    seen = publish.prepare(store, Request(method="manual", value=1e-9), third)
    assert seen.after[scored.grid_id == 5].all()
    assert not seen.after[scored.grid_id == 9].any()
    publish.publish(store, seen, "ann", "everything")
    shown = store.rows("SELECT result_id::VARCHAR AS id FROM shown_run WHERE run_id = ?", [third])[0]["id"]
    counts = {row["grid_id"]: (row["n"], row["flagged"]) for row in overview.grids(store, shown, 0)}
    assert counts[5] == (70, 70)
    assert counts[9] == (12, 0)
    assert strangers.by_grid(store, shown)[9]["held_back"]


def test_the_overview_says_what_is_new() -> None:
    row = {"grid_id": 8, "n": 60, "flagged": 1, "new": 0, "fault": None, "fault_n": None}
    new = {"grid_id": 8, "n": 60, "none": 54, "nearest": 5, "held_back": False, "first_seen": True}
    shown = rates.grid_rows([row, {**row, "grid_id": 5}], {}, {8: new})
    assert {r.grid_id: r.state_text for r in shown} == {8: "new grid: first seen in this run", 5: "normal"}
    assert rates.new_sentence(new).endswith("The clicks of 54 of 60 banners (90 %) fit no layout that is known; closest is that of grid 5.")
    held = {**new, "n": 12, "none": None, "held_back": True}
    assert rates.new_sentence(held).startswith("Unknown grid: 12 banners, too few to say what is normal. None of them is flagged.")


def test_the_pages_name_new_grids(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from streamlit.testing.v1 import AppTest

    backup(store, tmp_path / "copy.duckdb")
    monkeypatch.setenv("HEATPROOF_STORE", str(tmp_path / "copy.duckdb"))
    app = AppTest.from_file(str(Path(__file__).parents[2] / "app.py"), default_timeout=30)
    app.switch_page("pages/banner.py")
    app.query_params["banner"] = "g9-000"
    app.run()
    assert not app.exception
    words = " ".join(m.value for m in app.markdown)
    assert "is of an unknown grid" in app.subheader[0].value
    assert "likely broken" not in words
    assert "new grid: its clicks fit no known layout" in words
    app.switch_page("pages/overview.py")
    app.query_params["grid"] = "9"
    app.run()
    assert not app.exception
    assert app.info[0].value.startswith("Unknown grid")
