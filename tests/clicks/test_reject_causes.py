"""Logs of which most is rejected: nothing is stored, the likeliest cause is named, and none where it does not fit."""

import csv
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from core.__main__ import app
from core.clicks.ingest import Options, ingest
from core.clicks.ingest_results import NothingIngestedError
from core.clicks.preview import preview
from core.errors import InputError
from core.store import Store

N = 200
NAMES = ["banner_id", "grid_id", "n_products", "domain", "x", "y", "timestamp"]
ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "cases" / "20-real-files"
Change = Callable[[dict[str, Any], np.random.Generator], dict[str, Any]]


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(tmp_path / "s.duckdb") as opened:
        yield opened


def rows_of(change: Change) -> list[dict[str, Any]]:
    """N good clicks of 28 days, each changed."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(N):
        at = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(hours=3.3 * i)
        row = {"banner_id": f"b{i % 7}", "grid_id": 101, "n_products": 3, "domain": "shop.example"}
        row |= {"x": round(rng.random(), 4), "y": round(rng.random(), 4), "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "at": at}
        rows.append(change(row, rng))
    return rows


def write(path: Path, rows: Sequence[dict[str, Any]], delimiter: str = ",") -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [name for name in rows[0] if name != "at"], delimiter=delimiter, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def sized(row: dict[str, Any], width: int, height: int, **other: Any) -> dict[str, Any]:
    """The click in pixels, with the banner's size."""
    return row | {"x": round(row["x"] * width), "y": round(row["y"] * height), "width": width, "height": height} | other


def day(form: str) -> Change:
    return lambda row, rng: row | {"timestamp": row["at"].strftime(form)}


CAUSES: dict[str, tuple[str, Change]] = {
    "percent": ("are percent, up to", lambda row, rng: row | {"x": round(row["x"] * 100, 2), "y": round(row["y"] * 100, 2)}),
    "whole percent": ("are percent, up to", lambda row, rng: row | {"x": round(row["x"] * 100), "y": round(row["y"] * 100)}),
    "percent signs": ("percent with their sign", lambda row, rng: row | {"x": f"{row['x']:.1%}", "y": f"{row['y']:.1%}"}),
    "pixels": ("pixels, up to .* size is missing", lambda row, rng: row | {"x": round(row["x"] * 300), "y": round(row["y"] * 250)}),
    "pixels with unit": ("pixels with their unit", lambda row, rng: row | {"x": f"{row['x'] * 300:.0f}px", "y": f"{row['y'] * 250:.0f}px"}),
    "swapped": ("x and y are swapped", lambda row, rng: (r := sized(row, 728, 90)) | {"x": r["y"], "y": r["x"]}),
    "device pixels": ("device pixels, 2 of them", lambda row, rng: (r := sized(row, 300, 250)) | {"x": r["x"] * 2, "y": r["y"] * 2}),
    "page": ("corner of the page", lambda row, rng: (r := sized(row, 300, 250)) | {"x": r["x"] + 900, "y": r["y"] + 1800}),
    "upwards": ("y counts upwards", lambda row, rng: row | {"y": -row["y"] - 0.0001}),
    "middle": ("origin is in the middle.*Add 0.5", lambda row, rng: row | {"x": row["x"] - 0.5, "y": row["y"] - 0.5}),
    "middle of two": (r"origin is in the middle.*\+ 1\) / 2", lambda row, rng: row | {"x": 2 * row["x"] - 1, "y": 2 * row["y"] - 1}),
    "views": ("other events than clicks", lambda row, rng: row | ({"x": "", "y": ""} if rng.random() < 0.8 else {})),
    "no coordinate": ("writes 'null' where", lambda row, rng: row | {"x": "null", "y": "null"}),
    "two readings": ("3 April 2026 or 4 March 2026.*--dates day-first", lambda row, rng: row | {"timestamp": "03/04/2026 10:00"}),
    "two orders": ("day/month/year or month/day/year", lambda row, rng: row | {"timestamp": rng.choice(["31/01/2026", "01/31/2026"])}),
    "swapped day": ("day and month are swapped", day("%Y-%d-%m %H:%M:%S")),
    "month names": ("months by words", day("%d/%b/%Y:%H:%M:%S +0000")),
    "spreadsheet": ("as a spreadsheet counts", lambda row, rng: row | {"timestamp": 46296.5}),
    "time of day": ("without a date", day("%H:%M:%S")),
    "unset": ("not set", lambda row, rng: row | {"timestamp": "1970-01-01T00:00:00Z"}),
    "year one": ("not set", lambda row, rng: row | {"timestamp": "0001-01-01T00:00:00Z"}),
    "clock": ("later than this machine's clock", lambda row, rng: row | {"timestamp": "2098-05-05T10:00:00Z"}),
}


@pytest.mark.parametrize("kind", CAUSES)
def test_the_likeliest_cause_is_named_and_nothing_stored(store: Store, tmp_path: Path, kind: str) -> None:
    words, change = CAUSES[kind]
    path = write(tmp_path / "log.csv", rows_of(change))
    shown = preview(store, path)
    with pytest.raises(NothingIngestedError, match=f"Likeliest cause: .*{words}") as caught:
        ingest(store, [path])
    (failed,) = caught.value.result.failed
    assert (failed.kind, failed.n_rows) == ("rejected", N)
    assert failed.cause == shown.cause
    assert shown.refused
    assert store.info()["rows"]["ingest"] == store.info()["rows"]["reject"] == 0
    taken = ingest(store, [path], options=Options(allow_rejects=True))
    assert taken.rejected == failed.rejected


def spoilt(row: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Coordinates of no pattern."""
    return row | {"x": float(rng.choice([-3e6, 7e9, 1.5, -0.2, 4e4])), "y": float(rng.choice([-1e7, 8e8, 0.5]))}


def noise(row: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Times of no pattern."""
    return row | {"timestamp": "".join(rng.choice(list("abc-:T129"), 12))}


@pytest.mark.parametrize("change", [spoilt, noise], ids=["coordinates", "times"])
def test_no_cause_is_named_where_none_fits(store: Store, tmp_path: Path, change: Change) -> None:
    with pytest.raises(NothingIngestedError, match="Nothing was taken in") as caught:
        ingest(store, [write(tmp_path / "log.csv", rows_of(change))])
    assert caught.value.result.failed[0].cause is None


def text(names: str, row: Callable[[dict[str, Any]], str]) -> str:
    return "\n".join([names, *(row(r) for r in rows_of(lambda row, rng: row))])


FORMS = {
    "header missing": (lambda: text("b,101,3,d,0.5,0.5,2026-10-01", lambda r: "b,101,3,d,0.5,0.5,2026-10-01"), "header is missing"),
    "another delimiter": (
        lambda: text(":".join(NAMES), lambda r: ":".join(str(r[name]) for name in NAMES)),
        "columns are separated by colons",
    ),
    "rows by another": (
        lambda: text(",".join(NAMES), lambda r: ";".join(str(r[name]) for name in NAMES)),
        "rows are separated by semicolons",
    ),
    "unquoted commas": (
        lambda: text(",".join(NAMES), lambda r: ",".join(str(r[name]).replace(".", ",") for name in NAMES if name != "domain")),
        "commas part the columns too|header names",
    ),
    "index": (lambda: text(",".join(NAMES), lambda r: "0," + ",".join(str(r[name]) for name in NAMES)), "names 7 columns, the rows have 8"),
}


@pytest.mark.parametrize("kind", FORMS)
def test_the_form_of_a_log_is_a_cause_too(store: Store, tmp_path: Path, kind: str) -> None:
    make, words = FORMS[kind]
    path = tmp_path / "log.csv"
    path.write_text(make())
    with pytest.raises(InputError, match=words):
        ingest(store, [path])


def test_a_log_that_is_taken_in_has_its_cause_named_too(store: Store, tmp_path: Path) -> None:
    fewer = rows_of(lambda row, rng: row | ({"timestamp": row["at"].strftime("%d/%b/%Y:%H:%M:%S +0000")} if rng.random() < 0.3 else {}))
    (done,) = ingest(store, [write(tmp_path / "log.csv", fewer)]).files
    assert done.cause is not None
    assert "months by words" in done.cause
    fewer = rows_of(lambda row, rng: row | ({"timestamp": "20/Oct/2026:10:00:00 +0000"} if rng.random() < 0.02 else {}))
    assert ingest(store, [write(tmp_path / "few.csv", fewer)]).files[0].cause is None


def test_half_may_be_rejected_and_clicks_counted_before_are_no_rejects(store: Store, tmp_path: Path) -> None:
    half = rows_of(lambda row, rng: row)
    for row in half[::2]:
        row["x"] = "7"
    assert ingest(store, [write(tmp_path / "half.csv", half)]).accepted == N // 2
    half[1]["x"] = "7"
    with pytest.raises(InputError, match=f"{N // 2 + 1} of {N} rows"):
        ingest(store, [write(tmp_path / "more.csv", half)])
    first = [row | {"click_id": f"c{i}"} for i, row in enumerate(rows_of(lambda row, rng: row))]
    ingest(store, [write(tmp_path / "first.csv", first)])
    assert ingest(store, [write(tmp_path / "again.csv", [*first[1:], first[0] | {"click_id": "new"}])]).accepted == 1
    with pytest.raises(InputError, match="only clicks that were counted before"):
        ingest(store, [write(tmp_path / "none.csv", first[::-1])])


def test_the_verb_ends_with_two_and_says_so_in_json(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", rows_of(CAUSES["percent"][1]))
    where = ["--store", str(tmp_path / "s.duckdb"), "--json"]
    done = CliRunner().invoke(app, ["ingest", str(path), *where])
    assert done.exit_code == 2
    (failed,) = json.loads(done.stdout)["failed"]
    assert "percent" in failed["cause"]
    assert "--allow-rejects" in done.stderr
    assert CliRunner().invoke(app, ["ingest", "--allow-rejects", str(path), *where]).exit_code == 0


@pytest.mark.skipif(not REAL.exists(), reason="the real files are not on this machine")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("b_percent.csv", "percent"),
        ("c_pixels_nosize.csv", "pixels"),
        ("part-0000.snappy.parquet", "grid_id=VALUE"),
    ],
)
def test_real_files_are_told_what_is_wrong(store: Store, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        ingest(store, [REAL / name])


@pytest.mark.skipif(not REAL.exists(), reason="the real files are not on this machine")
@pytest.mark.parametrize(
    "name",
    [
        *("time_hour.csv", "time_epoch_us.csv", "event_type.csv", "g_semicolon_decimalcomma.csv", "w_grid_text.csv", "k_list.json"),
        *("x_banner_on_5_domains.csv", "y_no_domain.csv", "y_no_nproducts.csv"),
    ],
)
def test_real_files_come_in(store: Store, name: str) -> None:
    shown = preview(store, REAL / name)
    taken = ingest(store, [REAL / name])
    assert taken.accepted > 1000
    assert (shown.accepted, shown.refused) == (taken.accepted, False)
    assert sum(taken.rejected.values()) < 0.01 * taken.accepted


def test_a_column_of_kinds_that_was_named_click_id_is_found_out(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", rows_of(lambda row, rng: row | {"event_type": "click"}))
    with pytest.raises(NothingIngestedError, match="names kinds of events"):
        ingest(store, [path], mapping={"click_id": "event_type"})
