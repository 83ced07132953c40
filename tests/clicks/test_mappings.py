"""Mappings saved under a name: kept whole, offered for files of the same shape, used on the command line."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.__main__ import app
from core.clicks import mappings
from core.errors import InputError
from core.store import Store

COLUMNS = ["creative", "place", "px", "py", "at"]
MAPPING = {"banner_id": "creative", "grid_id": "place", "click_x_rel": "px", "click_y_rel": "py", "clicked_at": "at", "unit": "percent"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "s.duckdb") as opened:
        yield opened


def test_a_mapping_is_kept_whole_and_the_newest_of_a_name_holds(store: Store) -> None:
    mappings.save(store, " ours ", COLUMNS, {**MAPPING, "origin": "top-left"}, "ana")
    assert mappings.load(store, "ours").mapping == MAPPING, "what is the default is left out"
    mappings.save(store, "ours", COLUMNS, {**MAPPING, "domain": "=d.example"}, "bo")
    (one,) = mappings.every(store)
    assert (one.author, one.mapping["domain"], one.columns) == ("bo", "=d.example", COLUMNS)
    assert store.rows("SELECT count(*) AS n FROM saved_mapping") == [{"n": 2}], "the older one is kept"


def test_a_mapping_is_offered_for_files_of_its_shape_only(store: Store) -> None:
    mappings.save(store, "ours", COLUMNS, MAPPING, "ana")
    mappings.save(store, "others", ["a", "b"], {"banner_id": "a"}, "ana")
    assert [one.name for one in mappings.fitting(store, COLUMNS[::-1])] == ["ours"]
    assert mappings.fitting(store, [*COLUMNS, "more"]) == []


@pytest.mark.parametrize(("name", "mapping"), [("", MAPPING), ("n" * 101, MAPPING), ("empty", {}), ("empty", {"unit": "share"})])
def test_a_mapping_without_a_name_or_a_word_is_refused(store: Store, name: str, mapping: dict[str, str]) -> None:
    with pytest.raises(InputError):
        mappings.save(store, name, COLUMNS, mapping, "ana")


def test_an_unknown_mapping_names_those_that_there_are(store: Store) -> None:
    with pytest.raises(InputError, match="--save-mapping NAME"):
        mappings.load(store, "none")
    mappings.save(store, "ours", COLUMNS, MAPPING, "ana")
    with pytest.raises(InputError, match="Saved are ours"):
        mappings.load(store, "none")


def test_the_command_line_saves_a_mapping_and_uses_it_for_the_next_file(tmp_path: Path) -> None:
    def ingest(name: str, *words: str) -> dict[str, object]:
        path = tmp_path / name
        path.write_text("\n".join([",".join(COLUMNS), f"b,7,50,{25 + len(name)},2026-10-01"]) + "\n")
        done = CliRunner().invoke(app, ["ingest", str(path), *words, "--store", str(tmp_path / "s.duckdb"), "--json"])
        return {"exit": done.exit_code, **json.loads(done.stdout)}

    fields = [f"--map={ours}={theirs}" for ours, theirs in MAPPING.items() if ours != "unit"]
    assert ingest("a.csv", *fields, "--unit", "percent", "--save-mapping", "ours")["accepted"] == 1
    assert ingest("bb.csv")["exit"] == 2
    assert ingest("bb.csv", "--mapping", "ours")["accepted"] == 1
    over = ingest("ccc.csv", "--mapping", "ours", "--set", "domain=d.example")
    assert over["accepted"] == 1
    assert over["files"][0]["mapping"]["domain"] == "=d.example"  # type: ignore[index]
