"""Questions that machines ask often: one at a time, in time; and when a store is not ready."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from core.errors import StoreBusyError
from core.store import Store
from core.ui.server.readiness import OneAtATime, Readiness
from tests.conftest import Place


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with Store(place("s")) as opened:
        yield opened


def test_who_asks_while_it_hangs_starts_nothing_new_and_gets_the_answer_once_it_comes() -> None:
    go, begun = threading.Event(), []

    def slow() -> int:
        begun.append(1)
        assert go.wait(20)
        return len(begun)

    async def ask() -> list[int]:
        question = OneAtATime(slow)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await question.within(0.02)
        assert len(begun) == 1
        go.set()
        same = [await question.within(20)]
        return [*same, await question.within(20)]

    assert asyncio.run(ask()) == [1, 2]


def test_an_error_reaches_who_asked_and_the_next_one_asks_anew() -> None:
    answers = iter([ValueError("first"), None])

    def sometimes() -> str:
        error = next(answers)
        if error is not None:
            raise error
        return "answer"

    async def ask() -> str:
        question = OneAtATime(sometimes)
        with pytest.raises(ValueError, match="first"):
            await question.within(20)
        return await question.within(20)

    assert asyncio.run(ask()) == "answer"


def test_an_open_store_is_ready(store: Store) -> None:
    ready = Readiness(lambda: store)
    assert [ready.why_not(), ready.why_not()] == [None, None]


def test_a_store_whose_file_is_deleted_or_replaced_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    with Store(path) as store:
        ready = Readiness(lambda: store)
        assert ready.why_not() is None
        path.rename(tmp_path / "kept.duckdb")
        assert "stays where it is while it is in use" in str(ready.why_not())
        assert f"{path} is gone" in str(ready.why_not())
        path.write_bytes(b"another")
        assert "is another file than the one in use" in str(ready.why_not())
        (tmp_path / "kept.duckdb").replace(path)
        assert ready.why_not() is None


def test_a_store_that_cannot_be_opened_or_asked_is_not(tmp_path: Path) -> None:
    def busy() -> Store:
        raise StoreBusyError("One process at a time may use a store, however PID 7 has it. Close it.")

    assert Readiness(busy).why_not() == "One process at a time may use a store, however PID 7 has it. Close it."
    with Store(tmp_path / "s.duckdb") as store:
        ready = Readiness(lambda: store)
        with store.cursor() as cursor:
            cursor.execute("DROP TABLE migration")
        assert "A store answers queries: this one does not: Catalog Error" in str(ready.why_not())


def test_a_bug_in_the_question_is_no_readiness() -> None:
    def broken() -> Store:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Readiness(broken).why_not()
    assert not issubclass(ZeroDivisionError, duckdb.Error)
