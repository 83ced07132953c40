"""The page of the detectors: what it knows without labels, what labels say, and training from it."""

import json
import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from streamlit.testing.v1 import AppTest

from core.features.networks import weight_files
from core.features.networks.weight_files import find_weights
from core.models.training import job as train_job
from core.review import labels
from core.statistics.p_values import benjamini_hochberg
from core.store.queries import detectors, runs
from core.ui.session import state
from tests.models.training.test_job import fake_worker
from tests.support.stores import HOSTILE
from tests.ui.calibrate.test_page import add_labels, publish
from tests.ui.conftest import Open
from tests.ui.test_pages import plain, texts

NAMES = {"multinomial", "chi_squared", "kl_divergence", "likelihood_ratio"}


def table(app: AppTest, key: str) -> list[list[str]]:
    """Cells of a table that one can pick from, a list a row; nothing where there is no such table."""
    found = [e.proto for e in app.get("bidi_component") if e.proto.id.endswith(f"-{key}")]
    html = json.loads(found[0].json)["html"] if found else ""
    rows = re.findall(r"<tr.*?</tr>", html, flags=re.DOTALL)
    return [[cell(c) for c in re.findall(r"<t[dh].*?</t[dh]>", row, flags=re.DOTALL)] for row in rows]


def cell(html: str) -> str:
    """Text of a cell; | stands where a line ends."""
    return unescape(re.sub(r"<[^>]+>", "", re.sub(r"<br>|<small>", "|", html)))


def name_of(row: list[str]) -> str:
    """The detector of a row of the leaderboard."""
    return row[0].split("|")[0].removesuffix(" ≈")


def picks(app: AppTest, key: str) -> list[str]:
    """Ids that can be picked in a table, in their order."""
    found = [e.proto for e in app.get("bidi_component") if e.proto.id.endswith(f"-{key}")]
    return [unescape(name) for name in re.findall(r'data-pick="([^"]*)"', json.loads(found[0].json)["html"])]


def run_id() -> str:
    return str(runs.finished_runs(state.store())[0]["run_id"])


def one_labelled_wrong(n: int = 200) -> None:
    """Labels by what the run says, but the strongest flagged banner is ok and an ordinary one broken."""
    add_labels(state.store(), n)
    rows = state.store().rows("SELECT r.banner_id, r.flagged FROM result r JOIN label_state USING (banner_id) ORDER BY r.position")
    labels.label(state.store(), rows[0]["banner_id"], "ok", "ana", blind=True)
    labels.label(state.store(), rows[-1]["banner_id"], "broken", "ana", blind=True, fault="edge")


def truth() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """Scores and own flags by judge over the labelled banners, and which are broken, all by plain SQL."""
    store = state.store()
    said = {r["banner_id"]: r["label"] == "broken" for r in labels.states(store) if r["label"] in ("broken", "ok")}
    result = {r["banner_id"]: r for r in store.rows("SELECT banner_id, combined, flagged FROM result")}
    scores = {"combined": np.array([result[b]["combined"] for b in said])}
    flags = {"combined": np.array([result[b]["flagged"] for b in said])}
    for name in NAMES:
        rows = store.rows("SELECT banner_id, normalised, p_value FROM score WHERE detector = ? ORDER BY banner_id", [name])
        own = dict(zip([r["banner_id"] for r in rows], benjamini_hochberg(np.array([r["p_value"] for r in rows]), 0.1), strict=True))
        score = {r["banner_id"]: r["normalised"] for r in rows}
        scores[name], flags[name] = np.array([score[b] for b in said]), np.array([own[b] for b in said])
    return scores, flags, np.array(list(said.values()))


def three(share: float) -> str:
    return "> .999" if 0.9995 <= share < 1 else f"{share:.3f}".removeprefix("0")


def test_without_labels_the_page_says_whom_each_detector_looked_at_and_what_it_cost(full: Open) -> None:
    app = full("detectors")
    assert not app.exception
    assert app.subheader[0].value == "4 detectors took 2 s for 400 banners."
    shown = app.dataframe[0].value
    assert set(shown["detector"]) == NAMES
    assert set(shown["looked at"]) == {400}
    assert shown["ms"].to_list() == pytest.approx([1.5] * 4)
    sql = """SELECT 100 * avg((s.p_value <= 0.05)::INTEGER) AS agrees FROM score s JOIN result r USING (run_id, banner_id)
        WHERE s.run_id = ? AND r.flagged AND s.detector = 'chi_squared'"""
    wanted = state.store().rows(sql, [run_id()])[0]["agrees"]
    assert shown.set_index("detector").loc["chi_squared", "agrees"] == pytest.approx(wanted)
    assert "needs labels of both kinds" in texts(app)
    assert not table(app, "board")


def test_the_page_counts_who_was_left_out(full: Open) -> None:
    with state.store().transaction() as cursor:
        cursor.execute("UPDATE run_detector SET n_scored = 120 WHERE detector = 'likelihood_ratio'")
    app = full("detectors")
    assert "1 of them looked only at the 120 that could still be flagged" in app.subheader[0].value


def test_the_page_says_where_weights_are_and_what_else_there_is(full: Open) -> None:
    app = full("detectors")
    frames = [f.value for f in app.dataframe]
    extractors = next(f for f in frames if "extractor" in f).set_index("extractor")
    assert extractors.loc["efficientnet_lite0", "weights"].endswith("installed")
    assert "microsoft/resnet-50" in extractors.loc["resnet50", "weights"]
    assert set(extractors["run by"].str.split().str[0]) <= {"torch", "openvino"}
    networks = next(f for f in frames if "network" in f)
    assert networks["network"].to_list() == list(train_names())
    missing = next(c.value for c in app.caption if "Not in this run" in c.value)
    assert "jensen_shannon" in plain(missing)
    assert not any(f" {name}," in plain(missing) for name in NAMES)


def train_names() -> list[str]:
    return [row["name"] for row in train_job.networks(state.store().path)]


def test_labels_of_one_kind_compare_nothing(full: Open) -> None:
    app = full("detectors")
    labels.label(state.store(), "bn-000100", "ok", "ana", blind=True)
    labels.label(state.store(), "bn-000101", "unsure", "ana", blind=True)
    app.run()
    assert "All 1 labels of this run's banners say ok." in texts(app) or "1 label" in texts(app)
    assert not table(app, "board")


def test_found_alone_is_counted_and_opens(full: Open) -> None:
    with state.store().transaction() as cursor:
        cursor.execute("UPDATE score SET p_value = 0.9 WHERE banner_id = ?", [HOSTILE])
        cursor.execute("UPDATE score SET p_value = 1e-9 WHERE banner_id = ? AND detector = 'multinomial'", [HOSTILE])
    app = full("detectors", detector="multinomial")
    found = [r["detector"] for r in detectors.alone(state.store(), run_id(), detectors.cuts(state.store(), run_id()))]
    counted = {row[0]: int(row[2]) for row in table(app, "alone")[1:]}
    assert counted == {name: found.count(name) for name in NAMES}
    assert HOSTILE in picks(app, "listed")
    assert f"**{found.count('multinomial')} banner" in texts(app)


def test_the_leaderboard_shows_the_figures_of_scikit_learn_the_best_first(full: Open) -> None:
    app = full("detectors", rank="ROC-AUC")
    one_labelled_wrong()
    app.run()
    assert not app.exception
    scores, flags, broken = truth()
    auc = {name: roc_auc_score(broken, x) for name, x in scores.items()}
    rows = {name_of(row): row for row in table(app, "board")[1:]}
    assert list(rows) == sorted(auc, key=lambda name: (-auc[name], name))
    for name, row in rows.items():
        wanted = auc[name], average_precision_score(broken, scores[name]), f1_score(broken, flags[name])
        assert [shown.split(" (")[0] for shown in row[2:5]] == [three(value) for value in wanted]
        assert all(re.search(r"\((> )?[.0-9]+\u2013(> )?[.0-9]+\)$", shown) for shown in row[2:5]), row
        assert row[7] == str(len(broken))
    best = max(auc, key=lambda name: auc[name])
    said = plain(app.subheader[0].value)
    assert said.startswith(f"{best[0].upper()}{best[1:].replace('_', ' ')} leads with ROC-AUC {auc[best]:.3f} (")
    level = [name_of(row) for row in rows.values() if "≈" in row[0]]
    assert best in level
    assert ("cannot tell it from" in said) == (len(level) > 1)
    assert f"{len(broken)} labelled banners, {broken.sum()} broken and {(~broken).sum()} ok, by 1 reviewer" in plain(texts(app))


def test_comparing_by_another_figure_changes_the_order_and_stays_in_the_url(full: Open) -> None:
    app = full("detectors", rank="F1", detector="kl_divergence", list="missed")
    one_labelled_wrong()
    app.run()
    _, flags, broken = truth()
    f1 = {name: f1_score(broken, x) for name, x in flags.items()}
    shown = [name_of(row) for row in table(app, "board")[1:]]
    assert [f1[name] for name in shown] == sorted(f1.values(), reverse=True)
    missed = int((broken & ~flags["kl_divergence"]).sum())
    assert missed > 0
    assert len(picks(app, "listed")) == missed
    assert app.query_params["rank"] in ("F1", ["F1"])


def test_who_finds_what_counts_by_the_reviewer_s_fault_before_the_diagnosis(full: Open) -> None:
    app = full("detectors")
    one_labelled_wrong()
    app.run()
    _, flags, broken = truth()
    rows = table(app, "families")
    kinds = rows[0][1:]
    store = state.store()
    said = {r["banner_id"]: r["label"] for r in labels.states(store)}
    fault = {r["banner_id"]: r["fault"] for r in store.rows("SELECT banner_id, fault FROM result")}
    fault |= {r["banner_id"]: r["fault"] for r in labels.current(store) if r["fault"]}
    wanted = [(fault[b] or "none known").replace("_", " ") for b, label in said.items() if label == "broken"]
    edge = [flags["multinomial"][k] for k, (b, label) in enumerate(said.items()) if label == "broken" and fault[b] == "edge"]
    own = next(row for row in rows[1:] if row[0] == "multinomial")
    for kind, shown in zip(kinds[:-1], own[1:-1], strict=True):
        assert shown.endswith(f"of {wanted.count(kind)}")
    assert own[1 + kinds.index("edge")].endswith(f"|{sum(edge)} of {len(edge)}")
    assert own[-1].endswith(f"{int((~broken & flags['multinomial']).sum())} of {int((~broken).sum())}")


def test_slow_detectors_stand_apart_beside_combined_on_the_same_banners(full: Open) -> None:
    app = full("detectors")
    one_labelled_wrong()
    with state.store().transaction() as cursor:
        cursor.execute("DELETE FROM score WHERE detector = 'likelihood_ratio' AND hash(banner_id) % 2 = 0")
        cursor.execute("UPDATE run_detector SET n_scored = 200 WHERE detector = 'likelihood_ratio'")
    app.run()
    rows = table(app, "board")[1:]
    at = next(k for k, row in enumerate(rows) if len(row) == 1)
    assert "not to be compared with the figures above" in rows[at][0]
    assert [name_of(row) for row in rows[at + 1 :]] == ["likelihood_ratio", "combined, on these"]
    scores, _, broken = truth_of_those_looked_at()
    assert rows[at + 2][2].startswith(three(average_precision_score(broken, scores)))
    assert rows[at + 1][7] == rows[at + 2][7] == str(len(broken))


def truth_of_those_looked_at() -> tuple[np.ndarray, None, np.ndarray]:
    """Combined scores, and which are broken, of the labelled banners that likelihood_ratio looked at."""
    rows = state.store().rows(
        """SELECT r.combined, l.label = 'broken' AS broken FROM result r JOIN label_state l USING (banner_id)
           SEMI JOIN (FROM score WHERE detector = 'likelihood_ratio') USING (banner_id) WHERE l.label IN ('broken', 'ok')"""
    )
    return np.array([r["combined"] for r in rows]), None, np.array([r["broken"] for r in rows])


def test_a_published_version_is_beside_what_the_run_said_itself(full: Open) -> None:
    calibrate = full("calibrate", by="budget", budget="5")
    add_labels(state.store())
    calibrate.run()
    publish(calibrate, "fewer")
    app = full("detectors")
    assert not app.exception
    names = [name_of(row) for row in table(app, "board")[1:]]
    assert {"combined", "combined without labels"} <= set(names)
    assert "may have learned from these labels" in texts(app)


def test_labels_drawn_at_random_can_be_looked_at_alone(full: Open) -> None:
    app = full("detectors")
    one_labelled_wrong()
    store = state.store()
    with store.transaction() as cursor:
        cursor.execute(
            """INSERT INTO claim_event SELECT uuidv7(), happened_at, batch_id, 'show', banner_id, reviewer, ?, 1, 1, 'mixed', 'control',
               true, NULL, 0, happened_at FROM label_current WHERE hash(banner_id) % 3 = 0""",
            [run_id()],
        )
        n = cursor.execute("SELECT count(*) FROM label_current WHERE hash(banner_id) % 3 = 0").fetchall()[0][0]
    labels.label(store, "bn-000399", "ok", "ben", blind=True)  # whoever shows labels sees that they changed
    app.run()
    app.toggle(key="drawn").set_value(True).run()
    assert not app.exception
    assert f"Shown are the {n} that were drawn at random." in plain(texts(app))
    assert all(row[7] == str(n) for row in table(app, "board")[1:])


def test_few_labels_give_figures_without_intervals(full: Open) -> None:
    app = full("detectors")
    add_labels(state.store(), 30)
    kinds = [r["label"] for r in labels.states(state.store())]
    assert 0 < kinds.count("broken") < 5
    app.run()
    assert not app.exception
    assert all("(" not in shown for row in table(app, "board")[1:] for shown in row[2:5])
    assert "Fewer than 5 labels of a kind: no interval." in texts(app)


def test_nonsense_and_hostile_names_are_harmless(full: Open) -> None:
    one = full("detectors")
    one_labelled_wrong(400)
    one.run()
    app = full("detectors", detector="<b>", rank="'; DROP", curves="nobody", list="x", common="?", drawn="maybe")
    assert not app.exception
    assert not app.error
    tables = [json.loads(e.proto.json).get("html", "") for e in app.get("bidi_component")]  # what remembers a name has none
    assert any(tables)
    assert not any("<script" in table for table in tables)


def test_a_training_is_started_watched_stopped_and_closed(full: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = json.dumps({"done": 0.25, "what": "step 5 of 20, loss 0.5000"})
    fake_worker(tmp_path, monkeypatch, f"print({line!r}, flush=True)", "time.sleep(60)")
    app = full("detectors")
    app.selectbox(key="network").set_value("cluster_count").run()
    app.button(key="train").click().run()
    handle: Any = train_job.current(state.store())
    assert handle.request == train_job.TrainRequest("cluster_count", steps=6000)
    for _ in range(200):
        if handle.done == 0.25 or handle.wait(0.05):
            break
    app.run()
    assert app.button(key="train").disabled
    assert "loss 0.5000 · 25 %" in plain(str(app.get("progress")[0].proto.text))
    app.button(key="cancel_training").click().run()
    assert handle.wait(20)
    app.run()
    assert "was stopped before its first checkpoint" in plain(app.warning[0].value)
    app.button(key="forget_training").click().run()
    assert not app.warning
    assert (app.button(key="train").label, app.button(key="train").disabled) == ("Train cluster_count", False)


def test_a_finished_training_says_what_comes_next(full: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = "(job / 'out').mkdir(); (job / 'out' / 'summary.json').write_text(json.dumps({'path': 'x', 'about': {'steps': '2'}}))"
    lines = [json.dumps({"done": k / 2, "what": f"step {k} of 2, loss {1 / k:.4f}"}) for k in (1, 2)]
    fake_worker(tmp_path, monkeypatch, *[f"print({line!r}, flush=True)" for line in lines], summary)
    app = full("detectors")
    app.selectbox(key="network").set_value("cluster_location").run()
    app.button(key="train").click().run()
    handle: Any = train_job.current(state.store())
    assert handle.wait(20)
    app.run()
    assert "cluster_location is trained, last loss 0.5000" in plain(app.success[0].value)
    assert any(e.proto.id.endswith("-losses") for e in app.get("plotly_chart"))


def test_too_few_banners_are_said_before_anything_starts(full: Open) -> None:
    app = full("detectors")
    app.button(key="train").click().run()
    assert "needs 500 banners:" in plain(app.error[0].value)
    assert train_job.current(state.store()) is None


def test_own_weights_can_be_put_aside_for_the_shipped_ones(full: Open) -> None:
    store = state.store()
    own = weight_files.weights_folder(store.path)
    own.mkdir()
    shutil.copy(find_weights("simclr"), own)
    app = full("detectors")
    assert not [b for b in app.button if b.key == "discard"], "of another network"
    app.selectbox(key="network").set_value("simclr").run()
    used = next(f.value for f in app.dataframe if "network" in f.value).set_index("network")["weights in use"]
    assert (used["simclr"], used["ssad_clicks"]) == ("this store's own", "shipped")
    app.button(key="discard").click().run()
    used = next(f.value for f in app.dataframe if "network" in f.value).set_index("network")["weights in use"]
    assert set(used) == {"shipped"}
    assert len(list(own.iterdir())) == 1, "kept"
