"""Tiers on the Detectors page, and what the Banner page says of a cleared banner."""

from pathlib import Path

from core.store import Store
from core.store.queries import tiers as queries
from core.ui.detectors import tiers
from tests.ui.conftest import Open

ROWS = [
    {"name": "statistics", "n_in": 1000, "n_cleared": 800, "seconds": 1.5, "n_found": 50, "n_lost": 1},
    {"name": "templates", "n_in": 200, "n_cleared": 120, "seconds": 3.0, "n_found": 50, "n_lost": 0},
    {"name": "all detectors", "n_in": 80, "n_cleared": 0, "seconds": 9.0, "n_found": None, "n_lost": None},
]


def write(path: Path) -> str:
    with Store(path) as store, store.transaction() as cursor:
        run_id = str(cursor.execute("SELECT run_id FROM run_info ORDER BY finished_at DESC LIMIT 1").fetchall()[0][0])
        for k, row in enumerate(ROWS):
            values = [run_id, k, row["name"], row["n_in"], row["n_cleared"], row["seconds"], None, row["n_found"], row["n_lost"]]
            cursor.execute("INSERT INTO tier VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    return run_id


def test_the_detectors_page_says_what_tiers_cleared_and_lose(full: Open, tmp_path: Path) -> None:
    write(tmp_path / "full.duckdb")
    app = full("detectors")
    assert not app.exception
    assert "Tiers" in " ".join(m.value for m in app.markdown)
    said = " ".join(m.value for m in app.markdown)
    assert "920 of 1,000 banners were cleared" in said
    assert "would have lost 1: 2.0 %" in said


def test_a_run_without_tiers_says_nothing_of_them(full: Open) -> None:
    assert "##### Tiers" not in [m.value for m in full("detectors").markdown]


def test_a_control_sample_without_a_broken_banner_says_so() -> None:
    rows = [{**row, "n_found": 0 if row["n_found"] else None, "n_lost": 0} for row in ROWS]
    assert "cannot say how many were lost" in tiers.sentence(rows)
    assert (tiers.table(rows)["lost"] == "").all()


def test_tiers_are_read_in_their_order(full: Open, tmp_path: Path) -> None:
    run_id = write(tmp_path / "full.duckdb")
    with Store(tmp_path / "full.duckdb") as store:
        assert [row["name"] for row in queries.of_run(store, run_id)] == [row["name"] for row in ROWS]
