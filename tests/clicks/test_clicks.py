"""Columns, formats and odd text of click logs, by hand."""

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.clicks import Heat, find_files, heat_batches, match, open_source
from core.clicks.source import MAX_LINE
from core.errors import InputError
from tests.clicks.test_ingest_twin import heat_of, take_in

OURS = ["banner_id", "grid_id", "n_products", "domain", "click_x_rel", "click_y_rel", "clicked_at"]
HEADER = ",".join(OURS)
ROW = "b,7,4,d.example,0.5,0.25,2026-10-01T12:00:00Z"
DAY = date(2026, 10, 1).toordinal() - 719163
BIN = 10 * 40 + 20


def reasons(content: bytes | str, name: str = "log.csv", **options: Any) -> tuple[int, dict[int, str]]:
    """(accepted, line -> reason)."""
    result, tables = take_in(content.encode() if isinstance(content, str) else content, name, **options)
    return result.accepted, {row["line"]: row["reason"] for row in tables["reject"]}


def parquet(path: Path, **columns: Any) -> bytes:
    pq.write_table(pa.table(columns), path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (OURS, "relative"),
        (["bannerId", "Grid ID", "N-Products", "Domain", "x", "y", "timestamp"], "relative"),
        (["creative_id", "placement_id", "products", "site", "pos_x", "pos_y", "ts"], "relative"),
        (["ad_id", "zone_id", "n_products", "host", "pointer_relative_x", "pointer_relative_y", "time"], "relative"),
        ([*OURS[:4], "click_x_px", "click_y_px", "banner_width", "banner_height", "clicked_at"], "pixels"),
        ([*OURS[:4], "x", "y", "width", "height", "clicked_at"], "pixels"),
        ([*OURS, "width", "height"], "relative"),
        ([*OURS[:4], "row", "col", "count"], "binned"),
        ([*OURS[:4], "row", "column", "clicks", "day"], "binned"),
    ],
)
def test_columns_are_found_by_their_names_and_aliases(names: list[str], layout: str) -> None:
    found = match(names)
    assert found.layout == layout
    assert set(found.fields) >= {"banner_id", "grid_id", "n_products", "domain"}
    assert set(found.fields.values()) <= set(names)


def test_a_mapping_goes_before_aliases() -> None:
    names = ["who", *OURS]
    assert match(names, {"banner_id": "who"}).fields["banner_id"] == "who"
    assert match([*OURS[:4], "x", "y", "width", "height", "ts"], {"click_x_rel": "x"}).layout == "relative"


@pytest.mark.parametrize(
    ("names", "mapping", "said"),
    [
        (OURS[:4], {}, "click_x_rel, click_y_rel, clicked_at cannot be found"),
        (OURS, {"nonsense": "domain"}, "'nonsense' is none"),
        (OURS, {"domain": "gone"}, "'gone' is not among"),
        ([*OURS, "domain"], {}, "stands twice"),
        (OURS, {"domain": "banner_id", "banner_id": "banner_id"}, "would be"),
        ([], {}, "no columns at all"),
    ],
)
def test_columns_that_do_not_fit_are_named(names: list[str], mapping: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=r"log|mapping|column") as caught:
        match(names, mapping)
    assert said in str(caught.value)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_text_tables_of_any_delimiter(delimiter: str, end: str) -> None:
    text = end.join([HEADER, ROW, ROW]).replace(",", delimiter)
    result, tables = take_in(text.encode())
    assert result.accepted == 2
    assert heat_of(tables) == {("b", 7, "d.example", DAY, BIN): 2}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_marked_encodings_are_read(encoding: str) -> None:
    text = f"{HEADER}\n{ROW.replace('d.example', 'é.example')}\n"
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    _, tables = take_in((mark + text).encode(encoding))
    assert [row["domain"] for row in tables["banner"]] == ["é.example"]


def test_every_format_brings_the_same_bins(tmp_path: Path) -> None:
    rows = [dict(zip(OURS, ROW.split(","), strict=True)), dict(zip(OURS, ROW.replace("0.25", "1").split(","), strict=True))]
    lines = "\n".join(json.dumps(row) for row in rows).encode()
    table = "\n".join([HEADER, *(",".join(row.values()) for row in rows)]).encode()
    typed = parquet(
        tmp_path / "t.parquet",
        banner_id=["b", "b"], grid_id=[7, 7], n_products=pa.array([4, 4], pa.int8()), domain=["d.example"] * 2,
        click_x_rel=pa.array([0.5, 0.5], pa.float32()), click_y_rel=[0.25, 1.0], clicked_at=[datetime(2026, 10, 1, 12, tzinfo=UTC)] * 2,
    )  # fmt: skip
    text = parquet(tmp_path / "s.parquet", **{name: [row[name] for row in rows] for name in OURS})
    expected = {("b", 7, "d.example", DAY, BIN): 1, ("b", 7, "d.example", DAY, 39 * 40 + 20): 1}
    files = [("a.csv", table), ("a.csv.gz", gzip.compress(table)), ("a.jsonl", lines), ("a.jsonl.gz", gzip.compress(lines))]
    for name, content in [*files, ("a.parquet", typed), ("b.parquet", text)]:
        _, tables = take_in(content, name)
        assert heat_of(tables) == expected, name


@pytest.mark.parametrize(
    "clicked_at",
    [
        pa.array([1790856000], pa.int64()),
        pa.array([1790856000000], pa.int64()),
        pa.array([1790856000.5], pa.float64()),
        pa.array([date(2026, 10, 1)], pa.date32()),
        pa.array([datetime(2026, 10, 1, 12)], pa.timestamp("ns")),
        pa.array([datetime(2026, 10, 1, 12)], pa.timestamp("s")),
        pa.array(["2026-10-01T23:30:00-00:00"], pa.string()),
        pa.array(["2026-10-02T01:30:00+02:00"], pa.string()),
        pa.array(["20261001T120000Z"], pa.string()),
    ],
    ids=str,
)
def test_times_of_every_type_fall_on_their_day_in_utc(tmp_path: Path, clicked_at: pa.Array) -> None:
    content = parquet(
        tmp_path / "t.parquet", grid_id=[7], n_products=[4], domain=["d"], click_x_rel=[0.5], click_y_rel=[0.25], clicked_at=clicked_at
    )
    _, tables = take_in(content, "log.parquet")
    assert heat_of(tables) == {("7/4/d", 7, "d", DAY, BIN): 1}


def test_the_id_of_a_banner_without_one_is_derived() -> None:
    text = "grid_id,n_products,domain,x,y,time\n333519,4,site01.example,0.5,0.25,2026-10-01\n333519.0,4,site01.example,0,0,2026-10-01\n"
    _, tables = take_in(text.encode())
    assert [row["banner_id"] for row in tables["banner"]] == ["333519/4/site01.example"]
    assert [row["n_clicks"] for row in tables["heatmap_day"]] == [2]


def test_pixels_are_measured_against_the_banner() -> None:
    header = "banner_id,grid_id,n_products,domain,click_x_px,click_y_px,banner_width,banner_height,clicked_at"
    places = ["150,25,300,100", "300,100,300,100", "301,1,300,100", "1,1,0,100", "1,1,300,", "x,1,300,100", "-3,-3,-300,-100", ",1,2,3"]
    text = "\n".join([header, *(f"b,7,4,d,{place},2026-10-01" for place in places)])
    result, tables = take_in(text.encode())
    assert heat_of(tables) == {("b", 7, "d", DAY, BIN): 1, ("b", 7, "d", DAY, 1599): 1}
    assert result.rejected == {
        "banner_width not a positive number": 2,
        "banner_height not a positive number": 1,
        "coordinate empty": 1,
        "coordinate not a number": 1,
        "coordinate outside 0..1": 1,
    }


def test_counts_of_cells_are_taken_as_they_are() -> None:
    header = "banner_id,grid_id,n_products,domain,row,col,count,day"
    cells = ["10,20,3", "10,20,2", "0,0,1", "40,0,1", "0,-1,1", "1.5,0,1", "0,,1", "0,0,0", "0,0,2.5", "0,0,x"]
    text = "\n".join([header, *(f"b,7,4,d,{cell},2026-10-01" for cell in cells)])
    result, tables = take_in(text.encode())
    assert heat_of(tables) == {("b", 7, "d", DAY, BIN): 5, ("b", 7, "d", DAY, 0): 1}
    assert result.accepted == 3
    assert result.files[0].n_clicks == 6
    assert result.rejected == {
        "count not a positive whole number": 3,
        "col not a whole number": 1,
        "col outside 0..39": 1,
        "row not a whole number": 1,
        "row outside 0..39": 1,
    }


def test_counts_without_a_day_are_booked_on_the_day_of_the_ingest() -> None:
    before = datetime.now(UTC).date()
    _, tables = take_in(b"banner_id,grid_id,n_products,domain,row,col,count\nb,7,4,d,0,0,1\n")
    assert tables["heatmap_day"][0]["day"] in (before, datetime.now(UTC).date())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('"b,7,4,d,0.5,0.5,2026-10-01', "quote never closed"),
        ('"b"b,7,4,d,0.5,0.5,2026-10-01', "quote misplaced"),
        ("b,7,4,d\udcff,0.5,0.5,2026-10-01", "not UTF-8"),
        ("b,7,4,d\x00,0.5,0.5,2026-10-01", "NUL byte"),
        ("b,7,4," + "d" * MAX_LINE + ",0.5,0.5,2026-10-01", "line too long"),
        ("b,7,4,d,0.5,0.5,2026-10-01,,,", "too many fields"),
        ("b,7,4", "too few fields"),
        (" ", "too few fields"),
    ],
)
def test_a_broken_row_costs_that_row_only(row: str, reason: str) -> None:
    text = "\n".join([HEADER, ROW, "", row, ROW, ""])
    assert reasons(text.encode("utf-8", "surrogateescape")) == (2, {4: reason})


def test_quoted_fields_may_hold_lines_and_the_next_lines_keep_their_numbers() -> None:
    text = f'{HEADER}\n"b\n1",7,4,"d ""x"", y",0.5,0.25,2026-10-01\n{ROW.replace("0.5", "9")}\n'
    result, tables = take_in(text.encode())
    assert heat_of(tables) == {("b\n1", 7, 'd "x", y', DAY, BIN): 1}
    assert [row["line"] for row in tables["reject"]] == [4]
    assert result.rejected == {"coordinate outside 0..1": 1}


def test_json_lines_that_are_no_objects_are_rejected() -> None:
    good = json.dumps(dict(zip(OURS, ROW.split(","), strict=True)))
    text = "\n".join([good, "{broken", "[1]", "3", "null", good[:-1] + ', "other": {"a": 1}}', '{"banner_id": "b"}'])
    assert reasons(text, "log.jsonl") == (
        2,
        {2: "not a JSON object", 3: "not a JSON object", 4: "not a JSON object", 5: "not a JSON object", 7: "grid_id empty"},
    )


def test_keys_of_json_may_hold_dots_slashes_and_quotes() -> None:
    names = ["a.b", "c/d", 'e"f', "g~h", "$", "['x']", "ts"]
    mapping = dict(zip(OURS, names, strict=True))
    text = json.dumps(dict(zip(names, ROW.split(","), strict=True)))
    _, tables = take_in(text.encode(), "log.jsonl", mapping=mapping)
    assert heat_of(tables) == {("b", 7, "d.example", DAY, BIN): 1}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n\n", "holds none"),
        ("a.csv", b"a,b\n1,2\n", "cannot be found among a, b"),
        ("a.jsonl", b"[]", "begins with '[]'"),
        ("a.csv.gz", b"not gzip at all", "damaged"),
        ("a.csv.gz", gzip.compress(b"x" * 100_000)[:-20], "cut off"),
        ("a.parquet", b"PAR1", "cannot open it"),
        ("a.xlsx", b"PK", "does not"),
        ("a.csv", "größe".encode("latin-1"), "begins with a line of UTF-8 text"),
    ],
)
def test_files_that_cannot_be_read_say_why(name: str, content: bytes, said: str) -> None:
    with pytest.raises(InputError) as caught:
        take_in(content, name)
    assert said in str(caught.value)


def test_a_log_with_a_header_only_is_not_taken_in() -> None:
    with pytest.raises(InputError, match="holds no row after its header"):
        take_in((HEADER + "\n").encode())


def test_folders_are_walked_and_hidden_files_left_out(tmp_path: Path) -> None:
    for name in ["b.csv", "a/c.parquet", ".d.csv", "_tmp/e.csv", "notes.md"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert [path.name for path in find_files([tmp_path])] == ["c.parquet", "b.csv"]
    with pytest.raises(InputError, match="does not exist"):
        find_files([tmp_path / "gone"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds none"):
        find_files([tmp_path / "empty"])


@pytest.mark.parametrize("name", ["a[1].csv", "b*.csv", "it's.csv", "ünï.csv"])
def test_wildcards_and_quotes_in_a_file_name_mean_nothing(name: str) -> None:
    assert reasons(f"{HEADER}\n{ROW}\n", name)[0] == 1


def test_a_plain_log_is_told_from_one_that_needs_repair(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    for text, plain in [(f"{ROW}\n", True), (f"{ROW}\r\n", False), ("\n", False), ("\x00\n", False), (f'"{ROW}" \n', False)]:
        path.write_text(f"{HEADER}\n{text}", newline="")
        assert open_source(duckdb.connect(), path).plain is plain, text


def test_keys_become_rows_of_sorted_bins() -> None:
    keys = np.array([(1 << 32) | (5 << 16) | 7, 3, 3, (5 << 16) | 9, 1], np.int64)
    heat = Heat(keys)
    heat.sort()
    (batch,) = heat_batches(heat, pa.array(["a", "b"]))
    days = [date.fromordinal(719163), date.fromordinal(719168)]
    assert batch.to_pylist() == [
        {"banner_id": "a", "day": days[0], "segment": None, "n_clicks": 3, "bins": [1, 3], "counts": [1, 2]},
        {"banner_id": "a", "day": days[1], "segment": None, "n_clicks": 1, "bins": [9], "counts": [1]},
        {"banner_id": "b", "day": days[1], "segment": None, "n_clicks": 1, "bins": [7], "counts": [1]},
    ]


def test_segments_of_a_day_are_rows_of_their_own() -> None:
    heat = Heat(np.array([5 << 16 | 2 << 11 | 1599, 5 << 16 | 1599, 5 << 16 | 2 << 11 | 1599, 1 << 32 | 5 << 16 | 31 << 11], np.int64))
    heat.sort()
    names = pa.array([None, "phone", "desktop", *[f"s{k}" for k in range(3, 31)], "other"])
    (batch,) = heat_batches(heat, pa.array(["a", "b"]), names)
    found = [(row["banner_id"], row["segment"], row["bins"], row["counts"]) for row in batch.to_pylist()]
    assert found == [("a", None, [1599], [1]), ("a", "desktop", [1599], [2]), ("b", "other", [0], [1])]


def test_blocks_never_cut_a_heatmap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.clicks.binning.BLOCK", 3)
    rng = np.random.default_rng(0)
    heat = Heat((rng.integers(0, 3, 200) << 32) | (rng.integers(0, 4, 200) << 16) | rng.integers(0, 30, 200))
    heat.sort()
    rows = [row for batch in heat_batches(heat, pa.array(["a", "b", "c"])) for row in batch.to_pylist()]
    assert len({(row["banner_id"], row["day"]) for row in rows}) == len(rows) == 12
    assert sum(row["n_clicks"] for row in rows) == 200
