"""Labels: what holds follows from events, which are never lost, doubled or overwritten."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from core.errors import InputError
from core.review import labels
from core.store import Store, clock
from tests.conftest import Place
from tests.support.unscored_store import ROOT, fill


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with Store(place("s")) as store:
        fill(store)
        yield store


def say(store: Store, banner_id: str, label: str, reviewer: str = "ana") -> labels.Event:
    return labels.label(store, banner_id, label, reviewer, blind=True)


def held(store: Store) -> dict[tuple[str, str], str]:
    return {(row["banner_id"], row["reviewer"]): row["label"] for row in labels.current(store)}


def state(store: Store, banner_id: str) -> tuple[str | None, str]:
    (row,) = labels.states(store, [banner_id])
    return row["label"], row["state"]


def n_events(store: Store) -> int:
    return int(store.rows("SELECT count(*) AS n FROM label_event")[0]["n"])


def test_a_label_keeps_all_that_was_said_with_it(store: Store) -> None:
    run_id = str(uuid.uuid4())
    labels.label(store, "bn0001", "broken", " ana ", blind=False, seconds=2.5, note="half", fault="shifted", run_id=run_id)
    say(store, "bn0002", "ok")
    (row,) = labels.current(store, ["bn0001"])
    assert row.pop("happened_at") is not None
    assert row == {
        "banner_id": "bn0001", "reviewer": "ana", "label": "broken", "blind": False, "seconds": 2.5, "note": "half",
        "fault": "shifted", "run_id": run_id, "source": "page",
    }  # fmt: skip


def test_a_reviewer_has_one_current_label_and_a_banner_one_state(store: Store) -> None:
    say(store, "bn0001", "broken")
    assert state(store, "bn0001") == ("broken", "agreed")
    say(store, "bn0001", "broken", "ben")
    assert state(store, "bn0001") == ("broken", "agreed")
    say(store, "bn0001", "unsure", "ben")
    assert state(store, "bn0001") == (None, "disputed")
    assert labels.disputed(store) == [{"banner_id": "bn0001", "labels": {"ana": "broken", "ben": "unsure"}}]
    assert held(store) == {("bn0001", "ana"): "broken", ("bn0001", "ben"): "unsure"}
    assert n_events(store) == 3


def test_an_adjudication_decides_until_it_is_taken_back(store: Store) -> None:
    say(store, "bn0001", "broken")
    say(store, "bn0001", "ok", "ben")
    labels.adjudicate(store, "bn0001", "ok", "cleo", note="seen together")
    assert state(store, "bn0001") == ("ok", "adjudicated")
    assert labels.disputed(store) == []
    say(store, "bn0001", "broken", "ben")
    assert state(store, "bn0001") == ("ok", "adjudicated")
    labels.adjudicate(store, "bn0001", "broken", "dan")
    assert state(store, "bn0001") == ("broken", "adjudicated")
    labels.undo(store, "dan")
    assert state(store, "bn0001") == ("ok", "adjudicated")
    labels.undo(store, "cleo")
    assert state(store, "bn0001") == ("broken", "agreed")


@pytest.mark.lakes
def test_undo_goes_back_step_by_step_after_reopening_and_touches_nobody_else(store: Store) -> None:
    say(store, "bn0001", "ok")
    say(store, "bn0001", "broken")
    say(store, "bn0002", "unsure")
    say(store, "bn0002", "ok", "ben")
    store.close()
    with Store(store.url) as again:
        steps = []
        while (event := labels.undo(again, "ana")) is not None:
            steps.append((event.banner_id, event.op, event.label, held(again).get(("bn0001", "ana"))))
        assert steps == [("bn0002", "undo", "unsure", "broken"), ("bn0001", "undo", "broken", "ok"), ("bn0001", "undo", "ok", None)]
        assert held(again) == {("bn0002", "ben"): "ok"}
        assert n_events(again) == 7
    with Store(store.url) as third:
        assert held(third) == {("bn0002", "ben"): "ok"}
        last = labels.last_action(third, "ben")
        assert last is not None
        assert (last.banner_id, last.label) == ("bn0002", "ok")


def test_an_answer_sent_twice_counts_once_and_never_for_another_banner(store: Store) -> None:
    batch = str(uuid.uuid4())
    first = labels.label(store, "bn0001", "ok", "ana", blind=True, batch_id=batch)
    assert labels.label(store, "bn0001", "ok", "ana", blind=True, batch_id=batch) == first
    with pytest.raises(InputError, match="saved as 'ok' for 'bn0001'"):
        labels.label(store, "bn0002", "ok", "ana", blind=True, batch_id=batch)
    say(store, "bn0002", "broken")
    key = str(uuid.uuid4())
    taken = labels.undo(store, "ana", batch_id=key)
    assert taken is not None
    assert labels.undo(store, "ana", batch_id=key) == taken
    assert held(store) == {("bn0001", "ana"): "ok"}
    assert n_events(store) == 3


def test_a_clock_that_was_set_back_makes_no_answer_an_old_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    say(store, "bn0001", "ok")

    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() - timedelta(hours=1))
    say(store, "bn0001", "broken")
    assert held(store) == {("bn0001", "ana"): "broken"}
    assert labels.undo(store, "ana") is not None
    assert held(store) == {("bn0001", "ana"): "ok"}
    monkeypatch.undo()
    labels.adjudicate(store, "bn0001", "unsure", "cleo")
    monkeypatch.setattr(clock, "now", lambda: real() - timedelta(hours=1))
    labels.adjudicate(store, "bn0001", "broken", "dan")
    assert state(store, "bn0001") == ("broken", "adjudicated")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"banner_id": "nobody"}, "not in it"),
        ({"label": "fine"}, "broken, ok, unsure"),
        ({"reviewer": "  "}, "reviewer's name"),
        ({"seconds": float("nan")}, "0 seconds or more"),
        ({"fault": "sticky"}, "'sticky'"),
        ({"label": "ok", "fault": "shifted"}, "'shifted' of 'ok'"),
        ({"batch_id": "7"}, "UUID"),
    ],
)
def test_what_cannot_be_meant_is_refused(store: Store, change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        labels.label(store, **{"banner_id": "bn0001", "label": "broken", "reviewer": "ana", "blind": True, **change})  # type: ignore[arg-type]
    assert n_events(store) == 0


def test_the_table_of_a_file_takes_no_other_label(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    ids = "uuidv7() AS event_id, uuidv7() AS batch_id, now()::TIMESTAMP AS happened_at, 'b' AS banner_id"
    sql = f"INSERT INTO label_event BY NAME SELECT {ids}"
    for op, label in (("label", "fine"), ("label", None), ("undo", "ok"), ("forget", "ok")):
        with pytest.raises(duckdb.ConstraintException), store.transaction() as cursor:
            cursor.execute(f"{sql}, ? AS op, ? AS label, 'ana' AS reviewer, 'page' AS source", [op, label])
    assert n_events(store) == 0


@pytest.mark.lakes
def test_reviewers_at_once_lose_and_double_nothing(store: Store) -> None:
    def review(reviewer: str) -> None:
        for i in range(10):
            say(store, f"bn{i:04d}", "ok" if i % 2 else "broken", reviewer)
        labels.undo(store, reviewer)

    names = [f"reviewer{k}" for k in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(review, names))
    expected = {(f"bn{i:04d}", name): "ok" if i % 2 else "broken" for i in range(9) for name in names}
    assert held(store) == expected
    assert n_events(store) == 6 * 11


WRITER = """
import sys
from core.review import labels
from core.store import Store
from tests.conftest import Place
store = Store(sys.argv[1])
for i in range(10_000):
    event = labels.label(store, f"bn{i % 40:04d}", "ok", f"reviewer{i}", blind=True)
    print(event.event_id, flush=True)
"""


def test_every_acknowledged_label_outlives_kill_minus_nine(store: Store) -> None:
    store.close()
    command = [sys.executable, "-c", WRITER, str(store.url)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(60)]
    process.send_signal(signal.SIGKILL)
    acknowledged += process.stdout.read().split("\n")[:-1]
    process.wait()
    process.stdout.close()
    with Store(store.url) as again:
        written = {row["id"] for row in again.rows("SELECT event_id::VARCHAR AS id FROM label_event")}
    assert len(acknowledged) >= 60
    assert set(acknowledged) <= written
    assert len(written) <= len(acknowledged) + 1
