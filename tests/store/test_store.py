"""The store: migrations, transactions, cursors, backups; always a real DuckDB file."""

import threading
from pathlib import Path

import duckdb
import pytest

from core.errors import StoreError
from core.store import Store, schema
from core.store.backup import backup, restore
from tests.support.unscored_store import fill


def test_steps_are_applied_once(tmp_path: Path) -> None:
    with Store(tmp_path / "s.duckdb") as store:
        assert store.info()["steps"] == sorted(step.__name__ for step in schema.STEPS)
        fill(store)
    with Store(tmp_path / "s.duckdb") as store:
        assert store.info()["rows"]["banner"] == 40
        assert store.info()["rows"]["migration"] == len(schema.STEPS)


def test_a_step_that_fails_leaves_the_store_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def m999_broken() -> str:
        return "CREATE TABLE half (x INTEGER); SELECT nosuch FROM nowhere"

    with Store(tmp_path / "s.duckdb") as store:
        fill(store)
    monkeypatch.setattr(schema, "STEPS", [*schema.STEPS, m999_broken])
    with pytest.raises(StoreError, match="cannot be brought to this version's tables"):
        Store(tmp_path / "s.duckdb")
    monkeypatch.undo()
    with Store(tmp_path / "s.duckdb") as store:
        assert "half" not in store.info()["rows"]
        assert store.info()["rows"]["banner"] == 40


def test_a_transaction_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    def stumble(store: Store) -> None:
        with store.transaction() as cursor:
            cursor.execute("INSERT INTO reject VALUES (uuidv7(), 'a', 1, 'b', 'c', 'd')")
            raise ZeroDivisionError

    with Store(tmp_path / "s.duckdb") as store:
        with pytest.raises(ZeroDivisionError):
            stumble(store)
        assert store.info()["rows"]["reject"] == 0


def test_a_backup_is_consistent_while_others_write(tmp_path: Path) -> None:
    stop = threading.Event()
    with Store(tmp_path / "s.duckdb") as store:
        fill(store)

        def write() -> None:
            while not stop.is_set():
                with store.transaction() as cursor:  # always two rows at a time
                    cursor.execute("INSERT INTO reject SELECT uuidv7(), 'a', i, 'b', 'c', 'd' FROM range(2) t(i)")

        writer = threading.Thread(target=write)
        writer.start()
        try:
            sizes = [backup(store, tmp_path / f"b{i}.duckdb") for i in range(3)]
        finally:
            stop.set()
            writer.join()
    assert all(size > 0 for size in sizes)
    for i in range(3):
        with Store(tmp_path / f"b{i}.duckdb") as copy:
            assert copy.info()["rows"]["reject"] % 2 == 0
            assert copy.info()["rows"]["banner"] == 40
    assert not list(tmp_path.glob("*.part"))


def test_what_is_no_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("no database")
    with pytest.raises(StoreError, match="is not a store"):
        Store(other)
    with Store(tmp_path / "s.duckdb") as store:
        fill(store)
    with pytest.raises(StoreError, match="is none"):
        restore(other, tmp_path / "s.duckdb")
    with duckdb.connect(str(tmp_path / "foreign.duckdb")) as con:
        con.execute("CREATE TABLE migration (name VARCHAR); INSERT INTO migration VALUES ('m500_future')")
    with pytest.raises(StoreError, match="newer Heatproof"):
        restore(tmp_path / "foreign.duckdb", tmp_path / "s.duckdb")
    with Store(tmp_path / "s.duckdb") as store:
        assert store.info()["rows"]["banner"] == 40
    assert other.read_text() == "no database"
