"""Taking ingests back: what goes, what stays, on every engine, and killed in between."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.__main__ import app
from core.clicks import undo
from core.clicks.ingest import Options, ingest
from core.errors import InputError
from core.store import Store
from core.store.copy import summed
from core.store.queries import banner, runs
from tests.conftest import Filled, Place

ROOT = Path(__file__).parents[2]
STRICT = {"banners": "strict"}
HEADER = "click_id,banner_id,grid_id,n_products,domain,click_x_rel,click_y_rel,clicked_at"


@pytest.fixture
def store(place: Place) -> Any:
    with Store(place("store")) as opened:
        yield opened


def write(path: Path, *rows: tuple[str, str, int]) -> Path:
    path.write_text("\n".join([HEADER, *(f"{c},{b},{grid},4,d,0.5,0.25,2026-10-01T12:00:00Z" for c, b, grid in rows), ""]))
    return path


def bins(store: Store) -> list[dict[str, Any]]:
    return store.rows("SELECT banner_id, day, n_clicks, bins, counts FROM heatmap_day ORDER BY ALL")


@pytest.mark.lakes
def test_an_ingest_taken_back_leaves_the_others_as_they_were(store: Store, tmp_path: Path) -> None:
    ingest(store, [write(tmp_path / "a.csv", ("c1", "both", 7), ("c2", "first", 7))], options=Options(author="ana"))
    before = bins(store), store.rows("SELECT banner_id, grid_id FROM banner ORDER BY ALL")
    rows = [("c1", "both", 7), ("c3", "both", 7), ("c4", "only", 8), ("x", "both", 9)]
    second = ingest(store, [write(tmp_path / "b.csv", *rows)], mapping=STRICT).files[0]
    said = undo.effect(store, second.ingest_id)
    done = undo.undo(store, second.ingest_id[:30], "ben", "wrong export")
    assert done == said
    assert (done.n_clicks, done.n_banners, done.banners_gone, done.elsewhere) == (2, 2, 1, {})
    assert (bins(store), store.rows("SELECT banner_id, grid_id FROM banner ORDER BY ALL")) == before
    assert store.rows("SELECT count(*) AS n FROM reject") == [{"n": 2}]
    newest, oldest = undo.ingests(store)
    assert (newest["state"], newest["undone_by"], newest["undone_reason"]) == ("taken back", "ben", "wrong export")
    assert (oldest["state"], oldest["author"], oldest["n_clicks"]) == ("in the store", "ana", 2)
    with pytest.raises(InputError, match=r"was taken back before, by ben on .*: wrong export"):
        undo.undo(store, second.ingest_id, "ben")
    again = ingest(store, [tmp_path / "b.csv"], mapping=STRICT)
    assert (again.accepted, again.already_ingested) == (2, False)


@pytest.mark.lakes
def test_a_banner_stays_while_another_ingest_has_clicks_of_it(store: Store, tmp_path: Path) -> None:
    first = ingest(store, [write(tmp_path / "a.csv", ("c1", "b", 7))]).files[0]
    second = ingest(
        store, [write(tmp_path / "b.csv", ("c2", "b", 7), ("c1", "b", 7), ("c3", "b", 8), ("c4", "b", 7))], mapping=STRICT
    ).files[0]
    done = undo.undo(store, first.ingest_id, "ana")
    assert (done.banners_gone, done.elsewhere) == (0, {str(tmp_path / "b.csv"): 1}), "c1 was a duplicate there"
    assert store.rows("SELECT banner_id, ingest_id::VARCHAR AS i FROM banner") == [{"banner_id": "b", "i": second.ingest_id}]
    done = undo.undo(store, second.ingest_id, "ana")
    assert (done.banners_gone, store.rows("SELECT * FROM banner")) == (1, [])
    assert ingest(store, [write(tmp_path / "c.csv", ("c1", "b", 8))]).accepted == 1, "its grid is free again"


@pytest.mark.lakes
def test_runs_and_labels_outlive_the_clicks(filled: Filled) -> None:
    store = filled(60)
    tables = ("run_event", "run_info", "result", "score", "heatmap", "evidence", "run_day", "label_event", "triage_event")
    with store.cursor() as cursor:
        before = {name: summed(cursor, name) for name in tables}
    token = runs.ingests_token(store)
    (row,) = undo.ingests(store)
    done = undo.undo(store, row["ingest_id"], "ana")
    assert (done.banners_gone, done.n_labels) == (60, store.rows("SELECT count(*) AS n FROM label_current")[0]["n"])
    with store.cursor() as cursor:
        assert {name: summed(cursor, name) for name in tables} == before
    assert bins(store) == []
    assert runs.ingests_token(store) != token
    assert banner.known(store, "bn-000001") is not None, "its page still opens"


def test_the_verbs_list_and_undo(tmp_path: Path) -> None:
    where = ["--store", str(tmp_path / "s.duckdb")]
    call = CliRunner().invoke
    taken = json.loads(call(app, ["ingest", str(write(tmp_path / "a.csv", ("", "b", 7))), *where, "--json"]).stdout)
    ingest_id = taken["files"][0]["ingest_id"]
    for command in (["ingests", *where, "--json"], ["ingests", "list", *where, "--json"]):
        (row,) = json.loads(call(app, command).stdout)["ingests"]
        assert (row["ingest_id"], row["n_rows"], row["n_clicks"], row["state"]) == (ingest_id, 1, 1, "in the store")
    done = json.loads(call(app, ["ingests", "undo", ingest_id, *where, "--reason", "twice", "--author", "ana", "--json"]).stdout)
    assert (done["n_clicks"], done["banners_gone"]) == (1, 1)
    again = call(app, ["ingests", "undo", ingest_id, *where])
    assert (again.exit_code, "taken back before, by ana" in again.output) == (2, True)
    assert call(app, ["ingests", "undo", "zz", *where]).exit_code == 2
    assert "twice" in call(app, ["ingests", *where]).stdout


CHILD = """
import sys
from pathlib import Path
from core.clicks.ingest import Options, ingest
from core.store import Store
with Store(Path(sys.argv[1])) as store:
    print("open", flush=True)
    ingest(store, [Path(sys.argv[2])], options=Options(known="replace"))
"""


def test_killed_at_any_moment_a_file_is_replaced_or_as_it_was(tmp_path: Path) -> None:
    path, target = tmp_path / "log.csv", tmp_path / "s.duckdb"
    write(path, *((f"c{i}", f"b{i % 300}", 7) for i in range(20_000)))
    moments = random.Random(3)
    with Store(target) as store:
        ingest(store, [path])
    for k in range(5):
        n = 20_000 + 100 * k
        write(path, *((f"c{i}", f"b{i % 300}", 7) for i in range(100, n + 200)))
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(target), str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        time.sleep(moments.random() * 1.5)
        child.kill()
        child.communicate()
        with Store(target) as store:
            n_active = [row["n_clicks"] for row in undo.ingests(store) if row["state"] == "in the store"]
            held = store.rows("SELECT sum(n_clicks)::BIGINT AS n FROM heatmap_day")[0]["n"]
            assert [held] == n_active == [store.rows("SELECT count(*) AS n FROM click_seen")[0]["n"]]
            ingest(store, [path], options=Options(known="replace"))
            assert store.rows("SELECT sum(n_clicks)::BIGINT AS n FROM heatmap_day") == [{"n": n + 100}]
