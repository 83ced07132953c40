"""The label queue: what comes next for whom, and why."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from core.errors import InputError
from core.review import candidates as pools
from core.review import claims, labelling_queue, labels, past_work
from core.review.past_work import past_of
from core.store import Store
from tests.conftest import Filled


@pytest.fixture
def store(filled: Filled) -> Store:
    return filled(400)


def run_of(store: Store) -> str:
    return str(store.rows("SELECT run_id::VARCHAR AS id FROM run_info")[0]["id"])


def heads(store: Store, n: int = 20, reviewer: str = "ana", **more: Any) -> list[dict[str, Any]]:
    return labelling_queue.head(store, run_of(store), reviewer, n, **more)


def results(store: Store) -> dict[str, dict[str, Any]]:
    return {row["banner_id"]: row for row in store.rows("SELECT * FROM result")}


def work(store: Store, n: int, reviewer: str = "ana", label: str = "ok", **more: Any) -> list[claims.Item]:
    """Claims and answers n banners."""
    items = []
    for _ in range(n):
        item = claims.next_item(store, run_of(store), reviewer, **more)
        assert item is not None
        labels.label(store, item.banner_id, label, reviewer, blind=True, batch_id=item.batch_id)
        items.append(item)
    return items


def test_the_first_twenty_tell_a_model_something(store: Store) -> None:
    rows, known = heads(store), results(store)
    assert rows == heads(store)
    assert len({row["banner_id"] for row in rows}) == 20
    grids = Counter(row["grid_id"] for row in rows if not row["control"])
    assert set(grids) == {row["grid_id"] for row in known.values()}
    assert max(grids.values()) - min(grids.values()) <= 2
    flagged = sum(known[row["banner_id"]]["flagged"] for row in rows)
    assert 5 <= flagged <= 15
    assert sum(row["control"] for row in rows) == 2
    assert {row["reason"] for row in rows} >= {"uncertain", "contrast", "control"}


def test_each_reason_is_true_of_its_banner(store: Store) -> None:
    known = results(store)
    for row in heads(store, 100):
        r = known[row["banner_id"]]
        assert row["why"] == labelling_queue.WHY[row["reason"]]
        assert row["domain"] == r["domain"]
        if row["reason"] == "uncertain":
            assert 0.05 <= r["p_broken"] <= 0.95
        if row["reason"] == "disagreement":
            assert 0.2 <= r["n_agree"] / r["n_detectors"] <= 0.8
        if row["reason"] == "contrast":
            assert r["p_broken"] <= 0.1 or r["p_broken"] >= 0.9
        assert row["control"] == (row["reason"] == "control")


def test_the_most_doubtful_of_a_grid_come_first(store: Store) -> None:
    rows, known = heads(store, 8, mode="uncertain", grid=333346), results(store)
    inside = sorted(abs(r["p_broken"] - 0.5) for r in known.values() if r["grid_id"] == 333346)
    assert [abs(known[row["banner_id"]]["p_broken"] - 0.5) for row in rows] == inside[:8]


def test_working_through_the_queue_is_the_queue(store: Store) -> None:
    foretold = [row["banner_id"] for row in heads(store)]
    assert [item.banner_id for item in work(store, 20)] == foretold


def test_the_control_sample_has_its_share_and_no_score_has_a_part_in_it(store: Store) -> None:
    known = results(store)
    everybody = [row["banner_id"] for row in heads(store, 1000, mode="control")]
    assert sorted(everybody) == sorted(known)
    strength = np.array([known[banner]["combined"] for banner in everybody])
    assert abs(np.corrcoef(strength, np.arange(len(strength)))[0, 1]) < 0.15
    assert everybody != [row["banner_id"] for row in heads(store, 1000, mode="control", seed=1)]
    n_control = sum(item.control for item in work(store, 100))
    assert n_control == 10


def test_the_control_sample_holds_what_was_labelled_for_another_reason_too(store: Store) -> None:
    order = [row["banner_id"] for row in heads(store, 10, mode="control")]
    labels.label(store, order[0], "broken", "ben", blind=True)
    labels.label(store, order[3], "unsure", "ben", blind=True)
    assert claims.control_sample(store, run_of(store)) == []
    shown = [item.banner_id for item in work(store, 4, mode="control")]
    assert shown == [order[k] for k in (1, 2, 4, 5)]
    sample = claims.control_sample(store, run_of(store))
    assert [(row["banner_id"], row["label"]) for row in sample] == list(
        zip(order[:6], ["broken", "ok", "ok", "unsure", "ok", "ok"], strict=True)
    )


def test_a_second_reading_is_due_for_what_one_other_has_labelled(store: Store) -> None:
    first = {item.banner_id for item in work(store, 6)}
    assert heads(store, 10, mode="second") == []
    assert {row["banner_id"] for row in heads(store, 10, "ben", mode="second")} == first
    done = work(store, 2, "ben", mode="second")
    assert {row["banner_id"] for row in heads(store, 10, "ben", mode="second")} == first - {item.banner_id for item in done}
    assert {row["banner_id"] for row in heads(store, 10, "cleo", mode="second")} == first - {item.banner_id for item in done}
    decided = next(iter(first - {item.banner_id for item in done}))
    labels.adjudicate(store, decided, "ok", "dan")
    assert decided not in {row["banner_id"] for row in heads(store, 10, "ben", mode="second")}
    assert "second" in {row["reason"] for row in heads(store, 20, "ben")}


def test_a_repeat_comes_once_and_only_after_twenty_others(store: Store) -> None:
    run_id = run_of(store)
    first = work(store, 1)[0].banner_id
    for _ in range(20):
        assert claims_of(store, "retest") == []
        work(store, 1)
    assert claims_of(store, "retest")[0] == first
    item = claims.again(store, run_id, "ana", first)
    labels.label(store, first, "broken", "ana", blind=True, batch_id=item.batch_id)
    assert first not in claims_of(store, "retest")
    assert "retest" in {item.reason for item in work(store, 40)}


def claims_of(store: Store, reason: str) -> list[str]:
    """What the walk of one reason would give ana, in order."""
    with past_of(store) as before:
        queue = labelling_queue._Queue(store, before, pools.pools_of(store, run_of(store)), run_of(store), "ana", 0, None)
        return [found.banner.banner_id for found in queue.of(reason, 400)]


def test_the_mixed_queue_ends_when_everything_is_labelled(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "DEPTH", 3)
    monkeypatch.setattr(pools, "CONTROL_DEPTH", 10)
    rows = heads(store, 1000)
    assert sorted(row["banner_id"] for row in rows) == sorted(results(store))
    one = heads(store, 1000, grid=333519)
    assert {row["grid_id"] for row in one} == {333519}
    assert len(one) == sum(r["grid_id"] == 333519 for r in results(store).values())


def test_an_unknown_queue_is_refused(store: Store) -> None:
    with pytest.raises(InputError, match="mixed, uncertain"):
        heads(store, mode="best")


OPEN = """WITH newest AS (FROM shown QUALIFY row_number() OVER (PARTITION BY banner_id ORDER BY event_id DESC) = 1)
    SELECT banner_id FROM newest ANTI JOIN (SELECT batch_id FROM claim_event WHERE op <> 'show') USING (batch_id)
    ANTI JOIN label_event USING (batch_id)"""


@pytest.mark.lakes
def test_what_is_held_in_memory_is_what_the_views_say(store: Store) -> None:
    """Random labels, decisions, undos, skips and claims of three reviewers; the slow way is SQL over all events."""
    rng, run_id = np.random.default_rng(0), run_of(store)
    ids = sorted(results(store))[:12]
    for step in range(150):
        who, banner = f"r{rng.integers(3)}", ids[rng.integers(len(ids))]
        kind = rng.integers(6)
        if kind <= 2:
            batch = claims.again(store, run_id, who, banner, beside=True).batch_id if kind else None
            labels.label(store, banner, labels.LABELS[rng.integers(3)], who, blind=True, batch_id=batch)
        elif kind == 3:
            labels.undo(store, who)
        elif kind == 4:
            labels.adjudicate(store, banner, "ok", who)
        else:
            item = claims.again(store, run_id, who, banner, beside=True)
            (claims.skip, claims.release, lambda *_: None)[rng.integers(3)](store, item)
        if step % 10 == 0:
            with past_of(store) as before:
                held = sorted((banner, k.event_id, k.op, k.reviewer, k.at) for banner, kept in before.kept.items() for k in kept)
                open_claims = {banner for banner in before.claims if before.is_claimed(banner, datetime.now(UTC).replace(tzinfo=None))}
                skipped = set(before.skipped)
            slow = store.rows("SELECT banner_id, event_id::VARCHAR, op, reviewer, happened_at FROM label_kept ORDER BY ALL")
            assert held == [tuple(row.values()) for row in slow]
            assert open_claims == {row["banner_id"] for row in store.rows(OPEN)}
            newest = store.rows("FROM claim_event WHERE op = 'skip'")
            assert skipped == {(row["reviewer"], row["banner_id"]) for row in newest}


def test_a_skipped_banner_comes_back_after_half_a_day(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    item = claims.next_item(store, run_of(store), "ana", "uncertain")
    assert item is not None
    claims.skip(store, item)
    assert item.banner_id not in {row["banner_id"] for row in heads(store, 400, mode="uncertain")}
    assert item.banner_id in {row["banner_id"] for row in heads(store, 400, "ben", mode="uncertain")}
    monkeypatch.setattr(past_work, "SKIP_LASTS", timedelta(0))
    assert item.banner_id in {row["banner_id"] for row in heads(store, 400, mode="uncertain")}
