"""Claims: two reviewers never work on one banner, and what was shown is known of every label."""

from datetime import timedelta

import pytest

from core.errors import InputError
from core.review import claims, labels
from core.store import Store
from tests.conftest import Filled
from tests.review.test_labelling_queue import heads, run_of, work


@pytest.fixture
def store(filled: Filled) -> Store:
    return filled(300)


def claim(store: Store, reviewer: str = "ana", mode: str = "mixed") -> claims.Item:
    item = claims.next_item(store, run_of(store), reviewer, mode)  # type: ignore[arg-type]
    assert item is not None
    return item


def test_nobody_gets_what_is_on_another_screen_until_it_runs_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    held = [claim(store, f"r{k % 4}").banner_id for k in range(40)]
    assert len(set(held)) == 40
    assert not {row["banner_id"] for row in heads(store, 400)} & set(held)
    monkeypatch.setattr(claims, "CLAIM_LASTS", timedelta(seconds=-1))
    late = claim(store, mode="uncertain")
    assert late.banner_id in {row["banner_id"] for row in heads(store, 400, "ben", mode="uncertain")}


def test_a_second_reader_waits_for_the_answer_and_no_longer(store: Store) -> None:
    item = claim(store)
    assert heads(store, 5, "ben", mode="second") == []
    labels.label(store, item.banner_id, "ok", "ana", blind=True, batch_id=item.batch_id)
    assert claim(store, "ben", "second").banner_id == item.banner_id
    assert heads(store, 5, "cleo", mode="second") == []


def test_what_was_shown_joins_the_answer(store: Store) -> None:
    work(store, 20)
    rows = store.rows(
        """SELECT s.reason, s.control, l.label, l.banner_id = s.banner_id AND l.reviewer = s.reviewer AS same
           FROM shown s JOIN label_event l USING (batch_id)"""
    )
    assert len(rows) == 20
    assert all(row["same"] for row in rows)
    assert sum(row["control"] for row in rows) == 2


def test_leaving_gives_the_banner_back_once(store: Store) -> None:
    item = claim(store, mode="uncertain")
    claims.release(store, item)
    claims.release(store, item)
    assert store.rows("SELECT count(*) AS n FROM claim_event")[0]["n"] == 2
    assert item.banner_id in {row["banner_id"] for row in heads(store, 400, "ben", mode="uncertain")}


def test_an_answered_banner_can_be_skipped_no_more(store: Store) -> None:
    item = claim(store)
    labels.label(store, item.banner_id, "ok", "ana", blind=True, batch_id=item.batch_id)
    claims.skip(store, item)
    assert claims.undo(store, "ana") == claims.Undone("label", item.banner_id, "ok")
    assert claims.undo(store, "ana") is None


@pytest.mark.lakes
def test_undo_takes_back_labels_and_skips_in_their_order_after_reopening(store: Store) -> None:
    first, run_id = claim(store), run_of(store)
    labels.label(store, first.banner_id, "broken", "ana", blind=True, batch_id=first.batch_id)
    second = claim(store)
    claims.skip(store, second)
    third = claim(store)
    labels.label(store, third.banner_id, "ok", "ana", blind=True, batch_id=third.batch_id)
    store.close()
    with Store(store.url) as again:
        assert claims.undo(again, "ben") is None
        assert claims.undo(again, "ana") == claims.Undone("label", third.banner_id, "ok")
        assert claims.undo(again, "ana") == claims.Undone("skip", second.banner_id, None)
        assert second.banner_id in {row["banner_id"] for row in heads(again, 400)}
        assert claims.undo(again, "ana") == claims.Undone("label", first.banner_id, "broken")
        assert claims.undo(again, "ana") is None
        back = claims.again(again, run_id, "ana", first.banner_id)
        assert (back.banner_id, back.reason) == (first.banner_id, "again")


def test_a_claim_needs_a_name_and_a_scored_banner(store: Store) -> None:
    with pytest.raises(InputError, match="reviewer's name"):
        claims.next_item(store, run_of(store), "  ")
    with pytest.raises(InputError, match="'nobody' is not in it"):
        claims.again(store, run_of(store), "ana", "nobody")
    assert store.rows("SELECT count(*) AS n FROM claim_event")[0]["n"] == 0
