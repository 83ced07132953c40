"""Answers that are asked for again: given without asking where nothing was committed, never older than the newest commit."""

from collections.abc import Callable
from typing import Any

import pytest

import core.store.query_cache
from core.store import Store
from core.store.query_cache import MOST_ROWS, Recall


class Counted:
    """A question that counts how often it is put."""

    def __init__(self, n_rows: int = 1) -> None:
        self.n_rows, self.n = n_rows, 0

    def __call__(self) -> list[dict[str, Any]]:
        self.n += 1
        return [{"n": self.n} for _ in range(self.n_rows)]


def test_an_answer_holds_as_long_as_the_state() -> None:
    recall, ask = Recall(), Counted()
    assert [recall.rows(state, "SELECT 1", [], ask) for state in (1, 1, 2, 1)] == [[{"n": n}] for n in (1, 1, 2, 3)]


def test_no_answer_outlives_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    recall, ask, now = Recall(), Counted(), [1000.0]
    monkeypatch.setattr(core.store.query_cache.time, "monotonic", lambda: now[0])
    found = []
    for seconds in (0, 30, 31, 59):
        now[0] += seconds
        found.append(recall.rows(1, "SELECT 1", [], ask)[0]["n"])
    assert found == [1, 1, 2, 2]


def test_other_parameters_are_another_question() -> None:
    recall, ask = Recall(), Counted()
    assert [recall.rows(1, "SELECT ?", [x], ask)[0]["n"] for x in ("a", "b", "a", None, [1], [1])] == [1, 2, 1, 3, 4, 4]


@pytest.mark.parametrize(
    "sql", ["SELECT uuidv7() AS id", "select now()", "INSERT INTO t VALUES (1) RETURNING a", "SELECT current_date - day"]
)
def test_what_differs_each_time_or_writes_is_never_kept(sql: str) -> None:
    recall, ask = Recall(), Counted()
    assert [recall.rows(1, sql, [], ask)[0]["n"] for _ in range(2)] == [1, 2]


def test_long_answers_are_not_kept_and_what_is_done_to_one_stays_with_its_asker() -> None:
    recall, ask = Recall(), Counted(MOST_ROWS + 1)
    assert [recall.rows(1, "SELECT 1", [], ask)[0]["n"] for _ in range(2)] == [1, 2]
    short = Counted()
    recall.rows(1, "SELECT 2", [], short)[0]["n"] = 99
    assert recall.rows(1, "SELECT 2", [], short) == [{"n": 1}]


def test_what_anybody_commits_is_seen_at_once(place: Callable[[str], str]) -> None:
    with Store(place("s")) as store:
        insert = "INSERT INTO migration SELECT 'x' || count(*), now()::TIMESTAMP FROM migration"
        names = "SELECT count(*) AS n FROM migration"
        before = store.rows(names)[0]["n"]
        for k in range(3):
            with store.transaction() as cursor:
                cursor.execute(insert)
                assert store.rows(names)[0]["n"] == before + k  # not committed yet
            assert store.rows(names)[0]["n"] == before + k + 1
        if store.url.is_shared:
            with Store(store.url) as other:
                with other.transaction() as cursor:
                    cursor.execute(insert)
                assert store.rows(names)[0]["n"] == before + 4
