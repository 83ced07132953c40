"""Pages on which another person decides, publishes or labels between the drawing and the press of a button."""

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.calibration import publish, versions
from core.calibration.publish import Request
from core.review import claims, labels, triage, triage_queue
from core.review.triage_queue import QueueFilter
from core.store.queries import runs
from core.ui.render import text
from core.ui.session import state
from tests.ui.calibrate.test_page import add_labels
from tests.ui.conftest import Open
from tests.ui.label.test_page import as_ana, on_desk, press
from tests.ui.test_pages import current, plain, texts


def run_id() -> str:
    return str(runs.finished_runs(state.store())[0]["run_id"])


def decided(banner: str) -> tuple[str, str] | None:
    found = state.store().rows("SELECT state, author FROM triage_current WHERE banner_id = ?", [banner])
    return (found[0]["state"], found[0]["author"]) if found else None


def me() -> str:
    return state.author()


def by_ana(banner: str, op: triage.Op = "dismiss") -> None:
    triage.decide(state.store(), run_id(), [banner], op, "ana")


def drawn(full: Open, page: str) -> tuple[AppTest, str]:
    """A page that shows the first banner of the queue."""
    first = triage_queue.page(state.store(), run_id(), triage_queue.standing(state.store(), run_id(), QueueFilter()))[0]["banner_id"]
    return full(page, **({"banner": first} if page == "banner" else {})), first


@pytest.mark.parametrize("page", ["triage", "banner"])
@pytest.mark.parametrize("op", ["confirm", "snooze"])
def test_a_decision_of_another_person_is_named_and_replaced_on_purpose_only(full: Open, page: str, op: str) -> None:
    app, name = drawn(full, page)
    by_ana(name)
    app.button(key=f"{op}_{name}").click().run()
    assert not app.exception
    assert f"ana dismissed {name} just now, after it was shown to you. Decide again?" in plain(texts(app))
    assert decided(name) == ("dismissed", "ana")
    app.button(key="go_on_page").click().run()
    assert decided(name) == (triage.STATE_AFTER[op], me())
    assert "Decide again?" not in texts(app)


def test_leaving_leaves_it_and_a_third_decision_is_asked_about_again(full: Open) -> None:
    app, name = drawn(full, "triage")
    by_ana(name)
    app.button(key=f"confirm_{name}").click().run()
    triage.decide(state.store(), run_id(), [name], "snooze", "eva")
    app.button(key="go_on_page").click().run()
    assert f"eva snoozed {name} just now" in plain(texts(app))
    app.button(key="leave_page").click().run()
    assert "Decide again?" not in texts(app)
    assert decided(name) == ("snoozed", "eva")


def test_the_whole_filter_decides_what_was_drawn_and_lists_the_rest(full: Open) -> None:
    app = full("triage", grid="333519")
    seen = triage_queue.seen(state.store(), run_id(), triage_queue.standing(state.store(), run_id(), QueueFilter(grid=333519)))
    first, second, *rest = seen
    by_ana(first)
    by_ana(second, "confirm")
    app.button(key="all_dismiss").click().run()
    assert f"Dismissed {text.plural(len(rest), 'banner')}. ana confirmed {second} just now" in plain(texts(app)), (
        "hers holds already for the first"
    )
    assert (decided(first), decided(second), decided(rest[0])) == (("dismissed", "ana"), ("confirmed", "ana"), ("dismissed", me()))
    app.button(key="go_on_page").click().run()
    assert decided(second) == ("dismissed", me())


def test_undo_names_what_another_person_decided_since(full: Open) -> None:
    app, name = drawn(full, "triage")
    app.button(key=f"confirm_{name}").click().run()
    by_ana(name)
    app.button(key="undo").click().run()
    assert f"ana dismissed {name} just now, after your decision, and that goes on to hold." in plain(texts(app))
    app.button(key="go_on_page").click().run()
    assert decided(name) == ("dismissed", "ana")
    assert app.button(key="undo").disabled


def test_undo_takes_back_what_its_button_named(full: Open) -> None:
    app, name = drawn(full, "triage")
    app.button(key=f"confirm_{name}").click().run()
    assert app.button(key="undo").help == f"Takes back: confirmed {name}".replace("-", "\\-")
    other = current(app)
    triage.decide(state.store(), run_id(), [other], "dismiss", me())  # in another window
    app.button(key="undo").click().run()
    assert f"Your last decision is another one by now: you dismissed {other}" in plain(app.error[0].value)
    assert decided(other) == ("dismissed", me())


def publish_by(author: str, value: float) -> int:
    seen = publish.prepare(state.store(), Request(method="budget", value=value))
    return publish.publish(state.store(), seen, author, "meanwhile")


def active() -> int:
    return publish.active_number(state.store())


def rolling_back(full: Open) -> AppTest:
    """The form to roll back from v2 to v1, with its reason typed."""
    add_labels(state.store())
    publish_by("ana", 5)
    publish_by("ana", 7)
    app = full("calibrate")
    app.button(key="open_roll_back").click().run()
    assert app.button(key="roll_back").label == "Roll back to v1"
    return app


def test_roll_back_keeps_its_target_while_others_publish(full: Open) -> None:
    full("calibrate")
    app = rolling_back(full)
    publish_by("eva", 9)
    app.text_input(key="back_reason").set_value("too many").run()
    assert app.button(key="roll_back").label == "Roll back to v1", "the target stays what it was"
    assert "v2 is no longer active: v3 is" in plain(texts(app))
    app.button(key="roll_back").click().run()
    assert active() == 3, "asked first"
    assert "v2 is no longer active: eva published v3 just now. Roll back to v1 from v3 nevertheless?" in plain(texts(app))
    app.button(key="go_on_page").click().run()
    assert not app.exception
    newest = versions.history(state.store(), 1)[0]
    assert (newest["op"], newest["number"], newest["reason"]) == ("roll_back", 1, "too many")


def test_roll_back_keeps_its_target_whatever_is_chosen_beside_it(full: Open) -> None:
    full("calibrate")
    app = rolling_back(full)
    app.selectbox(key="first").set_value("v0").run()
    app.text_input(key="back_reason").set_value("too many").run()
    app.button(key="roll_back").click().run()
    assert active() == 1
    assert "open_roll_back" in {b.key for b in app.button}, "the form is closed"


def test_roll_back_needs_a_reason_and_can_be_left(full: Open) -> None:
    full("calibrate")
    app = rolling_back(full)
    app.button(key="roll_back").click().run()
    assert "needs a reason" in plain(app.error[0].value)
    app.button(key="close_roll_back").click().run()
    assert (active(), "roll_back" in {b.key for b in app.button}) == (2, False)


def test_publishing_stops_where_another_version_came_in_while_the_reason_was_typed(full: Open) -> None:
    app = full("calibrate", by="budget", budget="5")
    add_labels(state.store())
    app.run()
    assert app.button(key="publish").label == "Publish v1"
    publish_by("eva", 9)
    app.text_input(key="reason").set_value("fewer").run()
    assert app.button(key="publish").disabled
    assert "v1 was published by eva just now since you began to write" in plain(texts(app))
    app.button(key="go_on_publish").click().run()
    app.button(key="publish").click().run()
    assert not app.exception
    assert [(e["number"], e["author"]) for e in versions.history(state.store())] == [(2, me()), (1, "eva")]


def test_publishing_what_was_drawn_before_another_version_is_refused(full: Open) -> None:
    app = full("calibrate", by="budget", budget="5")
    add_labels(state.store())
    app.run()
    app.text_input(key="reason").set_value("fewer")
    publish_by("eva", 9)
    app.button(key="publish").click().run()
    assert "v0 is no longer active: eva published v1 just now" in plain(app.error[0].value)
    assert active() == 1


def in_between(act: Callable[[str], Any], full: Open) -> tuple[AppTest, str]:
    """A banner on ana's desk about which somebody acts before she answers."""
    app = as_ana(full("label"))
    name = on_desk(app).banner_id
    act(name)
    press(app, "broken_")
    return app, name


def test_a_label_beside_one_that_came_in_between_is_asked_about_without_telling_it(full: Open) -> None:
    app, name = in_between(lambda b: labels.label(state.store(), b, "ok", "ben", blind=True), full)
    assert f"ben labelled {name} just now, after it was shown to you. Save yours as broken beside it?" in plain(texts(app))
    assert "says ok" not in texts(app), "the other label stays unknown until this one is saved"
    assert [row["reviewer"] for row in labels.current(state.store())] == ["ben"]
    app.button(key="go_on_label").click().run()
    assert {row["reviewer"]: row["blind"] for row in labels.current(state.store())} == {"ben": True, "ana": True}
    assert on_desk(app).banner_id != name


def test_ones_own_label_from_another_window_is_not_replaced_in_silence(full: Open) -> None:
    app, name = in_between(lambda b: labels.label(state.store(), b, "ok", "ana", blind=True), full)
    assert f"You labelled {name} just now" in plain(texts(app))
    assert [row["label"] for row in labels.current(state.store())] == ["ok"]


def test_a_disagreement_that_another_decided_is_asked_about(full: Open) -> None:
    app = as_ana(full("label", part="Disagreements"))
    name = state.store().rows("SELECT min(banner_id) AS b FROM result")[0]["b"]
    labels.label(state.store(), name, "ok", "ben", blind=True)
    labels.label(state.store(), name, "broken", "cleo", blind=True)
    app.run()
    labels.adjudicate(state.store(), name, "broken", "dan")
    press(app, "decide_ok_")
    assert f"dan decided about {name} just now, after it was shown to you. Decide again?" in plain(texts(app))
    assert labels.states(state.store(), [name])[0]["adjudicator"] == "dan"
    app.button(key="go_on_label").click().run()
    assert labels.states(state.store(), [name])[0]["adjudicator"] == "ana"


def test_undoing_a_label_that_another_answered_is_asked_about(full: Open) -> None:
    app = as_ana(full("label"))
    name = on_desk(app).banner_id
    press(app, "broken_")
    labels.label(state.store(), name, "ok", "ben", blind=True)
    press(app, "undo_")
    assert f"ben labelled {name} just now, after it was shown to you. Take yours back nevertheless?" in plain(texts(app))
    assert len(labels.current(state.store())) == 2
    app.button(key="go_on_label").click().run()
    assert [row["reviewer"] for row in labels.current(state.store())] == ["ben"]


def test_labelling_again_what_another_has_open_is_asked_about(full: Open) -> None:
    app = as_ana(full("label"))
    name = on_desk(app).banner_id
    press(app, "broken_")
    claims.again(state.store(), run_id(), "ben", name)
    app.button(key="back").click().run()
    press(app, "again_")
    assert f"ben opened {name} just now" in plain(texts(app))
    app.button(key="go_on_label").click().run()
    assert on_desk(app).banner_id == name
