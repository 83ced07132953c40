"""`labels import`, `labels export`, `labels agreement`: what is printed, and with which exit code."""

import json
import re
from pathlib import Path

import pytest
from sklearn.metrics import cohen_kappa_score
from typer.testing import CliRunner, Result

from core.__main__ import app
from core.clicks.ingest import ingest
from core.review import labels
from core.review.agreement import agreement, ratings
from core.store import Store
from tests.support.unscored_store import ROOT, fill

SHARED = ROOT.parent / "shared" / "data"
AT = "2026-10-20T10:00:00Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of 40 unscored banners, closed."""
    path = tmp_path / "s.duckdb"
    with Store(path) as store:
        fill(store)
    return path


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def by_hand(path: Path) -> None:
    """Ana and Ben on 20 banners: both ok 10, both broken 5, ok beside broken 2, broken beside ok 2, unsure beside ok 1. Cleo: 1."""
    pairs = [("ok", "ok")] * 10 + [("broken", "broken")] * 5 + [("ok", "broken")] * 2 + [("broken", "ok")] * 2 + [("unsure", "ok")]
    with Store(path) as store:
        for i, pair in enumerate(pairs):
            for reviewer, label in zip(("ana", "ben"), pair, strict=True):
                labels.label(store, f"bn{i:04d}", label, reviewer, blind=i != 19)
        labels.label(store, "bn0000", "unsure", "cleo", blind=True)


def test_import_and_export_as_a_person_reads_them(path: Path, tmp_path: Path) -> None:
    lines = [f"bn0001,ok,ana,{AT},red", f"bn0002,fine,ana,{AT},red", f"who,ok,ana,{AT},red"]
    (tmp_path / "l.csv").write_text("\n".join(["banner_id,label,reviewer,labelled_at,colour", *lines]))
    done = invoke("labels", "import", tmp_path / "l.csv", "--store", path)
    assert done.exit_code == 0, done.output
    assert re.search(r"added\W+1\s", done.stdout)
    assert re.search(r"3\W+label unknown\W+fine\W+bn0002,fine", done.stdout)
    assert re.search(r"4\W+banner_id not in the store\W+who", done.stdout)
    assert "not read: colour" in done.stdout
    again = json.loads(invoke("labels", "import", tmp_path / "l.csv", "--store", path, "--json").stdout)
    assert (again["n_rows"], again["added"], again["known"], again["n_rejected"]) == (3, 0, 1, 2)
    exported = invoke("labels", "export", tmp_path / "x.csv", "--store", path)
    assert exported.stdout == f"1 rows in {tmp_path / 'x.csv'}\n"
    assert "bn0001,ok,ana,2026-10-20T10:00:00.000000Z,label,,,," in (tmp_path / "x.csv").read_text()
    assert json.loads(invoke("labels", "export", tmp_path / "x.parquet", "--store", path, "--json").stdout)["rows"] == 1


def test_agreement_by_hand(path: Path) -> None:
    by_hand(path)
    found = json.loads(invoke("labels", "agreement", "--store", path, "--json").stdout)
    assert (found["n_labels"], found["n_banners"], found["alpha"]["n"]) == (41, 20, 20)
    assert [pair["reviewers"] for pair in found["pairs"]] == [["ana", "ben"], ["ana", "cleo"], ["ben", "cleo"]]
    pair = found["pairs"][0]
    assert (found["labels"], pair["confusion"]) == (["broken", "ok", "unsure"], [[5, 2, 0], [2, 10, 0], [0, 1, 0]])
    chance = (7 * 7 + 12 * 13) / 400
    assert pair["kappa"]["value"] == pytest.approx((0.75 - chance) / (1 - chance))
    assert pair["kappa"]["low"] < pair["kappa"]["value"] < pair["kappa"]["high"]
    assert (pair["n"], pair["same"]["share"]) == (20, 0.75)
    assert found["pairs"][1]["kappa"] == {"value": 0.0, "low": None, "high": None, "n": 1}
    assert found["disagreements"][0] == {"banner_id": "bn0000", "labels": {"ana": "ok", "ben": "ok", "cleo": "unsure"}}
    assert [row["banner_id"] for row in found["disagreements"]] == ["bn0000", *(f"bn{i:04d}" for i in range(15, 20))]


def test_agreement_as_a_person_reads_it(path: Path) -> None:
    empty = invoke("labels", "agreement", "--store", path)
    assert empty.exit_code == 0, empty.output
    assert "No banner has two different labels." in empty.stdout
    by_hand(path)
    shown = invoke("labels", "agreement", "--store", path).stdout
    assert "unsure is a value of its own" in shown
    assert re.search(r"Cohen's kappa\W+0\.487", shown)
    assert re.search(r"ana: broken\W+5\W+2\W+0", shown)
    assert re.search(r"bn0019\W+ana: unsure, ben: ok", shown)
    blind = invoke("labels", "agreement", "--blind", "--store", path).stdout
    assert "39 labels of 19 banners" in blind
    assert "bn0019" not in blind


def test_an_undo_and_a_new_label_count_at_once(path: Path) -> None:
    by_hand(path)
    with Store(path) as store:
        labels.undo(store, "cleo")
        labels.label(store, "bn0019", "ok", "ana", blind=True)
        found = agreement(store)
        assert ratings(store).reviewers == ["ana", "ben"]
    assert (len(found["pairs"]), len(found["disagreements"]), found["pairs"][0]["same"]["share"]) == (1, 4, 0.8)


def test_what_a_user_can_mend_is_exit_2(path: Path, tmp_path: Path) -> None:
    for words, message in (
        (("import", tmp_path / "no.csv"), "is no file"),
        (("export", tmp_path / "no.xlsx"), "ends in .csv"),
        (("agreement", "--store", tmp_path / "none.duckdb"), "does not exist"),
    ):
        done = invoke("labels", *words, *(() if "--store" in words else ("--store", path)))
        assert done.exit_code == 2
        assert message in " ".join(done.stderr.split())


@pytest.mark.skipif(not (SHARED / "labels-sample.csv").exists(), reason="the sample labels are not on this machine")
def test_the_two_reviewers_of_the_sample(path: Path) -> None:
    with Store(path.with_name("sample.duckdb")) as store:
        ingest(store, [SHARED / "clicks-sample.csv.gz"])
    invoke("labels", "import", SHARED / "labels-sample.csv", "--store", path.with_name("sample.duckdb"))
    found = json.loads(invoke("labels", "agreement", "--store", path.with_name("sample.duckdb"), "--json").stdout)
    said: dict[str, dict[str, str]] = {}
    for line in (SHARED / "labels-sample.csv").read_text().splitlines()[1:]:
        banner_id, reviewer, label, _ = line.split(",")
        said.setdefault(banner_id, {})[reviewer] = label
    both = [(labels["ana"], labels["ben"]) for labels in said.values() if len(labels) == 2]
    (pair,) = found["pairs"]
    assert pair["n"] == found["alpha"]["n"] == len(both)
    assert pair["kappa"]["value"] == pytest.approx(cohen_kappa_score(*zip(*both, strict=True)))
    assert {row["banner_id"] for row in found["disagreements"]} == {b for b, who in said.items() if len(set(who.values())) == 2}
