"""With the machine's clock set back, what was decided last still holds: on every engine, in every table of events."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from core.calibration import versions
from core.clicks.ingest import ingest
from core.errors import ForbiddenError
from core.review import claims, labels, triage
from core.review.label_files import export_labels, import_labels
from core.review.past_work import past_of
from core.runs import run
from core.store import Store, clock, schema
from core.store.queries import runs, selections
from core.store.queries import runs as queries_runs
from core.ui.session import roles
from tests.conftest import Filled, Place
from tests.support.unscored_store import fill, use_fake_worker

BACK = timedelta(hours=7)


@pytest.fixture
def set_back(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Sets the machine's clock back by some hours."""
    real = clock.now

    def turn() -> None:
        monkeypatch.setattr(clock, "now", lambda: real() - BACK)

    return turn


def test_ids_sort_as_their_moments_do() -> None:
    at = datetime(2026, 12, 1, 3, 4, 5, 999_998)
    moments = [at + k * clock.TICK for k in range(2000)]
    ids = [clock.event_id(moment) for moment in moments]
    assert ids == sorted(ids)
    assert [clock._time_of(key) for key in ids] == moments
    assert {key[14] for key in ids} == {"7"}
    assert {key[19] for key in ids} <= set("89ab")
    assert clock._time_of("00000000-0000-4000-8000-000000000000") is None


def test_every_table_with_the_time_of_an_event_has_a_stamp(tmp_path: Path) -> None:
    with Store(tmp_path / "s.duckdb") as store:
        sql = """SELECT DISTINCT table_name AS name FROM duckdb_columns() WHERE NOT internal AND database_name = current_database()
            AND column_name IN ('happened_at', 'finished_at') AND table_name IN (SELECT table_name FROM duckdb_tables())"""
        assert {row["name"] for row in store.rows(sql)} == set(clock.STAMPS)
        with store.cursor() as cursor:
            for table in clock.STAMPS:
                assert clock.moment(cursor, table) >= clock.now() - timedelta(minutes=1)


@pytest.mark.lakes
def test_a_version_comes_into_force_and_goes_back(filled: Filled, set_back: Callable[[], None]) -> None:
    store = filled(30)
    about = {"author": "ana", "reason": "x", "scope": "combined", "shots": 0, "source_grids": [1], "target_grids": None, "method": "f1",
             "value": None, "n_labels": 3, "run_id": runs.finished_runs(store)[0]["run_id"], "rule": {}, "expected": {}}  # fmt: skip
    with store.transaction() as cursor:
        versions.write_version(cursor, about)
    set_back()
    for number in (2, 3):
        with store.transaction() as cursor:
            versions.write_version(cursor, about)
        in_force = versions.in_force(store)
        assert in_force is not None
        assert in_force["number"] == number
    with store.transaction() as cursor:
        versions.write_event(cursor, "roll_back", None, "ana", "back to the first")
    assert versions.in_force(store) is None
    history = versions.history(store)
    assert [event["number"] for event in history] == [None, 3, 2, 1]
    assert [event["happened_at"] for event in history] == sorted((event["happened_at"] for event in history), reverse=True)


@pytest.mark.lakes
def test_ids_of_another_clock_do_not_outlast_a_new_version(filled: Filled, set_back: Callable[[], None]) -> None:
    """A store of an earlier version: its ids hold the time of a clock that was ahead, a little later than its rows' times."""
    store = filled(30)
    late = clock.event_id(clock.now() + timedelta(days=3))
    with store.transaction() as cursor:
        cursor.execute("INSERT INTO threshold_event VALUES (?, ?, 'roll_back', NULL, 'ana', 'x')", [late, clock.now()])
        versions.write_event(cursor, "publish", "01900000-0000-7000-8000-00000000000a", "ana", "y")
        assert versions.in_force_id(cursor) == "01900000-0000-7000-8000-00000000000a"


@pytest.mark.lakes
def test_labels_decisions_and_claims_follow_their_order(filled: Filled, set_back: Callable[[], None], tmp_path: Path) -> None:
    store = filled(60)
    run_id = runs.finished_runs(store)[0]["run_id"]
    first = claims.next_item(store, run_id, "ana")
    assert first is not None
    name = first.banner_id
    labels.label(store, name, "ok", "ana", blind=True, batch_id=first.batch_id)
    triage.decide(store, run_id, [name], "confirm", "ana")
    claims.next_item(store, run_id, "ben")
    set_back()
    labels.label(store, name, "broken", "ana", blind=True)
    assert labels.states(store, [name])[0]["label"] == "broken"
    labels.adjudicate(store, name, "ok", "cem")
    labels.adjudicate(store, name, "unsure", "cem")
    assert labels.states(store, [name])[0]["label"] == "unsure"
    skipped = claims.next_item(store, run_id, "ana")
    assert skipped is not None
    claims.skip(store, skipped)
    undone = claims.undo(store, "ana")
    assert undone is not None
    assert (undone.op, undone.banner_id) == ("skip", skipped.banner_id)
    undone = claims.undo(store, "ana")
    assert undone is not None
    assert undone.label == "broken"
    triage.decide(store, run_id, [name], "dismiss", "ana")
    assert state_of(store, name) == "dismissed"
    triage.undo(store, "ana")
    assert state_of(store, name) == "confirmed"
    triage.decide(store, run_id, [name], "snooze", "ana", days=1)
    assert state_of(store, name) == "snoozed"
    export_labels(store, tmp_path / "labels.csv")
    assert not import_labels(store, tmp_path / "labels.csv").rejected, "a store's own labels lie in no future"


@pytest.mark.lakes
def test_a_claim_made_before_the_clock_was_set_back_ends(filled: Filled, set_back: Callable[[], None]) -> None:
    store = filled(60)
    run_id = runs.finished_runs(store)[0]["run_id"]
    held = claims.next_item(store, run_id, "ana")
    assert held is not None
    with past_of(store) as past:
        assert past.is_claimed(held.banner_id, clock.now())
    set_back()
    with past_of(store) as past:
        assert not past.is_claimed(held.banner_id, clock.now())
    mine = claims.next_item(store, run_id, "ben")
    assert mine is not None
    with past_of(store) as past:
        assert past.is_claimed(mine.banner_id, clock.now())


@pytest.mark.lakes
def test_runs_ingests_and_choices_follow_their_order(
    place: Place, set_back: Callable[[], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_fake_worker(monkeypatch)
    with Store(place("s")) as store:
        fill(store)
        first = run.score(store).run_id
        set_back()
        second = run.score(store)
        assert second.run_id == runs.finished_runs(store)[0]["run_id"]
        assert queries_runs.last_finished(store)["run_id"] == second.run_id
        times = [row["finished_at"].replace(microsecond=0) for row in runs.finished_runs(store)]
        assert len(set(times)) == 2, "pages name a run by its second"
        log = tmp_path / "later.csv"
        log.write_text(
            "banner_id,grid_id,n_products,domain,click_x_rel,click_y_rel,clicked_at\nnew,1,1,s.example,.5,.5,2026-11-01T00:00:00\n"
        )
        ingest(store, [log])
        seen = runs.finished_runs(store)[0]
        later = store.rows("SELECT count(*) AS n FROM ingest WHERE finished_at > ?", [seen["started_at"]])
        assert later[0]["n"] == 1, "what came in after the run is not shown as part of it"
        assert not run.interrupted_runs(store)
        assert first != second.run_id
        for choice in ("a", "b"):
            with store.transaction() as cursor:
                at = clock.moment(cursor, "model_choice")
                values = [clock.event_id(at), at, "ana", "01900000-0000-7000-8000-00000000000a", choice, choice, "{}"]
                cursor.execute("INSERT INTO model_choice VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        in_use = selections.in_use(store)
        assert in_use is not None
        assert in_use.candidate == "b"
        for action in ("publish", "label"):
            with pytest.raises(ForbiddenError):
                roles.require(store, roles.Person("vic", "viewer", "local"), action)  # type: ignore[arg-type]
        assert [row["action"] for row in roles.refusals(store)] == ["label", "publish"]


def state_of(store: Store, banner_id: str) -> str:
    return str(store.rows("SELECT state FROM triage_current WHERE banner_id = ?", [banner_id])[0]["state"])


def test_schema_names_its_steps_once() -> None:
    names = [step.__name__ for step in schema.STEPS]
    assert len(names) == len(set(names))
