"""The representation audit: forests that never see what they are asked about, areas by hand, the rule, and the way through the store."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from core.__main__ import app
from core.cli import audit as audit_verbs
from core.errors import InputError, RunError
from core.jobs import running as jobs
from core.models.audit import figures, representations
from core.models.audit import queries as audits
from core.models.audit import worker as audit_worker
from core.models.audit.figures import FIGURES, HALVES, PARTS, Finding, Representation, advice, area, predicted
from core.models.audit.job import AUDIT
from core.models.audit.representations import BROKEN_SHARE, Banners, measured, narrowed, relative, taught
from core.models.audit.request import AuditRequest
from core.review import labels
from core.statistics.intervals import Interval
from core.statistics.leaderboard import UNKNOWN, resampled
from core.store import Store
from core.store.queries import detectors, runs
from core.store.queries.runs import last_finished
from tests.support.banners import drawn, heatmaps, layout, mirrored, sizes
from tests.support.stores import filled_store

LIMIT_S = 240
TREES, STEPS = 5, 4


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEATPROOF_THREADS", "1")


def interval(share: float, spread: float = 0.01) -> Interval:
    return Interval(share, share - spread, share + spread)


def finding(score: float, oracle: float, widest: float, held: float = float("nan"), spread: float = 0.002, name: str = "f") -> Finding:
    values = (score, oracle, widest, held, oracle - score, widest - oracle)
    return Finding(name, "knn", 8, *(UNKNOWN if np.isnan(v) else interval(v, spread) for v in values))


def kinds(n_broken: int, n_ok: int, families: int = 4) -> tuple[Any, Any]:
    broken = np.r_[np.ones(n_broken, dtype=bool), np.zeros(n_ok, dtype=bool)]
    family = np.array([f"fault{k % families}" for k in range(n_broken)] + [None] * n_ok, dtype=object)
    return broken, family


def test_every_part_has_its_share_of_every_kind() -> None:
    broken, family = kinds(60, 120)
    made = figures.plan(broken, family)
    assert set(made.part.tolist()) == set(range(HALVES * PARTS))
    for k in range(HALVES * PARTS):
        own = made.part == k
        assert broken[own].sum() == pytest.approx(10, abs=1)
        assert (~broken[own]).sum() == pytest.approx(20, abs=1)
        assert {family[i] for i in np.flatnonzero(own & broken)} == {"fault0", "fault1", "fault2", "fault3"}
    assert made.missing is None
    assert made.open_part is not None
    assert all(len(set(made.open_part[broken & (family == name)].tolist())) == 1 for name in ("fault0", "fault1", "fault2", "fault3"))
    assert set(made.open_part[~broken].tolist()) == set(range(PARTS))


@pytest.mark.parametrize(("n_broken", "n_ok"), [(11, 100), (100, 11), (0, 0)])
def test_too_few_labels_of_a_kind_are_refused(n_broken: int, n_ok: int) -> None:
    with pytest.raises(InputError, match=f"12 banners labelled broken and as many labelled ok: there are {n_broken} and {n_ok}"):
        figures.plan(*kinds(n_broken, n_ok))


def test_one_fault_family_cannot_be_held_out_and_says_so() -> None:
    made = figures.plan(*kinds(30, 30, families=1))
    assert made.open_part is None
    assert "two fault families of 3 labelled banners or more; there is 1" in str(made.missing)


def test_a_family_too_small_to_ask_is_learned_from() -> None:
    broken, family = kinds(30, 30, families=2)
    family[0] = "rare"
    part = figures.plan(broken, family).open_part
    assert part is not None
    assert part[0] == -1
    assert set(part[1:].tolist()) == {0, 1}


def test_forests_are_asked_only_about_banners_that_they_never_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column that is the row's own number: whoever is asked about a row that it learned would show it."""
    seen: list[set[int]] = []

    class Forest:
        def __init__(self, *args: Any, **more: Any) -> None:
            pass

        def fit(self, z: Any, y: Any) -> "Forest":
            seen.append({int(v) for v in z[:, 0]})
            return self

        def predict_proba(self, z: Any) -> Any:
            asked = {int(v) for v in z[:, 0]}
            assert not asked & seen[-1]
            assert {made.half[i] for i in asked} == {made.half[i] for i in seen[-1]}, "nor one of the other half"
            return np.zeros((len(z), 2))

    monkeypatch.setattr("sklearn.ensemble.RandomForestClassifier", Forest)
    broken, family = kinds(40, 80)
    made = figures.plan(broken, family)
    z = np.arange(120, dtype=np.float32)[:, None]
    assert np.isfinite(predicted(z, broken, made.part, made.half, 5, 0)).all()
    assert len(seen) == HALVES * PARTS
    assert made.open_part is not None
    seen.clear()
    made = figures.Plan(made.part * 0, made.open_part, None)  # one block
    predicted(z, broken, made.open_part if made.open_part is not None else made.part, made.half, 5, 0)
    for learned in seen:
        out = set(np.flatnonzero(broken).tolist()) - learned
        assert len({family[i] for i in out}) <= 2, "whole families are left out"
        assert all(family[i] not in {family[k] for k in learned if broken[k]} for i in out)


def test_two_processes_predict_what_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, family = kinds(30, 60)
    made = figures.plan(broken, family)
    z = np.random.default_rng(0).normal(size=(90, 4)).astype(np.float32)
    alone = predicted(z, broken, made.part, made.half, TREES, 0)
    monkeypatch.setenv("HEATPROOF_THREADS", "2")
    with audit_worker.forests() as each:
        assert each is not map
        assert np.array_equal(predicted(z, broken, made.part, made.half, TREES, 0, each), alone)


def test_the_area_is_that_of_pairs_within_a_part() -> None:
    rng = np.random.default_rng(0)
    broken, part, scores = rng.random(90) < 0.3, rng.integers(0, 3, 90), rng.normal(size=90).round(1)
    times = resampled(broken)
    whole = area(scores, broken, np.zeros(90, dtype=np.int64), times)
    assert whole[0] == pytest.approx(roc_auc_score(broken, scores), abs=1e-6)
    right = pairs = 0.0
    for k in range(3):
        bad, good = scores[broken & (part == k)], scores[~broken & (part == k)]
        right += sum(float(b > g) + 0.5 * float(b == g) for b in bad for g in good)
        pairs += len(bad) * len(good)
    assert area(scores, broken, part, times)[0] == pytest.approx(right / pairs, abs=1e-6)
    shifted = scores + 100 * part  # parts are not compared with each other
    assert area(shifted, broken, part, times)[0] == pytest.approx(right / pairs, abs=1e-6)
    assert area(scores, broken, np.where(part == 2, -1, part), times)[0] != pytest.approx(right / pairs, abs=1e-6)


def test_what_a_score_wastes_is_not_extracted_and_what_features_lack_is_not_represented() -> None:
    """Two clues: z holds one of them, which the score ignores; the other only the wider features have. Each tells half of the broken."""
    rng = np.random.default_rng(3)
    broken, family = kinds(120, 240, families=2)
    clues = rng.normal(size=(360, 2)).astype(np.float32)
    clues[:120:2, 0] += 6
    clues[1:120:2, 1] += 6
    noise = rng.normal(size=(360, 3)).astype(np.float32)
    z = np.column_stack([clues[:, :1], noise])
    one = Representation("made", "none", 4, z, rng.normal(size=360), np.column_stack([z, clues[:, 1:]]))
    made = figures.plan(broken, family)
    (found,) = figures.audit([one], broken, made, lambda done, what: None, n_trees=200)
    assert found.score.share == pytest.approx(0.5, abs=0.1)
    assert found.oracle.share == pytest.approx(0.75, abs=0.08), "half of the broken are found, the others are not"
    assert found.oracle_all.share > 0.95
    assert figures.is_there(found.not_extracted)
    assert figures.is_there(found.not_represented)
    assert found.not_extracted.share == pytest.approx(found.oracle.share - found.score.share)
    assert found.not_represented.share == pytest.approx(found.oracle_all.share - found.oracle.share)
    assert found.held_out.share < found.oracle.share - 0.1, "a forest that never saw a family does not find it"


def test_the_rule() -> None:
    labels_help, features_help = finding(0.90, 0.97, 0.98), finding(0.90, 0.91, 0.99)
    assert advice([labels_help]).startswith("More labels would help: `knn` reaches 0.900, the same features with labels 0.970.")
    assert "but only against faults like those labelled (0.880 against others)" in advice([finding(0.90, 0.97, 0.98, held=0.88)])
    assert "but only" not in advice([finding(0.90, 0.97, 0.98, held=0.93)])
    assert advice([features_help]).startswith("Better features would help")
    assert advice([finding(0.90, 0.903, 0.905)]).startswith("Neither"), "gaps that do not matter"
    assert advice([finding(0.90, 0.95, 0.99, spread=0.06)]).startswith("Neither"), "gaps that chance explains"
    assert advice([finding(0.5, 0.99, 0.99), finding(0.98, 0.981, 0.982)]).startswith("Neither"), "the best score decides"
    evidence = finding(0.90, 0.97, 0.98, name="evidence")
    assert advice([finding(0.98, 0.981, 0.982), evidence]).startswith("More labels"), "but what flags rest on goes first"


def clicks() -> tuple[Banners, Any]:
    counts = [drawn(k, sizes(k, 60), layout(4 * k)) for k in range(2)]
    counts[0][:16], counts[1][:16] = mirrored(counts[0][:16]), mirrored(counts[1][:16])
    every = np.concatenate([counts[0][:40], counts[1][:40], counts[0][40:], counts[1][40:]])
    grids = np.repeat([1, 2, 1, 2], [40, 40, 20, 20])
    broken = np.r_[np.arange(40) < 16, np.arange(40) < 16]
    family = np.where(broken, np.where(np.arange(80) % 2, "mirrored", "shifted"), None)
    made = figures.plan(broken, family)
    return Banners(heatmaps(every, grids), broken, family, made.half, np.zeros(120, dtype=bool)), made


def test_what_learns_all_classes_sees_the_other_half_only() -> None:
    banners, _ = clicks()
    learned = np.flatnonzero(banners.half == 0)
    rows, classes = taught(banners, learned, np.random.default_rng(0))
    assert set(rows[rows < banners.m].tolist()) == set(learned.tolist())
    assert set(range(banners.m, 120)) <= set(rows.tolist())
    bad = np.isin(rows, np.flatnonzero(banners.broken))
    assert bad.mean() == pytest.approx(BROKEN_SHARE, abs=0.1)
    assert set(classes[bad].tolist()).isdisjoint(classes[~bad].tolist())
    banners.flagged[100:] = True
    assert set(rows.tolist()) - set(taught(banners, learned, np.random.default_rng(0))[0].tolist()) == set(range(100, 120))


def test_features_are_relative_to_what_is_normal_in_the_layout() -> None:
    banners, _ = clicks()
    rng = np.random.default_rng(0)
    features = rng.normal(size=(120, 3)) + 100 * banners.heatmaps.grid_id[:, None]
    banners.flagged[:10] = True
    features[:10] += 1000
    found = relative(features, banners)
    for grid in (1, 2):
        rows = banners.heatmaps.grid_id == grid
        assert np.allclose(found[rows & ~banners.flagged].mean(axis=0), 0, atol=1e-3)
        assert np.allclose(np.diff(found[rows], axis=0), np.diff(features[rows], axis=0), atol=1e-3)
    assert found[:10].min() > 900, "what was flagged does not say what is normal"
    banners.flagged[:] = True
    assert banners.usable.all()


def test_wide_features_are_seen_in_their_main_directions() -> None:
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 200))
    z = narrowed(wide, 10)
    assert z.shape == (50, 10)
    gram = wide - wide.mean(axis=0)
    assert np.allclose(z @ z.T, gram @ gram.T, rtol=1e-3, atol=1e-2), "what lies in ten directions is kept"
    assert np.array_equal(narrowed(wide[:, :5], 10), wide[:, :5].astype(np.float32))


def test_measures_are_made_grid_by_grid() -> None:
    banners, _ = clicks()
    found = measured(banners.heatmaps)
    rows = np.flatnonzero(banners.heatmaps.grid_id == 2)
    assert np.allclose(found[rows], measured(banners.heatmaps.take(rows)))
    assert found.shape == (120, 14)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Labels by what the run says; no extractor, whose features would take a minute."""
    made = filled_store(tmp_path / "s.duckdb", 400)
    rows = made.rows("SELECT banner_id, flagged, fault FROM result ORDER BY banner_id")
    for row in [r for r in rows if r["flagged"]][:20] + [r for r in rows if not r["flagged"]][:24]:
        labels.label(made, row["banner_id"], "broken" if row["flagged"] else "ok", "ana", blind=True)
    script = tmp_path / "worker.py"
    script.write_text(
        "from core.models.audit import worker as audit_worker\nfrom core.jobs import worker as child\n"
        "from core.models.audit.request import AuditTask\n"
        "audit_worker.in_use = lambda own, stored: ([], ['resnet50'])\nchild.main(AuditTask)(audit_worker.run_audit)\n"
    )
    monkeypatch.setattr(AUDIT, "command", (sys.executable, str(script)))
    return made


def shown(store: Store) -> str:
    return str(runs.finished_runs(store)[0]["run_id"])


def test_an_audit_goes_from_store_to_store(store: Store) -> None:
    assert audits.latest(store, shown(store)) is None
    handle = jobs.start(store, AUDIT, AuditRequest(shown(store), TREES, STEPS))
    with pytest.raises(RunError, match="Only one audit at a time per store: the audit of run"):
        jobs.start(store, AUDIT, AuditRequest(shown(store)))
    assert handle.wait(LIMIT_S)
    assert handle.state == "finished", handle.error
    found = audits.latest(store, shown(store))
    assert found is not None
    assert [one.name for one in found.findings] == ["evidence", "classifier", "click_metrics", "pca"]
    assert (found.about["n_broken"], found.about["n_ok"], found.about["n_named"]) == (20, 24, 0)
    assert found.about["left_out"] == ["resnet50"]
    by = {one.name: one for one in found.findings}
    assert by["evidence"].score_by == "combined"
    chosen = audits.chosen(store, shown(store))
    combined, names, scores = audits.without_labels(chosen)
    assert by["evidence"].score.share == pytest.approx(roc_auc_score(chosen.broken, combined), abs=1e-6)
    assert (by["evidence"].n_dims, scores.shape) == (len(names), (44, len(names)))
    for one in found.findings:
        assert one.not_extracted.share == pytest.approx(one.oracle.share - one.score.share)
        assert 0 <= one.oracle_all.share <= 1
    assert found.about["advice"] == advice(found.findings)
    assert not found.is_stale(store)
    labels.label(store, store.rows("SELECT banner_id FROM result ORDER BY position DESC LIMIT 1")[0]["banner_id"], "ok", "ben", blind=True)
    assert found.is_stale(store)
    assert not list(store.path.parent.glob("*.audit"))


def test_too_few_labels_are_refused_before_anything_starts(tmp_path: Path) -> None:
    bare = filled_store(tmp_path / "bare.duckdb", 60)
    with pytest.raises(InputError, match="An audit needs 12 banners labelled broken"):
        jobs.start(bare, AUDIT, AuditRequest(shown(bare)))
    assert jobs.current(bare, AUDIT) is None


def test_a_stopped_audit_keeps_nothing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "slow.py"
    script.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(AUDIT, "command", (sys.executable, str(script)))
    handle = jobs.start(store, AUDIT, AuditRequest(shown(store)))
    jobs.dismiss(store, AUDIT)
    assert jobs.current(store, AUDIT) is handle, "what is going is not forgotten"
    handle.cancel()
    assert handle.wait(20)
    assert handle.state == "cancelled"
    assert store.rows("SELECT count(*) AS n FROM audit")[0]["n"] == 0
    jobs.dismiss(store, AUDIT)
    assert jobs.current(store, AUDIT) is None


def test_the_labelled_banners_come_first_and_reviewers_name_faults_before_the_diagnosis(store: Store, tmp_path: Path) -> None:
    name = audits.chosen(store, shown(store)).banner_id[0]
    labels.label(store, str(name), "broken", "ana", blind=True, fault="uniform")
    found = audits.families_known(audits.chosen(store, shown(store)))
    assert found.fault[0] == "uniform"
    assert audits.n_named(store, found.banner_id) == 1
    file = tmp_path / "banners.parquet"
    audits.write_banners(store, last_finished(store), found, 50, file)
    import pyarrow.parquet as pq

    rows = pq.read_table(file)
    n = len(found.broken)
    assert rows["banner_id"].to_pylist()[:n] == found.banner_id.tolist()
    assert rows["broken"].to_pylist()[:n] == found.broken.tolist()
    assert rows["family"].to_pylist()[:n] == found.fault.tolist()
    assert rows["broken"].null_count == len(rows) - n == 50
    plan, banners = audit_worker.read(rows, 0)
    assert np.array_equal(plan.half, banners.half)
    assert banners.heatmaps.n_clicks.min() > 0


def test_many_labels_are_drawn_from(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audits, "MOST_LABELLED", 30)
    found = audits.chosen(store, shown(store))
    assert (int(found.broken.sum()), len(found.broken)) == (15, 30)
    monkeypatch.setattr(audits, "MOST_LABELLED", 42)
    found = audits.chosen(store, shown(store))
    assert (int(found.broken.sum()), len(found.broken)) == (20, 42)
    monkeypatch.setattr(audits, "MOST_OK", 1)
    assert len(audits.chosen(store, shown(store)).broken) == 40, "an ok one for each broken one"
    every = detectors.labelled(store, shown(store), detectors.cuts(store, shown(store)))
    assert set(found.banner_id) < set(every.banner_id)


def test_extractors_in_use_come_with_the_installation_or_were_used_by_a_run() -> None:
    found, left_out = representations.in_use(None, set())
    assert {"simclr", "vit_small", "cluster_count", "cluster_location"} <= {one.name for one in found}
    assert "resnet50" in left_out


def test_the_verb_shows_figures_the_line_and_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    found = [finding(0.90, 0.97, 0.98, name="evidence")]
    about = {"n_broken": 20, "n_ok": 30, "seconds": 61.2, "advice": advice(found), "missing": "two families", "left_out": ["resnet50"]}
    about |= {"finished_at": datetime(2026, 11, 1), "settings": "{}"}
    plain = audit_verbs.to_dict(audits.Audit(about, found))
    assert json.loads(json.dumps(plain))["findings"][0]["not_extracted"] == pytest.approx([0.07, 0.068, 0.072])
    audit_verbs.show(plain)
    said = " ".join(capsys.readouterr().out.split())
    assert "evidence knn 0.900 0.970 0.980 – +0.070* +0.010*" in said
    assert "More labels would help: knn reaches 0.900" in said
    assert "Holding fault families out needs two families." in said
    assert "20 broken and 30 ok labels" in said


def test_the_verb_refuses_too_few_labels_with_exit_code_2(tmp_path: Path) -> None:
    path = tmp_path / "bare.duckdb"
    filled_store(path, 60).close()
    done = CliRunner().invoke(app, ["audit", "--store", str(path)])
    assert done.exit_code == 2
    assert "An audit needs 12 banners labelled broken" in done.stderr


def test_a_finding_survives_json() -> None:
    row = json.loads(json.dumps(audit_worker.as_row(finding(0.9, 0.95, 0.97))))
    assert row["held_out"] == [None, None, None]
    assert set(FIGURES) <= row.keys()
    assert row["not_extracted"][0] == pytest.approx(0.05)
