"""Dates with the day or the month first: read where the log shows which, refused with both readings where it does not."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.clicks.ingest import ingest
from core.errors import InputError
from core.store import Store

HEADER = "banner_id;grid_id;n_products;domain;x;y;timestamp"


def log(path: Path, times: list[str]) -> Path:
    path.write_text("\n".join([HEADER, *(f"b;7;4;d.example;0,5;0,5;{time}" for time in times)]) + "\n")
    return path


def days(store: Store) -> list[str]:
    return [str(row["day"]) for row in store.rows("SELECT day FROM heatmap_day ORDER BY day")]


@pytest.mark.parametrize(
    ("times", "asked", "expected"),
    [
        (["03/04/2026", "20/04/2026 09:30"], "auto", ["2026-04-03", "2026-04-20"]),
        (["03/04/2026", "04/20/2026 9:30:15 PM"], "auto", ["2026-03-04", "2026-04-20"]),
        (["3.4.2026 10:00:01.5", "20.4.2026"], "auto", ["2026-04-03", "2026-04-20"]),
        (["03-04-2026", "2026-05-06T10:00:00Z", "1777000000"], "day-first", ["2026-04-03", "2026-04-24", "2026-05-06"]),
        (["03/04/2026"], "month-first", ["2026-03-04"]),
    ],
)
def test_dates_are_read_in_the_order_that_is_shown_or_asked_for(tmp_path: Path, times: list[str], asked: str, expected: list[str]) -> None:
    with Store(tmp_path / "s.duckdb") as store:
        (file,) = ingest(store, [log(tmp_path / "a.csv", times)], mapping={"dates": asked}).files
        assert (days(store), file.rejected) == (expected, {})
    assert any("first (" in note for note in file.notes)


def test_dates_of_two_readings_are_refused_with_both(tmp_path: Path) -> None:
    with Store(tmp_path / "s.duckdb") as store, pytest.raises(InputError, match=r"3 April 2026 or 4 March 2026.*--dates day-first"):
        ingest(store, [log(tmp_path / "a.csv", ["03/04/2026", "05/06/2026"])])


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(offsets=st.lists(st.integers(0, 2000), min_size=1, max_size=8), form=st.sampled_from(["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y %H:%M"]))
def test_a_date_is_never_read_in_another_order(tmp_path_factory: pytest.TempPathFactory, offsets: list[int], form: str) -> None:
    """What is taken in are the days that were meant, and otherwise nothing is."""
    folder = tmp_path_factory.mktemp("dates")
    meant = [date(2021, 1, 1) + timedelta(days=n) for n in offsets]
    with Store(folder / "s.duckdb") as store:
        try:
            ingest(store, [log(folder / "a.csv", [day.strftime(form) for day in meant])])
        except InputError:
            assert all(day.day <= 12 for day in meant)
            return
        assert days(store) == sorted({str(day) for day in meant})
