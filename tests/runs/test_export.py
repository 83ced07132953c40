"""Exports: whole, sorted, and harmless in a spreadsheet."""

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from core.errors import InputError
from core.runs import run
from core.runs.export import export_scores
from core.store import Store
from core.store.queries import runs
from tests.support.unscored_store import fill, use_fake_worker

HOSTILE = ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\t=1", "\r=1", "'; DROP TABLE result; --", '<script>"a,b"</script>', "fine"]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A finished run over 12 banners, of which one has each hostile id."""
    use_fake_worker(monkeypatch)
    with Store(tmp_path / "s.duckdb") as store:
        fill(store, 12)
        for i, text in enumerate(HOSTILE):
            with store.transaction() as cursor:
                cursor.execute("UPDATE banner SET banner_id = $t, domain = $t WHERE banner_id = $id", {"t": text, "id": f"bn{i:04d}"})
                cursor.execute("UPDATE heatmap_day SET banner_id = $t WHERE banner_id = $id", {"t": text, "id": f"bn{i:04d}"})
        run.score(store)
        yield store


def read(path: Path) -> list[dict[str, str]]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_wide_has_a_row_a_banner_and_a_column_a_detector(store: Store, tmp_path: Path) -> None:
    assert export_scores(store, tmp_path / "w.csv") == 12
    rows = read(tmp_path / "w.csv")
    wanted = "banner_id grid_id n_products domain n_clicks chi_squared multinomial combined p_value flagged fault segment"
    assert list(rows[0]) == wanted.split()
    last = next(row for row in rows if row["banner_id"] == "bn0011")
    assert (last["n_clicks"], float(last["chi_squared"]), float(last["combined"]), last["flagged"]) == ("65", 65.0, 65.0, "false")


def test_long_and_submission(store: Store, tmp_path: Path) -> None:
    assert export_scores(store, tmp_path / "l.csv.gz", format="long") == 12 * 3
    rows = read(tmp_path / "l.csv.gz")
    assert list(rows[0]) == ["banner_id", "detector", "score", "normalised", "p_value"]
    assert {row["detector"] for row in rows} == {"chi_squared", "combined", "multinomial"}
    assert export_scores(store, tmp_path / "s.csv", format="submission") == 12
    assert list(read(tmp_path / "s.csv")[0]) == ["ID", "score"]


def test_no_cell_of_a_csv_is_a_formula(store: Store, tmp_path: Path) -> None:
    for format in ("wide", "long", "submission"):
        export_scores(store, tmp_path / "x.csv", format=format)
        rows = read(tmp_path / "x.csv")
        ids = {row["ID" if format == "submission" else "banner_id"] for row in rows}
        assert not [text for text in ids if text[0] in "=+-@\t\r"]
        assert {text if text[0] not in "=+-@\t\r" else "'" + text for text in HOSTILE} <= ids
    export_scores(store, tmp_path / "x.csv")
    assert not [row["domain"] for row in read(tmp_path / "x.csv") if row["domain"][0] in "=+-@\t\r"]


def test_parquet_keeps_every_text_as_it_is(store: Store, tmp_path: Path) -> None:
    export_scores(store, tmp_path / "w.parquet")
    ids = {row[0] for row in duckdb.connect().execute("SELECT banner_id FROM read_parquet(?)", [str(tmp_path / "w.parquet")]).fetchall()}
    assert set(HOSTILE) <= ids


def test_an_earlier_run_can_be_named(store: Store, tmp_path: Path) -> None:
    first = runs.last_finished(store)["run_id"]
    run.score(store, grids=[310021])
    assert export_scores(store, tmp_path / "a.csv") == 6
    assert export_scores(store, tmp_path / "a.csv", run_id=first) == 12
    assert len(read(tmp_path / "a.csv")) == 12


def test_other_endings_are_refused_and_nothing_is_left(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not scores\.xlsx"):
        export_scores(store, tmp_path / "scores.xlsx")
    assert not list(tmp_path.glob("scores*"))
