"""The fast reader against the slow twin on dirty logs, and against arbitrary bytes."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core.clicks.ingest import IngestResult, Options, ingest
from core.errors import HeatproofError
from core.store import Store
from tests.support import slow_clicks

NUMBERS = ["0", "1", "1.0", "0.5", "0.025", "0.999999", "1e-3", ".5", "1.0001", "-0.1", "nan", "inf", "", " ", "n/a", "0,5", "0x1", "+0.25"]
TIMES = [
    "2026-10-01", "2026-10-01T23:59:59Z", "2026-10-01 23:59:59", "2026-10-01T23:30:00-05:00", "2026-10-01T00:10:00.250+02:00", "1790000000",
    "1790000000000", "1790000000.5", "", "yesterday", "1969-12-31", "2100-01-01", "0", "2026-02-30", "20261001", "2026-10-01T10:00Z",
    "1790000000000000", "1795132799999999999", "1.79e9", "2016050821", "2016130821", "201605082132", "20160508213246", "20160508.0",
    "20160230", "-1790000000", "46000.5", "9999999999999999999", "10:00:00", " 1790000000 ",
]  # fmt: skip
TEXTS = [
    "a",
    "b",
    "<script>alert(1)</script>",
    "'; DROP TABLE banner; --",
    "=1+1",
    'say "hi"',
    "two\nlines",
    "ü😀",
    "a,b",
    " ",
    "",
    "NULL",
    "\\N",
    "é",
    "e\u0301",
    "a ",
    "\u00a0b\u200b",
]
HOSTS = [
    "d.example",
    "D.Example.",
    " d.example",
    "https://d.example:443/x?y",
    "d.example:80",
    "d\u200b.example",
    "\u00fc.example",
    "xn--tda.example",
]
WHOLES = [
    "1",
    "1",
    "1",
    "2",
    "1.0",
    "x",
    "",
    "-3",
    "1.5",
    "99999999999999999999",
    "1785432198765432101",
    "9223372036854775807",
    "9223372036854775808",
    "1e18",
    "1E+02",
    "+1",
    "007",
    " 1 ",
    "1\u00a0",
    "12abc",
    "0x1F",
    "9007199254740993.0",
    "1,000",
    "nan",
    "1_0",
    ".",
    "\u0661",
]

click = st.tuples(
    st.sampled_from(["", "c1", "c2", "c3", "c4", "c5", "c6"]),
    st.sampled_from(TEXTS),
    st.sampled_from(WHOLES),
    st.sampled_from(["4", "4", "4", "5", "0", "40000", "", "four", "4.0", " 4", "4e0", "99999999999999999999"]),
    st.sampled_from(TEXTS[:9] + HOSTS),
    st.sampled_from(NUMBERS),
    st.sampled_from(NUMBERS),
    st.sampled_from(TIMES),
).map(list)
good = st.tuples(
    st.sampled_from(["", "c7", "c8", "c9"]), st.sampled_from(["a", "b"]), st.just("1"), st.just("4"), st.just("d"),
    st.floats(0, 1).map(repr), st.floats(0, 1).map(repr), st.sampled_from(TIMES[:8]),
).map(list)  # fmt: skip
ragged = st.lists(st.sampled_from(["a", "", "0.5"]), min_size=1, max_size=10)


def examples(n: int) -> settings:
    """n examples, the same every time. A store an example makes shrinking a matter of minutes, so the example is shown as it is."""
    phases = (Phase.explicit, Phase.generate)
    return settings(max_examples=n, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True, phases=phases)


def take_in(content: bytes, name: str = "log.csv", **options: Any) -> tuple[IngestResult, dict[str, list[dict[str, Any]]]]:
    """Ingests the bytes into a store of its own, however many rows are rejected; the result and the tables."""
    with tempfile.TemporaryDirectory() as where:
        path = Path(where) / name
        path.write_bytes(content)
        with Store(Path(where) / "store.duckdb") as store:
            result = ingest(store, [path], options=Options(allow_rejects=True), **options)
            tables = ("ingest", "reject", "banner", "heatmap_day", "click_seen")
            return result, {table: store.rows(f"SELECT * FROM {table}") for table in tables}


def heat_of(tables: dict[str, list[dict[str, Any]]]) -> Counter[tuple[str, int, str, int, int]]:
    banners = {row["banner_id"]: row for row in tables["banner"]}
    heat: Counter[tuple[str, int, str, int, int]] = Counter()
    for row in tables["heatmap_day"]:
        banner = banners[row["banner_id"]]
        assert row["bins"] == sorted(set(row["bins"]))
        assert sum(row["counts"]) == row["n_clicks"]
        for bin_, n in zip(row["bins"], row["counts"], strict=True):
            heat[row["banner_id"], banner["grid_id"], banner["domain"], row["day"].toordinal() - 719163, bin_] += n
    return heat


def check_account(result: IngestResult, tables: dict[str, list[dict[str, Any]]]) -> None:
    (kept,) = tables["ingest"]
    assert kept["n_rows"] == kept["n_accepted"] + kept["n_rejected"]
    assert kept["n_rejected"] == len(tables["reject"]) == sum(result.rejected.values())
    assert Counter(row["reason"] for row in tables["reject"]) == Counter(result.rejected)
    assert kept["n_accepted"] == result.accepted
    assert len({row["line"] for row in tables["reject"]}) == len(tables["reject"])


@pytest.mark.parametrize("quoting", [0, 1], ids=["quotes where needed", "quotes everywhere"])
@examples(40)
@given(rows=st.lists(st.one_of(good, good, click, ragged), max_size=12))
def test_a_dirty_log_is_read_as_the_slow_twin_reads_it(quoting: int, rows: list[list[str]]) -> None:
    text = slow_clicks.as_csv(rows, quoting=quoting)
    heat, reasons = slow_clicks.read(text)
    if not heat and not reasons:
        with pytest.raises(HeatproofError, match="holds no row"):
            take_in(text.encode())
        return
    result, tables = take_in(text.encode())
    check_account(result, tables)
    assert {row["line"]: row["reason"] for row in tables["reject"]} == reasons
    assert heat_of(tables) == heat


@examples(60)
@given(
    rows=st.lists(st.one_of(good, click), max_size=5),
    noise=st.lists(
        st.one_of(
            st.binary(max_size=40), st.sampled_from([b'"', b"\x00", b"\xff", b"\r", b"\n\n", b'a,"b', b"\xef\xbb\xbf", b"x" * 70_000])
        ),
        max_size=5,
    ),
    seed=st.randoms(use_true_random=False),
    name=st.sampled_from(["log.csv", "log.jsonl", "log.tsv"]),
)
def test_no_bytes_make_a_traceback_or_lose_a_row(rows: list[list[str]], noise: list[bytes], seed: Any, name: str) -> None:
    content = slow_clicks.as_csv(rows).encode()
    for piece in noise:
        at = seed.randrange(len(content) + 1)
        content = content[:at] + piece + content[at:]
    try:
        taken = take_in(content, name)
    except HeatproofError as error:
        message = str(error)
    else:
        check_account(*taken)
        return
    assert len(message) > 30


@examples(15)
@given(content=st.binary(max_size=300), name=st.sampled_from(["x.csv", "x.csv.gz", "x.jsonl", "x.parquet", "x.xlsx"]))
def test_bytes_of_any_kind_are_refused_in_words(content: bytes, name: str) -> None:
    with pytest.raises(HeatproofError, match=name):
        take_in(content, name)
