"""An AppTest on a store of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.store import Store
from core.ui.label import answering
from tests.support.stores import filled_store

APP = str(Path(__file__).parents[2] / "app.py")

Open = Callable[..., AppTest]


def _open(page: str, /, **params: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=30)
    app.switch_page(f"pages/{page}.py")
    for key, value in params.items():
        app.query_params[key] = value
    return app.run()


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens a page on a filled store, hostile strings included."""
    path = tmp_path / "full.duckdb"
    filled_store(path, 400, hostile=True).close()
    monkeypatch.setenv("HEATPROOF_STORE", str(path))
    monkeypatch.setattr(answering, "SOONEST", 0.0)  # AppTest answers faster than anybody
    return _open


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens a page on a store without a row."""
    path = tmp_path / "empty.duckdb"
    Store(path).close()
    monkeypatch.setenv("HEATPROOF_STORE", str(path))
    return _open
