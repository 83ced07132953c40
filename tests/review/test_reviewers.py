"""Each reviewer alone, and banners to hold others against, on cases counted by hand."""

from datetime import datetime
from pathlib import Path

import pytest

from core.review import claims, labels
from core.review import reviewers as drift
from core.statistics.intervals import wilson
from core.store import Store
from core.store.queries import known_banners
from tests.review.test_labelling_queue import run_of, work
from tests.support.stores import filled_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return filled_store(tmp_path / "s.duckdb", 300)


def ids(store: Store, n: int) -> list[str]:
    return [row["banner_id"] for row in store.rows("SELECT banner_id FROM result ORDER BY banner_id LIMIT ?", [n])]


def one(store: Store, name: str) -> drift.Reviewer:
    (found,) = [r for r in drift.reviewers(store) if r.name == name]
    return found


def test_speed_drift_and_agreement_by_hand(store: Store) -> None:
    names = ids(store, 25)
    for k, banner_id in enumerate(names):
        labels.label(store, banner_id, "broken" if k >= 15 else "ok", "ana", blind=k < 5, seconds=k)
    for k, banner_id in enumerate(names[10:20]):
        labels.label(store, banner_id, "broken" if k < 2 else "ok", "ben", blind=True)
    ana = one(store, "ana")
    assert (ana.n, ana.seconds, ana.blind, ana.block) == (25, 12, 0.2, 10)
    assert ana.broken == wilson(10, 25)
    assert ana.broken_by_block == [0, 0.5, 1]
    # of banners 10 to 19 ben calls 10 and 11 broken, ana 15 to 19: the same on 12, 13, 14
    assert ana.agree == wilson(3, 10) == one(store, "ben").agree
    assert ana.agree_by_block == [None, 0.3, None]
    assert ana.n_again == 0
    assert one(store, "ben").seconds is None
    labels.undo(store, "ana")
    assert one(store, "ana").n == 24


def test_long_histories_have_at_most_twenty_points(store: Store) -> None:
    for banner_id in ids(store, 205):
        labels.label(store, banner_id, "ok", "ana", blind=True)
    assert one(store, "ana").block == 11
    assert len(one(store, "ana").broken_by_block) == 19


def test_repeats_count_where_they_were_shown_as_such(store: Store) -> None:
    run_id = run_of(store)
    first = [item.banner_id for item in work(store, 25)]
    for k, banner_id in enumerate(first[:3]):
        with store.transaction() as cursor:  # as the mixed queue shows a repeat, rarely
            banner = claims.Candidate(banner_id, 333346, 1)
            item = claims._show(cursor, banner, "retest", "ana", run_id, "mixed", None, 0)
        labels.label(store, banner_id, "broken" if k == 0 else "ok", "ana", blind=True, batch_id=item.batch_id)
    labels.label(store, first[4], "broken", "ana", blind=True)  # changed by themselves: no repeat
    ana = one(store, "ana")
    assert (ana.n_again, ana.again) == (3, wilson(2, 3))


def test_today_and_latest_forget_what_was_taken_back(store: Store) -> None:
    names = ids(store, 3)
    for banner_id in names:
        labels.label(store, banner_id, "ok", "ana", blind=True)
    labels.label(store, names[0], "broken", "ana", blind=True)
    labels.undo(store, "ben")
    assert drift.today(store, "ana") == 3
    newest = drift.latest(store, "ana")[0]
    assert (newest["banner_id"], newest["label"]) == (names[0], "broken")
    labels.undo(store, "ana")
    labels.undo(store, "ana")
    assert drift.today(store, "ana") == 2
    assert {row["banner_id"] for row in drift.latest(store, "ana")} == set(names[:2])
    with store.transaction() as cursor:
        cursor.execute("UPDATE label_event SET happened_at = ?", [datetime(2020, 1, 1)])
    assert drift.today(store, "ana") == 0


def test_kappa_is_with_whoever_saw_most_of_the_same(store: Store) -> None:
    assert drift.kappa_with_most(store, "ana") is None
    for k, banner_id in enumerate(ids(store, 20)):
        labels.label(store, banner_id, "broken" if k % 2 else "ok", "ana", blind=True)
        if k < 12:
            labels.label(store, banner_id, "broken" if k % 2 else "ok", "ben", blind=True)
        if k < 4:
            labels.label(store, banner_id, "unsure", "cleo", blind=True)
    found = drift.kappa_with_most(store, "ana")
    assert found is not None
    name, kappa = found
    assert (name, kappa.value, kappa.n) == ("ben", 1.0, 12)


def test_known_banners_are_agreed_ok_and_of_the_grid(store: Store) -> None:
    run_id, grid = run_of(store), 333519
    mine = store.rows("SELECT banner_id, n_products, n_clicks FROM result WHERE grid_id = ? ORDER BY banner_id", [grid])
    agreed, disputed, broken, unsure = (row["banner_id"] for row in mine[:4])
    for banner_id, said in ((agreed, "ok"), (disputed, "ok"), (broken, "broken"), (unsure, "unsure")):
        labels.label(store, banner_id, said, "ana", blind=True)
    labels.label(store, agreed, "ok", "ben", blind=True)
    labels.label(store, disputed, "broken", "ben", blind=True)
    found = known_banners.known_ok(store, run_id, grid, 1)
    assert [(row["banner_id"], row["n_reviewers"]) for row in found] == [(agreed, 2)]
    assert known_banners.known_ok(store, run_id, 333346, 1) == []


def test_ordinary_banners_are_the_least_suspicious_with_enough_clicks(store: Store) -> None:
    run_id = run_of(store)
    found = [row["banner_id"] for row in known_banners.ordinary(store, run_id, 333519, 3, 4)]
    rows = store.rows(
        "SELECT * FROM result WHERE grid_id = 333519 AND NOT flagged AND n_products = 3 AND n_clicks >= 100 ORDER BY combined"
    )
    assert found == [row["banner_id"] for row in rows[:4]]
    labels.label(store, found[0], "broken", "ana", blind=True)
    assert found[0] not in {row["banner_id"] for row in known_banners.ordinary(store, run_id, 333519, 3, 4)}
