"""How a file is read, on the Data page: guesses that are said, a heatmap of what would come of it, a mapping saved and offered again."""

import os
from pathlib import Path

from core.clicks import mappings
from core.store import Store
from tests.ui.conftest import Open
from tests.ui.test_pages import texts

HEADER = "banner_id,grid_id,n_products,domain,x,y,timestamp"


def log(path: Path, places: list[tuple[float, float]]) -> Path:
    path.write_text("\n".join([HEADER, *(f"b,7,4,d.example,{x},{y},2026-10-01" for x, y in places)]) + "\n")
    return path


def test_percent_is_guessed_said_and_read_only_once_it_is_accepted(empty: Open, tmp_path: Path) -> None:
    app = empty("data")
    app.text_input(key="path").set_value(str(log(tmp_path / "a.csv", [(12.5, 3.25), (97.5, 88.25), (50.5, 20.5)] * 4))).run()
    assert "As it looks: unit percent" in texts(app)
    app.button(key="how_guess").click().run()
    assert not app.exception
    assert "12 would be accepted and 0 rejected" in texts(app)
    assert app.selectbox(key="how_unit").value == "percent"
    assert any("Heatmap of the file" in html.proto.body for html in app.get("html"))


def test_a_mapping_is_saved_and_offered_for_the_next_file_of_that_shape(empty: Open, tmp_path: Path) -> None:
    app = empty("data")
    app.text_input(key="path").set_value(str(log(tmp_path / "a.csv", [(0.5, 0.25)]))).run()
    app.selectbox(key="how_origin").set_value("bottom-left").run()
    app.text_input(key="how_name").set_value("upwards").run()
    app.button(key="how_save").click().run()
    assert not app.exception
    with Store(os.environ["HEATPROOF_STORE"]) as store:
        assert mappings.load(store, "upwards").mapping == {"origin": "bottom-left"}
    again = empty("data")
    again.text_input(key="path").set_value(str(log(tmp_path / "b.csv", [(0.5, 0.75)]))).run()
    again.selectbox(key="how_saved").set_value("upwards").run()
    assert not again.exception
    assert "y counts upwards" in texts(again)
