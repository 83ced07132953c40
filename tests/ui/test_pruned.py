"""Pages of banners whose bins were pruned: what the run found still stands there, with its evidence."""

from pathlib import Path

import pytest

from core.review import triage_queue
from core.review.triage_queue import QueueFilter
from core.store.queries import runs
from tests.support.stores import filled_store
from tests.ui.conftest import _open


@pytest.fixture
def pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A flagged banner without any bins, and the sentence about it."""
    path = tmp_path / "p.duckdb"
    with filled_store(path, 120) as store:
        run_id = runs.finished_runs(store)[0]["run_id"]
        row = triage_queue.page(store, run_id, triage_queue.standing(store, run_id, QueueFilter()))[0]
        with store.transaction() as cursor:
            cursor.execute("DELETE FROM heatmap_day WHERE banner_id = ?", [row["banner_id"]])
    monkeypatch.setenv("HEATPROOF_STORE", str(path))
    return row["banner_id"], row["sentence"]


def test_a_flag_stays_explained(pruned: tuple[str, str]) -> None:
    banner_id, sentence = pruned
    for page in ("banner", "triage"):
        app = _open(page, banner=banner_id)
        assert not app.exception
        assert not app.error
        words = [element.value for kind in (app.markdown, app.caption, app.subheader) for element in kind]
        assert sentence in " ".join(words).replace("\\", ""), page
