"""Ways from one page to another: one helper makes them, and what it brings is what the next page shows, says and keeps in its address."""

import ast
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.store.queries import selected
from core.ui.session import address, jump, state
from tests.support.maps import add_map
from tests.ui.conftest import Open
from tests.ui.detectors.test_page import picks
from tests.ui.test_pages import PAGES, plain, texts

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py")), *sorted((ROOT / "core" / "ui").rglob("*.py"))]
ONLY_IN = {"switch_page": "jump.py", "page_link": "jump.py", "query_params": "address.py"}


def forbidden(path: Path) -> list[str]:
    """Lines of a file that change the page, or bind, read or write an address, where only `jump` or `address` may."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        name = node.attr if isinstance(node, ast.Attribute) else node.arg if isinstance(node, ast.keyword) else None
        if name == "bind" and path.name != "address.py":
            found.append(f"{path.name}:{node.lineno} binds a widget to the address")
        if isinstance(node, ast.Attribute) and name in ONLY_IN and path.name != ONLY_IN[name]:
            found.append(f"{path.name}:{node.lineno} uses st.{name}")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_only_one_module_changes_the_page_and_one_the_address(path: Path) -> None:
    assert forbidden(path) == []


def test_the_walk_would_notice(tmp_path: Path) -> None:
    odd = tmp_path / "odd.py"
    odd.write_text(
        'import streamlit as st\nst.switch_page("x")\nst.query_params["grid"] = "1"\nst.text_input("a", key="a", bind="query-params")'
    )
    assert len(forbidden(odd)) == 3


def test_every_bound_key_is_a_parameter_of_a_page() -> None:
    keys = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "bound":
                keys |= {k.value.value for k in node.keywords if k.arg == "key" and isinstance(k.value, ast.Constant)}
    assert keys - {"run"} <= {key for names in address.PAGES.values() for key in names}


def test_a_jump_refuses_a_filter_that_the_page_does_not_have() -> None:
    with pytest.raises(ValueError, match="no filter named feature"):
        jump.to("triage", {"feature": "heatmap"})


def shown(app: AppTest) -> str:
    """The sentence of the page."""
    assert not app.exception
    assert not app.error
    return plain(app.subheader[0].value)


@pytest.mark.parametrize("filters", [{}, {"grid": "333346"}, {"grid": "333519", "least": "50"}])
def test_the_overview_opens_in_triage_as_many_as_its_button_says(full: Open, filters: dict[str, str]) -> None:
    app = full("overview", **filters)
    button = app.button(key="open_triage")
    n = button.label.split()[1]
    app = button.click().run()
    assert shown(app).startswith(f"{n} flagged banner")
    assert app.selectbox(key="status").value == "all"
    assert app.selectbox(key="grid").value == filters.get("grid", app.selectbox(key="grid").value)


@pytest.mark.parametrize("filters", [{}, {"grid": "333346"}, {"sort": "newest"}, {"status": "all", "clicks": "100", "p": "0.01"}])
def test_triage_opens_a_banner_whatever_the_filter_is(full: Open, filters: dict[str, str]) -> None:
    app = full("triage", **filters)
    name = app.query_params["at"]
    n = shown(app).split()[0]
    app = app.button(key="open_banner").click().run()
    assert app.text_input(key="banner").value == (name if isinstance(name, str) else name[0])
    assert filters.items() <= {key: value if isinstance(value, str) else value[0] for key, value in app.query_params.items()}.items()
    back = app.button(key="back")
    assert back.label.endswith(f"of {n} in the queue")
    app = back.click().run()
    assert shown(app).split()[0] == n
    for key, value in filters.items():
        assert app.selectbox(key=key).value == value


def test_what_another_jump_left_behind_is_no_filter_of_the_next(full: Open) -> None:
    app = full("triage", fault="hot spot", grid="333346")
    app.switch_page("pages/overview.py").run()
    app = app.button(key="open_triage").click().run()
    assert app.selectbox(key="fault").value is None


@pytest.mark.parametrize("page", PAGES)
def test_a_value_that_is_not_taken_is_named_on_every_page(full: Open, page: str) -> None:
    value = "999"
    app = full(page, grid=value)
    assert not app.exception
    said = [plain(c.value) for c in app.caption if f"grid {value}" in plain(c.value)]
    assert len(said) == 1
    assert ("is not in this run; showing all" in said[0]) or "has no effect on this page" in said[0]


@pytest.mark.parametrize(("page", "but"), [*((page, {}) for page in address.PAGES), ("embedding", {"view": "pairwise"})])
def test_every_parameter_says_what_it_did_not_take(full: Open, page: str, but: dict[str, str]) -> None:
    keys = [key for key in address.PAGES[page] if key not in ("find", *but)]
    app = full(page, **(dict.fromkeys(keys, "?nonsense") | ({"banner": "bn-000100"} if page == "banner" else {}) | but))
    assert not app.exception
    said = "\n".join(c.value for c in app.caption if c.value.startswith(":material/filter_alt_off:"))
    assert [key for key in keys if key != "banner" and f" {key} " not in plain(said)] == []


def test_the_note_goes_once_the_filter_is_set(full: Open) -> None:
    app = full("triage", grid="999")
    assert "grid 999 is not in this run; showing all" in plain(texts(app))
    app.selectbox(key="grid").set_value("333346").run()
    assert "grid 999" not in plain(texts(app))


@pytest.mark.parametrize("page", PAGES)
def test_values_that_are_taken_are_not_named(full: Open, page: str) -> None:
    app = full(page)
    assert not [c.value for c in app.caption if c.value.startswith(":material/filter_alt_off:")]


@pytest.mark.parametrize("n", [1, 2, 300])
def test_a_selection_opens_in_triage_and_nothing_else(full: Open, n: int) -> None:
    rows = full_rows(full)
    app = full("triage", selected=selected.encode(rows[0]["run_id"], [r["position"] for r in rows[:n]]), status="all")
    flagged = sum(r["flagged"] for r in rows[:n])
    assert shown(app) == f"{n} banner{'s' * (n > 1)} selected on the map, {flagged} of them flagged."
    assert app.button(key="drop_selected").label == f"{n} selected on the map"
    assert set(picks(app, "queue")) <= {r["banner_id"] for r in rows[:n]}
    app = app.button(key="drop_selected").click().run()
    assert "selected" not in shown(app)
    assert "selected" not in app.query_params


def full_rows(full: Open) -> list[dict[str, object]]:
    full("triage")
    return state.store().rows("SELECT run_id::VARCHAR AS run_id, banner_id, position, flagged FROM result ORDER BY hash(banner_id)")


def test_a_selection_of_another_run_is_named_and_left_out(full: Open) -> None:
    app = full("triage", selected=selected.encode("another", [1, 2]))
    assert "is no selection of this run; showing all" in plain(texts(app))
    assert "flagged banners open" in shown(app)


def test_the_map_opens_its_selection_in_triage(full: Open) -> None:
    full("embedding")
    add_map(state.store())
    app = full("embedding")
    app.session_state["map_selection"] = {"ids": ["bn-000100", "bn-000101"], "base": None, "lit": (), "seen": None, "round": 0}
    app.run()
    app = app.button(key="map_triage").click().run()
    assert shown(app).startswith("2 banners selected on the map, ")
    assert set(picks(app, "queue")) == {"bn-000100", "bn-000101"}
