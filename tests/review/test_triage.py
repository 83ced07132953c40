"""Decisions: written once, taken back by events, still there after the store was closed."""

import pytest

from core.errors import InputError
from core.review import triage, triage_queue
from core.review.triage_queue import QueueFilter
from core.store import Store
from core.store.queries import runs
from tests.conftest import Filled


@pytest.fixture
def store(filled: Filled) -> Store:
    return filled(200, seed=3)


def open_ids(store: Store, **limits: object) -> list[str]:
    run_id = runs.finished_runs(store)[0]["run_id"]
    return [r["banner_id"] for r in triage_queue.page(store, run_id, triage_queue.standing(store, run_id, QueueFilter(**limits)))]  # type: ignore[arg-type]


def run_of(store: Store) -> str:
    return str(runs.finished_runs(store)[0]["run_id"])


def test_a_decision_takes_the_banner_out_of_the_open_queue(store: Store) -> None:
    ids = open_ids(store)
    assert triage.decide(store, run_of(store), [ids[0]], "confirm", "ana").n_banners == 1
    assert open_ids(store) == ids[1:]
    assert open_ids(store, status="confirmed") == [ids[0]]
    assert open_ids(store, status="all") == ids


def test_the_same_decision_twice_writes_once(store: Store) -> None:
    name = open_ids(store)[0]
    for op in ("confirm", "snooze"):
        triage.decide(store, run_of(store), [name], op, "ana")
        assert triage.decide(store, run_of(store), [name], op, "ana").n_banners == 0
    assert store.rows("SELECT count(*) AS n FROM triage_event")[0]["n"] == 2


@pytest.mark.lakes
def test_undo_goes_back_step_by_step_and_survives_reopening(store: Store) -> None:
    ids = open_ids(store)
    triage.decide(store, run_of(store), ids[:3], "dismiss", "ana", note="holiday layout")
    triage.decide(store, run_of(store), [ids[0]], "confirm", "ana")
    store.close()
    again = Store(store.url)
    first = triage.undo(again, "ana")
    assert first is not None
    assert (first.op, first.n_banners) == ("confirm", 1)
    assert set(open_ids(again, status="dismissed")) == set(ids[:3])
    second = triage.undo(again, "ana")
    assert second is not None
    assert (second.op, second.n_banners) == ("dismiss", 3)
    assert open_ids(again) == ids
    assert triage.undo(again, "ana") is None
    again.close()
    once_more = Store(store.url)
    assert open_ids(once_more) == ids
    assert once_more.rows("SELECT count(*) AS n FROM triage_event")[0]["n"] == 8, "every step is kept: 3 + 1 + 1 + 3"


def test_undo_takes_back_ones_own_decisions_only(store: Store) -> None:
    ids = open_ids(store)
    triage.decide(store, run_of(store), [ids[0]], "confirm", "ana")
    triage.decide(store, run_of(store), [ids[1]], "dismiss", "ben")
    assert triage.undo(store, "ana") is not None
    assert open_ids(store) == [ids[0], *ids[2:]]


def test_a_snooze_ends_by_itself(store: Store) -> None:
    name = open_ids(store)[0]
    triage.decide(store, run_of(store), [name], "snooze", "ana", days=2)
    assert open_ids(store, status="snoozed") == [name]
    with store.transaction() as cursor:  # two days later
        cursor.execute("UPDATE triage_event SET until = until - INTERVAL 3 DAY")
    assert name in open_ids(store)


def test_the_whole_filter_is_one_action(store: Store) -> None:
    chosen = QueueFilter(grid=333346)
    n = len(triage_queue.standing(store, run_of(store), chosen))
    assert n > 2
    assert triage.decide_all(store, run_of(store), chosen, "confirm", "ana").n_banners == n
    assert len(triage_queue.standing(store, run_of(store), chosen)) == 0
    assert len(triage_queue.standing(store, run_of(store), QueueFilter(grid=333519))) > 0
    triage.undo(store, "ana")
    assert len(triage_queue.standing(store, run_of(store), chosen)) == n


@pytest.mark.parametrize(
    ("ids", "op", "author", "days", "says"),
    [
        (["nobody"], "confirm", "ana", 7, "that the run scored"),
        ([], "explode", "ana", 7, "one of confirm"),
        ([], "confirm", "  ", 7, "carries a name"),
        ([], "snooze", "ana", 0, "1 to 365 days"),
    ],
)
def test_what_cannot_be_decided_is_refused(store: Store, ids: list[str], op: str, author: str, days: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        triage.decide(store, run_of(store), ids, op, author, days=days)  # type: ignore[arg-type]
    assert store.rows("SELECT count(*) AS n FROM triage_event")[0]["n"] == 0


def test_hostile_authors_and_notes_are_text(store: Store) -> None:
    name = open_ids(store)[0]
    triage.decide(store, run_of(store), [name], "confirm", "'; DROP TABLE result; --", note="<script>")
    assert store.rows("SELECT author, note FROM triage_current") == [{"author": "'; DROP TABLE result; --", "note": "<script>"}]


@pytest.mark.parametrize("sort", ["strongest", "most clicks"])
def test_pages_neighbours_and_export_agree(store: Store, sort: str) -> None:
    run_id, chosen = run_of(store), QueueFilter(sort=sort)
    whole = [r["banner_id"] for r in triage_queue.export(store, run_id, chosen)]
    standing = triage_queue.standing(store, run_id, chosen)
    assert len(standing) == len(whole)
    paged = [r for k in (1, 2, 3) for r in triage_queue.page(store, run_id, standing, k, size=5)]
    assert [r["place"] for r in paged] == list(range(1, 16))
    assert [r["banner_id"] for r in paged] == whole[:15]
    around = triage_queue.neighbours(store, run_id, standing, paged[4]["position"])
    assert around == {"previous": whole[3], "next": whole[5], "place": 5, "n": len(whole)}
    first, last = (triage_queue.neighbours(store, run_id, standing, int(standing.position[k])) for k in (0, -1))
    assert first is not None
    assert last is not None
    assert (first["previous"], first["next"], last["previous"], last["next"]) == (None, whole[1], whole[-2], None)
    assert triage_queue.neighbours(store, run_id, standing, len(store.rows("FROM result WHERE flagged")) + 1) is None
    triage.decide(store, run_id, [whole[4]], "confirm", "ana")
    left = triage_queue.standing(store, run_id, chosen)
    assert len(left) == len(whole) - 1
    assert triage_queue.neighbours(store, run_id, left, paged[4]["position"]) == around, "it keeps its old place"
