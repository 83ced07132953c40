"""A fault that only phones show, from the log to the diagnosis, with and without tiers."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.clicks.ingest import ingest
from core.runs.run import score
from core.store import Store

N, CLICKS, DAYS = 120, 240, 14


def log_of(path: Path, with_device: bool) -> Path:
    """Clicks of banners of one grid; on phones banner 7 is mirrored from the sixth day on, banner 8 from the first on both devices."""
    rng = np.random.default_rng(0)
    banner = np.repeat(np.arange(N), CLICKS)
    n = len(banner)
    day, is_phone = rng.integers(0, DAYS, n), rng.random(n) < 0.5
    spot = np.array([[0.2, 0.3], [0.45, 0.35], [0.3, 0.75]])[rng.choice(3, n, p=[0.5, 0.3, 0.2])] + np.where(is_phone, 0.04, 0)[:, None]
    xy = np.clip(spot + rng.normal(0, np.where(is_phone, 0.06, 0.04)[:, None], (n, 2)), 0, 1)
    broken = ((banner == 7) & is_phone & (day >= 5)) | (banner == 8)
    xy[broken, 0] = 1 - xy[broken, 0]
    columns = {
        "banner_id": np.char.add("b", banner.astype(str)),
        "grid_id": np.full(n, 7),
        "n_products": np.full(n, 3),
        "domain": np.full(n, "d.example"),
        "click_x_rel": xy[:, 0],
        "click_y_rel": xy[:, 1],
        "clicked_at": np.datetime64("2026-11-01T10:00", "ms") + day.astype("timedelta64[D]"),
    }
    if with_device:
        columns["device"] = np.where(is_phone, "Phone", "Desktop")
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("cascade", [False, True], ids=["whole", "tiers"])
def test_a_fault_on_phones_is_found_and_named(tmp_path: Path, cascade: bool) -> None:
    with Store(tmp_path / "s.duckdb") as store:
        ingest(store, [log_of(tmp_path / "a.parquet", True)])
        done = score(store, deep="none", cascade=cascade)
        rows = {r["banner_id"]: r for r in store.rows("SELECT * FROM result WHERE run_id = ? AND flagged", [done.run_id])}
        assert {"b7", "b8"} <= set(rows)
        assert len(rows) <= 4
        assert (rows["b7"]["segment"], rows["b7"]["fault"]) == ("phone", "mirrored")
        assert rows["b7"]["sentence"].startswith("For phone only: mirrored left to right")
        assert str(rows["b7"]["since"]) == "2026-11-06"
        assert (rows["b8"]["segment"], rows["b8"]["fault"]) == (None, "mirrored")
        evidence = store.rows("SELECT sum(n_clicks)::BIGINT AS n FROM evidence WHERE run_id = ? AND banner_id = 'b7'", [done.run_id])
        phones = "SELECT sum(n_clicks)::BIGINT AS n FROM heatmap_day WHERE banner_id = 'b7' AND segment = 'phone'"
        assert evidence == store.rows(phones)


def test_a_log_without_devices_is_judged_as_one_with_a_single_device(tmp_path: Path) -> None:
    found = []
    for with_device in (False, True):
        with Store(tmp_path / f"{with_device}.duckdb") as store:
            ingest(store, [log_of(tmp_path / f"{with_device}.parquet", with_device)])
            if with_device:  # as if no log had ever named one
                with store.transaction() as cursor:
                    cursor.execute("DELETE FROM ingest_segment")
            done = score(store, deep="none")
            found.append(store.rows("SELECT banner_id, combined, p_value, flagged FROM result WHERE run_id = ? ORDER BY 1", [done.run_id]))
    plain, split = found
    for column in ("banner_id", "flagged"):
        assert [row[column] for row in plain] == [row[column] for row in split]
    # the same clicks in other rows are added up in another order
    np.testing.assert_allclose([row["combined"] for row in plain], [row["combined"] for row in split], atol=1e-4)
