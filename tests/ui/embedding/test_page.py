"""The Embedding page and what the Banner page shows of maps and cosines."""

import json
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.banners.heatmaps import counts_of_lists
from core.calibration import cosine_cuts
from core.embeddings.job import MAP
from core.features import EXTRACTORS
from core.features.cache import FeatureStore, folder_of
from core.features.running import stream
from core.jobs import running as jobs
from core.review import labels, triage
from core.store import Store
from core.store.queries import cosines, embeddings, runs
from core.ui.embedding import pairwise, selection
from core.ui.session import reads, state
from tests.support import maps
from tests.support.stores import filled_store
from tests.ui.conftest import Open, _open
from tests.ui.test_pages import plain, texts


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of 400 scored banners, hostile ones among them, closed."""
    path = tmp_path / "mapped.duckdb"
    filled_store(path, 400, hostile=True).close()
    monkeypatch.setenv("HEATPROOF_STORE", str(path))
    return path


@pytest.fixture
def mapped(path: Path) -> Open:
    """Opens a page on a store with a map by PCA and one by MVU, and two cosines."""
    with Store(path) as store:
        maps.add_map(store, method="mvu", seed=1)
        maps.add_map(store, seed=2)
        maps.add_cosines(store)
    return _open


def select(app: AppTest, rows: list[int]) -> AppTest:
    """What the browser sends when a lasso holds these rows of the map; an anchor in it has no customdata."""
    key = f"map_{app.session_state[selection.KEY]['round']}"
    points = [{"customdata": [k], "point_index": k, "curve_number": 0} for k in rows] + [{"point_index": 0, "curve_number": 9}]
    app.session_state[key] = {"selection": {"points": points, "box": [], "lasso": []}}
    return app.run()


def chart(app: AppTest, number: int = 0) -> dict:  # type: ignore[type-arg]
    return json.loads(app.get("plotly_chart")[number].proto.spec)


def test_without_a_map_one_button_makes_it(full: Open) -> None:
    app = full("embedding")
    assert "This map was not made yet" in app.subheader[0].value
    app.button(key="make_map").click().run()
    assert not app.exception
    handle = jobs.current(state.store(), MAP)
    assert handle is not None
    assert handle.wait(60)
    assert handle.state == "finished", handle.error
    app.run()
    assert not app.exception
    assert "400 banners" in plain(app.subheader[0].value)
    assert len(app.get("plotly_chart")) == 1


def test_a_failed_map_says_why_and_can_be_closed(full: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    app = full("embedding", feature="resnet50")
    monkeypatch.setattr(MAP, "command", ("sh", "-c", """echo '{"error": "A rule; it was broken. Do this."}'; exit 2"""))
    app.button(key="make_map").click().run()
    handle = jobs.current(state.store(), MAP)
    assert handle is not None
    assert handle.wait(60)
    app.run()
    assert "PCA of resnet50: A rule; it was broken. Do this." in plain(app.error[0].value)
    app.button(key="forget_map").click().run()
    assert not app.error


@pytest.mark.parametrize("axes", ["2-D", "3-D"])
@pytest.mark.parametrize("colour", ["score", "flag", "label", "grid", "cluster"])
def test_every_banner_is_drawn_once_in_every_colour(mapped: Open, colour: str, axes: str) -> None:
    app = mapped("embedding", colour=colour, axes=axes)
    assert not app.exception
    figure = chart(app)
    traces = [t for t in figure["data"] if "customdata" in t]
    drawn = np.concatenate(
        [np.frombuffer(__import__("base64").b64decode(t["customdata"]["bdata"]), t["customdata"]["dtype"]) for t in traces]
    )
    assert sorted(drawn.tolist()) == list(range(400))
    flagged = "triangle-up" if axes == "2-D" else "diamond"
    n = state.store().rows("SELECT count(*) AS n FROM result WHERE flagged")[0]["n"]
    marked = sum(len(t["text"]) for t in traces if t["marker"]["symbol"] == flagged)
    assert marked == n
    assert "<script" not in json.dumps(figure)


def test_the_first_line_counts_clusters_and_flagged_banners_outside(mapped: Open) -> None:
    app = mapped("embedding")
    found = state.store().rows(
        """SELECT round(100 * avg((cluster < 0)::INT) FILTER (flagged)) AS inside FROM embedding_point JOIN result USING (banner_id)
           WHERE embedding_id = (SELECT embedding_id FROM embedding WHERE method = 'pca')"""
    )[0]
    app = mapped("embedding", method="PCA")
    said = plain(app.subheader[0].value)
    assert said.startswith("400 banners fall into 4 clusters by heatmap; ")
    assert f"{found['inside']:.0f} % of flagged banners are outliers" in said


def test_an_unfolding_shows_certificate_and_variance(mapped: Open) -> None:
    app = mapped("embedding", method="MVU")
    assert "MVU: within 0.6 % of the optimum, 2 axes hold 94 % of the variance." in plain(texts(app))
    assert "98 %" in plain(texts(mapped("embedding", method="MVU", axes="3-D")))


def test_a_selection_is_decided_undone_and_outlives_other_colours(mapped: Open) -> None:
    app = mapped("embedding", method="PCA")
    assert "Nothing selected" in texts(app)
    before = app.get("plotly_chart")[0].proto.spec
    app = select(app, [0, 5, 399])
    assert "3 banners selected" in texts(app)
    assert app.get("plotly_chart")[0].proto.spec == before, "the figure stays the same to the byte, or the browser would drop its lasso"
    app.button(key="map_confirm").click().run()
    assert not app.exception
    sql = "SELECT banner_id FROM triage_current WHERE state = 'confirmed' ORDER BY 1"
    ids = [r["banner_id"] for r in state.store().rows(sql)]
    points = reads.points(str(state.store().path), runs.finished_runs(state.store())[0]["run_id"], newest("pca"))
    assert ids == sorted(str(points.banner_id[k]) for k in (0, 5, 399))
    assert "3 confirmed" in texts(app)
    app.selectbox(key="colour").set_value("cluster").run()
    assert "3 banners selected" in texts(app)
    lit = [t["selectedpoints"] for t in chart(app)["data"] if "selectedpoints" in t]
    assert sum(len(np.atleast_1d(v)) if isinstance(v, list) else 1 for v in lit) >= 1
    app.button(key="undo").click().run()
    assert not state.store().rows(sql)
    app.button(key="map_clear").click().run()
    assert "Nothing selected" in texts(app)


def newest(method: str) -> str:
    return next(
        m["embedding_id"] for m in embeddings.listed(state.store(), runs.finished_runs(state.store())[0]["run_id"]) if m["method"] == method
    )


def test_a_found_banner_is_ringed_centred_and_shows_what_it_resembles(mapped: Open) -> None:
    app = mapped("embedding", find="bn-000100", method="PCA")
    assert not app.exception
    assert "What bn-000100 resembles" in plain(texts(app))
    place = state.store().rows("SELECT x FROM embedding_point WHERE embedding_id = ? AND banner_id = 'bn-000100'", [newest("pca")])[0]
    left, right = chart(app)["layout"]["xaxis"]["range"]
    assert (left + right) / 2 == pytest.approx(place["x"], abs=1e-4)
    app.text_input(key="find").set_value("bn-0001").run()
    assert "no such banner" in plain(app.warning[0].value)
    assert "bn-000100" in plain(app.warning[0].value)


def test_pairwise_without_cosines_says_what_to_run(full: Open) -> None:
    app = full("embedding", view="pairwise")
    assert "Two cosine similarities are needed" in texts(app)
    assert "cosine_efficientnet_lite0" in app.code[0].value


def test_pairwise_counts_quadrants_by_hand_and_leaves_out_what_is_missing(mapped: Open) -> None:
    app = mapped("embedding", view="pairwise", pair_grid="333346")
    assert not app.exception
    store, run_id = state.store(), runs.finished_runs(state.store())[0]["run_id"]
    said: dict[str, dict[str, float]] = {}
    cuts = []
    for name in ("cosine_one", "cosine_two"):
        asked = cosines.asked(store, run_id, name)
        assert np.isfinite(asked.distance).all()
        others = asked.grid_id != 333346
        cuts.append(np.quantile(asked.distance[others], 1 - asked.p_broken[others].mean()))
        rows = store.rows(
            """SELECT banner_id, score FROM score SEMI JOIN (FROM result WHERE grid_id = 333346) USING (banner_id)
               WHERE run_id = ? AND detector = ?""",
            [run_id, name],
        )
        said[name] = {row["banner_id"]: row["score"] for row in rows}
    one, two = said.values()
    shared = one.keys() & two.keys()
    found = cosines.pair(*(cosines.asked(store, run_id, name) for name in said), 333346)
    assert set(found.banner_id) == one.keys() | two.keys()
    by_hand = [[given.get(name, np.nan) for name in found.banner_id] for given in (one, two)]
    assert np.array_equal(found.distance, np.array(by_hand), equal_nan=True)
    n_grid = store.rows("SELECT count(*) AS n FROM result WHERE grid_id = 333346 AND run_id::VARCHAR = ?", [run_id])[0]["n"]
    both = sum(one[name] >= cuts[0] and two[name] >= cuts[1] for name in shared)
    assert len(shared) < len(one), "some were left out of one of the two"
    assert f"{both} of {len(shared)} banners lie beyond both 0-shot thresholds" in plain(app.subheader[0].value)
    assert f"{n_grid - len(shared)} banners of this grid left out" in texts(app)


def test_one_shot_needs_a_known_ok_banner_and_its_features(mapped: Open, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = mapped("embedding", view="pairwise", pair_grid="333346", shot="1-shot")
    assert "none was dismissed yet" in plain(app.info[0].value)
    store, run = state.store(), runs.finished_runs(state.store())[0]
    name = store.rows("SELECT min(banner_id) AS b FROM result WHERE grid_id = 333346 AND NOT flagged")[0]["b"]
    triage.decide(store, run["run_id"], [name], "dismiss", "ana")
    app.run()
    assert "not kept beside this store" in plain(app.info[0].value)
    for label in ("one", "two"):
        monkeypatch.setitem(EXTRACTORS, label, maps.quarters(label))
    ids = store.rows("SELECT list(banner_id ORDER BY banner_id) AS ids FROM result WHERE grid_id = 333346")[0]["ids"]
    table = cosines.heatmaps(store, run, ids)
    counts = counts_of_lists(table["bins"], table["counts"])
    for label in ("one", "two"):
        FeatureStore(folder_of(path.resolve()), maps.quarters(label)).fill(counts)

    pairwise.one_shot.clear()
    app.run()
    assert not app.info
    assert not app.exception
    assert "1-shot thresholds" in plain(app.subheader[0].value)
    features = next(iter(stream(maps.quarters("one"), counts))).astype(np.float16)
    found = cosine_cuts.one_shot_distance(features, table["banner_id"].to_pylist().index(name))
    kept = pairwise.one_shot(str(store.path), run["run_id"], "cosine_one", 333346, name, run, np.array(ids))
    assert kept is not None
    assert np.allclose([kept[b] for b in table["banner_id"].to_pylist()], found, atol=1e-3)


def test_the_banner_page_shows_place_cosines_and_known_banners(mapped: Open) -> None:
    app = mapped("overview")
    store, run_id = state.store(), runs.finished_runs(state.store())[0]["run_id"]
    out = store.rows("SELECT banner_id FROM score WHERE detector = 'cosine_two'")
    name = store.rows(
        "SELECT banner_id FROM result WHERE banner_id NOT IN (SELECT unnest(?)) ORDER BY 1 LIMIT 1", [[r["banner_id"] for r in out]]
    )
    triage.decide(store, run_id, ["bn-000100", "bn-000200"], "dismiss", "ana")
    app.query_params["banner"] = name[0]["banner_id"]
    app.switch_page("pages/banner.py").run()
    assert not app.exception
    shown = plain(texts(app))
    assert "it lies in" in shown
    assert "Ok" in shown
    assert "Broken: none known yet" in shown.replace("*", "")
    specs = [json.loads(c.proto.spec) for c in app.get("plotly_chart")]
    notes = [a["text"] for s in specs for a in s["layout"].get("annotations", [])]
    assert "left out" in notes, "a missing score is never a 0"
    assert any("(threshold 0." in note for note in notes)


def test_the_banner_page_without_a_map_offers_one(full: Open) -> None:
    app = full("banner", banner="bn-000100")
    assert not app.exception
    assert "No map of this run yet" in texts(app)
    assert "No cosine in this run" in texts(app)


def test_labels_of_others_stay_hidden_from_a_reviewer_until_they_label_too(mapped: Open) -> None:
    app = mapped("embedding", method="PCA", colour="label")
    for reviewer, name in (("ana", "bn-000100"), ("ana", "bn-000101"), ("ben", "bn-000101")):
        labels.label(state.store(), name, "broken", reviewer, blind=True)
    app.session_state["author"] = "ben"
    app.run()
    assert not app.exception
    assert "Labels of 1 banner stay hidden until you label them too" in plain(texts(app))
    drawn = [t for t in chart(app)["data"] if "broken" in str(t.get("name", ""))]
    assert sum(len(t["text"]) for t in drawn if "text" in t) == 1
    app.session_state["author"] = "ana"
    app.run()
    assert "stay hidden" not in plain(texts(app))


def test_every_place_hides_labels_by_one_rule(mapped: Open) -> None:
    mapped("embedding")
    store = state.store()
    labels.label(store, "bn-000100", "broken", "ana", blind=True)
    labels.label(store, "bn-000101", "ok", "ben", blind=True)
    assert labels.hidden_from(store, "ben") == {"bn-000100"}
    assert labels.hidden_from(store, "ana", ["bn-000100", "bn-000101"]) == {"bn-000101"}
