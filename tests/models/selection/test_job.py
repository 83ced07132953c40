"""Model selection on a store: who is learned from and judged, the report, the way through a child process, and the choice in runs."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from core import settings
from core.__main__ import app
from core.banners.fitting import fit_reference
from core.cli import select
from core.detectors import CATALOGUE, default_names, make
from core.errors import InputError, RunError
from core.jobs import running as jobs
from core.models.audit import queries as audits
from core.models.selection import job as model_selection
from core.models.selection import worker as selection_worker
from core.models.selection.job import SELECTION
from core.models.selection.report import by_family, report
from core.models.selection.request import SelectionRequest
from core.models.selection.selectors import SELECTORS
from core.models.selection.variants import PATCHES, Sets, contenders, trained
from core.review import labels
from core.runs import job_folder
from core.scoring.grid import IMAGES, score_grid
from core.scoring.task import Chosen
from core.store import Store
from core.store.queries import runs, selections
from core.store.queries.runs import last_finished
from tests.models.selection.test_selection import heaps
from tests.scoring.test_worker import finished, row, table, write_job
from tests.support.banners import drawn, heatmaps, layout, mirrored, sizes
from tests.support.stores import filled_store

LIMIT_S = 240
CONTENDERS = contenders(0.1)


def images(seed: int, n: int, broken: int = 0) -> Any:
    counts = drawn(seed, sizes(seed, n))
    counts[:broken] = mirrored(counts[:broken])
    return IMAGES.make(heatmaps(counts).counts)


def zeros(n: int) -> Any:
    return np.zeros(n, dtype=np.int64)


def test_contenders_are_detectors_of_the_catalogue() -> None:
    assert len({c.name for c in CONTENDERS}) == len(CONTENDERS) == 13
    for contender in CONTENDERS:
        make(contender.detector, **contender.fields)
    assert all(c.mixed == c.fields["dynamic"] for c in PATCHES)
    learned = CONTENDERS[-1]
    assert (learned.detector, learned.mixed, learned.fields) == ("st_ssad", False, {"suspected": 0.1}), "it assumes what selectors do"


def test_a_contender_becomes_a_candidate() -> None:
    sets = Sets(images(1, 60), zeros(60), images(2, 50), zeros(50), images(3, 30, broken=10), zeros(30))
    candidate, known = trained(CONTENDERS[1], sets, max_steps=120)
    assert (len(candidate.train), len(candidate.augmented), len(candidate.test)) == (60, 60, 50)
    assert candidate.scores.shape == (50,)
    np.testing.assert_allclose(np.linalg.norm(candidate.train, axis=1), 1, rtol=1e-5)
    assert np.median(np.linalg.norm(candidate.train - candidate.augmented, axis=1)) > 0.5
    assert roc_auc_score(np.arange(30) < 10, known) > 0.7
    again, known_again = trained(CONTENDERS[1], sets, max_steps=120)
    np.testing.assert_array_equal(again.augmented, candidate.augmented)
    np.testing.assert_array_equal(known_again, known)
    nobody = replace(sets, known=sets.known[:0], known_layout=zeros(0))
    assert trained(CONTENDERS[0], nobody, max_steps=2)[1].shape == (0,)


def found_report(n: int = 40) -> tuple[dict[str, Any], Any, Any]:
    rng = np.random.default_rng(0)
    broken = np.arange(n) < n // 2
    family = np.array(["edge" if k < 12 else "uniform" if k < 18 else "rare" if k < n // 2 else None for k in range(n)], dtype=object)
    candidates = [replace(heaps(where, 0.2, 1), scores=rng.normal(size=300)) for where in ("blind", "aligned")]
    known = [rng.normal(size=n), rng.normal(size=n) + 3 * broken]
    return report(candidates, 0.2, known, broken, family), known, broken


def test_the_report_says_who_takes_whom_and_how_good_that_is() -> None:
    made, known, broken = found_report()
    made = json.loads(json.dumps(made))  # as it is kept
    assert [c["name"] for c in made["candidates"]] == ["blind", "aligned"]
    for c, scores in zip(made["candidates"], known, strict=True):
        value, low, high = c["auc"]
        assert value == pytest.approx(roc_auc_score(broken, scores), abs=1e-6)
        assert low <= value <= high
        assert list(c["by_family"]) == ["edge", "uniform"], "the largest first; two banners say nothing of a family"
    rows = {r["name"]: r for r in made["selectors"]}
    assert set(rows) == set(SELECTORS) - {"rand"}
    assert rows["dsv"]["chosen"] == 1
    assert rows["dsv"]["values"][1] == pytest.approx(made["candidates"][1]["dsv"])
    assert made["ensemble"][0] == pytest.approx(roc_auc_score(broken, sum(known)), abs=1e-6)


def test_without_labels_there_are_choices_and_no_figures() -> None:
    candidates = [heaps(where, 0.2, 1) for where in ("blind", "aligned")]
    none = np.empty(0)
    made = report(candidates, 0.2, [none, none], none.astype(bool), none.astype(object))
    assert [c["auc"] for c in made["candidates"]] == [None, None]
    assert made["ensemble"] is None
    assert made["candidates"][0]["by_family"] == {}
    assert next(r for r in made["selectors"] if r["name"] == "dsv")["chosen"] == 1


def test_a_family_is_held_against_all_that_is_ok() -> None:
    scores = np.array([3.0, 4, 5, 0, 0, 0, 1, 2])
    broken = np.array([True] * 6 + [False] * 2)
    family = np.array(["a"] * 3 + ["b"] * 3 + [None] * 2, dtype=object)
    assert by_family(scores, broken, family) == {"a": 1.0, "b": 0.0}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("HEATPROOF_THREADS", "1")
    made = filled_store(tmp_path / "s.duckdb", 400)
    rows = made.rows("SELECT banner_id, flagged FROM result ORDER BY banner_id")
    for r in [r for r in rows if r["flagged"]][:20] + [r for r in rows if not r["flagged"]][:24]:
        labels.label(made, r["banner_id"], "broken" if r["flagged"] else "ok", "ana", blind=True)
    return made


def shown(store: Store) -> str:
    return str(runs.finished_runs(store)[0]["run_id"])


def banners(store: Store, most: int, file: Path) -> dict[str, list[Any]]:
    found = audits.families_known(audits.chosen(store, shown(store)))
    selections.write_banners(store, last_finished(store), found, most, file)
    rows = pq.read_table(file)
    bins = [tuple(b) + tuple(n) for b, n in zip(rows["bins"].to_pylist(), rows["counts"].to_pylist(), strict=True)]
    part = rows["part"].to_pylist()
    out = {name: [b for b, p in zip(bins, part, strict=True) if p == name] for name in ("train", "test", "known")}
    out["labels"] = [b for b, p in zip(rows["broken"].to_pylist(), part, strict=True) if p == "known"]
    return out


def test_nobody_is_measured_on_what_was_learned_from_and_labels_do_not_choose_who_is_judged(store: Store, tmp_path: Path) -> None:
    bare = filled_store(tmp_path / "bare.duckdb", 400)
    some, none = banners(store, 100, tmp_path / "a.parquet"), banners(bare, 100, tmp_path / "b.parquet")
    assert len(some["train"]) == len(some["test"]) == 100
    assert set(some["train"]).isdisjoint(some["test"])
    assert set(some["train"]).isdisjoint(some["known"])
    assert some["test"] == none["test"]
    assert len(some["known"]) == 44
    assert sum(some["labels"]) == 20
    assert none["known"] == []
    every = banners(store, 1000, tmp_path / "c.parquet")
    assert 0 < len(every["known"]) < 44, "where all are needed to learn from, labelled ones are, and are not measured on"
    assert set(every["train"]).isdisjoint(every["known"])


def test_a_selection_goes_from_store_to_store(store: Store) -> None:
    assert selections.latest(store, shown(store)) is None
    handle = jobs.start(store, SELECTION, SelectionRequest(shown(store), 0.1, max_steps=2))
    with pytest.raises(RunError, match="Only one model selection at a time per store: the selection on run"):
        jobs.start(store, SELECTION, SelectionRequest(shown(store)))
    assert handle.wait(LIMIT_S)
    assert handle.state == "finished", handle.error
    found = selections.latest(store, shown(store))
    assert found is not None
    assert [c["name"] for c in found.candidates] == [c.name for c in CONTENDERS]
    assert [c["detector"] for c in found.candidates] == [c.detector for c in CONTENDERS]
    assert {r["name"] for r in found.selectors} == set(SELECTORS)
    assert found.about["ratio"] == 0.1
    assert found.about["n_broken"] + found.about["n_ok"] <= 44
    assert not list(store.path.parent.glob("*.selection"))


def test_a_stopped_selection_keeps_nothing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "slow.py"
    script.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(SELECTION, "command", (sys.executable, str(script)))
    handle = jobs.start(store, SELECTION, SelectionRequest(shown(store)))
    jobs.dismiss(store, SELECTION)
    assert jobs.current(store, SELECTION) is handle, "what is going is not forgotten"
    handle.cancel()
    assert handle.wait(20)
    assert handle.state == "cancelled"
    assert selections.latest(store, shown(store)) is None
    jobs.dismiss(store, SELECTION)
    assert jobs.current(store, SELECTION) is None


@pytest.mark.parametrize("ratio", [0.0, 0.9, -1.0])
def test_a_share_that_cannot_be_is_refused(store: Store, ratio: float) -> None:
    with pytest.raises(InputError, match="assumed share of broken banners lies between"):
        jobs.start(store, SELECTION, SelectionRequest(shown(store), ratio))
    assert jobs.current(store, SELECTION) is None


def test_too_few_banners_are_refused(tmp_path: Path) -> None:
    bare = filled_store(tmp_path / "bare.duckdb", 40)
    file = tmp_path / "banners.parquet"
    selections.write_banners(bare, last_finished(bare), audits.chosen(bare, shown(bare)), 100, file)
    with pytest.raises(InputError, match="learns from 30 banners and judges 30 others; there are"):
        selection_worker.read(pq.read_table(file))


def kept(store: Store) -> selections.Selection:
    about = {"run_id": shown(store), "finished_at": "2026-11-20", "ratio": 0.05, "n_train": 1, "n_test": 1, "n_broken": 20, "n_ok": 20}
    made, _, _ = found_report()
    for c, contender in zip(made["candidates"], CONTENDERS, strict=False):
        c |= {"detector": contender.detector, "fields": contender.fields}
    with store.transaction() as cursor:
        model_selection.insert(cursor, about | {"seconds": 1.0, "settings": "{}", "report": json.dumps(made)})
    found = selections.latest(store, shown(store))
    assert found is not None
    return found


def test_what_runs_take_is_the_latest_choice_and_nothing_is_overwritten(store: Store) -> None:
    assert selections.in_use(store) is None
    assert job_folder.chosen(store) is None
    found = kept(store)
    for place in (0, 1):
        model_selection.use(store, found, place, "ana")
    choice = selections.in_use(store)
    assert choice is not None
    assert (choice.candidate, choice.detector, choice.chosen_by) == ("aligned", "ssad_cutout", "ana")
    assert job_folder.chosen(store) == Chosen("ssad_cutout", {"area": [0.15, 0.4], "dynamic": False}, "aligned")
    model_selection.use(store, found, None, "ben")
    assert selections.in_use(store) is None
    assert store.rows("SELECT count(*) AS n FROM model_choice")[0]["n"] == 3
    with pytest.raises(InputError, match="has candidates 0 to 1; 7 is none of them"):
        model_selection.use(store, found, 7, "ana")


def test_a_chosen_model_is_scored_with_its_own_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    cls = type(CATALOGUE["ssad_cutout"])
    monkeypatch.setattr(cls, "_fit", lambda self, X, groups: seen.append(self) or setattr(self, "done_", True))
    monkeypatch.setattr(cls, "_score", lambda self, X, groups: np.zeros(len(groups)))
    grid = heatmaps(drawn(1, sizes(1, 40)), grid_id=4)
    chosen = Chosen("ssad_cutout", {"area": [0.1, 0.2], "dynamic": False}, "cutout large")
    part = score_grid(grid, fit_reference(grid), ["ssad_cutout", "ssad_cutavg"], lambda what: None, None, chosen)
    assert [(d.name, d.area, d.dynamic) for d in seen] == [
        ("ssad_cutout", (0.1, 0.2), False),
        ("ssad_cutavg", CATALOGUE["ssad_cutavg"].area, CATALOGUE["ssad_cutavg"].dynamic),  # type: ignore[attr-defined]
    ]
    assert part.weights["ssad_cutout"] == "cutout large"
    assert part.weights["ssad_cutavg"] is None


def test_a_run_takes_the_chosen_model_beside_the_default_ones(tmp_path: Path) -> None:
    grids = {g: [row(f"g{g}-{i:03d}", c) for i, c in enumerate(drawn(g, sizes(g, 40), layout(2 * g)))] for g in (1, 8)}
    chosen = {"detector": "ssad_cutout", "fields": {"max_steps": 2}, "candidate": "cutout large"}
    at = write_job(tmp_path / "job", grids, detectors=None, chosen=chosen)
    names = finished(at)["settings"]["detectors"]
    quick = [name for name in default_names() if not CATALOGUE[name].deep]
    assert names == [*quick, "ssad_cutout"]
    assert sum(r["detector"] == "ssad_cutout" for r in table(at, "score").to_pylist()) == 80
    about = {r["detector"]: r for r in table(at, "run_detector").to_pylist()}["ssad_cutout"]
    assert about["weights"] == "cutout large"


@pytest.mark.slow
def test_the_verb_trains_says_who_takes_whom_and_lets_runs_take_one(store: Store) -> None:
    path, run = store.path, shown(store)
    store.close()
    done = CliRunner().invoke(app, ["select", "--store", str(path), "--assumed", "10", "--steps", "2", "--use", "matching", "--json"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert [c["name"] for c in found["candidates"]] == [c.name for c in CONTENDERS]
    takes = {s["name"]: found["candidates"][s["chosen"]]["name"] for s in found["selectors"]}
    assert set(takes) == set(SELECTORS)
    assert (found["ratio"], found["in_use"]) == (0.1, takes["matching"])
    with Store(path) as again:
        choice = selections.in_use(again)
        assert choice is not None
        assert (choice.candidate, choice.chosen_by) == (takes["matching"], settings.login_name())
        kept_one = selections.latest(again, run)
        assert kept_one is not None
        assert kept_one.about["selection_id"] == found["selection_id"]


def test_the_verbs_tables_name_takers_and_figures(capsys: pytest.CaptureFixture[str]) -> None:
    made, _, _ = found_report()
    about = {"n_train": 1500, "n_test": 1400, "n_broken": 20, "n_ok": 20, "seconds": 61.0, "in_use": "aligned"}
    select.show(about | made)
    said = " ".join(capsys.readouterr().out.split())
    auc = f"{made['candidates'][1]['auc'][0]:.3f}"
    assert "1,500 banners learned from, 1,400 judged, 61 s" in said
    assert f"dsv aligned {auc} augmented embeddings lie where test banners do" in said
    assert f"ensemble \N{EN DASH} {made['ensemble'][0]:.3f} the mean of all scores" in said
    assert "ROC-AUC by 20 broken and 20 ok labels" in said
    assert "Runs take aligned from now on." in said
    for c in made["candidates"]:
        c["auc"] = None
    select.show(about | made | {"ensemble": None, "in_use": None})
    said = " ".join(capsys.readouterr().out.split())
    assert "ROC-AUC needs eight banners labelled broken and eight labelled ok." in said
    assert "Runs take" not in said


def test_the_verb_refuses_a_name_before_it_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.jobs.running.run", lambda *given: pytest.fail("it trained"))
    path = tmp_path / "s.duckdb"
    filled_store(path, 60).close()
    done = CliRunner().invoke(app, ["select", "--store", str(path), "--use", "dvs"])
    assert done.exit_code == 2
    assert ": --use was 'dvs'" in done.stderr


def test_what_is_wanted_is_a_candidate_or_what_a_selector_takes(store: Store) -> None:
    found = kept(store)
    assert [select.wanted(found, name) for name in ("blind", "aligned", "dsv")] == [0, 1, 1]
    values = dict(zip(("blind", "aligned"), next(r for r in found.selectors if r["name"] == "mc")["values"], strict=True))
    assert select.wanted(found, "mc") == int(values["aligned"] > values["blind"])
