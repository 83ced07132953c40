"""The Calibrate page: its numbers are those of `core.calibration.publish`, its writes need roles, and what comes into force is seen and
undone."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.calibration import publish as calibrate
from core.calibration import versions
from core.calibration.publish import Request
from core.review import labels
from core.statistics.intervals import wilson
from core.store import Store
from core.ui.calibrate import controls, history, shots
from core.ui.calibrate import tables as calibration_tables
from core.ui.session import state, version_words
from tests.support.stores import FIRST_DAY, GRIDS, HOSTILE, N_DAYS
from tests.ui.conftest import Open
from tests.ui.session.test_writes import buttons, signed_in
from tests.ui.test_pages import plain, texts


def add_labels(store: Store, n: int = 120, reviewer: str = "ana", grids: tuple[int, ...] = GRIDS) -> None:
    """Labels n banners of the grids, by what the run says of them."""
    rows = store.rows("SELECT banner_id, flagged, grid_id FROM result WHERE run_id IN (SELECT run_id FROM run_info) ORDER BY n_clicks, 1")
    with store.transaction() as cursor:
        for row in [r for r in rows if r["grid_id"] in grids][:n]:
            cursor.execute(
                "INSERT INTO label_event BY NAME SELECT uuidv7() AS event_id, uuidv7() AS batch_id, ? AS banner_id, ? AS label, "
                "? AS reviewer, 'label' AS op, (now() AT TIME ZONE 'UTC')::TIMESTAMP AS happened_at, true AS blind, 'file' AS source",
                [row["banner_id"], "broken" if row["flagged"] else "ok", reviewer],
            )


def flags(store: Store) -> set[str]:
    """What the pages show as flagged."""
    sql = "SELECT banner_id FROM result WHERE flagged AND run_id = (SELECT result_id FROM shown_run)"
    return {row["banner_id"] for row in store.rows(sql)}


def publish(app: AppTest, reason: str) -> AppTest:
    app.text_input(key="reason").set_value(reason)
    return app.button(key="publish").click().run()


def test_without_a_label_the_next_step_is_to_label(full: Open) -> None:
    app = full("calibrate")
    assert app.subheader[0].value == "A threshold is learned from labels, and there is none yet."
    assert "No version was published yet" in texts(app)
    labels.label(state.store(), "bn-000100", "unsure", "ana", blind=True)
    app.run()
    assert app.subheader[0].value == "1 banner is labelled, none of use for a threshold here: 1 unsure."


def test_the_first_line_says_what_publishing_would_do(full: Open) -> None:
    app = full("calibrate", target="333346", by="budget", budget="7")
    add_labels(state.store())
    app.run()
    assert not app.exception
    seen = calibrate.prepare(state.store(), Request(target_grids=(333346,), method="budget", value=7))
    added, dropped = seen.flips()
    before = sum(row["before"] for row in seen.by_grid())
    c = seen.calibration
    assert c.flagged.sum() == 7
    words = plain(app.subheader[0].value)
    assert words.startswith(
        f"Using {len(c.source.rows)} labels from {len(set(c.source.grid_id.tolist()))} grids, publishing v1 would flag 7"
    )
    assert f"instead of {before}: +{len(added)} \u2212{len(dropped)}." in words
    assert words.endswith(f"recall {calibration_tables.share(*c.expected.recall)}.")
    assert f"▲ **now flagged ({len(added)})**" in texts(app) or not added
    assert f"○ **no longer ({len(dropped)})**" in texts(app)


def test_moving_the_slider_makes_the_cut_ones_own_and_keeps_it(full: Open) -> None:
    app = full("calibrate")
    add_labels(state.store())
    app.run()
    slider = app.select_slider(key="cut_slider")
    assert slider.value == controls.nearest(calibrate.prepare(state.store(), Request()).calibration.rule.cut)
    cut = controls.CUTS[200]
    slider.set_value(cut).run()
    assert app.query_params["by"] in ("manual", ["manual"])
    assert app.query_params["cut"] in (cut, [cut])
    assert app.select_slider(key="cut_slider").value == cut
    publish(app, "by hand")
    kept = versions.versions(state.store())[0]
    assert (kept["method"], kept["value"]) == ("manual", float(cut))
    again = full("calibrate", by="manual", cut=cut)
    assert "would change none of" in plain(again.subheader[0].value)


def test_published_flags_are_seen_and_come_back_as_they_were(full: Open) -> None:
    store = state.store()
    app = full("calibrate", by="budget", budget="5")
    add_labels(store)
    app.run()
    before, then = flags(store), calibrate.prepare(store, Request(method="budget", value=5))
    publish(app, "  ")
    assert "give a reason" in plain(app.error[0].value)
    assert flags(store) == before
    publish(app, f"fewer, {HOSTILE} **b**")
    assert not app.exception
    after = flags(store)
    assert after == set(then.scored.banner_id[then.after].tolist()) != before
    assert len(after) == 5
    assert "publishing v2 would change none of 5 flags" in plain(app.subheader[0].value)
    foot = next(c.value for c in app.sidebar.caption if "Threshold: " in c.value)
    assert f"Threshold: v1, 0-shot, by {state.author()}: fewer, {HOSTILE} **b**" in plain(foot)
    assert "\\<script" in foot
    assert f"On this run **v0** flags {len(before)} and **v1** 5" in texts(app)
    assert plain(full("overview", least="0").subheader[0].value).startswith("5 of 400 banners look broken")
    app = full("calibrate")
    app.button(key="open_roll_back").click().run()
    app.text_input(key="back_reason").set_value("too few")
    app.button(key="roll_back").click().run()
    assert not app.exception
    assert flags(store) == before
    assert next((e["op"], e["number"], e["reason"]) for e in versions.history(store)) == ("roll_back", None, "too few")
    assert any("Threshold: 10 % false alarms, no labels" in c.value for c in app.sidebar.caption)
    assert "On this run **v1** flags 5 and **v0**" in texts(app)


@pytest.mark.parametrize(
    ("asked", "cut"), [("0.3", "0.299"), (".9999", controls.CUTS[-1]), ("0", "0.500"), ("nan", "0.500"), ("1e-3", "0.500")]
)
def test_a_cut_in_the_url_goes_to_the_nearest_stop(full: Open, asked: str, cut: str) -> None:
    app = full("calibrate", by="manual", cut=asked)
    add_labels(state.store(), 40)
    app.run()
    assert not app.exception
    assert app.select_slider(key="cut_slider").value == cut


def test_what_cannot_be_learned_is_said_and_the_controls_stay(full: Open) -> None:
    app = full("calibrate", by="FPR", fpr="0.001")
    add_labels(state.store(), 60)
    app.run()
    assert "needs 1,000 banners labelled ok: there are" in plain(app.error[0].value)
    assert any(group.key == "by" for group in app.get("button_group"))


def test_a_grid_without_a_known_ok_banner_has_no_shot(full: Open) -> None:
    app = full("calibrate", shots="1", target="310021")
    add_labels(state.store(), grids=(333346,))
    app.run()
    assert plain(app.error[0].value).endswith(": grid 310021 has none. Label some, or take 0 shots.")
    assert app.subheader[0].value == "Nothing can be learned like this."
    app = full("calibrate", shots="0", target="310021").run()
    assert not app.error
    assert "from 1 grid, publishing v1" in plain(app.subheader[0].value)


def test_the_cost_slider_is_the_methods_value(full: Open) -> None:
    app = full("calibrate", by="cost", cost="4")
    add_labels(state.store())
    app.run()
    assert app.select_slider(key="cut_slider").value == controls.nearest(1 / (1 + 4))
    publish(app, "misses are cheap")
    kept = versions.versions(state.store())[0]
    assert (kept["method"], kept["value"]) == ("cost", 4.0)
    assert "0-shot, cost 4" in history.table(versions.history(state.store()), {"v1": kept}, "v1", "v0")


def test_one_detector_may_judge(full: Open) -> None:
    app = full("calibrate", scope="chi_squared")
    add_labels(state.store())
    app.run()
    seen = calibrate.prepare(state.store(), Request(scope="chi_squared"))
    assert f"would flag {int(seen.after.sum())} instead of" in plain(app.subheader[0].value)


def test_zero_and_one_shot_are_held_against_the_same_labels(full: Open) -> None:
    app = full("calibrate", target="333346", compare="true")
    add_labels(state.store(), 300)
    app.run()
    assert not app.exception
    store, known = state.store(), calibrate.labels_of(state.store(), calibrate.prepare(state.store(), Request()).scored)
    sources = tuple(sorted(set(known.grid_id.tolist()) - {333346}))
    zero, one = (calibrate.prepare(store, Request(source_grids=sources, target_grids=(333346,), shots=k)) for k in (0, 1))
    first, second = shots.measured_on_the_same(zero, one)
    n = int((known.grid_id == 333346).sum())
    assert first.n == second.n == n - 1, "the one shot counts for neither"
    assert second == one.measured()["after"]
    assert f"{n - 1} labels of grid 333346, of which neither saw one." in texts(app)


def test_without_other_targets_each_grid_is_left_out_in_turn() -> None:
    known = calibrate.Labels(np.arange(6), np.array([True, False] * 3), np.array([1, 1, 2, 2, 3, 3]))
    found = shots.parts(Request(), known)
    assert [(r.source_grids, r.target_grids) for r in found] == [((2, 3), (1,)), ((1, 3), (2,)), ((1, 2), (3,))]
    found = shots.parts(Request(target_grids=(3, 9)), known)
    assert [(r.source_grids, r.target_grids) for r in found] == [((1, 2), (3,))]
    assert shots.parts(Request(), known.take(known.grid_id == 1)) == []


def test_viewers_see_the_page_and_cannot_publish(full: Open) -> None:
    app = full("calibrate")
    add_labels(state.store())
    signed_in(app, "viewer").run()
    assert buttons(app)["publish"]
    signed_in(app, "reviewer").run()
    assert not buttons(app)["publish"]
    publish(app, "a reviewer may")
    assert buttons(app)["open_roll_back"], "only an admin takes it back"
    signed_in(app, "admin").run()
    assert not buttons(app)["open_roll_back"]


def test_a_run_that_the_active_version_has_not_judged_says_so(full: Open) -> None:
    app = full("calibrate")
    add_labels(state.store())
    app.run()
    publish(app, "first")
    run: dict[str, Any] = {"version": None, "fdr": 0.1}
    words, _ = version_words.foot(state.store(), run)
    assert words.startswith("Threshold: v1, 0-shot")
    assert "This run is shown by the threshold without labels. v1 has not judged it." in words
    assert ":material/warning:" not in version_words.foot(state.store(), run | {"version": 1})[0]


def test_the_overview_marks_when_a_version_came_into_force(full: Open) -> None:
    app = full("calibrate")
    add_labels(state.store())
    app.run()
    publish(app, "first")
    today = datetime.now(UTC).date()
    marks, lines = version_words.marks(state.store(), today - timedelta(days=3), today)
    assert marks == [(today, "v1")]
    assert plain(lines[0]).endswith(f"v1 published by {state.author()}: first")
    marks, lines = version_words.marks(state.store(), today - timedelta(days=9), today - timedelta(days=2))
    assert (marks, lines[0].endswith("first, after the days shown")) == ([], True)
    shown = texts(full("overview"))
    assert ("It changed:" in shown) == (today >= FIRST_DAY)
    assert ("after the days shown" in shown) == (today > FIRST_DAY + timedelta(days=N_DAYS - 1))
    assert version_words.marks(state.store(), date(2999, 1, 1), date(2999, 2, 1)) == ([], [])


def test_every_stop_of_the_slider_is_its_own_nearest() -> None:
    assert len(set(controls.CUTS)) == len(controls.CUTS) == 277
    assert [controls.nearest(float(cut)) for cut in controls.CUTS] == controls.CUTS
    assert (controls.nearest(float("inf")), controls.nearest(1e-12)) == (controls.CUTS[-1], controls.CUTS[0])


@pytest.mark.parametrize(
    ("values", "words"),
    [((0.934, 0.861, 0.97), ".93 (.86\u2013.97)"), ((1.0, 0.9, 1.0), "1.00 (.90\u20131.00)"), ((float("nan"), 0, 0), "\u2013")],
)
def test_shares_are_written_with_their_interval(values: tuple[float, float, float], words: str) -> None:
    assert calibration_tables.share(*values) == words


def test_rates_stand_in_order_of_what_moved() -> None:
    rows = calibrate.grid_changes(
        np.array([1, 1, 2, 2, 2]), np.array([True, False, False, False, True]), np.array([True, False, True, True, False])
    )
    found = calibration_tables.changes(rows)
    assert [c.grid_id for c in found] == [2, 1]
    assert (found[0].counts["added"], found[0].counts["dropped"]) == (2, 1)
    assert found[0].after == wilson(2, 3)


def test_the_next_queue_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    inside = []
    for mean in (4.0, 30.0, 200.0):
        for k, other in rng.poisson(mean, (400, 2)):
            low, high = calibration_tables.next_queue(int(k))
            inside.append(low <= other <= high)
    assert 0.93 < np.mean(inside) < 0.99


@pytest.mark.parametrize(("by", "value"), [("fdr", 0.02), ("fpr", 0.02), ("precision", 0.99)])
def test_what_the_labels_cannot_show_is_said_as_on_the_command_line(full: Open, by: str, value: float) -> None:
    full("calibrate")
    add_labels(state.store(), 60)
    app = full("calibrate", by=version_words.NAMES[by], **{by: str(value)})
    assert not app.exception
    why = calibrate.prepare(state.store(), Request(method=by, value=value)).why_none()
    said = [plain(note.value) for note in app.info]
    assert ([plain(why)] if why else []) == [note for note in said if "labels ok cannot" in note or "No banner" in note]
