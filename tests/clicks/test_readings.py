"""Ways in which a log can be written, and how it is said to be read: constants, units, origins, nested values, lists, folders, names."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from core.__main__ import app
from core.clicks.columns import HOW
from core.clicks.ingest import Options, ingest
from core.clicks.preview import preview
from core.errors import InputError
from core.store import Store, grids
from core.store.spelling import UNKNOWN_DOMAIN, UNKNOWN_PRODUCTS
from core.ui.render import text

X, Y = [0.0265, 0.5, 0.999], [0.0409, 0.25, 0.75]
BINS = sorted(int(y * 40) * 40 + int(x * 40) for x, y in zip(X, Y, strict=True))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "s.duckdb") as opened:
        yield opened


def csv(path: Path, x: list[Any], y: list[Any], delimiter: str = ",", **more: Any) -> Path:
    """A log whose clicks are at x and y; `more` are columns with one value, None leaves one out."""
    columns = {"banner_id": "b", "grid_id": 7, "n_products": 4, "domain": "d.example", "timestamp": "2026-10-01 12:00:00", **more}
    columns = {name: value for name, value in columns.items() if value is not None}
    rows = [[*map(str, columns.values()), str(a), str(b)] for a, b in zip(x, y, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(delimiter.join(row) for row in [[*columns, "x", "y"], *rows]) + "\n")
    return path


def bins(store: Store) -> list[int]:
    return sorted(row["bin"] for row in store.rows("SELECT unnest(bins) AS bin FROM heatmap_day"))


def verb(tmp_path: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["ingest", *words, "--store", str(tmp_path / "v.duckdb"), "--json"])


def test_percent_is_read_as_asked(store: Store, tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", [100 * x for x in X], [100 * y for y in Y])
    (file,) = ingest(store, [path], mapping={"unit": "percent"}).files
    assert (bins(store), file.rejected) == (BINS, {})
    assert "percent" in file.notes[0]


def test_pixels_of_one_size_and_y_upwards(store: Store, tmp_path: Path) -> None:
    """As of shots on a court of 500 by 470 tenths of a foot, counted from the bottom left corner."""
    path = csv(tmp_path / "a.csv", [500 * x for x in X], [470 * (1 - y) for y in Y])
    done = verb(tmp_path, str(path), "--size", "500x470", "--origin", "bottom-left")
    assert done.exit_code == 0, done.output
    with Store(tmp_path / "v.duckdb") as own:
        assert bins(own) == BINS
    (file,) = json.loads(done.stdout)["files"]
    assert file["mapping"] | {"origin": "bottom-left", "banner_width": "=500", "banner_height": "=470"} == file["mapping"]


def test_rows_of_counts_upwards(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("banner_id,grid_id,row,col,count,day\nb,7,0,3,5,2026-10-01\n")
    ingest(store, [path], mapping={"origin": "bottom-left"})
    assert bins(store) == [39 * 40 + 3]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_decimal_commas_are_read_and_said(store: Store, tmp_path: Path, delimiter: str) -> None:
    path = csv(tmp_path / "a.csv", [str(x).replace(".", ",") for x in X], [str(y).replace(".", ",") for y in Y], delimiter)
    (file,) = ingest(store, [path]).files
    assert (bins(store), file.rejected) == (BINS, {})
    assert file.notes == ["Decimal commas were read in x and y."]


def test_a_comma_that_may_part_thousands_is_no_number(store: Store, tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", ["1,024", "12,5", "0,5"], [1, 1, 1], ";", w=2000, h=10)
    taken = ingest(store, [path])
    assert (taken.accepted, taken.rejected) == (2, {"coordinate not a number": 1})


def test_what_a_log_does_not_say_is_unknown_or_set(store: Store, tmp_path: Path) -> None:
    bare = csv(tmp_path / "a.csv", X, Y, grid_id=None, n_products=None, domain=None)
    with pytest.raises(InputError, match="grid_id=VALUE"):
        ingest(store, [bare])
    (file,) = ingest(store, [bare], mapping={"grid_id": "=7"}).files
    row = store.rows("SELECT banner_id, grid_id, n_products, domain FROM banner")[0]
    assert row == {"banner_id": "b", "grid_id": 7, "n_products": UNKNOWN_PRODUCTS, "domain": UNKNOWN_DOMAIN}
    assert any("names no n_products and no domain" in note for note in file.notes)
    other = csv(tmp_path / "b.csv", X, Y, grid_id=None, n_products=None, domain=None, banner_id="c")
    done = verb(tmp_path, str(other), "--set", "grid_id=7", "--set", "domain=Shop.Example", "--set", "n_products=3")
    assert done.exit_code == 0, done.output
    with Store(tmp_path / "v.duckdb") as own:
        assert own.rows("SELECT domain, n_products FROM banner") == [{"domain": "shop.example", "n_products": 3}]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "grid_id"), "written ours=value"),
        (("--set", "nosuch=1"), "'nosuch' is none"),
        (("--size", "300"), "WIDTHxHEIGHT"),
        (("--set", "domain= "), "is empty"),
    ],
)
def test_options_that_say_nothing_are_refused(tmp_path: Path, words: tuple[str, str], said: str) -> None:
    done = verb(tmp_path, str(csv(tmp_path / "a.csv", X, Y)), *words)
    assert done.exit_code == 1 or done.exit_code == 2
    assert said in f"{done.output}{done.exception}"


def test_folders_give_columns(store: Store, tmp_path: Path) -> None:
    one = csv(tmp_path / "grid_id=101" / "domain=a%2Eexample" / "part-0.csv", X, Y, grid_id=None, domain=None)
    csv(tmp_path / "grid_id=102" / "domain=__HIVE_DEFAULT_PARTITION__" / "part-0.csv", X, Y, grid_id=None, domain=None, banner_id="c")
    ingest(store, [tmp_path])
    rows = store.rows("SELECT banner_id, grid_id, domain FROM banner ORDER BY banner_id")
    assert [tuple(row.values()) for row in rows] == [("b", 101, "a.example"), ("c", 102, UNKNOWN_DOMAIN)]
    assert preview(store, one).is_known


def test_values_inside_nested_columns(store: Store, tmp_path: Path) -> None:
    rows = [
        {"banner_id": "b", "at": {"grid": 7, "host": "d.example"}, "event": {"pos": {"x": x, "y": y}, "a.b": 1}, "time": "2026-10-01"}
        for x, y in zip(X, Y, strict=True)
    ]
    mapping = {"click_x_rel": "event.pos.x", "click_y_rel": "event.pos.y", "grid_id": "at.grid", "domain": "at.host"}
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pq.write_table(pa.Table.from_pylist([{**row, "banner_id": "c"} for row in rows]), tmp_path / "a.parquet")
    taken = ingest(store, [tmp_path / "a.jsonl", tmp_path / "a.parquet"], mapping=mapping)
    assert (taken.accepted, taken.rejected) == (6, {})
    assert bins(store) == sorted([*BINS, *BINS])
    with pytest.raises(InputError, match=r"'event\.pos\.z\.'|not among"):
        ingest(store, [tmp_path / "a.jsonl"], mapping={**mapping, "click_x_rel": "nosuch.pos"})


@pytest.mark.parametrize("shape", ["list", "pretty", "wrapped", "wrapped pretty", "one row", "gz"])
def test_json_documents(store: Store, tmp_path: Path, shape: str) -> None:
    rows = [{"banner_id": "b", "grid_id": 7, "x": x, "y": y, "time": "2026-10-01", "more": [{"k": 1}]} for x, y in zip(X, Y, strict=True)]
    text = {
        "list": json.dumps(rows),
        "pretty": json.dumps(rows, indent=2),
        "wrapped": json.dumps({"count": 3, "results": rows}),
        "wrapped pretty": json.dumps({"meta": {"n": 3}, "results": rows}, indent=1),
        "one row": json.dumps(rows[0]),
        "gz": json.dumps(rows),
    }[shape]
    path = tmp_path / ("a.json.gz" if shape == "gz" else "a.json")
    if shape == "gz":
        import gzip

        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    shown = preview(store, path)
    (file,) = ingest(store, [path]).files
    n = 1 if shape == "one row" else 3
    assert (file.accepted, file.rejected, shown.accepted, shown.whole) == (n, {}, n, True)
    assert any("JSON list" in note for note in file.notes) is (shape != "one row")
    assert ingest(store, [path]).already_ingested


def test_a_list_that_is_cut_off_is_refused_and_bad_rows_have_their_place(store: Store, tmp_path: Path) -> None:
    rows: list[Any] = [{"banner_id": "b", "grid_id": 7, "x": x, "y": 0.5, "time": "2026-10-01"} for x in (0.1, 7, 0.2)]
    (tmp_path / "cut.json").write_text(json.dumps(rows)[:-20])
    with pytest.raises(InputError, match="cut off"):
        ingest(store, [tmp_path / "cut.json"])
    (tmp_path / "a.json").write_text(json.dumps([*rows, "no object"]))
    taken = ingest(store, [tmp_path / "a.json"])
    assert taken.accepted == 2
    found = store.rows("SELECT line, reason FROM reject ORDER BY line")
    assert [tuple(row.values()) for row in found] == [(2, "coordinate outside 0..1"), (4, "not a JSON object")]


def test_one_creative_on_several_sites_is_as_many_banners_in_every_later_log(store: Store, tmp_path: Path) -> None:
    header = "banner_id,grid_id,n_products,domain,x,y,timestamp"
    line = "{},{},{},{},0.5,0.5,2026-10-01 12:00:00".format
    first = [line("b", 7, 4, "a.example")] * 3 + [line("b", 7, 4, "b.example")] * 2 + [line("b", 7, 5, "a.example")]
    (tmp_path / "1.csv").write_text("\n".join([header, *first]))
    second = [line("b", 7, 4, "b.example")] * 5 + [line("b", 7, 4, "a.example"), line("b", 8, 5, "B.example")]
    (tmp_path / "2.csv").write_text("\n".join([header, *second]))
    (file,) = ingest(store, [tmp_path / "1.csv"]).files
    assert "Each is a banner of its own, named like 'b~5p'" in file.notes[0]
    taken = ingest(store, [tmp_path / "2.csv"])
    assert (taken.accepted, taken.rejected) == (7, {})
    rows = store.rows("SELECT banner_id, sum(n_clicks)::BIGINT AS n FROM heatmap_day GROUP BY banner_id")
    assert {row["banner_id"]: row["n"] for row in rows} == {"b": 4, "b~b.example": 7, "b~5p": 1, "b~g8~5p~b.example": 1}


def test_grids_that_are_named_by_texts(store: Store, tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", X, Y, grid_id=" leaderboard top ")
    ingest(store, [path])
    ingest(store, [csv(tmp_path / "b.csv", X, Y, grid_id="leaderboard top", banner_id="c")])
    number = grids.number_of("leaderboard top")
    assert grids.names(store) == {number: "leaderboard top"}
    assert store.rows("SELECT DISTINCT grid_id FROM banner") == [{"grid_id": number}]
    assert number < 2**53
    mixed = csv(tmp_path / "c.csv", [*X, 0.5], [*Y, 0.5], banner_id="d")
    mixed.write_text(mixed.read_text().rstrip().rsplit("\n", 1)[0] + "\nd,abc,4,d.example,2026-10-01 12:00:00,0.5,0.5\n")
    assert ingest(store, [mixed]).rejected == {"grid_id not a number": 1}  # most rows hold numbers


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_mapping_loses_a_row(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever is mapped, set and said of a log: refused in words, or every row accepted or rejected."""
    columns = ["banner_id", "grid_id", "domain", "x", "y", "timestamp", "note"]
    ours = st.sampled_from(
        ["banner_id", "grid_id", "n_products", "domain", "click_x_rel", "click_y_px", "banner_width", "device", "click_id"]
    )
    theirs = st.one_of(st.sampled_from([*columns, "note.x", "nosuch"]), st.text("=0123456789.ab ", max_size=6).map("={}".format))
    mapping = data.draw(st.dictionaries(ours, theirs, max_size=3))
    mapping |= {name: data.draw(st.sampled_from(values)) for name, values in HOW.items()}
    value = st.sampled_from(["b", "7", "0.5", "50", "0,5", "", "x", "2026-10-01", "1.5e3", "a;b"])
    rows = data.draw(st.lists(st.tuples(*[value] * len(columns)), min_size=1, max_size=12))
    path = tmp_path / "h.csv"
    path.write_text("\n".join([";".join(columns), *(";".join(row) for row in rows)]) + "\n")
    with Store(tmp_path / f"{np.random.default_rng(abs(hash((tuple(rows), str(mapping))))).integers(1 << 60)}.duckdb") as opened:
        try:
            taken = ingest(opened, [path], mapping=mapping, options=Options(known="add", allow_rejects=True))
        except InputError:
            return
        n_kept = opened.rows("SELECT coalesce(sum(n_clicks), 0)::BIGINT AS n FROM heatmap_day")[0]["n"]
        n_rejected = opened.rows("SELECT count(*) AS n FROM reject")[0]["n"]
        assert n_kept == taken.accepted
        assert n_rejected == sum(taken.rejected.values())
        assert taken.accepted + n_rejected == len(rows)


@pytest.mark.parametrize("word", ["1²", "--5", "٣x", "", "9" * 500, "-", "12abc"])
def test_no_word_for_a_grid_breaks_a_page(word: str) -> None:
    assert text.grid(word) == word
    assert text.grid_number(word) is None


def test_a_name_stands_for_its_number_on_pages() -> None:
    number = grids.number_of("leaderboard top")
    text.know_grids({number: "leaderboard top"})
    assert (text.grid(number), text.grid_number("leaderboard top"), text.grid_number(str(number))) == ("leaderboard top", number, number)
    assert (text.grid(-7), text.grid_number("-7"), text.products(-1), text.products(1)) == ("-7", -7, "products unknown", "1 product")
