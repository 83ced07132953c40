"""Copies between engines are whole or not there, and their proof can fail."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.__main__ import app
from core.errors import InputError, StoreError
from core.review import claims, labels, triage_queue
from core.review.triage_queue import QueueFilter
from core.store import Store, prune
from core.store import copy as copying
from core.store.copy import copy, summed
from core.store.queries import banner, heatmaps, overview, runs
from tests.conftest import Filled, Place
from tests.support.lakes import Cluster
from tests.support.stores import FIRST_DAY, N_DAYS, filled_store


def sums(store: Store) -> dict[str, copying.Table]:
    with store.cursor() as cursor:
        return {name: summed(cursor, name) for name in store.tables() if name != "migration"}


@pytest.mark.slow
def test_a_store_goes_round_all_engines_and_comes_back_the_same(tmp_path: Path, postgres: Cluster) -> None:
    postgres.sql("CREATE DATABASE copied")
    stops = [f"ducklake:sqlite:{tmp_path / 'b.sqlite'}", postgres.url("copied", tmp_path / "pg"), str(tmp_path / "c.duckdb")]
    with filled_store(tmp_path / "a.duckdb", 60, hostile=True) as first:
        item = claims.next_item(first, runs.finished_runs(first)[0]["run_id"], "ana")
        assert item is not None
        labels.label(first, item.banner_id, "ok", "ana", blind=True, batch_id=item.batch_id)
        before = sums(first)
    path = str(tmp_path / "a.duckdb")
    for stop in stops:
        result = CliRunner().invoke(app, ["store", "copy", path, stop, "--json"])
        assert result.exit_code == 0, result.output
        rows = {name: table["rows"] for name, table in json.loads(result.stdout)["tables"].items()}
        assert rows == {name: table.n_rows for name, table in before.items()}
        path = stop
    with Store(path) as last:
        assert sums(last) == before


def test_a_copy_that_differs_is_refused_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "b.duckdb"
    with filled_store(tmp_path / "a.duckdb", 30) as store:
        real = copying.summed
        seen: list[str] = []

        def lossy(cursor: object, name: str) -> copying.Table:
            found = real(cursor, name)  # type: ignore[arg-type]
            seen.append(name)
            return found._replace(sums=found.sums | {"raw": 1}) if name == "reject" and seen.count(name) == 2 else found

        monkeypatch.setattr(copying, "summed", lossy)
        with pytest.raises(StoreError, match="reject has other values in raw"):
            copy(store, target)
        monkeypatch.undo()
        with Store(target) as empty:
            assert not any(table.n_rows for table in sums(empty).values())
        copy(store, target)
        with pytest.raises(StoreError, match="needs an empty store"):
            copy(store, target)
        with pytest.raises(StoreError, match="is the store itself"):
            copy(store, store.path)


def test_sums_tell_one_changed_value(tmp_path: Path) -> None:
    with filled_store(tmp_path / "a.duckdb", 30) as store:
        before = sums(store)
        with store.transaction() as cursor:
            cursor.execute("UPDATE heatmap_day SET counts = list_reverse(counts) WHERE banner_id = 'bn-000001' AND len(counts) > 1")
            cursor.execute("UPDATE reject SET value = NULL WHERE line = 7")
        after = sums(store)
    assert {name for name in before if before[name] != after[name]} == {"heatmap_day", "reject"}
    assert {key for key, value in before["reject"].sums.items() if after["reject"].sums[key] != value} == {"value"}


@pytest.mark.lakes
def test_old_bins_go_and_what_was_found_in_them_stays(filled: Filled) -> None:
    store = filled(120)
    run = runs.finished_runs(store)[0]
    flagged = triage_queue.page(store, run["run_id"], triage_queue.standing(store, run["run_id"], QueueFilter()))
    name = flagged[0]["banner_id"]
    seen = heatmaps.counts_of(store, [name], run)[name]
    item = claims.next_item(store, run["run_id"], "ana")
    assert item is not None
    before = sums(store)
    days = store.rows("SELECT day, count(*) AS n FROM heatmap_day GROUP BY day ORDER BY day")
    done = prune.prune(store, 3)
    assert (done.first_kept, done.rows["heatmap_day"]) == (days[-3]["day"], sum(day["n"] for day in days[:-3]))
    assert store.rows("SELECT day, count(*) AS n FROM heatmap_day GROUP BY day ORDER BY day") == days[-3:]
    after = sums(store)
    assert {name for name in before if before[name] != after[name]} == {"heatmap_day"}
    assert (heatmaps.counts_of(store, [name], run)[name] == seen).all()
    assert seen.sum() > 0
    assert len(banner.evidence(store, run["run_id"], name)) == N_DAYS
    assert overview.days(store, run["run_id"])[0]["day"] == FIRST_DAY
    labels.label(store, item.banner_id, "ok", "ana", blind=True, batch_id=item.batch_id)  # events go on where they were
    following = claims.next_item(store, run["run_id"], "ana")
    assert following is not None
    assert following.banner_id != item.banner_id
    assert prune.prune(store, 3).rows["heatmap_day"] == 0


def test_a_store_keeps_a_day_at_least(place: Place) -> None:
    with Store(place("s")) as store:
        with pytest.raises(InputError, match="1 day or more; --keep-days says 0"):
            prune.prune(store, 0)
        assert prune.prune(store, 1).first_kept is None
