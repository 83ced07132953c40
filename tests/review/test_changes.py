"""Deciding about what another person changed since it was shown: said by whom and when, decided only on purpose, on every engine."""

from datetime import datetime, timedelta

import pytest

from core.errors import ChangedError
from core.review import changes, triage, triage_queue
from core.review.changes import Change
from core.review.triage_queue import QueueFilter
from core.store import Store
from core.store.queries import runs
from tests.conftest import Filled

pytestmark = pytest.mark.lakes


@pytest.fixture
def store(filled: Filled) -> Store:
    return filled(200, seed=3)


def run_of(store: Store) -> str:
    return str(runs.finished_runs(store)[0]["run_id"])


def shown(store: Store) -> dict[str, str | None]:
    """What an open page was drawn from."""
    run_id = run_of(store)
    return triage_queue.seen(store, run_id, triage_queue.standing(store, run_id, QueueFilter(status="all")))


def state_of(store: Store, banner: str) -> tuple[str, str] | None:
    found = store.rows("SELECT state, author FROM triage_current WHERE banner_id = ?", [banner])
    return (found[0]["state"], found[0]["author"]) if found else None


@pytest.mark.parametrize("mine", ["confirm", "snooze", "reopen"])
def test_a_decision_about_what_another_decided_since_says_so_and_writes_nothing(store: Store, mine: triage.Op) -> None:
    seen = shown(store)
    name = next(iter(seen))
    triage.decide(store, run_of(store), [name], "dismiss", "ana", seen=seen)
    done = triage.decide(store, run_of(store), [name], mine, "ben", seen=seen)
    assert done.n_banners == 0
    assert [(c.about, c.author, c.what) for c in done.changed] == [(name, "ana", "dismissed")]
    assert state_of(store, name) == ("dismissed", "ana")
    on_purpose = {c.about: c.event_id for c in done.changed}
    assert triage.decide(store, run_of(store), [name], mine, "ben", seen=on_purpose).n_banners == 1
    assert state_of(store, name) == (triage.STATE_AFTER[mine], "ben")


def test_going_on_is_asked_again_where_a_third_person_came_in_between(store: Store) -> None:
    seen, run_id = shown(store), run_of(store)
    name = next(iter(seen))
    triage.decide(store, run_id, [name], "dismiss", "ana", seen=seen)
    first = triage.decide(store, run_id, [name], "confirm", "ben", seen=seen)
    triage.decide(store, run_id, [name], "snooze", "eva")
    second = triage.decide(store, run_id, [name], "confirm", "ben", seen={c.about: c.event_id for c in first.changed})
    assert [(c.author, c.what) for c in second.changed] == [("eva", "snoozed")]


def test_what_was_decided_and_taken_back_is_as_it_was_shown(store: Store) -> None:
    seen, run_id = shown(store), run_of(store)
    name = next(iter(seen))
    triage.decide(store, run_id, [name], "dismiss", "ana")
    triage.undo(store, "ana")
    assert triage.decide(store, run_id, [name], "confirm", "ben", seen=seen).n_banners == 1


def test_a_decision_that_was_taken_back_since_is_a_change(store: Store) -> None:
    run_id, name = run_of(store), next(iter(shown(store)))
    triage.decide(store, run_id, [name], "dismiss", "ana")
    seen = shown(store)
    triage.undo(store, "ana")
    done = triage.decide(store, run_id, [name], "confirm", "ben", seen=seen)
    assert [(c.author, c.what, c.event_id) for c in done.changed] == [("ana", "took back a decision about", None)]
    assert triage.decide(store, run_id, [name], "confirm", "ben", seen={name: None}).n_banners == 1


def test_the_same_decision_needs_no_question(store: Store) -> None:
    seen, run_id = shown(store), run_of(store)
    name = next(iter(seen))
    triage.decide(store, run_id, [name], "confirm", "ana", seen=seen)
    for author in ("ben", "ana"):  # another person, and the same key pressed twice
        assert triage.decide(store, run_id, [name], "confirm", author, seen=seen)[2:] == (0, ())


def test_a_bulk_decides_what_did_not_change_and_lists_the_rest(store: Store) -> None:
    seen, run_id = shown(store), run_of(store)
    ids = list(seen)[:6]
    triage.decide(store, run_id, ids[:1], "dismiss", "ana")
    triage.decide(store, run_id, ids[1:2], "snooze", "eva")
    done = triage.decide(store, run_id, ids, "confirm", "ben", seen=seen)
    assert done.n_banners == 4
    assert {c.about: (c.author, c.what) for c in done.changed} == {ids[0]: ("ana", "dismissed"), ids[1]: ("eva", "snoozed")}
    assert [state_of(store, name) for name in ids[2:]] == [("confirmed", "ben")] * 4


def test_undo_leaves_alone_what_another_decided_since(store: Store) -> None:
    seen, run_id = shown(store), run_of(store)
    ids = list(seen)[:3]
    mine = triage.decide(store, run_id, ids, "confirm", "ben")
    triage.decide(store, run_id, ids[:1], "dismiss", "ana")
    back = triage.undo(store, "ben", batch_id=mine.batch_id)
    assert back is not None
    assert (back.op, back.n_banners) == ("confirm", 2)
    assert [(c.about, c.author, c.what) for c in back.changed] == [(ids[0], "ana", "dismissed")]
    assert [state_of(store, name) for name in ids] == [("dismissed", "ana"), None, None]
    rest = triage.undo(store, "ben", batch_id=mine.batch_id, despite={c.about: c.event_id for c in back.changed})
    assert rest is not None
    assert rest.n_banners == 1
    assert state_of(store, ids[0]) == ("dismissed", "ana"), "the other one's decision goes on to hold"
    assert triage.last_action(store, "ben") is None


def test_undo_takes_back_what_was_shown_as_the_last_or_nothing(store: Store) -> None:
    run_id, ids = run_of(store), list(shown(store))[:2]
    first = triage.decide(store, run_id, ids[:1], "confirm", "ben")
    triage.decide(store, run_id, ids[1:], "dismiss", "ben")  # in another window
    with pytest.raises(ChangedError, match=f"another one by now: you dismissed {ids[1]} just now"):
        triage.undo(store, "ben", batch_id=first.batch_id)
    assert state_of(store, ids[1]) == ("dismissed", "ben")
    triage.undo(store, "ben")
    triage.undo(store, "ben", batch_id=first.batch_id)
    with pytest.raises(ChangedError, match="taken back already"):
        triage.undo(store, "ben", batch_id=first.batch_id)


def test_changes_in_words() -> None:
    now = datetime(2026, 11, 14, 12)
    change = Change("bn-1", "e", "ana", "dismissed", now - timedelta(minutes=2, seconds=5))
    assert changes.words(change, "ben", now) == "ana dismissed bn-1 2 minutes ago"
    assert changes.words(change, "ana", now) == "you dismissed bn-1 2 minutes ago"
    for seconds, said in ((0, "just now"), (59, "just now"), (60, "1 minute ago"), (7200, "2 hours ago"), (90000, "1 day ago")):
        assert changes.ago(now - timedelta(seconds=seconds), now) == said
