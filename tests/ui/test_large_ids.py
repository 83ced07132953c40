"""Grid ids that a double cannot hold are shown, linked and sent to the browser to their last digit."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.review import labels
from core.store import Store
from core.ui.session import state
from tests.support import stores
from tests.ui.conftest import Open, _open

LARGE = (9223372036854775807, 9007199254740993, 9223372036854775805, 9007199254740995)
"""None of them is a double."""
PAGES = ("overview", "triage", "banner", "embedding", "label", "calibrate", "detectors", "data")
ROUNDED = re.compile(r"9223372036854775(?!80[57]\b)\d{3}|9007199254740(?!99[35]\b)\d{3}|9[.]22\d*e\+?18|9[.]007\d*e\+?15", re.I)
BARE = re.compile(r"(?<![\"'\w.-])(\d{16,19})(?![\w\"'])")


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens a page on a store of grids LARGE."""
    monkeypatch.setattr(stores, "GRIDS", LARGE)
    monkeypatch.setattr(stores, "expected_p", lambda grid, made=stores.expected_p: made(grid % 2**32))
    path = tmp_path / "large.duckdb"
    with stores.filled_store(path, 400) as store:
        add_labels(store)
    monkeypatch.setenv("HEATPROOF_STORE", str(path))
    return _open


def add_labels(store: Store) -> None:
    for row in store.rows("SELECT banner_id, flagged FROM result ORDER BY flagged DESC, banner_id LIMIT 60"):
        labels.label(store, row["banner_id"], "broken" if row["flagged"] else "ok", "ana", blind=True)


def sent(app: AppTest) -> str:
    """All that the browser gets, as text; strings of JSON as they are."""
    return "\n".join(str(block) for block in _protos(app._tree))


def _protos(block: Any) -> Any:
    for child in getattr(block, "children", {}).values():
        yield getattr(child, "proto", "")
        yield from _protos(child)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("grid", LARGE[:2])
def test_every_page_keeps_every_digit(large: Open, page: str, grid: int) -> None:
    for params in ({}, {"grid": str(grid)}):
        app = large(page, **params)
        assert not app.exception, app.exception
        shown = sent(app)
        assert not ROUNDED.search(shown), shown[max(0, ROUNDED.search(shown).start() - 200) : ROUNDED.search(shown).end() + 50]  # type: ignore[union-attr]


@pytest.mark.parametrize("page", PAGES)
def test_no_figure_has_an_id_as_a_number(large: Open, page: str) -> None:
    app = large(page)
    for chart in app.get("plotly_chart"):
        spec = chart.proto.spec
        assert not [n for n in BARE.findall(spec) if int(n) > 2**53], spec[:500]
        assert '"dtype":"i8"' not in json.dumps(json.loads(spec), separators=(",", ":"))


@pytest.mark.parametrize("grid", LARGE)
def test_a_link_names_the_grid(large: Open, grid: int) -> None:
    app = large("triage", grid=str(grid))
    n = state.store().rows("SELECT count(*) AS n FROM result WHERE flagged AND grid_id = ?", [grid])[0]["n"]
    assert f"{n} " in app.subheader[0].value
