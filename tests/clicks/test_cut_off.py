"""A log whose last line, or whose end, is missing: said so, with the next step; the whole lines are taken in."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.clicks.ingest import ingest
from core.clicks.preview import preview
from core.errors import InputError
from core.store import Store

NAMES = ["banner_id", "grid_id", "n_products", "domain", "x", "y", "timestamp"]
VALUES = ["b", 7, 4, "d.example", 0.5, 0.25, "2026-10-01T10:00:00Z"]
LATER = "ingest it once it is finished"
CUT = "last line cut off"


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(tmp_path / "s.duckdb") as opened:
        yield opened


def text(kind: str, n: int, end: str = "\n") -> str:
    if kind == "jsonl":
        return "".join(json.dumps(dict(zip(NAMES, VALUES, strict=True))) + end for _ in range(n))
    return ",".join(NAMES) + end + (",".join(map(str, VALUES)) + end) * n


def packed(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


CUTS = {"csv": "b,7,4,d.ex", "jsonl": '{"banner_id": "b", "grid'}


@pytest.mark.parametrize("n", [4, 200])
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("kind", CUTS)
def test_a_line_that_is_being_written_is_named_and_the_others_are_taken(
    store: Store, tmp_path: Path, kind: str, encoding: str, suffix: str, n: int
) -> None:
    path = packed(tmp_path / f"log.{kind}{suffix}", (text(kind, n) + CUTS[kind]).encode(encoding))
    shown = preview(store, path)
    (done,) = ingest(store, [path]).files
    assert (done.accepted, done.rejected) == (n, {CUT: 1})
    assert done.rejected == shown.rejected
    assert f"line {n + (2 if kind == 'csv' else 1)}" in done.notes[0]
    assert LATER in done.notes[0]
    assert done.notes == shown.notes


@pytest.mark.parametrize("cut", ['"b,7,4,d', "b,7,4,d\udcc3"], ids=["in quotes", "in a letter"])
def test_a_cut_inside_of_quotes_or_a_letter(store: Store, tmp_path: Path, cut: str) -> None:
    path = packed(tmp_path / "log.csv", (text("csv", 9) + cut).encode("utf-8", "surrogateescape"))
    assert ingest(store, [path]).rejected == {CUT: 1}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_whole_last_line_keeps_its_reason(store: Store, tmp_path: Path, end: str) -> None:
    whole = packed(tmp_path / "ended.csv", (text("csv", 9, end) + f"b,7,4{end}").encode())
    assert ingest(store, [whole]).rejected == {"too few fields": 1}
    open_end = packed(tmp_path / "open.csv", text("csv", 9, end).removesuffix(end).encode())
    assert ingest(store, [open_end]).rejected == {}


def test_a_log_of_short_rows_is_not_called_cut_off(store: Store, tmp_path: Path) -> None:
    path = packed(tmp_path / "log.csv", (text("csv", 0) + "b,7,4\n" * 20 + "b,7,4").encode())
    with pytest.raises(InputError, match="the rows have 3 fields") as caught:
        ingest(store, [path])
    assert "cut off" not in str(caught.value)


@pytest.mark.parametrize("content", [text("csv", 0) + "b,7,4,d", "banner_id,grid_i"], ids=["first row", "header"])
def test_where_no_row_is_whole_the_cause_is_named(store: Store, tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match=f"cut off.*{LATER}"):
        ingest(store, [packed(tmp_path / "log.csv", content.encode())])


@pytest.mark.parametrize("kind", CUTS)
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.999])
def test_gzip_without_its_end(store: Store, tmp_path: Path, kind: str, kept: float) -> None:
    whole = gzip.compress(text(kind, 5000).encode())
    path = tmp_path / f"log.{kind}.gz"
    path.write_bytes(whole[: max(int(len(whole) * kept), 12)])
    with pytest.raises(InputError, match=f"cut off.*{LATER}"):
        ingest(store, [path])


def test_parquet_without_its_end(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({name: [value] * 100 for name, value in zip(NAMES, VALUES, strict=True)}), path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match=f"cut off.*{LATER}"):
        ingest(store, [path])
