"""Small real stores for tests, written through SQL alone, and the fake worker that scores them."""

import sys
from pathlib import Path

import pytest

from core.runs.run import RUN
from core.store import Store

ROOT = Path(__file__).parents[2]
FAKE_WORKER = (sys.executable, str(ROOT / "tests" / "support" / "fake_worker.py"))
GRIDS = (310021, 333519)


def fill(store: Store, n_banners: int = 40) -> None:
    """n banners in two grids by turns; banner i has 10 + 5 i clicks, over two days and two rows of the second day."""
    with store.transaction() as cursor:
        cursor.execute(
            """INSERT INTO banner SELECT format('bn{:04d}', i), CASE i % 2 WHEN 0 THEN 310021 ELSE 333519 END, 1 + i % 3,
            format('site{:02d}.example', i % 4), '01900000-0000-7000-8000-000000000000' FROM range(?) t(i)""",
            [n_banners],
        )
        cursor.execute(
            """INSERT INTO heatmap_day SELECT '01900000-0000-7000-8000-000000000000', format('bn{:04d}', i), day, n,
            [i % 1600]::USMALLINT[], [n]::UINTEGER[], NULL FROM range(?) t(i),
            LATERAL (VALUES (DATE '2026-11-01', 10), (DATE '2026-11-02', 2 * i), (DATE '2026-11-02', 3 * i)) d(day, n) WHERE n > 0
            ORDER BY 2""",
            [n_banners],
        )


def use_fake_worker(monkeypatch: pytest.MonkeyPatch, behaviour: str = "ok") -> None:
    """Runs of this test start the fake worker."""
    monkeypatch.setattr(RUN, "command", FAKE_WORKER)
    monkeypatch.setenv("FAKE_WORKER", behaviour)
