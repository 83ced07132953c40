"""The Label page: one banner at a time, blind, saved before the next; what reviewers differ on; who they are."""

import re

import pytest
from streamlit.testing.v1 import AppTest

from core.review import claims, labelling_queue, labels
from core.store import Store
from core.ui.label import answering
from core.ui.session import state
from tests.ui.conftest import Open
from tests.ui.test_pages import plain, texts

ME = {"author": "ana"}


def store() -> Store:
    return state.store()


def run_id() -> str:
    return str(store().rows("SELECT run_id::VARCHAR AS id FROM run_info")[0]["id"])


def as_ana(app: AppTest) -> AppTest:
    return app.text_input(key="author").set_value("ana").run()


def on_desk(app: AppTest) -> claims.Item:
    item = app.session_state["desk"].item
    assert item is not None
    return item  # type: ignore[no-any-return]


def button(app: AppTest, start: str) -> str:
    """The key of the one button whose key begins so."""
    (found,) = [b.key for b in app.button if b.key and b.key.startswith(start)]
    return str(found)


def press(app: AppTest, start: str) -> AppTest:
    return app.button(key=button(app, start)).click().run()


def said() -> dict[tuple[str, str], str]:
    return {(row["banner_id"], row["reviewer"]): row["label"] for row in labels.current(store())}


def html(app: AppTest) -> str:
    return "".join(str(e.proto.body) for e in app.get("html"))


def test_an_answer_is_saved_before_the_next_banner_and_tells_its_score_then(full: Open) -> None:
    app = as_ana(full("label"))
    first = on_desk(app)
    assert first.banner_id in plain(texts(app))
    assert "likely broken" not in texts(app), "blind until saved"
    press(app, "broken_")
    assert not app.exception
    second = on_desk(app)
    assert second.banner_id != first.banner_id
    assert said() == {(first.banner_id, "ana"): "broken"}
    words = plain(texts(app))
    assert f"Saved **{first.banner_id}** as **broken**" in words
    assert words.count("likely broken") == 1
    assert plain(app.subheader[0].value).startswith("1 of 40 labelled today")
    (event,) = store().rows("SELECT blind, seconds, batch_id::VARCHAR AS batch_id, run_id::VARCHAR AS run_id FROM label_event")
    assert event.pop("seconds") >= 0
    assert event == {"blind": True, "batch_id": first.batch_id, "run_id": run_id()}


def test_every_reason_is_given_and_none_gives_scores_away(full: Open) -> None:
    app = as_ana(full("label"))
    for _ in range(12):
        item = on_desk(app)
        assert labelling_queue.WHY[item.reason] in texts(app)
        facts = labelling_queue.row_at(store(), run_id(), item.position)
        shown = plain(html(app) + "".join(m.value for m in app.markdown if "Saved" not in m.value))
        assert facts["sentence"] is None or facts["sentence"] not in shown
        press(app, "skip_")
    assert len({item["banner_id"] for item in store().rows("FROM claim_event WHERE op = 'skip'")}) == 12


def test_fault_and_note_go_with_their_banner_only(full: Open) -> None:
    app = as_ana(full("label"))
    first = on_desk(app)
    app.get_by_key(f"fault_{first.batch_id}").set_value("hot spot")
    app.text_input(key=f"note_{first.batch_id}").set_value("one corner").run()
    press(app, "broken_")
    press(app, "broken_")
    rows = {row["banner_id"]: (row["fault"], row["note"]) for row in labels.current(store())}
    assert rows.pop(first.banner_id) == ("hot_spot", "one corner")
    assert list(rows.values()) == [(None, None)]
    third = on_desk(app)
    app.get_by_key(f"fault_{third.batch_id}").set_value("edge").run()
    press(app, "ok_")
    assert "edge was left out" in plain(texts(app))


def test_undo_brings_labels_and_skips_back_step_by_step(full: Open) -> None:
    app = as_ana(full("label"))
    first = on_desk(app).banner_id
    press(app, "ok_")
    second = on_desk(app).banner_id
    press(app, "skip_")
    third = on_desk(app).banner_id
    press(app, "undo_")
    assert on_desk(app).banner_id == second
    assert not app.session_state["desk"].seen
    press(app, "undo_")
    assert on_desk(app).banner_id == first
    assert app.session_state["desk"].seen, "its score was shown when it was saved"
    assert said() == {}
    assert app.button(key=button(app, "undo_")).disabled, "nothing is left to take back"
    press(app, "unsure_")
    assert said() == {(first, "ana"): "unsure"}
    assert [row["blind"] for row in labels.current(store())] == [False]
    assert on_desk(app).banner_id in (second, third)


def test_a_key_that_comes_twice_or_late_says_nothing_about_another_banner(full: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    app = as_ana(full("label"))
    first, turn = on_desk(app), app.session_state["desk"].turn
    press(app, "broken_")
    held = app.session_state["desk"]
    second = held.item
    monkeypatch.setattr(answering, "current", lambda: held)
    for late in (lambda: answering.save(first, "broken"), lambda: answering.save(first, "ok"), lambda: answering.skip(first)):
        late()
    answering.undo(run_id(), "mixed", turn, None)
    assert said() == {(first.banner_id, "ana"): "broken"}
    assert held.item == second
    assert store().rows("SELECT count(*) AS n FROM claim_event WHERE op = 'skip'")[0]["n"] == 0


def test_without_blind_scores_and_labels_are_shown_and_the_label_says_so(full: Open) -> None:
    app = as_ana(full("label"))
    item = on_desk(app)
    labels.label(store(), item.banner_id, "unsure", "ben", blind=True)
    app.toggle(key="blind").set_value(False).run()
    assert "likely broken" in texts(app)
    assert "ben says unsure" in texts(app)
    app.toggle(key="blind").set_value(True).run()
    assert "likely broken" not in texts(app)
    assert on_desk(app) == item
    press(app, "ok_")
    mine = [row for row in labels.current(store()) if row["reviewer"] == "ana"]
    assert [row["blind"] for row in mine] == [False], "what was seen once is not blind"


def test_another_queue_gives_the_banner_back(full: Open) -> None:
    app = as_ana(full("label"))
    first = on_desk(app)
    app.selectbox(key="reasons").set_value("uncertain").run()
    assert on_desk(app).mode == "uncertain"
    assert on_desk(app).reason == "uncertain"
    assert first.banner_id in {row["banner_id"] for row in store().rows("FROM claim_event WHERE op = 'release'")}
    app.selectbox(key="grid").set_value("333519").run()
    assert on_desk(app).grid_id == 333519
    app.selectbox(key="reasons").set_value("second reading").run()
    assert app.session_state["desk"].item is None
    assert "worked through" in plain(texts(app))
    assert not [b for b in app.button if (b.key or "").startswith("broken_")]


def test_two_sessions_never_have_the_same_banner(full: Open) -> None:
    one, two = full("label"), full("label")
    seen = [on_desk(one).banner_id, on_desk(two).banner_id]
    for _ in range(5):
        seen += [on_desk(press(one, "ok_")).banner_id, on_desk(press(two, "ok_")).banner_id]
    assert len(set(seen)) == 12


def test_looking_back_shows_what_one_said_and_lets_one_say_it_again(full: Open) -> None:
    app = as_ana(full("label"))
    seen = []
    for answer in ("broken_", "ok_"):
        seen.append(on_desk(app).banner_id)
        press(app, answer)
    waiting = on_desk(app)
    app.button(key="back").click().run()
    app.button(key="back").click().run()
    app.button(key="back").click().run()
    words = plain(texts(app))
    assert f"label 2 of 2, just now · {seen[0]}" in words
    assert "You said **broken** without seeing scores" in words
    assert not [b for b in app.button if (b.key or "").startswith("broken_")], "one does not answer for what one looks back at"
    app.button(key="forward").click().run()
    assert f"label 1 of 2, just now · {seen[1]}" in plain(texts(app))
    app.button(key="forward").click().run()
    assert on_desk(app) == waiting
    app.button(key="back").click().run()
    press(app, "again_")
    assert on_desk(app).banner_id == seen[1]
    press(app, "broken_")
    assert said()[seen[1], "ana"] == "broken"


def test_the_overlay_goes_and_comes(full: Open) -> None:
    app = full("label")
    assert "outline of the expected clicks" in html(app)
    item = on_desk(app)
    app.button(key="overlay").click().run()
    assert "outline of the expected clicks" not in html(app)
    assert on_desk(app) == item


def test_known_banners_are_those_that_reviewers_call_ok_where_there_are_enough(full: Open) -> None:
    app = full("label", grid="333519")
    assert "the most ordinary by their scores" in html(app)
    ids = [r["banner_id"] for r in store().rows("SELECT banner_id FROM result WHERE grid_id = 333346 AND NOT flagged LIMIT 12")]
    for banner_id in ids:
        labels.label(store(), banner_id, "ok", "ben", blind=True)
    app = full("label", grid="333346")
    assert "labelled ok by reviewers" in html(app)
    assert html(app).count("ok by 1") == 2 * 4  # caption and alternative text


def disagree(n: int = 3) -> list[str]:
    ids = [r["banner_id"] for r in store().rows("SELECT banner_id FROM result WHERE NOT flagged ORDER BY banner_id LIMIT ?", [n])]
    for banner_id in ids:
        labels.label(store(), banner_id, "ok", "ben", blind=True, note="fine <b>")
        labels.label(store(), banner_id, "broken", "cleo", blind=False, fault="edge")
    return ids


def test_disagreements_open_with_everything_known_and_are_decided(full: Open) -> None:
    app = as_ana(full("label", part="Disagreements"))
    assert plain(app.subheader[0].value) == "Reviewers differ on no banner."
    ids = disagree()
    app.run()
    assert plain(app.subheader[0].value) == "Reviewers differ on 3 banners; 0 decided."
    words = plain(texts(app))
    assert "ben**: ok · “fine <b>” · blind" in words
    assert "cleo**: broken · edge · not blind" in words
    press(app, "decide_ok_")
    assert labels.states(store(), [ids[0]])[0]["state"] == "adjudicated"
    assert plain(app.subheader[0].value) == "Reviewers differ on 2 banners; 1 decided."
    press(app, "undo_")
    assert plain(app.subheader[0].value) == "Reviewers differ on 3 banners; 0 decided."
    for _ in ids:
        press(app, "decide_broken_")
    assert plain(app.subheader[0].value) == "All 3 disagreements are decided."


def test_reviewers_are_compared(full: Open) -> None:
    app = full("label", part="Reviewers")
    assert plain(app.subheader[0].value) == "No banner is labelled yet."
    ids = [r["banner_id"] for r in store().rows("SELECT banner_id FROM result ORDER BY banner_id LIMIT 24")]
    for k, banner_id in enumerate(ids):
        labels.label(store(), banner_id, "broken" if k % 3 == 0 else "ok", "ben", blind=True, seconds=4)
        labels.label(store(), banner_id, "broken" if k % 4 == 0 else "ok", "cleo", blind=True, seconds=9)
    app.run()
    assert not app.exception
    assert re.match(r"2 reviewers, 48 labels; Krippendorff's alpha 0\.\d\d \(.+ to .+\) on 24 banners", plain(app.subheader[0].value))
    (pair,) = app.dataframe[0].value.to_dict("records")
    assert pair["reviewers"] == "ben and cleo"
    assert pair["banners"] == 24
    same = sum((k % 3 == 0) == (k % 4 == 0) for k in range(24))
    assert pair["same"] == f"{100 * same / 24:.0f} %"


def test_an_empty_name_is_refused_in_words(full: Open) -> None:
    app = full("label")
    app.text_input(key="author").set_value("   ").run()
    assert "carries its reviewer's name" in plain(app.error[0].value)
    assert said() == {}
