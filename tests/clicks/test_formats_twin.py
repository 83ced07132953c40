"""The same rows in every format bring the same account, and values of every Parquet type are read as their text is."""

import gzip
import json
import random
import time
from collections import Counter
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import HeatproofError, InputError
from tests.clicks.test_ingest_twin import HOSTS, WHOLES, click, examples, good, heat_of, take_in
from tests.support import slow_clicks
from tests.support.slow_clicks import HEADER

OURS = ["banner_id", "grid_id", "n_products", "domain", "click_x_rel", "click_y_rel", "clicked_at"]
ROW = ["b", "7", "4", "d.example", "0.5", "0.25", "2026-11-20T00:00:00Z"]
NOON = 1_795_176_000
DAY = date(2026, 11, 20).toordinal() - 719163


def table_of(rows: list[list[str]]) -> bytes:
    """Parquet of texts; an empty one is NULL."""
    sink = pa.BufferOutputStream()
    columns = zip(*rows, strict=True) if rows else [[] for _ in HEADER]
    pq.write_table(pa.table({n: pa.array([v or None for v in c], pa.string()) for n, c in zip(HEADER, columns, strict=True)}), sink)
    return sink.getvalue().to_pybytes()


def parquet_of(**columns: Any) -> bytes:
    """Parquet of the plain row with some columns of another type; a scalar stands in every row."""
    n = max(len(c) for c in columns.values())
    plain = {name: [value] * n for name, value in zip(OURS, ROW, strict=True)}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({**plain, **columns}), sink)
    return sink.getvalue().to_pybytes()


def account(content: bytes, name: str) -> tuple[Any, ...]:
    result, tables = take_in(content, name)
    return (
        result.accepted,
        result.rejected,
        heat_of(tables),
        Counter(r["value"] for r in tables["reject"] if r["reason"].startswith("banner_id bel")),
    )


@examples(60)
@given(rows=st.lists(st.one_of(good, click), min_size=1, max_size=14))
def test_the_same_rows_bring_the_same_account_in_every_format(rows: list[list[str]]) -> None:
    text = slow_clicks.as_csv(rows).encode()
    lines = "\n".join(json.dumps(dict(zip(HEADER, row, strict=True)), ensure_ascii=bool(i % 2)) for i, row in enumerate(rows)).encode()
    files = [("a.csv", text), ("a.csv.gz", gzip.compress(text)), ("a.parquet", table_of(rows))]
    files += [("a.jsonl", lines), ("a.jsonl.gz", gzip.compress(lines))]
    accounts = {name: account(content, name) for name, content in files}
    assert all(found == accounts["a.csv"] for found in accounts.values())
    heat, reasons = slow_clicks.judge([(i, dict(zip(HEADER, row, strict=True))) for i, row in enumerate(rows)])
    assert accounts["a.csv"][1:3] == (Counter(reasons.values()), heat)


def same_as_text(columns: dict[str, Any], texts: dict[str, list[str]]) -> tuple[Any, ...]:
    """The account of typed Parquet, which must be that of its texts in CSV."""
    n = len(next(iter(texts.values())))
    rows = [["", *(texts[name][i] if name in texts else value for name, value in zip(OURS, ROW, strict=True))] for i in range(n)]
    typed = account(parquet_of(**columns), "a.parquet")
    assert typed == account(slow_clicks.as_csv(rows).encode(), "a.csv")
    return typed


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.float16()], ids=str)
@pytest.mark.parametrize("name", ["click_x_rel", "click_y_rel"])
def test_floats_that_are_no_place_are_rejected_whatever_the_statistics_say(name: str, kind: pa.DataType) -> None:
    values = [0.5, float("nan"), float("inf"), float("-inf"), -0.0, 1.0, 1.5, None]
    array = pa.array(
        np.array([np.nan if v is None else v for v in values]).astype(kind.to_pandas_dtype()),
        kind,
        mask=np.array([v is None for v in values]),
    )
    found = same_as_text({name: array}, {name: ["0.5", "nan", "inf", "-inf", "-0.0", "1.0", "1.5", ""]})
    assert found[:2] == (3, {"coordinate not a number": 1, "coordinate outside 0..1": 3, "coordinate empty": 1})


@pytest.mark.parametrize("step", [1, 3])
def test_a_column_of_nothing_but_nan_is_rejected(step: int) -> None:
    content = parquet_of(click_x_rel=[float("nan")] * step)
    assert account(content, "a.parquet")[:2] == (0, {"coordinate not a number": step})


def test_counts_that_are_nan_are_rejected() -> None:
    columns = {"row": [1.0, float("nan"), 1.0, 1.0], "col": [1.0, 1.0, float("nan"), 1.0], "count": [3.0, 1.0, 1.0, float("nan")]}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({**{n: [v] * 4 for n, v in zip(OURS[:4], ROW, strict=False)}, **columns}), sink)
    rejected = {"row not a whole number": 1, "col not a whole number": 1, "count not a positive whole number": 1}
    assert account(sink.getvalue().to_pybytes(), "a.parquet")[:2] == (1, rejected)


GRIDS = {
    "float64": (pa.array([7.0, float("nan"), 7.5, 2.0**53, 1e18, float("inf"), None, -7.0], pa.float64()), 2,
        ["7.0", "nan", "7.5", "9007199254740992.0", "1e+18", "inf", "", "-7.0"]),
    "uint64": (pa.array([7, 2**63, 2**64 - 1, 2**63 - 1, None], pa.uint64()), 2,
        ["7", str(2**63), str(2**64 - 1), str(2**63 - 1), ""]),
    "int8": (pa.array([7, -7, None], pa.int8()), 2, ["7", "-7", ""]),
    "decimal": (pa.array([Decimal(7), Decimal(2**63), None], pa.decimal128(38, 0)), 1, ["7", str(2**63), ""]),
    "decimal with cents": (pa.array([Decimal("7.00"), Decimal("7.50")], pa.decimal128(20, 2)), 1, ["7.00", "7.50"]),
    "dictionary": (pa.array(["7", "12abc", " 007 ", None]).dictionary_encode(), 2, ["7", "12abc", " 007 ", ""]),
    "binary": (pa.array([b"7", b"x"], pa.binary()), 1, ["7", "x"]),
    "bool": (pa.array([True, None]), 1, ["true", ""]),
    "large string": (pa.array(WHOLES, pa.large_string()), 12, WHOLES),
}  # fmt: skip


@pytest.mark.parametrize("kind", GRIDS)
def test_grid_ids_of_every_type_are_read_as_their_text(kind: str) -> None:
    array, n, texts = GRIDS[kind]
    ids = [f"b{i}" for i in range(len(texts))]
    assert same_as_text({"grid_id": array, "banner_id": ids}, {"grid_id": texts, "banner_id": ids})[0] == n


def test_neighbours_beyond_2_to_the_53_stay_apart() -> None:
    texts = ["9007199254740993", "9007199254740992", "-9223372036854775808"]
    content = parquet_of(grid_id=pa.array([int(t) for t in texts]), banner_id=texts)
    assert sorted(key[1] for key in heat_of(take_in(content, "a.parquet")[1])) == sorted(int(t) for t in texts)
    same_as_text({"grid_id": [int(t) for t in texts], "banner_id": texts}, {"grid_id": texts, "banner_id": texts})


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York", "Asia/Kolkata"])
def test_timestamps_of_every_unit_and_zone(unit: str, zone: str | None) -> None:
    at = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
    array = pa.array([at if zone else at.replace(tzinfo=None), None], pa.timestamp(unit, zone))
    accepted, rejected, heat, _ = account(parquet_of(clicked_at=array), "a.parquet")
    assert (accepted, rejected, [key[3] for key in heat]) == (1, {"time empty": 1}, [DAY])


SCALES = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@pytest.mark.parametrize("unit", SCALES)
@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.float64(), pa.decimal128(38, 3), pa.string()], ids=str)
def test_epochs_of_every_unit_and_type(unit: str, kind: pa.DataType) -> None:
    number = NOON * SCALES[unit]
    array = pa.array([number], pa.int64()).cast(kind, safe=False) if not pa.types.is_decimal(kind) else pa.array([Decimal(number)], kind)
    text = repr(float(number)) if pa.types.is_floating(kind) else str(number)
    assert [key[3] for key in same_as_text({"clicked_at": array}, {"clicked_at": [text]})[2]] == [DAY]


def test_the_last_nanosecond_of_a_day_belongs_to_it() -> None:
    last = (NOON // 86_400) * 86_400 * 10**9 + 86_400 * 10**9 - 1
    assert [key[3] for key in same_as_text({"clicked_at": [last]}, {"clicked_at": [str(last)]})[2]] == [DAY]


@pytest.mark.parametrize("digits", ["20261120", "2026112021", "202611202132", "20261120213246"])
def test_calendars_in_digits_are_no_epochs(digits: str) -> None:
    assert [key[3] for key in same_as_text({"clicked_at": [int(digits)]}, {"clicked_at": [digits]})[2]] == [DAY]
    assert [key[3] for key in same_as_text({"clicked_at": [float(digits)]}, {"clicked_at": [f"{digits}.0"]})[2]] == [DAY]


def test_numbers_that_are_no_times() -> None:
    values = [0, 1, 46_346, 12_000_000, 20_261_320, -1, -NOON, 253_402_300_800]
    found = same_as_text({"clicked_at": values}, {"clicked_at": [str(v) for v in values]})
    assert found[:2] == (1, {"time unreadable": 6, "time outside 1971..2099": 1})  # the last are milliseconds of 1978
    for array in (pa.array([time_of_day(10)]), pa.array([True]), pa.array([float("nan")])):
        assert account(parquet_of(clicked_at=array), "a.parquet")[:2] == (0, {"time unreadable": 1})
    assert account(parquet_of(clicked_at=pa.array([date(2026, 11, 20)])), "a.parquet")[0] == 1


@pytest.mark.parametrize("column", ["banner_id", "click_x_rel", "clicked_at"])
@pytest.mark.parametrize("value", [{"a": 1}, [1, 2]], ids=["struct", "list"])
def test_a_nested_column_is_refused_by_name(column: str, value: Any) -> None:
    with pytest.raises(InputError, match=column):
        take_in(parquet_of(**{column: [value]}), "a.parquet")


def test_hosts_in_any_spelling_are_one_site() -> None:
    rows = [["", "", "7", "4", name, "0.5", "0.5", ROW[-1]] for name in HOSTS]
    header = ",".join(HEADER).replace("banner_id,", "")
    text = "\n".join([header, *(",".join(v for i, v in enumerate(row) if i != 1) for row in rows)])
    _, tables = take_in(text.encode())
    assert sorted(row["banner_id"] for row in tables["banner"]) == ["7/4/d.example", "7/4/ü.example"]


def test_a_banner_elsewhere_is_rejected_with_what_differs_where_that_is_asked_for() -> None:
    first = "b,7,4,shop.example,0.5,0.5,2026-11-20"
    others = ["b,7,4,shop.other,0,0,2026-11-20", "b,8,5,SHOP.example,0,0,2026-11-20"]
    _, tables = take_in("\n".join([",".join(OURS), first, first, *others]).encode(), mapping={"banners": "strict"})
    values = {row["line"]: row["value"] for row in tables["reject"]}
    assert values == {4: "domain 'shop.other', before 'shop.example'", 5: "grid_id 8, before 7; n_products 5, before 4"}


def test_a_nul_in_an_id_is_rejected_in_every_format() -> None:
    rows = [["", "a\x00b", *ROW[1:]], ["", *ROW]]
    lines = "\n".join(json.dumps(dict(zip(HEADER, row, strict=True))) for row in rows).encode()
    for name, content in (("a.csv", slow_clicks.as_csv(rows).encode()), ("a.jsonl", lines), ("a.parquet", table_of(rows))):
        assert account(content, name)[:2] == (1, {"NUL byte": 1}), name


@pytest.mark.parametrize(
    ("values", "used"), [(["click"] * 30, False), ([f"c{i % 2}" for i in range(30)], False), ([f"c{i}" for i in range(30)], True)]
)
def test_a_guessed_click_id_that_is_none_rejects_nothing_and_is_said(values: list[str], used: bool) -> None:
    text = "\n".join(["click_id," + ",".join(OURS), *(f"{value}," + ",".join(ROW) for value in values)]).encode()
    result, tables = take_in(text)
    assert (result.accepted, len(tables["click_seen"]), bool(result.files[0].notes)) == (30, 30 if used else 0, not used)
    mapped, _ = take_in(text, mapping={"click_id": "click_id"})
    assert mapped.accepted == len(set(values))


def test_an_event_id_is_no_click_id() -> None:
    text = "\n".join(["event_id," + ",".join(OURS), *("click," + ",".join(ROW) for _ in range(5))]).encode()
    assert take_in(text)[0].accepted == 5
    assert take_in(text, mapping={"click_id": "event_id"})[0].accepted == 1


def log_bytes(n: int, **options: Any) -> bytes:
    rng, sink = np.random.default_rng(0), pa.BufferOutputStream()
    columns = {
        "banner_id": [f"b{i % 50}" for i in range(n)], "grid_id": [7 + i % 50 for i in range(n)], "n_products": [4] * n,
        "domain": [f"d{i % 50}.example" for i in range(n)], "click_x_rel": rng.random(n), "click_y_rel": rng.random(n),
        "clicked_at": (NOON * 10**6 + np.arange(n) * 10**6).astype("datetime64[us]"),
    }  # fmt: skip
    pq.write_table(pa.table(columns), sink, row_group_size=500, **options)
    return sink.getvalue().to_pybytes()


def damaged(content: bytes, seed: int) -> bytes:
    """One to three flipped bits, often in the footer, or a file cut short."""
    rng, out = random.Random(seed), bytearray(content)
    if rng.random() < 0.15:
        return bytes(out[: rng.randrange(len(out))])
    low = len(out) - 2500 if rng.random() < 0.4 else 0
    for _ in range(rng.choice([1, 1, 1, 3])):
        out[rng.randrange(max(low, 0), len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


@pytest.mark.parametrize(
    ("name", "has_checksum"),
    [("a.parquet", True), ("b.parquet", False), ("z.parquet", False), ("a.csv.gz", True), ("a.csv", False), ("a.jsonl", False)],
)
def test_damaged_files_are_refused_or_accounted_for(name: str, has_checksum: bool) -> None:
    """A checksum finds flipped bits. Without one, a flipped bit of a value cannot be told from the value."""
    if name.endswith("parquet"):
        content = log_bytes(1_500, compression="zstd" if name[0] == "z" else "snappy", write_page_checksum=has_checksum)
    else:
        rows = [["", f"b{i % 9}", *ROW[1:4], f"{i / 1000}", *ROW[5:]] for i in range(900)]
        text = slow_clicks.as_csv(rows).encode()
        lines = "\n".join(json.dumps(dict(zip(HEADER, row, strict=True))) for row in rows).encode()
        content = {"a.csv.gz": gzip.compress(text), "a.csv": text, "a.jsonl": lines}[name]
    whole, started = heat_of(take_in(content, name)[1]), time.monotonic()
    for seed in range(150):
        if time.monotonic() - started > 12:
            break
        message = ""
        try:
            result, tables = take_in(damaged(content, seed), name)
        except HeatproofError as error:
            message = str(error)
        if message:
            assert name in message
            continue
        assert result.accepted + sum(result.rejected.values()) == tables["ingest"][0]["n_rows"]
        if has_checksum:
            assert heat_of(tables) == whole, seed
