"""A grid that changes as a whole, from the log to the Overview, with and without tiers."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.clicks.ingest import ingest
from core.runs.run import score
from core.store import Store
from core.store.queries import grid_changes
from tests.banners.test_whole_grid import DAY, SPOTS
from tests.ui.conftest import _open
from tests.ui.test_pages import plain


def log_of(path: Path) -> Path:
    """Two grids of 60 banners; since the tenth day the clicks of grid 8 are mirrored."""
    rng = np.random.default_rng(0)
    n = 2 * 60 * 140
    banner, day = np.repeat(np.arange(120), 140), rng.integers(0, 14, n)
    xy = np.clip(SPOTS[rng.choice(3, n, p=[0.5, 0.3, 0.2])] + rng.normal(0, 0.05, (n, 2)), 0, 1)
    changed = (banner >= 60) & (day >= 9)
    xy[changed, 0] = 1 - xy[changed, 0]
    columns = {
        "banner_id": np.char.add("b", banner.astype(str)),
        "grid_id": np.where(banner < 60, 7, 8),
        "click_x_rel": xy[:, 0],
        "click_y_rel": xy[:, 1],
        "clicked_at": DAY.astype("datetime64[ms]") + day.astype("timedelta64[D]"),
    }
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("cascade", [False, True], ids=["whole", "tiers"])
def test_a_changed_grid_is_an_alarm_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cascade: bool) -> None:
    path = tmp_path / "s.duckdb"
    with Store(path) as store:
        ingest(store, [log_of(tmp_path / "a.parquet")])
        done = score(store, deep="none", cascade=cascade)
        (found,) = grid_changes.of_run(store, done.run_id)
        assert (found["grid_id"], found["fault"], found["is_within"]) == (8, "mirrored", True)
        assert str(found["since"]) == "2026-11-10"
    if not cascade:
        monkeypatch.setenv("HEATPROOF_STORE", str(path))
        page = _open("overview")
        assert not page.exception
        assert plain(page.warning[0].value).startswith("Grid 8 changed as a whole since 10 Nov,")
        assert not _open("overview", grid="7").warning
