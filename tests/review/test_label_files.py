"""Labels from and to files: every row is accounted for, and the same file twice changes nothing."""

import gzip
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.clicks.ingest import ingest
from core.errors import InputError
from core.review import label_files, labels
from core.review.label_files import export_labels, import_labels
from core.store import Store
from tests.support.unscored_store import ROOT, fill

SHARED = ROOT.parent / "shared" / "data"
HEAD = "banner_id,label,reviewer,labelled_at"
AT = "2026-10-20T10:00:00Z"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "s.duckdb")
    fill(store)
    return store


def write(path: Path, *lines: str, head: str = HEAD) -> Path:
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def held(store: Store) -> list[dict[str, object]]:
    """What holds, without where it came from."""
    return [{k: v for k, v in row.items() if k not in ("source", "run_id")} for row in labels.current(store)]


def events(store: Store) -> list[dict[str, object]]:
    return store.rows("FROM label_event ORDER BY event_id")


@pytest.mark.skipif(not (SHARED / "labels-sample.csv").exists(), reason="the sample labels are not on this machine")
def test_the_sample_labels_on_the_sample_log(tmp_path: Path) -> None:
    lines = (SHARED / "labels-sample.csv").read_text().splitlines()[1:]
    with Store(tmp_path / "s.duckdb") as store:
        ingest(store, [SHARED / "clicks-sample.csv.gz"])
        first = import_labels(store, SHARED / "labels-sample.csv")
        assert (first.n_rows, first.added, first.known, first.rejected) == (len(lines), len(lines), 0, [])
        before = events(store)
        again = import_labels(store, SHARED / "labels-sample.csv")
        assert (again.added, again.known, again.rejected) == (0, len(lines), [])
        assert events(store) == before
        given = Counter((reviewer, label) for _, reviewer, label, _ in (line.split(",") for line in lines))
        assert Counter((row["reviewer"], row["label"]) for row in labels.current(store)) == given


BAD = [
    (f"nobody,ok,ana,{AT}", "banner_id not in the store", "nobody"),
    (f",ok,ana,{AT}", "banner_id empty", ""),
    (f"bn0001,,ana,{AT}", "label empty", ""),
    (f"bn0001,fine,ana,{AT}", "label unknown", "fine"),
    (f"bn0001,ok, ,{AT}", "reviewer empty", ""),
    ("bn0001,ok,ana,", "labelled_at empty", ""),
    ("bn0001,ok,ana,yesterday", "labelled_at unreadable", "yesterday"),
    ("bn0001,ok,ana,1760954400", "labelled_at unreadable", "1760954400"),
    ("bn0001,ok,ana,2026-13-01T00:00:00Z", "labelled_at unreadable", "2026-13-01T00:00:00Z"),
    ("bn0001,ok,ana,0001-01-01T00:00:00+14:00", "labelled_at unreadable", "0001-01-01T00:00:00+14:00"),
    ("bn0001,ok,ana,9000-01-01T00:00:00Z", "labelled_at in the future", "9000-01-01T00:00:00Z"),
    ("bn0001,ok,ana", "too few fields", ""),
    (f"bn0001,ok,ana,{AT},more", "too many fields", ""),
]


def test_every_bad_row_has_its_line_and_reason_and_the_good_ones_stay(store: Store, tmp_path: Path) -> None:
    lines = [f"bn0000,ok,ana,{AT}", *(line for line, _, _ in BAD), '"bn0002","BROKEN",ana,2026-10-20']
    result = import_labels(store, write(tmp_path / "l.csv", *lines))
    assert [(r.line, r.reason, r.value) for r in result.rejected] == [(i, reason, v) for i, (_, reason, v) in enumerate(BAD, 3)]
    assert (result.n_rows, result.added) == (len(lines), 2)
    assert [(row["banner_id"], row["label"]) for row in held(store)] == [("bn0000", "ok"), ("bn0002", "broken")]
    assert result.reasons["labelled_at unreadable"] == 4
    assert json.loads(json.dumps(result.to_dict()))["rejected"][0]["raw"] == f"nobody,ok,ana,{AT}"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("maybe,,,", "blind is neither true nor false"),
        (",-1,,", "seconds is not 0 or more"),
        (",nan,,", "seconds is not 0 or more"),
        (",soon,,", "seconds is not 0 or more"),
        (",,sticky,", "fault unknown"),
        (",,,forget", "op unknown"),
    ],
)
def test_optional_columns_are_checked(store: Store, tmp_path: Path, cells: str, reason: str) -> None:
    result = import_labels(store, write(tmp_path / "l.csv", f"bn0001,broken,ana,{AT},{cells}", head=HEAD + ",blind,seconds,fault,op"))
    assert result.reasons == {reason: 1}
    assert events(store) == []


def test_a_fault_belongs_to_a_broken_banner(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", f"bn0001,ok,ana,{AT},shifted", f"bn0002,broken,ana,{AT},Shifted", head=HEAD + ",fault")
    assert import_labels(store, path).reasons == {"fault of a banner that is not broken": 1}
    assert labels.current(store)[0]["fault"] == "shifted"


def test_a_row_twice_is_known_and_a_contradiction_is_rejected(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", *[f"bn0001,ok,ana,{AT}"] * 2, f"bn0001,broken,ana,{AT}", "bn0001,broken,ana,2026-10-20T13:00:00+02:00")
    first = import_labels(store, path)
    assert (first.added, first.known, first.reasons) == (2, 1, {"another label of the same time": 1})
    assert first.rejected[0].line == 4
    assert labels.current(store)[0]["label"] == "broken"  # said an hour later, 11:00 UTC
    assert labels.current(store)[0]["happened_at"] == datetime(2026, 10, 20, 11)
    again = import_labels(store, path)
    assert (again.added, again.known, len(again.rejected)) == (0, 3, 1)


def test_an_older_file_does_not_outdo_a_page_and_undo_leaves_files_alone(store: Store, tmp_path: Path) -> None:
    labels.label(store, "bn0001", "broken", "ana", blind=True)
    import_labels(store, write(tmp_path / "l.csv", f"bn0001,ok,ana,{AT}"))
    assert labels.current(store)[0]["label"] == "broken"
    assert labels.undo(store, "ana") is not None
    assert labels.current(store)[0]["label"] == "ok"
    assert labels.undo(store, "ana") is None


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet"])
def test_what_is_exported_comes_back_the_same(store: Store, tmp_path: Path, name: str) -> None:
    hostile = ["=1+1", "@SUM(A1)", "-x", "plain, \"quoted\"\nand 'more'"]
    with store.transaction() as cursor:
        cursor.execute("UPDATE banner SET banner_id = '=bn' WHERE banner_id = 'bn0003'")
    for i, note in enumerate(hostile):
        labels.label(
            store, ["bn0000", "bn0001", "bn0002", "=bn"][i], "broken", "+ana", blind=i % 2 == 0, seconds=i / 3, note=note, fault="edge"
        )
    labels.label(store, "bn0001", "ok", "ben", blind=True)
    labels.label(store, "bn0001", "unsure", "ben", blind=True)
    labels.adjudicate(store, "bn0001", "ok", "cleo", note="=2")
    assert export_labels(store, tmp_path / name) == 6
    with Store(tmp_path / "other.duckdb") as other:
        fill(other)
        with other.transaction() as cursor:
            cursor.execute("UPDATE banner SET banner_id = '=bn' WHERE banner_id = 'bn0003'")
        result = import_labels(other, tmp_path / name)
        assert (result.added, result.rejected, result.ignored) == (6, [], [])
        assert held(other) == held(store)
        assert labels.states(other) == labels.states(store)
    assert import_labels(store, tmp_path / name).known == 6
    if name != "out.parquet":
        data = (tmp_path / name).read_bytes()
        text = (gzip.decompress(data) if name.endswith("gz") else data).decode()
        assert text.startswith("banner_id,label,reviewer,labelled_at,op,blind,seconds,fault,note\n'=bn,broken,'+ana,")


def test_what_was_taken_back_stays_taken_back(store: Store, tmp_path: Path) -> None:
    labels.label(store, "bn0001", "ok", "ana", blind=True)
    export_labels(store, tmp_path / "l.csv")
    labels.undo(store, "ana")
    assert import_labels(store, tmp_path / "l.csv").known == 1
    assert held(store) == []


def test_other_shapes_of_a_file(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes(
        f'\ufeffLabelled_At;Banner_ID;label;reviewer;colour;note\r\n\r\n{AT};bn0001;ok;ana;red;"a\r\nb"\r\n{AT};x;ok;ana;;\r\n'.encode()
    )
    result = import_labels(store, path)
    assert (result.added, result.ignored, [r.line for r in result.rejected]) == (1, ["colour"], [5])
    assert labels.current(store)[0]["note"] == "a\r\nb"
    at = [datetime(2026, 10, 1, tzinfo=UTC) + timedelta(microseconds=7)] * 2
    table = pa.table(
        {"banner_id": ["bn0002", None], "label": ["ok"] * 2, "reviewer": ["ana"] * 2, "labelled_at": at, "seconds": [1.5, None]}
    )
    pq.write_table(table, tmp_path / "l.parquet")
    result = import_labels(store, tmp_path / "l.parquet")
    assert (result.added, [(r.line, r.reason) for r in result.rejected]) == (1, [(2, "banner_id empty")])
    row = labels.current(store, ["bn0002"])[0]
    assert (row["happened_at"], row["seconds"]) == (at[0].replace(tzinfo=None), 1.5)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("l.csv", b"", "is empty"),
        ("l.csv", b"banner_id,label\n", "no reviewer, labelled_at"),
        ("l.csv", f"{HEAD},label\n".encode(), "label twice"),
        ("l.csv", f"{HEAD}\nbn0001,ok,ana,{AT}\n\"bn0002,ok,ana,{AT}\nbn0003,ok,ana,{AT}\n".encode(), "line 3"),
        ("l.csv", b"banner_id\xff", "UTF-8"),
        ("l.csv.gz", gzip.compress(HEAD.encode(), mtime=0)[:20], "UTF-8 or Parquet"),
        ("l.parquet", b"no parquet", "cannot be read"),
        ("missing.csv", None, "is no file"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_changes_nothing(store: Store, tmp_path: Path, name: str, data: bytes | None, message: str) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        import_labels(store, tmp_path / name)
    assert events(store) == []


def test_an_import_that_fails_leaves_nothing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "l.csv", *(f"bn{i:04d},ok,ana,{AT}" for i in range(20)))
    really = label_files._insert

    def and_then_fail(*given: Any) -> None:
        really(*given)
        raise RuntimeError("the power went")

    monkeypatch.setattr(label_files, "_insert", and_then_fail)
    with pytest.raises(RuntimeError, match="the power went"):
        import_labels(store, path)
    assert events(store) == []
    monkeypatch.undo()
    assert import_labels(store, path).added == 20
