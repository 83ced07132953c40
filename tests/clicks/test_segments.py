"""Segments of clicks: from a column of the log to rows of the store, at most eight of them, and back out again."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from core.__main__ import app
from core.clicks import ALIASES, undo
from core.clicks.ingest import Options, ingest
from core.clicks.segments import MOST
from core.store import Store
from core.store.queries import segments
from tests.conftest import Place

HEADER = "banner_id,grid_id,n_products,domain,click_x_rel,click_y_rel,clicked_at"


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with Store(place("store")) as opened:
        yield opened


def log(path: Path, values: list[str], column: str = "device", banner: str = "b") -> Path:
    rows = [f"{banner},7,4,d.example,0.5,0.25,2026-10-01T12:00:{i % 60:02d}Z,{value}" for i, value in enumerate(values)]
    path.write_text("\n".join([f"{HEADER},{column}", *rows, ""]))
    return path


def clicks_of(store: Store) -> dict[str | None, int]:
    rows = store.rows("SELECT segment, sum(n_clicks)::BIGINT AS n FROM heatmap_day GROUP BY segment ORDER BY segment")
    return {row["segment"]: row["n"] for row in rows}


@pytest.mark.lakes
def test_a_device_is_kept_in_one_spelling(store: Store, tmp_path: Path) -> None:
    taken = ingest(store, [log(tmp_path / "a.csv", ["Phone", " phone ", "desktop", "", "PHONE", "Other"])])
    assert (taken.accepted, taken.rejected) == (6, {})
    assert clicks_of(store) == {"desktop": 1, "other": 1, "phone": 3, None: 1}
    assert segments.names(store) == ["phone", "desktop", "other"]
    heat = store.rows("SELECT bins, counts, day FROM heatmap_day WHERE segment = 'phone'")
    assert [(row["bins"], row["counts"], str(row["day"])) for row in heat] == [([10 * 40 + 20], [3], "2026-10-01")]


def test_the_most_frequent_eight_of_a_store_are_named_and_the_rest_is_other(store: Store, tmp_path: Path) -> None:
    first = [f"s{k}" for k in range(6) for _ in range(10)]
    second = [f"t{k}" for k in range(6) for _ in range(10 - k)]
    ingest(store, [log(tmp_path / "a.csv", first)])
    note = ingest(store, [log(tmp_path / "b.csv", [*second, "s0"])]).files[0].notes
    assert "cover only 43 %" in note[0]  # found by its name, most of it would be "other"
    ingest(store, [log(tmp_path / "b.csv", [*second, "s0"])], mapping={"device": "device"}, options=Options(known="replace"))
    named = {*(f"s{k}" for k in range(6)), "t0", "t1"}
    assert set(segments.names(store)) == {*named, "other"}
    assert len(named) == MOST
    assert clicks_of(store)["other"] == 8 + 7 + 6 + 5
    assert clicks_of(store)["s0"] == 11


def test_a_column_found_by_its_name_with_too_many_values_is_not_used(store: Store, tmp_path: Path) -> None:
    path = log(tmp_path / "a.csv", [f"SM-{k}" for k in range(40)])
    (file,) = ingest(store, [path]).files
    assert "Column 'device' is not used as device: it has 40 values" in file.notes[0]
    assert "--segment device" in file.notes[0]
    assert (clicks_of(store), segments.names(store)) == ({None: 40}, [])
    assert ingest(store, [path]).already_ingested
    ingest(store, [path], mapping={"device": "device"}, options=Options(known="replace"))
    assert clicks_of(store)["other"] == 32


def test_a_nested_device_is_left_out_and_said(store: Store, tmp_path: Path) -> None:
    columns = {
        "banner_id": ["b"], "grid_id": [7], "n_products": [4], "domain": ["d.example"],
        "click_x_rel": [0.5], "click_y_rel": [0.25], "clicked_at": ["2026-10-01T12:00:00Z"], "device": [{"type": "phone"}],
    }  # fmt: skip
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    (file,) = ingest(store, [tmp_path / "a.parquet"]).files
    assert (file.accepted, clicks_of(store)) == (1, {None: 1})
    assert "holds several values a row" in file.notes[0]


def test_a_log_from_before_devices_were_kept_is_recognised(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = log(tmp_path / "a.csv", ["phone", "desktop"])
    with monkeypatch.context() as before:
        before.setattr("core.clicks.columns.ALIASES", {ours: names for ours, names in ALIASES.items() if ours != "device"})
        ingest(store, [path])
    assert clicks_of(store) == {None: 2}
    assert ingest(store, [path]).already_ingested


def test_an_ingest_taken_back_takes_its_segments(store: Store, tmp_path: Path) -> None:
    ingest(store, [log(tmp_path / "a.csv", ["phone"] * 3)])
    second = ingest(store, [log(tmp_path / "b.csv", ["tablet"] * 2)])
    undo.undo(store, second.files[0].ingest_id, "ann")
    assert segments.names(store) == ["phone"]
    assert clicks_of(store) == {"phone": 3}


def test_any_column_can_be_the_segment(store: Store, tmp_path: Path) -> None:
    path = log(tmp_path / "a.csv", ["DE", "FR", "DE"], column="country")
    done = CliRunner().invoke(app, ["ingest", str(path), "--segment", "country", "--store", str(tmp_path / "own.duckdb"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["files"][0]["mapping"]["device"] == "country"
    twice = ["ingest", str(path), "--segment", "country", "--map", "device=country", "--store", str(tmp_path / "own.duckdb")]
    assert CliRunner().invoke(app, twice).exit_code != 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\n"), max_size=50), min_size=1, max_size=30))
def test_no_value_loses_a_click(tmp_path: Path, values: list[str]) -> None:
    with Store(tmp_path / f"{abs(hash(tuple(values)))}.duckdb") as opened:
        quoted = ['"' + value.replace('"', '""') + '"' for value in values]
        taken = ingest(
            opened, [log(tmp_path / "h.csv", quoted)], mapping={"device": "device"}, options=Options(known="add", allow_rejects=True)
        )
        held = clicks_of(opened)
        assert sum(held.values()) == taken.accepted
        assert taken.accepted + sum(taken.rejected.values()) == len(values)
        assert len(held) <= MOST + 2
